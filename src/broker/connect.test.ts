import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Will } from "../wire/mqtt/mod.ts";

const will = (fields: Partial<Will> = {}): Will => ({
  topic: "w/gone",
  payload: new TextEncoder().encode("gone"),
  qos: 1,
  retain: false,
  delaySeconds: 0,
  properties: null,
  ...fields,
});

describe("CONNECT and CONNACK", () => {
  test("MQTT 5.0 is told that it is in, and what this server can do [MQTT-3.1.4-5], [MQTT-3.2.2-2]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { keepAliveSeconds: 30 });
    assert.deepEqual(client.last("connack"), {
      type: "connack",
      sessionPresent: false,
      reasonCode: 0,
      receiveMaximum: world.limits.inflightMax,
      maximumPacketSize: world.limits.packetBytesMax,
      topicAliasMaximum: world.limits.topicAliasMax,
      sharedSubscriptionAvailable: false,
    });
  });

  test("a keep-alive above ours, or none, is replaced in 5.0 and told [MQTT-3.1.2-21]; any other stays [MQTT-3.2.2-22]; 3.1.1 keeps its own", async () => {
    const world = await BrokerWorld.started({ limits: { keepAliveSecondsMax: 100 } });
    const long = await world.connected("long", { keepAliveSeconds: 101 });
    const none = await world.connected("none", { keepAliveSeconds: 0 });
    await world.connected("old", { version: 4, keepAliveSeconds: 5000 });
    const short = await world.connected("short", { keepAliveSeconds: 99 });
    assert.equal(short.last("connack")?.serverKeepAliveSeconds, undefined);
    assert.equal([...world.broker.connections()].find((c) => c.clientId === "short")?.keepAliveSeconds, 99);
    assert.equal(long.last("connack")?.serverKeepAliveSeconds, 100);
    assert.equal(none.last("connack")?.serverKeepAliveSeconds, 100);
    const old = [...world.broker.connections()].find((c) => c.clientId === "old");
    assert.equal(old?.keepAliveSeconds, 5000);
  });

  test("a session expiry above ours is capped and told (section 3.2.2.3.2)", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { cleanStart: false, sessionExpirySeconds: 0xffff_ffff });
    assert.equal(client.last("connack")?.sessionExpirySeconds, world.limits.sessionExpirySecondsMax);
  });

  test("every client id that a client may rely on is taken [MQTT-3.1.3-5]: 1 to 23 digits and letters", async () => {
    const world = await BrokerWorld.started();
    const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (let length = 1; length <= 23; length++) {
      const clientId = letters.slice(length, length + length);
      assert.equal((await world.connected(clientId)).last("connack")?.reasonCode, 0, clientId);
    }
  });

  test("an empty client id gets one of ours, and in 5.0 is told [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]", async () => {
    const world = await BrokerWorld.started();
    const [five, four] = [await world.connected(""), await world.connected("", { version: 4 })];
    assert.match(five.last("connack")?.assignedClientId ?? "", /^auto-[0-9a-f]{24}$/);
    assert.equal(four.last("connack")?.reasonCode, 0);
    const ids = [...world.broker.connections()].map((c) => c.clientId);
    assert.equal(new Set(ids).size, 2);
    assert.ok(ids.includes(five.last("connack")!.assignedClientId!));
  });

  test("3.1.1: an empty client id with a session to be kept is refused with 2 [MQTT311-3.1.3-8], [MQTT311-3.1.3-9]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("", { version: 4, cleanStart: false });
    assert.equal(client.last("connack")?.reasonCode, 2);
    assert.equal(client.state, "ended");
  });

  test("who may not connect is told and cut off, and the log says who and why [MQTT-3.1.4-2], [MQTT-3.2.2-7], [MQTT-3.2.2-6]", async () => {
    const world = await BrokerWorld.started();
    world.admit = () => ({
      admitted: false,
      reasonCode: REASON.notAuthorized,
      reason: "its policy allows no iot:Connect",
    });
    const [five, four] = [await world.connected("five"), await world.connected("four", { version: 4 })];
    assert.equal(five.last("connack")?.reasonCode, REASON.notAuthorized);
    assert.equal(five.last("connack")?.reasonString, "its policy allows no iot:Connect");
    assert.equal(four.last("connack")?.reasonCode, 5, "3.1.1: not authorized");
    assert.deepEqual([five.state, four.state], ["ended", "ended"]);
    assert.equal(five.last("connack")?.sessionPresent, false);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "connect-refused" }), 2);
    const line = world.logger.lines.find((l) => l.fields["reason"] === "connect-refused");
    assert.equal(line?.fields["clientId"], "five");
    assert.deepEqual(world.presence, [], "somebody who was never in is not reported as gone");
  });

  test("what a refused client sends behind its CONNECT is not looked at [MQTT-3.1.4-6]", async () => {
    const world = await BrokerWorld.started();
    world.admit = () => ({ admitted: false, reasonCode: REASON.notAuthorized, reason: "no" });
    const eager = world.client();
    eager.connect({ clientId: "eager" }).subscribe("#").publish("a", "x", { qos: 1 });
    await world.run();
    assert.deepEqual(
      eager.received.map(({ type }) => type),
      ["connack"],
    );
    assert.equal(world.journal.messages.length, 0);
  });

  test("a CONNECT that breaks the rules lets nobody in [MQTT-3.1.4-1]", async () => {
    const world = await BrokerWorld.started();
    const name = [0, 4, 0x4d, 0x51, 0x54, 0x54];
    const broken: Record<string, number[]> = {
      "5.0: reserved flag": [...name, 5, 0x03, 0, 60, 0, 0, 1, 0x61],
      "5.0: will QoS 3": [...name, 5, 0x1e, 0, 60, 0, 0, 1, 0x61, 0, 0, 1, 0x77, 0, 0],
      "3.1.1: password without a user name": [...name, 4, 0x42, 0, 60, 0, 1, 0x61, 0, 1, 0x70],
      "5.0: a property twice": [...name, 5, 2, 0, 60, 6, 0x21, 0, 9, 0x21, 0, 9, 0, 1, 0x61],
      "another protocol": [0, 4, 0x4d, 0x51, 0x58, 0x58, 5, 2, 0, 60, 0, 0, 1, 0x61],
      "5.0: bytes behind its end": [...name, 5, 2, 0, 60, 0, 0, 1, 0x61, 0x7a],
    };
    for (const [why, body] of Object.entries(broken)) {
      const client = world.client({ version: why.startsWith("5.0") ? 5 : 4 });
      client.sendBytes(Uint8Array.of(0x10, body.length, ...body));
      await world.run();
      assert.notEqual(client.state, "open", why);
      assert.notEqual(client.last("connack")?.reasonCode, 0, why);
    }
    assert.deepEqual([...world.broker.connections()], []);
  });

  test("AUTH without an authentication method is a protocol error [MQTT-4.12.0-7], [MQTT-4.13.1-1]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    client.send((w) => w.auth({ reasonCode: 0x19, authenticationMethod: "X", authenticationData: null }));
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, REASON.protocolError);
    assert.equal(client.state, "ended");
  });

  test("DISCONNECT is the last that is sent, then the connection closes [MQTT-3.14.4-1], [MQTT-3.14.4-2]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1")).subscribe("a");
    await world.run();
    world.broker.disconnect(() => true, REASON.administrativeAction);
    (await world.connected("pub")).publish("a", "too late", { qos: 1 });
    await world.run();
    assert.equal(client.received.at(-1)?.type, "disconnect");
    assert.equal(client.state, "ended");
  });

  test("its reason in words is left out where the client takes no packet of that size [MQTT-3.14.2-3]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { maximumPacketSize: 30 });
    world.broker.disconnect(() => true, REASON.notAuthorized, "a long story that nobody has asked for");
    await world.run();
    assert.deepEqual(
      [client.last("disconnect")?.reasonCode, client.last("disconnect")?.reasonString],
      [REASON.notAuthorized, null],
    );
  });

  test("enhanced authentication is refused, not ignored [MQTT-4.12.0-1]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { authenticationMethod: "SCRAM-SHA-1" });
    assert.equal(client.last("connack")?.reasonCode, REASON.badAuthenticationMethod);
  });

  test("the first packet must be CONNECT, and there is one only [MQTT-3.1.0-1], [MQTT-3.1.0-2]", async () => {
    const world = await BrokerWorld.started();
    const early = world.client();
    early.publish("a", "x");
    const twice = await world.connected("c1");
    twice.connect({ clientId: "c1" });
    await world.run();
    assert.notEqual(early.state, "open");
    assert.deepEqual(early.received, []);
    assert.equal(twice.last("disconnect")?.reasonCode, REASON.protocolError);
    assert.notEqual(twice.state, "open");
  });

  test("a protocol version that we do not speak is told in the old form [MQTT-3.1.2-2]", async () => {
    const world = await BrokerWorld.started();
    const client = world.client({ version: 4 });
    const packet = [0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 7, 2, 0, 60, 0, 1, 0x61];
    client.sendBytes(Uint8Array.from(packet));
    await world.run();
    assert.equal(client.last("connack")?.reasonCode, 1);
    assert.equal(client.state, "ended");
  });

  test("who says nothing is sent away", async () => {
    const world = await BrokerWorld.started();
    const client = world.client();
    await world.run(world.limits.connectTimeout - 1000);
    assert.equal(client.state, "open");
    await world.run(2000);
    assert.notEqual(client.state, "open");
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "connect-timeout" }), 1);
  });

  test("the same client id again: the old connection is told and closed [MQTT-3.1.4-3]", async () => {
    const world = await BrokerWorld.started();
    const old = await world.connected("c1");
    const young = await world.connected("c1");
    assert.equal(old.last("disconnect")?.reasonCode, REASON.sessionTakenOver);
    assert.equal(old.state, "ended");
    assert.equal(young.state, "open");
    assert.deepEqual(
      world.presence.map((p) => [p.type, p.reason, p.versionNumber]),
      [
        ["connected", null, 0],
        ["disconnected", "DUPLICATE_CLIENTID", 0],
        ["connected", null, 1],
      ],
    );
    assert.equal(world.presence[0]!.sessionIdentifier, world.presence[1]!.sessionIdentifier);
    assert.notEqual(world.presence[0]!.sessionIdentifier, world.presence[2]!.sessionIdentifier);
  });
});

describe("keep-alive", () => {
  test("silence of one and a half times the keep-alive ends the connection [MQTT-3.1.2-22]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { keepAliveSeconds: 10 });
    await world.run(14_000);
    assert.equal(client.state, "open");
    await world.run(2_000);
    assert.equal(client.last("disconnect")?.reasonCode, REASON.keepAliveTimeout);
    assert.equal(world.presence.at(-1)?.reason, "MQTT_KEEP_ALIVE_TIMEOUT");
  });

  test("PINGREQ is answered and counts as life [MQTT-3.12.4-1]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { keepAliveSeconds: 10 });
    for (let i = 0; i < 5; i++) {
      client.send((w) => w.pingreq());
      await world.run(10_000);
    }
    assert.equal(client.state, "open");
    assert.equal(client.received.filter((p) => p.type === "pingresp").length, 5);
  });

  test("3.1.1: keep-alive 0 means that silence is fine [MQTT311-3.1.2-10]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { version: 4, keepAliveSeconds: 0 });
    await world.run(600_000);
    assert.equal(client.state, "open");
  });
});

describe("wills", () => {
  const gone = async (world: BrokerWorld): Promise<string[]> => {
    await world.run();
    return watcherOf.get(world)!.take();
  };
  const watcherOf = new WeakMap<BrokerWorld, Awaited<ReturnType<BrokerWorld["connected"]>>>();
  const watched = async (): Promise<BrokerWorld> => {
    const world = await BrokerWorld.started();
    const watcher = await world.connected("watcher", { keepAliveSeconds: 3600 });
    watcher.subscribe("w/#");
    await world.run();
    watcher.take();
    watcherOf.set(world, watcher);
    return world;
  };

  test("a client that vanishes leaves its will, once [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT-3.1.2-10]", async () => {
    const world = await watched();
    (await world.connected("c1", { will: will() })).cut();
    assert.deepEqual(await gone(world), ["w/gone=gone"]);
    (await world.connected("c1")).cut();
    assert.deepEqual(await gone(world), []);
  });

  test("a client that says good-bye takes it along [MQTT-3.1.2-10], [MQTT-3.14.4-3]", async () => {
    const world = await watched();
    (await world.connected("five", { will: will() })).disconnect();
    (await world.connected("four", { version: 4, will: will() })).disconnect();
    assert.deepEqual(await gone(world), []);
  });

  test("DISCONNECT 0x04 wants the will published (section 3.14.2.1)", async () => {
    const world = await watched();
    (await world.connected("c1", { will: will() })).disconnect(REASON.disconnectWithWill);
    assert.deepEqual(await gone(world), ["w/gone=gone"]);
  });

  test("keep-alive, protocol errors and being kicked out leave the will", async () => {
    const world = await watched();
    await world.connected("silent", { will: will({ topic: "w/silent" }), keepAliveSeconds: 2 });
    const wrong = await world.connected("wrong", { will: will({ topic: "w/wrong" }) });
    await world.connected("kicked", { will: will({ topic: "w/kicked" }) });
    wrong.sendBytes(Uint8Array.of(0x00, 0x00));
    world.broker.disconnect((c) => c.clientId === "kicked", REASON.notAuthorized);
    await world.run(10_000);
    assert.deepEqual((await gone(world)).sort(), ["w/kicked=gone", "w/silent=gone", "w/wrong=gone"]);
  });

  test("a will waits for its delay; who is back before it takes it away [MQTT-3.1.3-9]", async () => {
    const world = await watched();
    const options = { cleanStart: false, sessionExpirySeconds: 600, will: will({ delaySeconds: 20 }) };
    (await world.connected("back", options)).cut();
    (await world.connected("away", { ...options, will: will({ topic: "w/away", delaySeconds: 20 }) })).cut();
    await world.run(19_000);
    assert.deepEqual(await gone(world), []);
    await world.connected("back", options);
    await world.run(60_000);
    assert.deepEqual(await gone(world), ["w/away=gone"]);
  });

  test("the session's end publishes it before its delay (section 3.1.3.2.2)", async () => {
    const world = await watched();
    const options = { cleanStart: false, sessionExpirySeconds: 5, will: will({ delaySeconds: 100 }) };
    (await world.connected("expires", options)).cut();
    (await world.connected("cleaned", { ...options, sessionExpirySeconds: 600 })).cut();
    await world.run(6_000);
    assert.deepEqual(await gone(world), ["w/gone=gone"]);
    await world.connected("cleaned", { cleanStart: true });
    assert.deepEqual(await gone(world), ["w/gone=gone"]);
  });

  test("a retained will stays for later subscribers [MQTT-3.1.2-15], another does not [MQTT-3.1.2-14]", async () => {
    const world = await watched();
    (await world.connected("c1", { will: will({ retain: true }) })).cut();
    (await world.connected("c2", { will: will({ topic: "w/passing" }) })).cut();
    await world.run();
    const late = (await world.connected("late")).subscribe("w/+");
    await world.run();
    assert.deepEqual(
      late.publishes.map((p) => [p.payload, p.retain]),
      [["gone", true]],
    );
  });

  test("who may not publish its will is not let in; who may no longer does not publish it", async () => {
    const world = await watched();
    world.policy("never").change({ publish: () => false });
    const never = await world.connected("never", { will: will() });
    assert.equal(never.last("connack")?.reasonCode, REASON.notAuthorized);
    const later = await world.connected("later", { will: will() });
    world.policy("later").change({ publish: () => false });
    later.cut();
    assert.deepEqual(await gone(world), []);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "will-refused" }), 2);
  });

  for (const version of [4, 5] as const) {
    test(`a will with QoS 2 is published with QoS 2, version ${version}`, async () => {
      const world = await BrokerWorld.started();
      const watcher = (await world.connected("watcher")).subscribe("w/#", { qos: 2 });
      (await world.connected("c1", { version, will: will({ qos: 2 }) })).cut();
      await world.run(2_000);
      assert.deepEqual(
        watcher.publishes.map(({ topic, qos }) => [topic, qos]),
        [["w/gone", 2]],
      );
    });
  }
});

describe("presence and being sent away", () => {
  test("each way to leave has its AWS IoT name", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("polite")).disconnect();
    (await world.connected("lost")).cut();
    (await world.connected("garbage")).sendBytes(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff));
    await world.connected("revoked");
    await world.connected("kicked");
    assert.equal(
      world.broker.disconnect((c) => c.clientId === "revoked", REASON.notAuthorized),
      1,
    );
    assert.equal(
      world.broker.disconnect((c) => c.thing === "thing-kicked", REASON.administrativeAction),
      1,
    );
    await world.run();
    const left = world.presence.filter((p) => p.type === "disconnected").map((p) => [p.clientId, p.reason]);
    assert.deepEqual(left, [
      ["polite", "CLIENT_INITIATED_DISCONNECT"],
      ["lost", "CONNECTION_LOST"],
      ["garbage", "CLIENT_ERROR"],
      ["revoked", "FORBIDDEN_ACCESS"],
      ["kicked", "SERVER_INITIATED_DISCONNECT"],
    ]);
    assert.deepEqual([...world.broker.connections()], []);
  });

  test("a revoked client is told why and is not listened to any more", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { version: 5 });
    world.broker.disconnect(() => true, REASON.notAuthorized, "its certificate was revoked");
    client.publish("a", "too late", { qos: 1 });
    await world.run();
    assert.equal(client.last("disconnect")?.reasonString, "its certificate was revoked");
    assert.equal(client.state, "ended");
    assert.equal(world.journal.messages.length, 0);
  });

  test("a failing presence listener disturbs nobody", async () => {
    const world = await BrokerWorld.started();
    world.broker.onPresence(() => {
      throw new Error("no");
    });
    const client = await world.connected("c1");
    assert.equal(client.last("connack")?.reasonCode, 0);
  });

  test("closing says good-bye to everybody and lets nobody in", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    const closed = world.broker.close();
    await world.run();
    await closed;
    assert.equal(client.last("disconnect")?.reasonCode, REASON.serverShuttingDown);
    const late = await world.connected("late");
    assert.equal(late.last("connack")?.reasonCode, REASON.serverUnavailable);
  });
});
