import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SubscribeRequest } from "../wire/mqtt/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";

const requestOf = (filter: string): SubscribeRequest => ({
  filter,
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
});

describe("reasons in words", () => {
  const refusedTwice = async (options: Parameters<BrokerWorld["connected"]>[1]) => {
    const world = await BrokerWorld.started();
    world.policy("c1").change({ publish: () => false, subscribe: () => false });
    const client = await world.connected("c1", options);
    client.subscribe("a/secret").publish("a/secret", "x", { qos: 1 });
    await world.run();
    return { world, client };
  };

  test("SUBACK, PUBACK and PUBREC say why", async () => {
    const { world, client } = await refusedTwice({});
    client.publish("a/secret", "x", { qos: 2, packetId: 2 });
    await world.run();
    assert.equal(client.last("pubrec")?.reasonCode, REASON.notAuthorized);
    assert.match(client.last("pubrec")?.reasonString ?? "", /not authorized to publish/);
    assert.match(client.last("suback")?.reasonString ?? "", /not authorized; allow iot:Subscribe/);
    assert.match(client.last("puback")?.reasonString ?? "", /not authorized to publish/);
  });

  test("not where the client wants none: only CONNACK and DISCONNECT may [MQTT-3.1.2-29]", async () => {
    const { world, client } = await refusedTwice({ requestProblemInformation: false });
    assert.deepEqual(
      [client.last("suback")?.reasonString, client.last("puback")?.reasonString],
      [undefined, undefined],
    );
    assert.equal(client.last("puback")?.reasonCode, REASON.notAuthorized);
    world.broker.disconnect(() => true, REASON.administrativeAction, "by hand");
    await world.run();
    assert.equal(client.last("disconnect")?.reasonString, "by hand");
  });

  test("not where the packet would be too large, and never with user properties [MQTT-3.2.2-20], [MQTT-3.14.2-4]: SUBACK [MQTT-3.9.2-1], PUBACK [MQTT-3.4.2-2], PUBREC [MQTT-3.5.2-2], CONNACK [MQTT-3.2.2-19]", async () => {
    const { world, client } = await refusedTwice({ maximumPacketSize: 24 });
    client.publish("a/secret", "x", { qos: 2, packetId: 2 });
    await world.run();
    assert.deepEqual(client.last("suback")?.reasonCodes, [REASON.notAuthorized]);
    assert.deepEqual(
      [client.last("pubrec")?.reasonCode, client.last("pubrec")?.reasonString],
      [REASON.notAuthorized, undefined],
    );
    assert.deepEqual(
      [client.last("suback")?.reasonString, client.last("puback")?.reasonString],
      [undefined, undefined],
    );
    world.admit = () => ({ admitted: false, reasonCode: REASON.notAuthorized, reason: "a reason of some length" });
    const refused = await world.connected("c2", { maximumPacketSize: 24 });
    assert.deepEqual(
      [refused.last("connack")?.reasonCode, refused.last("connack")?.reasonString],
      [REASON.notAuthorized, undefined],
    );
  });

  test("an answer that cannot be made to fit ends the connection [MQTT-3.1.2-24]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { maximumPacketSize: 40 });
    const requests = Array.from({ length: 50 }, (_, i) => requestOf(`a/${i}`));
    client.send((w) => w.subscribe({ packetId: 1, requests, subscriptionIdentifier: 0 }));
    await world.run();
    assert.equal(client.last("suback"), undefined);
    assert.equal(client.last("disconnect")?.reasonCode, REASON.packetTooLarge);
    assert.equal(client.state, "ended");
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "answer-too-large" }), 1);
  });

  test("who cannot even be told that it is in is refused, and its session stays as it was [MQTT-3.1.2-24]", async () => {
    const world = await BrokerWorld.started();
    const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    await world.run();
    for (const [maximumPacketSize, code] of [
      [5, REASON.packetTooLarge],
      [4, undefined],
    ] as const) {
      const tiny = await world.connected("c1", { cleanStart: true, maximumPacketSize });
      assert.equal(tiny.last("connack")?.reasonCode, code);
      assert.equal(tiny.state, "ended");
    }
    assert.equal((await world.connected("c1", kept)).last("connack")?.sessionPresent, true);
  });
});

describe("request and response", () => {
  test("who asks is told a prefix of its own, who does not is not [MQTT-3.1.2-28]", async () => {
    const world = await BrokerWorld.started();
    const asking = await world.connected("asking", { requestResponseInformation: true });
    const silent = await world.connected("silent");
    assert.equal(asking.last("connack")?.responseInformation, "responses/asking");
    assert.equal(silent.last("connack")?.responseInformation, undefined);
  });

  test("none that the policy does not let it listen to, and none that would be somebody else's", async () => {
    const world = await BrokerWorld.started();
    world.policy("narrow").change({ subscribe: (filter) => filter !== "responses/narrow/#" });
    for (const clientId of ["narrow", "a/b", "+", "#"]) {
      const client = await world.connected(clientId, { requestResponseInformation: true });
      assert.equal(client.last("connack")?.reasonCode, 0);
      assert.equal(client.last("connack")?.responseInformation, undefined, clientId);
    }
  });

  test("a request and its response: topic and correlation data travel unaltered [MQTT-3.3.2-15], [MQTT-3.3.2-16]", async () => {
    const world = await BrokerWorld.started();
    const requester = await world.connected("requester", { requestResponseInformation: true });
    const prefix = requester.last("connack")!.responseInformation!;
    requester.subscribe(`${prefix}/#`);
    const responder = (await world.connected("responder")).subscribe("pump/commands");
    await world.run();
    const correlationData = Uint8Array.of(0, 1, 0xff, 0x23);
    requester.publish("pump/commands", "start", {
      qos: 1,
      properties: { responseTopic: `${prefix}/pump`, correlationData },
    });
    await world.run();
    const request = responder.publishes[0]!.properties!;
    responder.publish(request.responseTopic!, "started", {
      qos: 1,
      properties: { correlationData: request.correlationData! },
    });
    await world.run();
    const answer = requester.publishes[0]!;
    assert.deepEqual([answer.topic, answer.payload], ["responses/requester/pump", "started"]);
    assert.deepEqual(answer.properties?.correlationData, correlationData);
  });
});

describe("a server that is drained", () => {
  test("names the other one, to those who are there and to those who come (section 4.11)", async () => {
    const world = await BrokerWorld.started({ broker: { serverReference: "other.example:8883" } });
    const [five, four] = [await world.connected("five"), await world.connected("four", { version: 4 })];
    const late = world.client();
    const closed = world.broker.close();
    late.connect({ clientId: "late" });
    await world.run();
    await closed;
    const told = { reasonCode: REASON.useAnotherServer, serverReference: "other.example:8883" };
    const [goodbye, refusal] = [five.last("disconnect"), late.last("connack")];
    assert.deepEqual({ reasonCode: goodbye?.reasonCode, serverReference: goodbye?.serverReference }, told);
    assert.equal(four.state, "ended");
    assert.ok(refusal === undefined || refusal.serverReference === told.serverReference);
  });

  test("without another one it says that it stops", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    const closed = world.broker.close();
    await world.run();
    await closed;
    assert.equal(client.last("disconnect")?.reasonCode, REASON.serverShuttingDown);
    assert.equal(client.last("disconnect")?.serverReference, undefined);
  });
});

describe("topics that begin with $", () => {
  test("are not for clients to publish to, but $aws where their policy says so (section 4.7.2)", async () => {
    const world = await BrokerWorld.started();
    const listener = (await world.connected("listener")).subscribe("$aws/#").subscribe("$other/#");
    const client = await world.connected("c1");
    client.publish("$aws/things/c1/shadow/get", "{}", { qos: 1, packetId: 1 });
    client.publish("$other/x", "x", { qos: 1, packetId: 2 });
    client.publish("$SYS/broker/uptime", "x", { qos: 1, packetId: 3, retain: true });
    await world.run();
    const codes = client.received.filter((p) => p.type === "puback").map((p) => p.reasonCode);
    assert.deepEqual(codes, [0, REASON.notAuthorized, REASON.notAuthorized]);
    assert.deepEqual(listener.take(), ["$aws/things/c1/shadow/get={}"]);
    const will = {
      topic: "$SYS/x",
      payload: new Uint8Array(0),
      qos: 0,
      retain: false,
      delaySeconds: 0,
      properties: null,
    } as const;
    assert.equal((await world.connected("c2", { will })).last("connack")?.reasonCode, REASON.notAuthorized);
  });
});
