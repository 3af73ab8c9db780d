import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Service, ServiceRequest } from "./mod.ts";

const ASK = "$aws/certificates/create/json";
const ANSWER = `${ASK}/accepted`;

/** Answers each request on its `/accepted`, with what was asked. */
function echo(asked: ServiceRequest[], more: Partial<Service> = {}): Service {
  return {
    name: "echo",
    requests: ["$aws/certificates/create/+"],
    answers: ["$aws/certificates/create/+/+"],
    confidential: true,
    handle: (request) => {
      asked.push(request);
      const { topic, payload } = request.message;
      request.reply(`${topic}/accepted`, encodeUtf8(`you said ${decodeUtf8(payload, 0, payload.length)}`));
    },
    ...more,
  };
}

async function worldWith(
  more: Partial<Service> = {},
  options = {},
): Promise<{ world: BrokerWorld; asked: ServiceRequest[] }> {
  const world = await BrokerWorld.started(options);
  const asked: ServiceRequest[] = [];
  world.broker.serve(echo(asked, more));
  return { world, asked };
}

const publishesOf = (client: SimClient): string[] =>
  client.received.flatMap((p) => (p.type === "publish" ? [`${p.topic} qos${p.qos} ${p.payload}`] : []));

describe("a service that answers a reserved topic", () => {
  for (const version of [4, 5] as const) {
    test(`is asked once the request is on disk, and answers whoever asked, MQTT ${version === 4 ? "3.1.1" : "5.0"}`, async () => {
      const { world, asked } = await worldWith();
      const asking = (await world.connected("c1", { version })).subscribe(ANSWER);
      const other = (await world.connected("c2", { version })).subscribe(ANSWER).subscribe("$aws/#").subscribe("#");
      await world.run();
      world.journal.mode = "held";
      asking.publish(ASK, "hello", { qos: 1, packetId: 7 });
      await world.run();
      assert.equal(asked.length, 0, "not before it is on disk");
      assert.equal(asking.last("puback"), undefined);
      world.journal.sync();
      await world.run();
      assert.deepEqual(publishesOf(asking), [`${ANSWER} qos1 you said hello`]);
      const order = asking.received.map((p) => p.type).slice(-2);
      assert.deepEqual(order, ["puback", "publish"], "the acknowledgement comes first");
      assert.deepEqual(publishesOf(other), [], "nobody else sees request or answer");
      const { requester, offset } = asked[0]!;
      assert.equal(requester.clientId, "c1");
      assert.equal(requester.thing, "thing-c1");
      assert.equal(requester.protocolVersion, version);
      assert.equal(world.journal.messages[offset]?.topic, ASK);
      assert.equal(world.journal.messages.length, 1, "the answer, which may hold a key, is not in the log");
    });
  }

  test("is asked at QoS 0 too, and reaches a client that has not subscribed at QoS 0", async () => {
    const { world } = await worldWith();
    const client = await world.connected("c1");
    client.publish(ASK, "a");
    await world.run();
    assert.deepEqual(publishesOf(client), [`${ANSWER} qos0 you said a`]);
    client.subscribe(ANSWER, { qos: 2, identifier: 9 }).publish(ASK, "b");
    await world.run();
    const last = client.last("publish");
    assert.equal(last?.qos, 1);
    assert.deepEqual(last?.identifiers, [9]);
  });

  test("waits for the client's window, and keeps the order", async () => {
    const { world } = await worldWith();
    const client = (await world.connected("c1", { receiveMaximum: 2 })).subscribe(ANSWER);
    await world.run();
    client.acknowledges = false;
    for (let i = 1; i <= 5; i++) client.publish(ASK, `${i}`, { qos: 1, packetId: i });
    await world.run();
    assert.equal(publishesOf(client).length, 2);
    client.acknowledges = true;
    for (const { packetId } of client.publishes) client.puback(packetId);
    await world.run();
    const said = publishesOf(client).map((line) => line.at(-1));
    assert.deepEqual(said, ["1", "2", "3", "4", "5"]);
  });

  test("an answer that was not acknowledged ends with its connection, whoever has the client identifier next", async () => {
    const { world } = await worldWith();
    const kept = { clientId: "c1", cleanStart: false, sessionExpirySeconds: 600 };
    const client = (await world.connected("c1", kept)).subscribe(ANSWER);
    await world.run();
    client.acknowledges = false;
    client.publish(ASK, "secret", { qos: 1, packetId: 1 });
    await world.run();
    assert.equal(publishesOf(client).length, 1);
    client.cut();
    await world.run();
    const next = await world.connected("c1", kept);
    await world.run(1000);
    assert.equal(next.last("connack")?.sessionPresent, true);
    assert.deepEqual(publishesOf(next), []);
    next.publish(ASK, "again", { qos: 1, packetId: 1 });
    await world.run();
    assert.deepEqual(publishesOf(next), [`${ANSWER} qos1 you said again`], "the session goes on");
  });

  test("an answer that was saved as owed is not there after a crash, and is counted", async () => {
    const { world } = await worldWith();
    const kept = { clientId: "c1", cleanStart: false, sessionExpirySeconds: 600 };
    const client = (await world.connected("c1", kept)).subscribe(ANSWER).subscribe("a");
    await world.run();
    client.acknowledges = false;
    client.publish(ASK, "secret", { qos: 1, packetId: 1 });
    client.publish("a", "kept", { qos: 1, packetId: 2 });
    await world.run(60_000);
    await world.crashAndRestart();
    const next = await world.connected("c1", kept);
    await world.run(1000);
    assert.deepEqual(publishesOf(next), ["a qos1 kept"]);
  });

  test("is told where the client is gone, and the drop is counted", async () => {
    const later: ServiceRequest[] = [];
    const { world } = await worldWith({ handle: (request) => void later.push(request) });
    const client = (await world.connected("c1")).subscribe(ANSWER);
    client.publish(ASK, "x", { qos: 1, packetId: 1 });
    await world.run();
    client.cut();
    await world.connected("c1");
    assert.equal(later[0]!.reply(ANSWER, new Uint8Array(1)), false);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "requester-gone" }), 1);
  });

  test("is not told of what it may not receive, and a service that throws harms nobody", async () => {
    const { world } = await worldWith();
    world.policy("c1").change({ receive: (topic) => topic !== ANSWER });
    const client = (await world.connected("c1")).subscribe(ANSWER);
    client.publish(ASK, "x", { qos: 1, packetId: 1 });
    await world.run();
    assert.deepEqual(publishesOf(client), []);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "receive-forbidden" }), 1);
    world.broker.serve({
      name: "broken",
      requests: ["$aws/broken"],
      answers: [],
      confidential: false,
      handle: () => {
        throw new Error("broken");
      },
    });
    client.publish("$aws/broken", "x", { qos: 1, packetId: 2 });
    await world.run();
    assert.equal(client.last("puback")?.packetId, 2);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "handler-failed" }), 1);
  });

  test("clients publish neither to its answers nor retained requests, nor events of the platform; nor as a will", async () => {
    const { world } = await worldWith();
    const client = await world.connected("c1");
    client.publish(ANSWER, "forged", { qos: 1, packetId: 1 });
    client.publish(ASK, "kept", { qos: 1, packetId: 2, retain: true });
    client.publish("$aws/events/presence/connected/c9", "forged", { qos: 1, packetId: 3 });
    client.publish(ASK, "fine", { qos: 1, packetId: 4 });
    await world.run();
    const codes = client.received.filter((p) => p.type === "puback").map((p) => p.reasonCode);
    assert.deepEqual(codes, [REASON.notAuthorized, REASON.notAuthorized, REASON.notAuthorized, 0]);
    const payload = new Uint8Array(0);
    const will = { topic: ANSWER, payload, qos: 0, retain: false, delaySeconds: 0, properties: null } as const;
    const forger = await world.connected("c2", { will });
    assert.equal(forger.last("connack")?.reasonCode, REASON.notAuthorized);
  });

  test("one whose requests are no secret leaves them to those who subscribe", async () => {
    const { world, asked } = await worldWith({ confidential: false });
    const watching = (await world.connected("c2")).subscribe("$aws/#");
    (await world.connected("c1")).publish(ASK, "x", { qos: 1, packetId: 1 });
    await world.run();
    assert.deepEqual(publishesOf(watching), [`${ASK} qos1 x`]);
    assert.equal(asked.length, 1);
  });
});

test("Basic Ingest is for rules: accepted, in the log, for no subscriber, and nobody can subscribe to it", async () => {
  const world = await BrokerWorld.started();
  const watching = (await world.connected("c2")).subscribe("$aws/#");
  const asking = (await world.connected("c3")).subscribe("$aws/rules/r/#").subscribe("$share/g/$aws/rules/r/+");
  const client = await world.connected("c1");
  client.publish("$aws/rules/r/a/b", "1", { qos: 1, packetId: 1 });
  await world.run();
  assert.equal(client.last("puback")?.reasonCode, 0);
  assert.equal(world.journal.messages.at(-1)?.topic, "$aws/rules/r/a/b");
  assert.deepEqual(publishesOf(watching), []);
  const codes = asking.received.flatMap((p) => (p.type === "suback" ? p.reasonCodes : []));
  assert.deepEqual(codes, [REASON.notAuthorized, REASON.notAuthorized]);
});

test("whoever asks is told of subscriptions that took effect, and of their end", async () => {
  const world = await BrokerWorld.started();
  const events: unknown[] = [];
  world.broker.onSubscriptions(({ type, clientId, filters }) => events.push([type, clientId, ...filters]));
  world.policy("c1").change({ subscribe: (filter) => filter !== "b" });
  const client = await world.connected("c1");
  client.subscribe("a").subscribe("b").unsubscribe("a").unsubscribe("a");
  await world.run();
  assert.deepEqual(events, [
    ["subscribed", "c1", "a"],
    ["unsubscribed", "c1", "a"],
  ]);
});
