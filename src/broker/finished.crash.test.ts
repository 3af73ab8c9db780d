/** A start knows how far clients had come since state was saved: what they acknowledged is not owed again, all else is. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600, keepAliveSeconds: 3600 } as const;
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);
const payloads = (client: SimClient): string[] => client.publishes.map((p) => p.payload);

/** Queues are saved at a start, and then after `SAVED_EVERY`; notes come with every fifth message. */
const SAVED_EVERY = 20_000;
const limits = { queuedMessagesMax: 40, deliveriesInflightMax: 20, stateSavePeriod: 5 * SAVED_EVERY };
const NOTED_EVERY = 5;

async function started(more: Partial<BrokerWorld["limits"]> = {}): Promise<BrokerWorld> {
  const world = await BrokerWorld.started({ limits: { ...limits, ...more } });
  await world.run(10);
  return world;
}

/** Publishes them, some in a turn, and lets the subscribers take them. */
async function publish(
  world: BrokerWorld,
  texts: readonly string[],
  { topic = "a", qos = 1 }: { topic?: string; qos?: 1 | 2 } = {},
): Promise<void> {
  const publisher = await world.connected(`pub-${topic}`);
  for (const [i, text] of texts.entries()) {
    publisher.publish(topic, text, { qos, packetId: 1 + i });
    if (i % 7 === 6) await world.run(1);
  }
  await world.run(10);
  publisher.disconnect();
}

/** `c1` is back, and acknowledges so many. */
async function take(
  world: BrokerWorld,
  options: Parameters<BrokerWorld["connected"]>[1],
  count: number,
): Promise<void> {
  const client = world.client().connect({ clientId: "c1", ...options });
  client.acknowledges = false;
  for (let taken = 0; taken < count; taken++) {
    await world.run(1);
    client.puback(client.publishes[taken]!.packetId);
  }
  await world.run(1);
}

/** Lets queues be saved, as of the log as it is. */
async function save(world: BrokerWorld): Promise<void> {
  const before = world.journal.durable;
  await world.run(SAVED_EVERY + 10);
  assert.ok(world.state.appliedOffset >= before);
}

const waiting = (world: BrokerWorld): number => world.metrics.value("tidewire_mqtt_queued_messages");
const dropped = (world: BrokerWorld): number =>
  world.metrics.valueOr(0, "tidewire_mqtt_dropped_total", { reason: "queue-full" });
const notes = (world: BrokerWorld): number =>
  [...world.journal.notes.values()].filter((n) => n.finished !== null).length;

describe("what a client had acknowledged when the broker died", () => {
  for (const qos of [1, 2] as const) {
    test(`at QoS ${qos}, never saved, leaves its queue nearly empty: there is room for what comes`, async () => {
      const world = await started();
      (await world.connected("c1", kept)).subscribe("a", { qos });
      await publish(world, numbers(0, 200), { qos });
      await world.crashAndRestart();
      assert.equal(world.state.appliedOffset, 0);
      assert.ok(waiting(world) < NOTED_EVERY, `${waiting(world)} wait`);
      await publish(world, numbers(200, 235), { qos });
      assert.equal(dropped(world), 0);
      const back = await world.connected("c1", kept);
      await world.run(100);
      assert.deepEqual(payloads(back).slice(-35), numbers(200, 235));
      assert.ok(back.publishes.length < 35 + NOTED_EVERY);
    });
  }

  test("fills no queue over many lives that are too short for a saving", async () => {
    const world = await started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    world.state.saveProgress = () => new Promise(() => {});
    const seen = new Set<string>();
    for (let life = 0; life < 8; life++) {
      await publish(world, numbers(30 * life, 30 * life + 30));
      const client = await world.connected("c1", kept);
      await world.run(20);
      for (const text of payloads(client)) seen.add(text);
      assert.equal(dropped(world), 0, `in life ${life}`);
      await world.crashAndRestart();
      assert.ok(waiting(world) < NOTED_EVERY, `${waiting(world)} wait after life ${life}`);
    }
    assert.deepEqual([...seen], numbers(0, 240));
    assert.equal(world.state.appliedOffset, 0);
  });

  test("counts in bytes, where messages are large", async () => {
    const world = await started({ queuedMessagesMax: 10_000, queuedBytesMax: 40_000 });
    (await world.connected("c1", kept)).subscribe("a");
    const large = numbers(0, 60).map((n) => n.padEnd(1_000, "."));
    await publish(world, large);
    await world.crashAndRestart();
    assert.ok(waiting(world) <= NOTED_EVERY, `${waiting(world)} wait`);
    await publish(world, large.slice(0, 30));
    assert.equal(dropped(world), 0);
  });

  test("counts for a queue that was saved, too, and none of it is looked at", async () => {
    const world = await started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    await publish(world, numbers(0, 38));
    await save(world);
    await take(world, { ...kept, receiveMaximum: 5 }, 20);
    const queued = world.state.queued.bind(world.state);
    let reads = 0;
    world.state.queued = (...given) => {
      reads++;
      return queued(...given);
    };
    await world.crashAndRestart();
    assert.equal(reads, 0);
    assert.equal(waiting(world), 18);
    await publish(world, numbers(38, 60));
    assert.equal(dropped(world), 0);
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(payloads(back), numbers(20, 60));
  });

  test("is noted for kept sessions alone", async () => {
    const world = await started();
    (await world.connected("c1")).subscribe("a");
    await publish(world, numbers(0, 100));
    assert.equal(notes(world), 0);
  });
});

describe("a crash takes none for acknowledged", () => {
  for (const qos of [1, 2] as const) {
    test(`that was not, among others that were, at QoS ${qos}`, async () => {
      const world = await started();
      const client = (await world.connected("c1", kept)).subscribe("a", { qos });
      const left = new Set(["5", "6", "16"]);
      client.listener = (packet) => {
        if (packet.type === "publish" && !left.has(packet.payload))
          world.clock.defer(() => client.acknowledge(qos === 1 ? "puback" : "pubrec", packet.packetId));
        if (packet.type === "pubrel") world.clock.defer(() => client.acknowledge("pubcomp", packet.packetId));
      };
      await publish(world, numbers(0, 25), { qos });
      assert.ok(notes(world) > 0);
      await world.crashAndRestart();
      const back = await world.connected("c1", kept);
      await world.run(100);
      for (const text of left) assert.ok(payloads(back).includes(text), text);
    });
  }

  test("at QoS 2 that the client refused: it does not come again, and its identifier is free", async () => {
    const world = await started();
    const client = (await world.connected("c1", kept)).subscribe("a", { qos: 2 });
    client.listener = (packet) => {
      if (packet.type === "publish") client.acknowledge("pubrec", packet.packetId, 0x83);
    };
    await publish(world, numbers(0, 30), { qos: 2 });
    await world.crashAndRestart();
    assert.ok(waiting(world) < NOTED_EVERY);
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.ok(back.publishes.length < NOTED_EVERY);
    assert.equal(world.metrics.value("tidewire_mqtt_exchanges"), 0);
  });

  for (const among of ["entries", "exchanges"])
    test(`that was retained long before, sent after the note, and saved among ${among}`, async () => {
      const world = await started();
      (await world.connected("pub")).publish("r", "old", { retain: true, qos: 1 });
      const client = (await world.connected("c1", kept)).subscribe("a");
      await world.run(10);
      client.acknowledges = false;
      if (among === "exchanges") client.publish("x", "not released", { qos: 2 });
      await save(world);
      client.acknowledges = true;
      const { appliedOffset } = world.state;
      world.journal.mode = "held";
      await publish(world, ["x"]);
      await world.run(SAVED_EVERY); // a saving waits for the log, and takes the queues once that has synced
      await publish(world, numbers(0, 10));
      assert.ok(notes(world) > 0);
      client.acknowledges = false;
      client.subscribe("r");
      await world.run(10);
      assert.deepEqual(payloads(client).at(-1), "old");
      world.journal.mode = "automatic";
      world.journal.sync();
      await world.run(10);
      assert.ok(world.state.appliedOffset > appliedOffset);
      assert.ok(world.state.appliedOffset <= Math.max(...world.journal.notes.keys()), "a note is replayed");
      await world.crashAndRestart();
      const back = await world.connected("c1", kept);
      await world.run(100);
      assert.ok(payloads(back).includes("old"));
    });

  test("that another member of a shared subscription had been given", async () => {
    const world = await started();
    (await world.connected("busy", kept)).subscribe("a").subscribe("$share/g/jobs");
    const slow = (await world.connected("slow", kept)).subscribe("$share/g/jobs");
    (await world.connected("third", kept)).subscribe("$share/g/jobs").cut(); // so that a start divides them otherwise
    slow.acknowledges = false;
    await publish(world, numbers(0, 8), { topic: "jobs" });
    const missing = payloads(slow);
    assert.ok(missing.length > 2);
    await publish(world, numbers(100, 140));
    assert.ok(notes(world) > 5);
    await world.crashAndRestart();
    const back = await Promise.all(["busy", "slow", "third"].map((id) => world.connected(id, kept)));
    await world.run(100);
    const got = new Set(back.flatMap(payloads));
    assert.deepEqual(
      missing.filter((n) => !got.has(n)),
      [],
    );
  });

  test("of a life in which its place was another, where a queue was saved ahead of the rest", async () => {
    const world = await started();
    (await world.connected("c1", kept)).subscribe("a").subscribe("$share/g/jobs");
    (await world.connected("c2", kept)).subscribe("$share/g/jobs").cut();
    await publish(world, numbers(0, 30), { topic: "jobs" });
    assert.ok(notes(world) > 2, "c1 had all of them");
    await world.crashAndRestart(); // and has half of them now
    await publish(world, ["owed"]);
    await save(world);
    world.state.appliedOffset = 0; // it died in the middle of this
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.ok(payloads(back).includes("owed"));
  });

  test("that a member may not receive any more, and that is on its way to another", async () => {
    const world = await started();
    const revoked = (await world.connected("w1", { ...kept, receiveMaximum: 1 })).subscribe("$share/g/jobs");
    revoked.subscribe("a");
    revoked.acknowledges = false;
    await publish(world, numbers(0, 4), { topic: "jobs" });
    await save(world);
    await world.connected("w2", kept).then((other) => other.subscribe("$share/g/jobs").cut());
    await world.run(10);
    world.journal.read = () => new Promise(() => {}); // the disk is slow, and the power goes meanwhile
    world.policy("w1").change({ receive: (topic) => topic !== "jobs" });
    revoked.acknowledges = true;
    revoked.puback(revoked.publishes[0]!.packetId);
    await world.run(10);
    await publish(world, numbers(100, 120));
    assert.equal(payloads(revoked).at(-1), "119");
    delete (world.journal as { read?: unknown }).read;
    world.policy("w1").change({ receive: () => true });
    await world.crashAndRestart();
    const back = [await world.connected("w1", kept), await world.connected("w2", kept)];
    await world.run(100);
    const got = new Set(back.flatMap(payloads));
    assert.deepEqual(
      numbers(1, 4).filter((n) => !got.has(n)),
      [],
    );
  });

  test("of an earlier session of the client, which was to end and did not", async () => {
    const world = await started();
    const before = (await world.connected("c1", kept)).subscribe("a");
    await world.run(10);
    before.acknowledges = false;
    await publish(world, numbers(0, 10));
    const saveSessions = world.state.saveSessions.bind(world.state);
    world.state.saveSessions = () => new Promise(() => {});
    const anew = (await world.connected("c1", { ...kept, cleanStart: true })).subscribe("a");
    await publish(world, numbers(10, 30));
    for (let id = 1; id <= 20; id++) anew.puback(id); // of messages that it has not seen yet
    await world.run(10);
    world.state.saveSessions = saveSessions;
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(payloads(back), numbers(0, 30));
  });

  test("of a session that began later under the same client identifier", async () => {
    const world = await started();
    (await world.connected("c1", kept)).subscribe("a");
    await publish(world, numbers(0, 20));
    assert.ok(notes(world) > 2);
    const anew = (await world.connected("c1", { ...kept, cleanStart: true })).subscribe("a");
    anew.acknowledges = false;
    await publish(world, numbers(20, 30));
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(payloads(back), numbers(20, 30));
  });

  test("that came after its subscription was raised, begun, or ended", async () => {
    const world = await started();
    const client = (await world.connected("c1", kept)).subscribe("a").subscribe("b", { qos: 0 });
    await publish(world, numbers(0, 3), { topic: "b" });
    client.subscribe("b").subscribe("c");
    await world.run(10);
    await publish(world, numbers(3, 23), { topic: "b" });
    assert.ok(notes(world) > 0);
    client.acknowledges = false;
    await publish(world, numbers(23, 26), { topic: "b" });
    await publish(world, numbers(26, 29), { topic: "c" });
    client.unsubscribe("b");
    await world.run(100);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    for (const text of numbers(23, 29)) assert.ok(payloads(back).includes(text), text);
  });

  test("where the log lost its end, and places in the queue are others than before", async () => {
    const world = await started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    await publish(world, numbers(0, 20));
    await save(world);
    world.journal.messages.length = 12;
    world.journal.durable = 12;
    await world.crashAndRestart();
    world.state.saveProgress = () => new Promise(() => {}); // which would say so
    await take(world, { ...kept, receiveMaximum: 1 }, 8);
    assert.equal(notes(world), 0);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    for (const text of numbers(8, 12)) assert.ok(payloads(back).includes(text), text);
  });
});

test("a log that takes no note: nobody waits, nothing is said, and it is offered with what is finished next", async () => {
  const world = await started();
  const client = (await world.connected("c1", kept)).subscribe("a").subscribe("b");
  client.acknowledges = false;
  await publish(world, numbers(0, 18));
  const append = world.journal.appendNote.bind(world.journal);
  let offered = 0;
  world.journal.appendNote = () => {
    offered++;
    throw new Error("no space left on device");
  };
  for (const { packetId } of client.publishes) {
    client.puback(packetId);
    await world.run(600);
  }
  await world.run(5_000);
  assert.equal(offered, Math.floor(18 / NOTED_EVERY));
  assert.equal(world.metrics.valueOr(0, "tidewire_mqtt_refused_total", { reason: "journal-failed" }), 0);
  world.journal.appendNote = append;
  client.acknowledges = true;
  await publish(world, numbers(18, 23), { topic: "b" });
  await world.crashAndRestart();
  assert.ok(waiting(world) < NOTED_EVERY);
});
