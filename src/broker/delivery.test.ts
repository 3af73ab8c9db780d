import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { encodeUtf8 } from "../base/mod.ts";
import { PacketWriter } from "../wire/mqtt/mod.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);

/** QoS 0 messages on topic "a" in one chunk, as a socket hands them over. */
function chunkOf(payloads: readonly string[]): Uint8Array {
  const writer = new PacketWriter(5);
  const plain = { topic: "a", qos: 0, retain: false, dup: false, packetId: 0, properties: null } as const;
  for (const payload of payloads) writer.publish({ ...plain, payload: encodeUtf8(payload) });
  return writer.take();
}

describe("sessions", () => {
  test("belong to their client id [MQTT-3.1.3-2], [MQTT-3.1.4-4]; without expiry they end with their connection [MQTT-3.1.2-6]; with it they are present again [MQTT-3.1.2-5], [MQTT-3.2.2-3]", async () => {
    const world = await BrokerWorld.started();
    for (const [id, options, present] of [
      ["five", { cleanStart: false }, false],
      ["five-kept", kept, true],
      ["four", { version: 4, cleanStart: true }, false],
      ["four-kept", { version: 4, cleanStart: false }, true],
    ] as const) {
      (await world.connected(id, options)).subscribe("a/#").disconnect();
      await world.run();
      const again = await world.connected(id, options);
      assert.equal(again.last("connack")?.sessionPresent, present, id);
      (await world.connected("pub")).publish("a/b", id);
      await world.run();
      assert.deepEqual(again.take(), present ? [`a/b=${id}`] : [], id);
      again.cut();
    }
  });

  test("Clean Start forgets what was there [MQTT-3.1.2-4]", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    const publisher = await world.connected("pub");
    publisher.publish("a", "waiting", { qos: 1 });
    await world.run();
    const clean = await world.connected("c1", { ...kept, cleanStart: true });
    publisher.publish("a", "live", { qos: 1 });
    await world.run();
    assert.equal(clean.last("connack")?.sessionPresent, false);
    assert.deepEqual(clean.take(), []);
    assert.equal(world.state.sessions.get("c1")?.subscriptions.size, 0);
  });

  test("last until their expiry has passed [MQTT-3.1.2-23], [MQTT-4.1.0-2]; DISCONNECT may change it, not from zero", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("short", kept)).subscribe("a").disconnect(0, 5);
    (await world.connected("long", kept)).subscribe("a").cut();
    const wrong = (await world.connected("wrong")).disconnect(0, 60);
    await world.run(10_000);
    assert.equal(wrong.last("disconnect")?.reasonCode, 0x82);
    assert.deepEqual([...world.state.sessions.keys()], ["long"]);
    assert.equal((await world.connected("short", kept)).last("connack")?.sessionPresent, false);
    await world.run(800_000);
    assert.deepEqual([...world.state.sessions.keys()], [], "of the absent ones nothing is left, of the other neither");
  });

  test("a take-over moves the session: nothing is lost, what was in flight comes again with DUP", async () => {
    const world = await BrokerWorld.started();
    const old = (await world.connected("c1", kept)).subscribe("a");
    old.acknowledges = false;
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 3)) publisher.publish("a", n, { qos: 1 });
    await world.run();
    const young = await world.connected("c1", kept);
    publisher.publish("a", "3", { qos: 1 });
    await world.run();
    assert.deepEqual(
      young.publishes.map((p) => [p.payload, p.dup]),
      [
        ["0", true],
        ["1", true],
        ["2", true],
        ["3", false],
      ],
    );
  });
});

describe("an absent client", () => {
  test("finds what was published meanwhile, in order, at QoS 1 only [MQTT-4.5.0-1], [MQTT-4.6.0-6]", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a/#").disconnect();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 50)) publisher.publish(`a/${n}`, n, { qos: 1 });
    publisher.publish("a/zero", "not kept", { qos: 0 });
    await world.run();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(0, 50),
    );
    assert.ok(back.publishes.every((p) => !p.dup && p.qos === 1));
  });

  test("is served from the log when memory has forgotten, in order, within its window", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 2_048 } });
    (await world.connected("c1", kept)).subscribe("a/#").disconnect();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 300)) publisher.publish("a/x", n, { qos: 1 });
    await world.run();
    const back = world.client();
    back.acknowledges = false;
    back.connect({ clientId: "c1", ...kept, receiveMaximum: 10 });
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(0, 10),
      "no more than its Receive Maximum [MQTT-3.3.4-9]",
    );
    back.acknowledges = true;
    for (const { packetId } of back.publishes) back.puback(packetId);
    publisher.publish("a/x", "300", { qos: 1 });
    await world.run(1_000);
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(0, 301),
    );
    assert.ok(world.journal.reads >= 200, "the log was really asked");
  });

  test("that goes away in the middle of it gets the rest next time, and the unacknowledged again in order with DUP [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1]", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 1_024 } });
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 100)) publisher.publish("a", n, { qos: 1 });
    await world.run();
    const first = world.client();
    first.acknowledges = false;
    first.connect({ clientId: "c1", ...kept, receiveMaximum: 20 });
    await world.run();
    const sent = first.publishes;
    for (const { packetId } of sent.slice(0, 5)) first.puback(packetId);
    first.cut();
    await world.run();
    const second = await world.connected("c1", kept);
    await world.run(1_000);
    assert.deepEqual(
      second.publishes.map((p) => p.payload),
      numbers(5, 100),
    );
    const again = second.publishes.filter((p) => p.dup);
    assert.ok(again.length >= 15);
    for (const repeated of again.slice(0, 15)) {
      const before = sent.find((p) => p.payload === repeated.payload);
      assert.equal(repeated.packetId, before?.packetId, "under the identifier that it had [MQTT-4.4.0-1]");
    }
  });

  test("has a queue with an end: the newest are dropped, and counted", async () => {
    const world = await BrokerWorld.started({ limits: { queuedMessagesMax: 5 } });
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 8)) publisher.publish("a", n, { qos: 1 });
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(0, 5),
    );
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "queue-full" }), 3);
  });

  test("has a queue with an end in bytes", async () => {
    const world = await BrokerWorld.started({ limits: { queuedBytesMax: 5_000 } });
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 8)) publisher.publish("a", n.padEnd(1000), { qos: 1 });
    const back = await world.connected("c1", kept);
    await world.run();
    assert.equal(back.publishes.length, 4);
  });

  test("does not get what expired; the rest counts down [MQTT-3.3.2-5], [MQTT-3.3.2-6]", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    publisher.publish("a", "short", { qos: 1, properties: { messageExpirySeconds: 10 } });
    publisher.publish("a", "long", { qos: 1, properties: { messageExpirySeconds: 100 } });
    publisher.publish("a", "for ever", { qos: 1 });
    await world.run(40_000);
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => [p.payload, p.properties?.messageExpirySeconds]),
      [
        ["long", 60],
        ["for ever", undefined],
      ],
    );
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "expired" }), 1);
  });

  test("is told nothing about messages that retention has removed; the others come", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 512 } });
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 20)) publisher.publish("a", n, { qos: 1 });
    await world.run();
    world.journal.messages.fill(null, 0, 10);
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(10, 20),
    );
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "no-longer-kept" }), 10);
  });

  test("finds its subscription identifiers again", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a", { identifier: 42 }).disconnect();
    (await world.connected("pub")).publish("a", "x", { qos: 1 });
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => p.identifiers),
      [[42]],
    );
  });
});

describe("a client that is there", () => {
  test("is never sent more than its Receive Maximum unacknowledged, and gets the rest as it acknowledges [MQTT-3.3.4-9], [MQTT-4.9.0-1], [MQTT-4.9.0-2]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1", { receiveMaximum: 2 })).subscribe("a");
    client.acknowledges = false;
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 6)) publisher.publish("a", n, { qos: 1 });
    publisher.publish("a", "zero", { qos: 0 });
    await world.run();
    assert.deepEqual(
      client.publishes.map((p) => p.payload),
      ["0", "1", "zero"],
      "QoS 0 does not count",
    );
    client.send((w) => w.pingreq());
    await world.run();
    assert.equal(client.received.at(-1)?.type, "pingresp", "nothing else is held back [MQTT-3.3.4-10], [MQTT-4.9.0-3]");
    client.puback(client.publishes[1]!.packetId);
    await world.run();
    assert.equal(client.publishes.length, 3, "acknowledged out of turn: the window has not moved on");
    client.puback(client.publishes[0]!.packetId);
    client.acknowledges = true;
    await world.run();
    for (const p of client.publishes.slice(3, 5)) client.puback(p.packetId);
    await world.run();
    assert.deepEqual(
      client.publishes.filter((p) => p.qos === 1).map((p) => p.payload),
      numbers(0, 6),
    );
    assert.equal(world.journal.reads, 0, "all of it came from memory");
  });

  test("packet identifiers go round, are never 0 and never twice in flight [MQTT-4.3.2-1]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1")).subscribe("a");
    const publisher = await world.connected("pub");
    const seen = new Set<number>();
    client.acknowledges = false;
    for (let round = 0; round < 70; round++) {
      for (let i = 0; i < 1000; i++) publisher.publish("a", "x", { qos: 1, packetId: 1 + i });
      await world.run();
      for (const { packetId } of client.publishes) {
        seen.add(packetId);
        client.puback(packetId);
      }
      client.received.length = 0;
      publisher.received.length = 0;
    }
    assert.equal(seen.size, 32_767, "the others are for QoS 2");
    assert.ok(!seen.has(0));
  });

  test("that stops reading loses QoS 0, keeps QoS 1, and disturbs nobody", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 10_000 } });
    const slow = (await world.connected("slow")).subscribe("a");
    const quick = (await world.connected("quick")).subscribe("a");
    const publisher = await world.connected("pub");
    await world.run();
    slow.stall();
    for (const n of numbers(0, 40)) {
      publisher.publish("a", n.padEnd(500), { qos: 1 });
      publisher.publish("a", "zero".padEnd(500), { qos: 0 });
      await world.run(100);
    }
    assert.equal(quick.publishes.length, 80);
    assert.ok(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "slow-subscriber" }) > 10);
    slow.unstall();
    await world.run(1_000);
    const kept = slow.publishes.filter((p) => p.qos === 1);
    assert.deepEqual(
      kept.map((p) => p.payload.trim()),
      numbers(0, 40),
    );
  });

  test("publishers that outrun it are held for a moment, and not for ever if it does not catch up", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 80_000 } });
    const slow = (await world.connected("slow")).subscribe("a", { qos: 0 });
    const publisher = await world.connected("pub");
    await world.run();
    slow.stall();
    for (let i = 0; i < 15; i++) publisher.publish("a", "x".repeat(1000));
    assert.equal(publisher.paused, true);
    await world.run(100);
    assert.equal(publisher.paused, false, "a moment only");
    await world.run(1_000);
    publisher.publish("a", "x".repeat(1000));
    assert.equal(publisher.paused, false, "patience with it has ended");
    slow.unstall();
    await world.run();
    for (let i = 0; i < 15; i++) publisher.publish("a", "x".repeat(1000));
    assert.equal(publisher.paused, true, "it caught up, and is worth waiting for again");
    await world.run();
    assert.equal(publisher.paused, false, "released as soon as its output has left");
    assert.equal(slow.publishes.length, 31);
  });

  test("a publisher waits for it within what it sent, and nothing is lost where it keeps up", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 80_000 } });
    const quick = (await world.connected("quick")).subscribe("a", { qos: 0 });
    const publisher = await world.connected("pub");
    publisher.publish("b", "x"); // it is known how much it sends
    await world.run();
    const before = world.journal.messages.length;
    publisher.sendBytes(chunkOf(numbers(0, 200).map((n) => n.padEnd(600))));
    assert.ok(publisher.paused);
    assert.ok(world.journal.messages.length - before <= 20, "an eighth of the output, and not the chunk");
    await world.run(40);
    assert.deepEqual(
      quick.publishes.map(({ payload }) => payload.trim()),
      numbers(0, 200),
    );
    assert.ok(!publisher.paused);
  });

  test("what a publisher had sent when it was held counts, also where it is gone by then", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 80_000 } });
    const quick = (await world.connected("quick")).subscribe("a", { qos: 0 });
    const publisher = await world.connected("pub");
    publisher.publish("b", "x"); // as above
    await world.run();
    publisher.sendBytes(chunkOf(numbers(0, 50).map((n) => n.padEnd(600))));
    assert.ok(publisher.paused);
    publisher.cut();
    await world.run();
    assert.deepEqual(
      quick.publishes.map(({ payload }) => payload.trim()),
      numbers(0, 50),
    );
  });

  test("a packet above its Maximum Packet Size is not sent to it [MQTT-3.1.2-24], [MQTT-3.1.2-25]", async () => {
    const world = await BrokerWorld.started();
    const small = (await world.connected("small", { maximumPacketSize: 60 })).subscribe("a", { identifier: 5 });
    const publisher = await world.connected("pub");
    for (const qos of [0, 1] as const) {
      publisher.publish("a", "x".repeat(100), { qos });
      publisher.publish("a", "y".repeat(20), { qos });
    }
    await world.run();
    assert.deepEqual(
      small.publishes.map((p) => [p.qos, p.payload.length]),
      [
        [0, 20],
        [1, 20],
      ],
    );
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "too-large" }), 2);
    publisher.publish("a", "x".repeat(60 - 10), { qos: 1 });
    publisher.publish("a", "x".repeat(60 - 9), { qos: 1 });
    await world.run();
    assert.equal(small.publishes.length, 3, "exactly as large as allowed arrives, one byte more does not");
  });

  test("an acknowledgement of something that was never sent is harmless", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1")).subscribe("a");
    client.puback(1234);
    (await world.connected("pub")).publish("a", "x", { qos: 1 });
    await world.run();
    for (let i = 0; i < 3; i++) client.puback(client.publishes[0]!.packetId);
    await world.run();
    assert.equal(client.state, "open");
  });

  test("a message that it refuses counts as acknowledged, and is not sent again [MQTT-4.4.0-2]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1", { ...kept, receiveMaximum: 1 })).subscribe("a");
    client.acknowledges = false;
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 2)) publisher.publish("a", n, { qos: 1 });
    await world.run();
    client.send((w) => w.acknowledge("puback", client.publishes[0]!.packetId, 0x97));
    await world.run();
    assert.deepEqual(client.take(), ["a=0", "a=1"], "the window moves on");
    client.cut();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(back.take(), ["a=1"]);
  });

  test("a message that is not on disk yet, and fell out of memory, waits for the disk", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 1_024 } });
    world.journal.mode = "held";
    const client = (await world.connected("c1", { receiveMaximum: 1 })).subscribe("a");
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 50)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(1_000);
    assert.ok(client.publishes.length < 50);
    world.journal.sync();
    await world.run(1_000);
    assert.deepEqual(
      client.publishes.map((p) => p.payload),
      numbers(0, 50),
    );
  });

  test("a log that cannot be read ends the connection, and loses nothing", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 256 } });
    (await world.connected("c1", kept)).subscribe("a").disconnect();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 20)) publisher.publish("a", n, { qos: 1 });
    await world.run();
    const read = world.journal.read.bind(world.journal);
    world.journal.read = () => Promise.reject(new Error("EIO"));
    const first = await world.connected("c1", kept);
    await world.run();
    assert.equal(first.last("disconnect")?.reasonCode, 0x83);
    world.journal.read = read;
    const second = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      second.publishes.map((p) => p.payload),
      numbers(0, 20),
    );
  });
});
