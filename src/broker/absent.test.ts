import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600, keepAliveSeconds: 3600 } as const;
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);
const payloads = (client: SimClient): string[] => client.publishes.map((p) => p.payload);

/** How often the store was asked for a queue. */
function queueReads(world: BrokerWorld): { count: number } {
  const reads = { count: 0 };
  const queued = world.state.queued.bind(world.state);
  world.state.queued = (...given) => {
    reads.count++;
    return queued(...given);
  };
  return reads;
}

/** A session that is away, with `count` messages that are saved, and a publisher. */
async function away(count: number, world: BrokerWorld): Promise<SimClient> {
  (await world.connected("c1", kept)).subscribe("a", { identifier: 7 }).cut();
  const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
  for (const n of numbers(0, count)) {
    publisher.publish("a", n, { qos: 1, packetId: 1 + (Number(n) % 1000) });
    if (Number(n) % 500 === 499) await world.run(300); // some of them in each saving
  }
  await world.run(2_500);
  return publisher;
}

describe("queues of many sessions", () => {
  const many = numbers(0, 400).map((n) => `c${n}`);

  test("are saved some at a time; a crash between loses nothing and brings nothing twice", async () => {
    const world = await BrokerWorld.started();
    for (const id of many) (await world.connected(id, kept)).subscribe("a").cut();
    await world.run(2_500);
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    for (const n of numbers(0, 5)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    const save = world.state.saveProgress.bind(world.state);
    let calls = 0;
    let most = 0;
    world.state.saveProgress = (progress, life) => {
      most = Math.max(most, progress.outboxes.length);
      return ++calls === 3 ? new Promise(() => {}) : save(progress, life); // the process dies within the third
    };
    await world.run(2_500);
    assert.equal(calls, 3);
    assert.ok(most <= 128, `${most} in one call`);
    const saved = [...world.state.sessions.values()].filter(({ chunks }) => chunks.length > 0).length;
    assert.ok(saved > 0 && saved < many.length, `${saved} were saved`);
    world.state.saveProgress = save;
    await world.crashAndRestart();
    assert.equal(world.metrics.value("tidewire_mqtt_queued_messages"), 5 * many.length);
    for (const id of many) {
      const back = await world.connected(id, kept);
      await world.run(10);
      assert.deepEqual(payloads(back), numbers(0, 5), id);
    }
  });

  test("that nothing came for cost a saving nothing", async () => {
    const world = await BrokerWorld.started();
    for (const id of many) (await world.connected(id, kept)).subscribe(`for/${id}`).cut();
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    await world.run(2_500);
    const saved: string[] = [];
    const save = world.state.saveProgress.bind(world.state);
    world.state.saveProgress = (progress, life) => {
      saved.push(...progress.outboxes.map(({ clientId }) => clientId));
      return save(progress, life);
    };
    publisher.publish("for/c7", "x", { qos: 1 });
    await world.run(2_500);
    assert.deepEqual(saved, ["c7"]);
  });
});

describe("what an absent session is owed", () => {
  test("leaves memory once it is saved, and is brought back in steps and in order, with what came meanwhile", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 512 } });
    const reads = queueReads(world);
    const publisher = await away(5_000, world);
    publisher.publish("a", "5000", { qos: 1, packetId: 9 });
    await world.run(10);
    assert.equal(reads.count, 0);
    assert.equal(world.metrics.value("tidewire_mqtt_queued_messages"), 5_001);
    const back = await world.connected("c1", { ...kept, receiveMaximum: 100 });
    publisher.publish("a", "5001", { qos: 1, packetId: 10 });
    await world.run(5_000);
    assert.deepEqual(payloads(back), numbers(0, 5_002));
    assert.deepEqual(back.publishes[4_000]?.identifiers, [7]);
    assert.ok(reads.count >= 1, "the store was asked");
    assert.equal(world.metrics.value("tidewire_mqtt_queued_messages"), 0);
  });

  test("is not read at a start, only when its client is back", async () => {
    const world = await BrokerWorld.started();
    await away(300, world);
    const reads = queueReads(world);
    await world.crashAndRestart();
    await world.run(2_000);
    assert.equal(reads.count, 0);
    assert.equal(world.metrics.value("tidewire_mqtt_queued_messages"), 300);
    const back = await world.connected("c1", kept);
    await world.run(1_000);
    assert.deepEqual(payloads(back), numbers(0, 300));
  });

  test("is counted against its limits, wherever it is", async () => {
    const world = await BrokerWorld.started({ limits: { queuedMessagesMax: 50 } });
    const publisher = await away(40, world);
    await world.crashAndRestart();
    const again = await world.connected("pub");
    for (const n of numbers(40, 60)) again.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(1_500);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "queue-full" }), 10);
    const back = await world.connected("c1", kept);
    await world.run(1_000);
    assert.deepEqual(payloads(back), numbers(0, 50));
    assert.ok(publisher.publishes.length === 0);
  });

  test("survives that its client comes and goes while it is being brought back", async () => {
    const world = await BrokerWorld.started();
    await away(3_000, world);
    const got: string[] = [];
    for (let visit = 0; visit < 30; visit++) {
      const client = await world.connected("c1", { ...kept, receiveMaximum: 200 });
      await world.run(visit % 7);
      got.push(...payloads(client));
      client.cut();
      await world.run(visit % 3 === 0 ? 1_100 : 1);
    }
    const back = await world.connected("c1", kept);
    await world.run(2_000);
    got.push(...payloads(back));
    const first = [...new Set(got)];
    assert.deepEqual(first, numbers(0, 3_000), "all of it, and in order where it came for the first time");
  });

  test("comes even where the client says with its return that this was its last", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 512 } });
    await away(300, world);
    const back = await world.connected("c1", { ...kept, sessionExpirySeconds: 0, receiveMaximum: 10 });
    await world.run(3_000);
    assert.deepEqual(payloads(back), numbers(0, 300));
    back.cut();
    await world.run(1_500);
    assert.deepEqual([...world.state.sessions.keys()], [], "and then nothing of it is left");
  });

  test("waits while the store cannot be read: the client is sent away and finds it when it comes again", async () => {
    const world = await BrokerWorld.started();
    await away(100, world);
    const queued = world.state.queued.bind(world.state);
    world.state.queued = () => Promise.reject(new Error("disk I/O error"));
    const client = await world.connected("c1", kept);
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, 0x83);
    world.state.queued = queued;
    const back = await world.connected("c1", kept);
    await world.run(1_000);
    assert.deepEqual(payloads(back), numbers(0, 100));
  });

  test("that the store has lost is said, and what came after it arrives", async () => {
    const world = await BrokerWorld.started();
    const publisher = await away(100, world);
    world.state.sessions.get("c1")!.chunks = [];
    publisher.publish("a", "later", { qos: 1, packetId: 9 });
    await world.run(10);
    const back = await world.connected("c1", kept);
    await world.run(1_000);
    assert.deepEqual(payloads(back), ["later"]);
    assert.equal(world.logger.lines.find((l) => l.level === "error")?.fields["lost"], 100);
  });

  test("that was acknowledged out of turn is not sent again", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1", kept)).subscribe("a");
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    client.acknowledges = false;
    for (const n of numbers(0, 5)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(10);
    const third = client.publishes[2]!.packetId;
    client.send((w) => w.acknowledge("puback", third));
    await world.run(2_000);
    client.cut();
    await world.run(2_000);
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(payloads(back), ["0", "1", "3", "4"]);
  });
});
