import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { TidewireError } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";

const message = (topic: string, payload: string): Message => ({
  topic,
  payload: new TextEncoder().encode(payload),
  qos: 1,
  retain: false,
  clientId: "$tidewire",
  thing: null,
  receivedAt: 0,
  properties: null,
});

describe("PUBLISH", () => {
  test("is delivered at once and acknowledged once it is on disk [MQTT-4.3.2-4]", async () => {
    const world = await BrokerWorld.started();
    world.journal.mode = "held";
    const subscriber = (await world.connected("sub")).subscribe("a/+");
    const publisher = await world.connected("pub");
    publisher.publish("a/b", "hello", { qos: 1, packetId: 7 });
    await world.run(5_000);
    assert.deepEqual(subscriber.take(), ["a/b=hello"]);
    assert.equal(publisher.last("puback"), undefined);
    world.journal.sync();
    await world.run();
    assert.deepEqual(publisher.last("puback"), { type: "puback", packetId: 7, reasonCode: 0 });
  });

  test("acknowledgements come in the order of the publishes, refusals among them [MQTT-4.6.0-2]", async () => {
    const world = await BrokerWorld.started();
    world.policy("pub").change({ publish: (topic) => topic !== "secret" });
    world.journal.mode = "held";
    const publisher = await world.connected("pub");
    for (const [i, topic] of ["a", "secret", "b", "secret", "c"].entries()) {
      publisher.publish(topic, "x", { qos: 1, packetId: i + 1 });
    }
    await world.run();
    world.journal.sync(1);
    await world.run();
    const acknowledged = (): unknown[] =>
      publisher.received.filter((p) => p.type === "puback").map((p) => [p.packetId, p.reasonCode]);
    const refused = REASON.notAuthorized;
    assert.deepEqual(acknowledged(), [
      [1, 0],
      [2, refused],
    ]);
    world.journal.sync();
    await world.run();
    assert.deepEqual(acknowledged(), [
      [1, 0],
      [2, refused],
      [3, 0],
      [4, refused],
      [5, 0],
    ]);
  });

  test("without a right: 5.0 QoS 1 is told, everybody else is disconnected, as AWS IoT does", async () => {
    const world = await BrokerWorld.started();
    const clients = [];
    for (const [id, version, qos] of [
      ["five1", 5, 1],
      ["five0", 5, 0],
      ["four1", 4, 1],
      ["four0", 4, 0],
    ] as const) {
      world.policy(id).change({ publish: () => false });
      clients.push((await world.connected(id, { version })).publish("forbidden", "x", { qos, packetId: 3 }));
    }
    await world.run();
    const [five1, five0, four1, four0] = clients;
    assert.deepEqual([five1!.last("puback")?.packetId, five1!.last("puback")?.reasonCode], [3, REASON.notAuthorized]);
    assert.equal(five1!.state, "open");
    assert.equal(five0!.last("disconnect")?.reasonCode, REASON.notAuthorized);
    assert.deepEqual([five0!.state, four1!.state, four0!.state], ["ended", "ended", "ended"]);
    assert.equal(world.journal.messages.length, 0);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "publish-forbidden" }), 4);
    const line = world.logger.lines.find((l) => l.fields["reason"] === "publish-forbidden");
    assert.equal(line?.fields["topic"], "forbidden");
    assert.equal(line?.fields["thing"], "thing-five1");
    assert.match(String(line?.fields["fix"]), /allow iot:Publish/);
    assert.deepEqual(
      world.presence.filter((p) => p.type === "disconnected").map((p) => p.reason),
      Array(3).fill("FORBIDDEN_ACCESS"),
    );
  });

  test("a verdict is asked for once per topic, and again when the policy changes", async () => {
    const world = await BrokerWorld.started();
    const policy = world.policy("pub");
    const publisher = await world.connected("pub");
    for (let i = 0; i < 50; i++) publisher.publish(i % 2 === 0 ? "a" : "b", "x");
    assert.equal(policy.asked, 2);
    policy.change({ publish: () => false });
    publisher.publish("a", "x");
    await world.run();
    assert.equal(publisher.last("disconnect")?.reasonCode, REASON.notAuthorized);
  });

  test("a right to publish is not a right to retain", async () => {
    const world = await BrokerWorld.started();
    world.policy("pub").change({ publish: (_topic, retain) => !retain });
    const publisher = await world.connected("pub");
    publisher.publish("a", "fine", { qos: 1, packetId: 1 });
    publisher.publish("a", "kept", { qos: 1, packetId: 2, retain: true });
    await world.run();
    assert.equal(publisher.last("puback")?.reasonCode, REASON.notAuthorized);
    assert.equal(world.journal.messages.length, 1);
  });

  test("topic names with wildcards are refused [MQTT-3.3.2-2], and the other clients do not notice", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("#");
    const [bad, good] = [await world.connected("bad"), await world.connected("good")];
    bad.publish("a/#", "x");
    good.publish("a/b", "y");
    await world.run();
    assert.equal(bad.last("disconnect")?.reasonCode, REASON.topicNameInvalid);
    assert.deepEqual(subscriber.take(), ["a/b=y"]);
  });

  test("topic aliases: given, used, replaced [MQTT-3.3.2-12]; unknown and too high are refused [MQTT-3.3.2-9]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("#");
    const publisher = await world.connected("pub");
    publisher.publish("a", "1", { topicAlias: 3, qos: 1, packetId: 1 });
    publisher.publish("", "2", { topicAlias: 3, qos: 1, packetId: 2 });
    publisher.publish("b", "3", { topicAlias: 3 });
    publisher.publish("", "4", { topicAlias: 3, retain: true });
    await world.run();
    assert.deepEqual(subscriber.take(), ["a=1", "a=2", "b=3", "b=4"]);
    assert.deepEqual(
      world.journal.messages.map((m) => m?.topic),
      ["a", "a", "b", "b"],
    );
    assert.equal(publisher.last("puback")?.packetId, 2);
    const [unknown, high] = [await world.connected("unknown"), await world.connected("high")];
    unknown.publish("", "x", { topicAlias: 1 });
    high.publish("a", "x", { topicAlias: world.limits.topicAliasMax + 1 });
    await world.run();
    assert.equal(unknown.last("disconnect")?.reasonCode, REASON.protocolError);
    assert.equal(high.last("disconnect")?.reasonCode, REASON.topicAliasInvalid);
  });

  test("topic aliases end with their connection, also where the session goes on [MQTT-3.3.2-7]", async () => {
    const world = await BrokerWorld.started();
    const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
    (await world.connected("c1", kept)).publish("a", "x", { topicAlias: 1 }).cut();
    const again = (await world.connected("c1", kept)).publish("", "y", { topicAlias: 1 });
    await world.run();
    assert.equal(again.last("disconnect")?.reasonCode, REASON.protocolError);
    assert.equal(world.journal.messages.length, 1);
  });

  test("a packet identifier is free again once it was acknowledged [MQTT-4.3.2-5]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("a");
    const publisher = await world.connected("pub");
    for (const text of ["1", "2"]) {
      publisher.publish("a", text, { qos: 1, packetId: 7 });
      await world.run();
    }
    assert.deepEqual(subscriber.take(), ["a=1", "a=2"]);
    assert.equal(publisher.received.filter((r) => r.type === "puback" && r.packetId === 7).length, 2);
  });

  test("more unacknowledged publishes than our Receive Maximum end a 5.0 connection [MQTT-3.3.4-7]", async () => {
    const world = await BrokerWorld.started({ limits: { inflightMax: 4 } });
    world.journal.mode = "held";
    const publisher = await world.connected("pub");
    for (let i = 1; i <= 4; i++) publisher.publish("a", "x", { qos: 1, packetId: i });
    await world.run();
    assert.equal(publisher.state, "open");
    publisher.publish("a", "x", { qos: 1, packetId: 5 });
    await world.run();
    assert.equal(publisher.last("disconnect")?.reasonCode, REASON.receiveMaximumExceeded);
  });

  test("3.1.1 has no Receive Maximum: its client is paused until the disk has caught up", async () => {
    const world = await BrokerWorld.started({ limits: { inflightMax: 4 } });
    world.journal.mode = "held";
    const publisher = await world.connected("pub", { version: 4, keepAliveSeconds: 5 });
    for (let i = 1; i <= 6; i++) publisher.publish("a", "x", { qos: 1, packetId: i });
    await world.run(30_000);
    assert.equal(publisher.paused, true);
    assert.equal(publisher.state, "open", "who is not listened to is not called silent");
    world.journal.sync();
    await world.run();
    assert.equal(publisher.paused, false);
    assert.equal(publisher.received.filter((p) => p.type === "puback").length, 6);
  });

  test("publishers are paused while too much waits for the disk, QoS 0 too", async () => {
    const world = await BrokerWorld.started({ limits: { backlogBytesMax: 10_000 } });
    world.journal.mode = "held";
    const publisher = await world.connected("pub");
    for (let i = 0; i < 11; i++) publisher.publish("a", "x".repeat(1000));
    await world.run();
    assert.equal(publisher.paused, true);
    world.journal.sync(3);
    await world.run();
    world.journal.sync();
    await world.run();
    assert.equal(publisher.paused, false);
  });
});

describe("a journal that cannot take it", () => {
  const full = (): TidewireError =>
    Object.defineProperty(new TidewireError("INTERNAL"), "entry", { value: { mqtt: REASON.quotaExceeded } });

  test("full: 5.0 QoS 1 is told 0x97, QoS 0 is lost and counted, 3.1.1 is sent away to try again later", async () => {
    const world = await BrokerWorld.started();
    const [five, four] = [await world.connected("five"), await world.connected("four", { version: 4 })];
    world.journal.failure = full();
    five.publish("a", "x");
    five.publish("a", "x", { qos: 1, packetId: 4 });
    four.publish("a", "x", { qos: 1 });
    await world.run();
    assert.deepEqual([five.last("puback")?.packetId, five.last("puback")?.reasonCode], [4, REASON.quotaExceeded]);
    assert.equal(five.state, "open");
    assert.equal(four.last("puback"), undefined);
    assert.equal(four.state, "ended");
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "journal-full" }), 3);
    world.journal.failure = null;
    five.publish("a", "x", { qos: 1, packetId: 5 });
    await world.run();
    assert.deepEqual(five.last("puback"), { type: "puback", packetId: 5, reasonCode: 0 });
  });

  test("failed: no acknowledgement ever, the client is told and sent away, and keeps its message", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("a");
    const publisher = await world.connected("pub");
    await world.run();
    world.journal.failure = new Error("EIO");
    publisher.publish("a", "x", { qos: 1 });
    await world.run(60_000);
    assert.equal(publisher.last("puback"), undefined);
    assert.equal(publisher.last("disconnect")?.reasonCode, REASON.implementationSpecificError);
    assert.deepEqual(subscriber.take(), [], "what was not taken is not delivered");
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "journal-failed" }), 1);
  });

  test("a sync that never comes: no acknowledgement, however long it takes", async () => {
    const world = await BrokerWorld.started();
    world.journal.mode = "held";
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    publisher.publish("a", "x", { qos: 1 });
    await world.run(300_000);
    assert.equal(publisher.last("puback"), undefined);
  });
});

describe("services inside the platform", () => {
  test("hear what clients publish and publish to them", async () => {
    const world = await BrokerWorld.started();
    const heard: string[] = [];
    const cancel = world.broker.subscribeLocal("cmd/+", (m) => {
      heard.push(`${m.topic} ${m.clientId} ${m.thing} ${m.payload.length}`);
      world.broker.publishLocal(message("reply/1", "done"));
    });
    const client = (await world.connected("c1")).subscribe("reply/#");
    client.publish("cmd/x", "abc", { qos: 1 });
    await world.run();
    assert.deepEqual(heard, ["cmd/x c1 thing-c1 3"]);
    assert.deepEqual(client.take(), ["reply/1=done"]);
    cancel();
    client.publish("cmd/x", "abc");
    await world.run();
    assert.equal(heard.length, 1);
  });

  test("a handler may keep what it was given", async () => {
    const world = await BrokerWorld.started();
    const kept: Message[] = [];
    world.broker.subscribeLocal("#", (m) => kept.push(m));
    const client = await world.connected("c1");
    client.publish("a", "first");
    client.publish("a", "other");
    await world.run();
    assert.deepEqual(
      kept.map((m) => new TextDecoder().decode(m.payload)),
      ["first", "other"],
    );
  });

  test("a failing handler harms neither the other handlers nor the publisher", async () => {
    const world = await BrokerWorld.started();
    let heard = 0;
    world.broker.subscribeLocal("#", () => {
      throw new Error("no");
    });
    world.broker.subscribeLocal("#", () => heard++);
    const client = await world.connected("c1");
    client.publish("a", "x", { qos: 1, packetId: 9 });
    await world.run();
    assert.equal(heard, 1);
    assert.equal(client.last("puback")?.packetId, 9);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "handler-failed" }), 1);
  });
});

describe("hostile input", () => {
  test("garbage at any point ends that connection alone, with its reason", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("#");
    const good = await world.connected("good");
    for (let seed = 0; seed < 200; seed++) {
      const bad = await world.connected(`bad-${seed}`);
      bad.sendBytes(world.random.bytes(1 + world.random.below(40)));
      bad.cut();
    }
    subscriber.take();
    good.publish("a", "still here", { qos: 1 });
    await world.run();
    assert.deepEqual(subscriber.take(), ["a=still here"]);
  });

  test("a flood of refusals costs a few log lines, and the metric counts them all", async () => {
    const world = await BrokerWorld.started();
    world.policy("flood").change({ publish: () => false });
    const client = await world.connected("flood");
    for (let i = 0; i < 1000; i++) client.publish("a", "x", { qos: 1, packetId: (i % 60_000) + 1 });
    await world.run();
    const lines = world.logger.lines.filter((l) => l.fields["reason"] === "publish-forbidden");
    assert.equal(lines.length, 5);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "publish-forbidden" }), 1000);
    await world.run(20_000);
    client.publish("a", "x", { qos: 1 });
    const last = world.logger.lines.findLast((l) => l.fields["reason"] === "publish-forbidden");
    assert.equal(last?.fields["suppressed"], 995);
  });

  test("random topics do not make the route cache grow", async () => {
    const world = await BrokerWorld.started({ limits: { routesCachedMax: 64 } });
    const subscriber = (await world.connected("sub")).subscribe("t/#", { qos: 0 });
    const publisher = await world.connected("pub");
    for (let i = 0; i < 5_000; i++) publisher.publish(`t/${i}`, "x");
    await world.run();
    assert.equal(subscriber.publishes.length, 5_000, "every one is still routed right");
    assert.equal(new Set(subscriber.publishes.map((p) => p.topic)).size, 5_000);
  });

  test("a client that never reads is bounded, held back and cut off", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 20_000 } });
    const client = await world.connected("deaf", { version: 4, keepAliveSeconds: 0 });
    client.stall();
    for (let i = 0; i < 20_000 && !client.paused; i++) {
      client.send((w) => w.pingreq());
      await world.run();
    }
    assert.equal(client.paused, true, "it is not read from while its answers pile up");
    await world.run(world.limits.stalledOutputMax + 1_000);
    assert.equal(client.state, "destroyed");
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "output-stalled" }), 1);
    assert.equal(world.metrics.value("tidewire_mqtt_output_bytes"), 0);
  });
});
