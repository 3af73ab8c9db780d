/** One client cannot slow the others: what it floods with, and what they notice of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import type { MqttLimits } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { LIMIT_REACHED } from "./reached-limits.ts";
import { Meter, Rate, verdict } from "./rates.ts";
import type { MeterLimits } from "./rates.ts";

const SMALLEST = [0x30, 4, 0, 1, 0x78, 0]; // PUBLISH QoS 0, topic "x", payload one byte
const CHUNK_BYTES = 64 * 1024;

/** A chunk of as many packets as a socket hands over at once. */
function chunkOf(packet: readonly number[]): Uint8Array {
  const count = Math.floor(CHUNK_BYTES / packet.length);
  return Uint8Array.from({ length: count * packet.length }, (_, i) => packet[i % packet.length]!);
}

/** A socket with more to read than anybody takes: a chunk as often as it is read from, as libuv does. */
function hose(world: BrokerWorld, client: SimClient, chunk: Uint8Array): { stop: () => void; chunks: number } {
  const state = { stop: (): void => {}, chunks: 0 };
  state.stop = world.clock.every(1, () => {
    if (client.paused || !client.open) return;
    state.chunks++;
    client.sendBytes(chunk);
  });
  return state;
}

interface Pair {
  readonly reader: SimClient;
  readonly writer: SimClient;
  /** Publishes at QoS 1 and gives how many messages were accepted before it. */
  readonly roundTrip: () => Promise<number>;
}

async function besides(world: BrokerWorld): Promise<Pair> {
  const reader = (await world.connected("reader", { keepAliveSeconds: 0, version: 4 })).subscribe("ok");
  const writer = await world.connected("writer", { keepAliveSeconds: 0, version: 4 });
  await world.run();
  const roundTrip = async (): Promise<number> => {
    assert.ok(!writer.paused, "the neighbour is read from");
    const before = world.journal.messages.length;
    writer.received.length = 0;
    writer.publish("ok", "x", { qos: 1 });
    const at = world.journal.messages.findIndex((message, i) => i >= before && message?.topic === "ok");
    assert.ok(at >= 0, "accepted at once");
    await world.run();
    assert.deepEqual(reader.take(), ["ok=x"]);
    assert.ok(writer.last("puback"));
    return at - before;
  };
  return { reader, writer, roundTrip };
}

const started = (limits: Partial<MqttLimits> = {}): Promise<BrokerWorld> => BrokerWorld.started({ limits });
const reached = (world: BrokerWorld, limit: string): number => world.metrics.value(LIMIT_REACHED.name, { limit });

describe("a flood", () => {
  for (const qos of [0, 1] as const) {
    test(`of ${CHUNK_BYTES} bytes of small packets at QoS ${qos}: a turn has room for the others`, async () => {
      const world = await started({ turnWorkMax: 3_000, inflightMax: 65_535 });
      const { writer, reader } = await besides(world);
      const flooder = await world.connected("flooder");
      const packet = qos === 0 ? SMALLEST : [0x32, 6, 0, 1, 0x78, 0, 1, 0];
      const chunk = chunkOf(packet);
      for (let round = 0; round < 3; round++) {
        const before = world.journal.messages.length;
        flooder.sendBytes(chunk);
        writer.publish("ok", "x", { qos: 1 });
        const accepted = world.journal.messages.slice(before).findIndex((message) => message?.topic === "ok");
        assert.ok(accepted >= 0 && accepted <= 1_600, `${accepted} of the flood came before it`);
        assert.ok(flooder.paused, "what is left waits in the peer's socket");
        await world.run();
        assert.deepEqual(reader.take(), ["ok=x"]);
        assert.equal(world.journal.messages.length - before, chunk.length / packet.length + 1, "nothing is lost");
        assert.ok(!flooder.paused);
      }
    });
  }

  test("of a hundred connections: each gets its share of a turn, and the turn has its bound", async () => {
    const world = await started({ turnWorkMax: 6_400 });
    await besides(world);
    const flooders: SimClient[] = [];
    for (let i = 0; i < 100; i++) flooders.push(await world.connected(`flooder-${i}`));
    const chunk = chunkOf(SMALLEST).slice(0, SMALLEST.length * 600);
    let seen = world.journal.messages.length;
    for (const flooder of flooders) flooder.sendBytes(chunk); // all in one turn, before which nobody was active
    let most = world.journal.messages.length - seen;
    seen += most;
    while (flooders.some((flooder) => flooder.paused)) {
      world.clock.step(world.clock.monotonic());
      most = Math.max(most, world.journal.messages.length - seen);
      seen = world.journal.messages.length;
    }
    assert.ok(most <= 6_400, `${most} messages in one turn`);
    assert.equal(seen, 100 * 600);
  });

  test("order within a connection stays, also over the turns", async () => {
    const world = await started({ turnWorkMax: 100 });
    const live = (await world.connected("live")).subscribe("x", { qos: 0 });
    const flooder = await world.connected("flooder");
    await world.run();
    const text = Array.from({ length: 500 }, (_, i) => i);
    flooder.sendBytes(Uint8Array.from(text.flatMap((i) => [0x30, 6, 0, 1, 0x78, 0, i >> 8, i & 255])));
    await world.run();
    assert.equal(live.publishes.length, 500);
    const order = world.journal.messages.map((message) => message!.payload[0]! * 256 + message!.payload[1]!);
    assert.deepEqual(order, text);
  });

  test("what had arrived when the connection ended counts: its last messages, and its good-bye", async () => {
    const world = await started({ turnWorkMax: 100 });
    const { reader } = await besides(world);
    const will = { topic: "ok", payload: Uint8Array.of(0x77), qos: 0, retain: false, delaySeconds: 0 } as const;
    const flooder = await world.connected("flooder", { will: { ...will, properties: null } });
    const goodbye = [0xe0, 0];
    flooder.sendBytes(Uint8Array.from([...chunkOf(SMALLEST), ...goodbye]));
    flooder.cut();
    await world.run();
    assert.equal(world.journal.messages.length, Math.floor(CHUNK_BYTES / SMALLEST.length));
    assert.deepEqual(reader.take(), [], "no will: it had said good-bye");
  });

  test("beyond what the disk takes: who floods waits for it, the neighbour does not", async () => {
    const world = await started({ backlogBytesMax: 200_000 });
    const { writer } = await besides(world);
    const flooder = await world.connected("flooder");
    world.journal.mode = "held";
    const flood = hose(world, flooder, chunkOf(SMALLEST));
    await world.run(50);
    assert.ok(flooder.paused, "held by the disk");
    const taken = flood.chunks;
    for (let i = 1; i <= 20; i++) {
      writer.publish("ok", "x", { qos: 1, packetId: i });
      await world.run(1);
    }
    assert.ok(!writer.paused, "the neighbour is read from all the same");
    assert.equal(flood.chunks, taken, "and the flood is not");
    assert.ok(reached(world, "backlogBytesMax") > 0);
    flood.stop();
    world.journal.mode = "automatic";
    world.journal.sync();
    await world.run();
    assert.equal(writer.received.filter((p) => p.type === "puback").length, 20);
  });

  test("at a rate that all share: a moderate client is as fast as ever, the floods share what is left", async () => {
    const world = await started({ messagesPerSecondTotalMax: 20_000, rateBurst: 100 });
    const { roundTrip } = await besides(world);
    const floods: { stop: () => void; chunks: number }[] = [];
    const chunk = chunkOf(SMALLEST).slice(0, SMALLEST.length * 100);
    for (let i = 0; i < 4; i++) floods.push(hose(world, await world.connected(`flooder-${i}`), chunk));
    await world.run(1_000);
    for (let i = 0; i < 100; i++) {
      await roundTrip();
      await world.run(10);
    }
    for (const flood of floods) flood.stop();
    const chunks = floods.map((flood) => flood.chunks);
    const most = Math.max(...chunks);
    assert.ok(Math.min(...chunks) > most / 2, `shared evenly: ${chunks}`);
    const all = chunks.reduce((sum, n) => sum + n, 0) * 100;
    assert.ok(all < 60_000 && all > 20_000, `${all} messages in 2 s at 20,000/s`);
  });
});

describe("a subscriber", () => {
  test("to everything that never reads is dropped from, and nobody waits for it; nor when it comes again and again", async () => {
    const world = await started({ outputBytesMax: 80_000 });
    const { roundTrip, writer } = await besides(world);
    let held = 0;
    for (let again = 0; again < 5; again++) {
      const dead = (await world.connected("dead", { keepAliveSeconds: 0 })).subscribe("#", { qos: 0 });
      await world.run();
      dead.stall();
      for (let i = 0; i < 200; i++) {
        if (writer.paused) held++;
        else writer.publish("bulk", "x".repeat(1_000));
        await world.run(5);
      }
      await roundTrip();
    }
    await world.run(10_000);
    assert.ok(world.metrics.value("tidewire_mqtt_output_bytes") < 100_000, "those that were replaced hold nothing");
    assert.ok(held < 5 * 40, `held ${held} times of 1,000`);
    assert.ok(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "slow-subscriber" }) > 0);
  });

  test("who changes its subscriptions without end waits, and messages go on", async () => {
    const world = await started({ filtersPerSecondMax: 100 });
    const { roundTrip } = await besides(world);
    const churner = await world.connected("churner");
    let changes = 0;
    const stop = world.clock.every(1, () => {
      if (churner.paused) return;
      for (let i = 0; i < 100; i++) churner.subscribe(`f/${i}`).unsubscribe(`f/${i}`);
      changes += 200;
    });
    for (let i = 0; i < 50; i++) {
      await world.run(100);
      await roundTrip();
    }
    stop();
    assert.ok(changes <= 1_000, `${changes} in 5 s`);
    assert.ok(churner.open, "made to wait, not sent away");
  });
});

describe("memory is not taken by what only is announced", () => {
  test("giant packets that come byte by byte on many connections take what has arrived, not what is to come", async () => {
    const world = await started({ connectsPerSecondMax: 1e6 });
    const { roundTrip } = await besides(world);
    const header = [0x30, 0xf0, 0xff, 0x3f, 0, 1, 0x78, 0]; // almost 1 MiB
    const slow: SimClient[] = [];
    for (let i = 0; i < 200; i++) {
      const client = await world.connected(`slow-${i}`, { keepAliveSeconds: 0 });
      for (const byte of header) client.sendBytes(Uint8Array.of(byte));
      slow.push(client);
    }
    for (let round = 0; round < 50; round++) for (const client of slow) client.sendBytes(Uint8Array.of(round));
    assert.ok(world.metrics.value("tidewire_mqtt_partial_bytes") <= 200 * 256);
    await roundTrip();
    for (const client of slow) client.cut();
    assert.equal(world.metrics.value("tidewire_mqtt_partial_bytes"), 0);
  });

  test("ten thousand user properties are refused as they are counted", async () => {
    const world = await started();
    const { roundTrip } = await besides(world);
    const bad = await world.connected("bad");
    const userProperties = Array.from({ length: 10_000 }, () => ["a", "b"] as const);
    bad.publish("x", "x", { properties: { userProperties } });
    await world.run();
    assert.equal(bad.last("disconnect")?.reasonCode, REASON.quotaExceeded);
    assert.equal(world.journal.messages.length, 0);
    await roundTrip();
  });

  test("a flood of retained messages fills its room, and live messages go on", async () => {
    const world = await started({ retainedMessagesMax: 100 });
    const { roundTrip } = await besides(world);
    const bad = await world.connected("bad");
    for (let i = 0; i < 1_000; i++) bad.publish(`r/${i}`, "x", { retain: true });
    await world.run(2_000);
    assert.ok(world.metrics.value("tidewire_mqtt_retained_messages") <= 100);
    await roundTrip();
  });
});

describe("places", () => {
  test("strangers that say nothing do not keep a device out", async () => {
    const world = await started({ greetingsMax: 50, connectionsMax: 20 });
    for (let i = 0; i < 500; i++) world.client();
    await world.run();
    assert.ok(world.metrics.value("tidewire_mqtt_connections") <= 50);
    const { roundTrip } = await besides(world);
    await roundTrip();
  });

  test("a storm of connects from one address: others connect as ever, those who are in stay", async () => {
    const world = await started({ connectsPerSecondPerAddressMax: 10, connectionsPerAddressMax: 20 });
    const { roundTrip } = await besides(world);
    for (let i = 0; i < 500; i++) {
      world.client({ remoteAddress: "203.0.113.9" }).connect({ clientId: `storm-${i % 3}` });
      if (i % 50 === 0) await world.run(10);
    }
    await world.run();
    const other = await world.connected("other");
    assert.equal(other.last("connack")?.reasonCode, 0);
    assert.ok(reached(world, "connectsPerSecondPerAddressMax") > 400);
    await roundTrip();
  });

  test("a thing that hoards sessions and wills under many names leaves room for the others", async () => {
    const world = await started({ sessionsPerThingMax: 10, sessionsMax: 50, willsTotalBytesMax: 20_000 });
    world.admit = (_peer, { clientId }) => {
      const thing = clientId.startsWith("hoard") ? "hoarder" : clientId;
      return { admitted: true, thing, authorizer: world.policy(clientId) };
    };
    const will = { topic: "x", payload: new Uint8Array(3_000), qos: 0, retain: false, delaySeconds: 9_999 } as const;
    for (let i = 0; i < 100; i++) {
      const options = { cleanStart: false, sessionExpirySeconds: 9_999, will: { ...will, properties: null } };
      (await world.connected(`hoard-${i}`, options)).cut();
    }
    assert.ok(world.metrics.value("tidewire_mqtt_sessions") <= 11);
    const device = await world.connected("device", { cleanStart: false, sessionExpirySeconds: 600 });
    assert.equal(device.last("connack")?.reasonCode, 0);
    const { roundTrip } = await besides(world);
    await roundTrip();
  });
});

describe("a rate", () => {
  test("allows its burst at once, then what it says; what is above has to be paid for", () => {
    const rate = new Rate(10, 1_000);
    rate.take(10, 0);
    assert.ok(rate.debt(0) <= 0);
    rate.take(5, 0);
    assert.equal(rate.debt(0), 500);
    assert.equal(rate.debt(500), 0);
    assert.ok(!rate.isFresh(1_000));
    assert.ok(rate.isFresh(1_501));
    assert.ok(rate.tryTake(1, 5_000) && rate.tryTake(9, 5_000) && !rate.tryTake(1, 5_000));
  });

  test("that is shared holds who uses it most; who uses little waits only when it is exceeded by its burst again", () => {
    const wide = { messages: "messagesPerSecondMax", bytes: "bytesPerSecondMax" } as const;
    const limits: MeterLimits = { ...wide, messagesPerSecond: 1e9, bytesPerSecond: 1e12, burst: 1_000 };
    const scope = new Meter({ ...limits, messagesPerSecond: 100 }, null);
    const [big, small] = [new Meter(limits, scope), new Meter(limits, scope)];
    small.charge(1, 10, 0);
    big.charge(150, 1_500, 0);
    assert.ok(big.mustWait(0));
    assert.equal(verdict.wait, 510);
    assert.equal(verdict.limit, "messagesPerSecondMax");
    small.charge(1, 10, 0);
    assert.ok(!small.mustWait(0));
    assert.ok(!small.isHeavy(0) && big.isHeavy(0));
    big.charge(100, 1_000, 0);
    assert.ok(small.mustWait(0), "nothing is exceeded without bound");
    assert.ok(!small.mustWait(2_000) && !big.mustWait(2_000));
  });
});
