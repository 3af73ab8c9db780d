import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { REASON } from "../wire/mqtt/mod.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600, keepAliveSeconds: 3600 } as const;
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);

describe("a crash does not take along", () => {
  test("the session of a client that had been connected for longer than its session expiry [MQTT-4.1.0-1]", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    await world.run(10);
    await world.connected("c1", kept);
    await world.run(700_000);
    await world.crashAndRestart();
    (await world.connected("pub")).publish("a", "x", { qos: 1 });
    await world.run(5_000);
    const back = await world.connected("c1", kept);
    assert.equal(back.last("connack")?.sessionPresent, true);
    assert.deepEqual(back.take(), ["a=x"]);
  });

  test("the newest messages of a client that took more within a second than its queue holds", async () => {
    const limits = { queuedMessagesMax: 5, deliveriesInflightMax: 5 };
    const world = await BrokerWorld.started({ limits });
    const client = (await world.connected("c1", kept)).subscribe("a");
    const publisher = await world.connected("pub");
    await world.run(1_500);
    for (const n of numbers(0, 50)) {
      publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
      await world.run();
    }
    client.acknowledges = false;
    for (const n of numbers(50, 60)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(100); // the publisher is paced for a moment
    assert.ok(!world.logger.lines.some((l) => l.fields["reason"] === "queue-full"), "all had room");
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(50, 60),
    );
  });

  test("anything of a client that takes what it gets, though each life is too short for a save at leisure", async () => {
    const world = await BrokerWorld.started({ limits: { queuedMessagesMax: 30, deliveriesInflightMax: 30 } });
    (await world.connected("c1", kept)).subscribe("a").cut();
    await world.run(10);
    const seen = new Set<string>();
    for (let life = 0; life < 8; life++) {
      const publisher = await world.connected("pub");
      for (const n of numbers(20 * life, 20 * life + 20)) {
        publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
        await world.run(1);
      }
      const client = await world.connected("c1", kept); // what waits for it by then has to have room
      await world.run(300);
      for (const { payload } of client.publishes) seen.add(payload);
      await world.crashAndRestart();
    }
    assert.deepEqual(
      numbers(0, 160).filter((n) => !seen.has(n)),
      [],
    );
    assert.ok(!world.logger.lines.some((line) => line.fields["reason"] === "queue-full"), "and nothing was in the way");
  });

  const endings: Readonly<Record<string, (client: SimClient) => void>> = {
    "was ended": (client) => client.unsubscribe("a/#"),
    "was lowered": (client) => client.subscribe("a/#", { qos: 0 }),
    "no longer brings its client's own messages": (client) => client.subscribe("a/#", { qos: 2, noLocal: true }),
  };
  for (const [how, end] of Object.entries(endings))
    test(`what waits for a subscription that ${how} a moment before [MQTT-3.10.4-3]`, async () => {
      const world = await BrokerWorld.started();
      const client = await world.connected("c1", { ...kept, receiveMaximum: 2 });
      client.subscribe("a/#", { qos: 2, identifier: 7 });
      client.acknowledges = false;
      for (const n of numbers(0, 4)) client.publish("a/b", n, { qos: n === "1" ? 1 : 2, packetId: 1 + Number(n) });
      await world.run();
      client.received.length = 0;
      end(client);
      await world.run(20);
      assert.equal(client.received.filter(({ type }) => type === "suback" || type === "unsuback").length, 1);
      await world.crashAndRestart();
      const back = await world.connected("c1", kept);
      await world.run(100);
      assert.deepEqual(
        back.publishes.map(({ payload, qos, identifiers }) => `${payload} at ${qos} for ${identifiers.join()}`),
        ["0 at 2 for 7", "1 at 1 for 7", "2 at 2 for 7", "3 at 2 for 7"],
      );
    });

  test("what waits, where the store cannot save it: UNSUBACK is kept back until it can", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1", kept)).subscribe("a");
    client.acknowledges = false;
    (await world.connected("pub")).publish("a", "x", { qos: 1 });
    await world.run();
    const save = world.state.saveProgress.bind(world.state);
    world.state.saveProgress = () => Promise.reject(new Error("disk I/O error"));
    client.unsubscribe("a");
    await world.run(3_000);
    assert.equal(client.last("unsuback"), undefined);
    assert.ok(world.state.sessions.get("c1")?.subscriptions.has("a"));
    world.state.saveProgress = save;
    await world.run(3_000);
    assert.deepEqual(client.last("unsuback")?.reasonCodes, [REASON.success]);
    assert.equal(world.state.sessions.get("c1")?.outbox?.tail, 1);
  });

  for (const qos of [1, 2] as const)
    for (const saved of [false, true])
      test(`that a message at QoS ${qos} expired ${saved ? "a while" : "a moment"} before: it stays away, and what was sent comes again [MQTT-3.3.2-5], [MQTT-4.3.3-7]`, async () => {
        const world = await BrokerWorld.started();
        const client = await world.connected("c1", { ...kept, receiveMaximum: 3 });
        client.subscribe("a", { qos });
        client.acknowledges = false;
        const publisher = await world.connected("pub");
        for (const [n, messageExpirySeconds] of [20, 20, 20, 5, 3_600].entries())
          publisher.publish("a", `${n}`, { qos, packetId: 1 + n, properties: { messageExpirySeconds } });
        await world.run(10_000);
        for (const { packetId } of client.publishes.slice(0, 2)) {
          client.acknowledge(qos === 1 ? "puback" : "pubrec", packetId);
          await world.run();
          if (qos === 2) client.acknowledge("pubcomp", packetId);
        }
        await world.run(saved ? 3_000 : 10);
        assert.deepEqual(client.take(), ["a=0", "a=1", "a=2", "a=4"]);
        assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "expired" }), 1);
        await world.crashAndRestart();
        // What was sent at QoS 1 a moment before the crash is not known for that, and expires with the rest.
        const known = saved || qos === 2;
        if (known) world.clock.advance(30_000);
        const back = await world.connected("c1", kept);
        await world.run(100);
        assert.deepEqual(back.take(), known ? ["a=2", "a=4"] : ["a=0", "a=1", "a=2", "a=4"]);
      });

  test("what an absent client's full queue refused is counted again after the restart, and nothing older goes", async () => {
    const world = await BrokerWorld.started({ limits: { queuedMessagesMax: 5 } });
    (await world.connected("c1", kept)).subscribe("a").cut();
    const publisher = await world.connected("pub");
    await world.run(1_500);
    for (const n of numbers(0, 8)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(10);
    await world.crashAndRestart();
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "queue-full" }), 3);
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(0, 5),
    );
  });

  test("a retained message because a newer one of its topic was on its way to the disk", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    publisher.publish("r", "first", { retain: true, qos: 1, packetId: 1 });
    await world.run(1_500);
    world.journal.mode = "held";
    publisher.publish("r", "acknowledged", { retain: true, qos: 1, packetId: 2 });
    await world.run(10);
    world.journal.sync();
    publisher.publish("r", "never on disk", { retain: true, qos: 1, packetId: 3 });
    await world.run(1_500);
    world.journal.sync(world.journal.durable);
    await world.run(1_500);
    assert.equal(publisher.last("puback")?.packetId, 2);
    await world.crashAndRestart();
    const late = (await world.connected("late")).subscribe("r");
    await world.run();
    assert.deepEqual(late.take(), ["r=acknowledged"]);
  });

  test("messages whose places in the log a lost batch had held before", async () => {
    const world = await BrokerWorld.started();
    world.journal.mode = "held";
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    for (const n of numbers(0, 3)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    (await world.connected("c1", kept)).subscribe("a");
    await world.run(10);
    await world.crashAndRestart();
    world.journal.mode = "automatic";
    (await world.connected("pub")).publish("a", "acknowledged", { qos: 1 });
    await world.run(10);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(back.take(), ["a=acknowledged"]);
  });

  test("the rest of a long catching up: nothing is saved about a state that is half restored", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    await world.run(1_500);
    world.state.failure = new Error("disk full");
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 10)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(10);
    world.state.failure = null;
    const { journal } = world;
    const replay = journal.replay.bind(journal);
    journal.replay = async function* (from: number) {
      for await (const entry of replay(from)) {
        if (entry.offset === 5) await new Promise(() => {}); // the process dies here
        yield entry;
      }
    };
    void world.crashAndRestart();
    await world.run(5_000);
    journal.replay = replay;
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(0, 10),
    );
  });

  test("queues, while sessions change without a pause and the store is slow", async () => {
    const world = await BrokerWorld.started();
    const save = world.state.saveSessions.bind(world.state);
    world.state.saveSessions = async (...given) => {
      await new Promise<void>((resolve) => void world.clock.after(20, resolve));
      await save(...given);
    };
    (await world.connected("c1", kept)).subscribe("a");
    (await world.connected("pub")).publish("a", "x", { qos: 1 });
    const busy = await world.connected("busy", kept);
    for (let i = 0; i < 600; i++) {
      busy.subscribe(`b/${i % 2}`, { packetId: 1 + i });
      await world.run(5);
    }
    assert.equal(world.state.appliedOffset, 1, "queues had their turn");
  });

  test("a log that lost its end: what was queued from there never comes back as other messages", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 6)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    publisher.publish("r/lost", "x", { qos: 1, packetId: 7, retain: true });
    await world.run(1_500);
    world.journal.messages.length = 3;
    world.journal.durable = 3;
    await world.crashAndRestart();
    const other = await world.connected("pub");
    for (const n of numbers(0, 8)) other.publish("b", `not for c1: ${n}`, { qos: 1, packetId: 1 + Number(n) });
    other.publish("a", "new", { qos: 1, packetId: 9 });
    await world.run(1_500);
    await world.crashAndRestart();
    const back = (await world.connected("c1", kept)).subscribe("r/#");
    await world.run(100);
    assert.deepEqual(back.take(), ["a=0", "a=1", "a=2", "a=new"]);
  });
});

describe("a crash does not swallow a will", () => {
  const payload = new TextEncoder().encode("gone");
  const will = { topic: "w", payload, qos: 1, retain: false, delaySeconds: 0, properties: null } as const;

  test("that was published and was not on disk yet, of a kept session or of another", async () => {
    const world = await BrokerWorld.started();
    const cut = [await world.connected("kept", { ...kept, will }), await world.connected("passing", { will })];
    await world.run(10);
    world.journal.mode = "held";
    for (const client of cut) client.cut();
    await world.run(20);
    await world.crashAndRestart();
    world.journal.mode = "automatic";
    const watcher = (await world.connected("watcher", { keepAliveSeconds: 3600 })).subscribe("w");
    await world.run(world.limits.willGraceAfterRestart + 1_000);
    assert.deepEqual(watcher.take(), ["w=gone", "w=gone"]);
  });

  test("and nobody but its own client waits for the log", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", { ...kept, will })).subscribe("a");
    await world.run();
    world.journal.mode = "held";
    const back = await world.connected("c1", { ...kept, will });
    const other = await world.connected("c2", kept);
    assert.deepEqual([back.last("connack"), other.last("connack")?.reasonCode], [undefined, 0]);
    world.journal.sync();
    await world.run();
    assert.equal(back.last("connack")?.sessionPresent, true);
  });
});

describe("a crash does not bring back", () => {
  test("the session of a client that wanted none, although its will was kept [MQTT-3.2.2-3]", async () => {
    const world = await BrokerWorld.started();
    const payload = new TextEncoder().encode("gone");
    const will = { topic: "w", payload, qos: 1, retain: false, delaySeconds: 0, properties: null } as const;
    const passing = { cleanStart: false, sessionExpirySeconds: 0, will } as const;
    (await world.connected("c1", passing)).subscribe("a");
    await world.run();
    await world.crashAndRestart();
    const watcher = (await world.connected("watcher", { keepAliveSeconds: 3600 })).subscribe("w");
    const back = await world.connected("c1", { ...passing, keepAliveSeconds: 3600 });
    assert.equal(back.last("connack")?.sessionPresent, false);
    (await world.connected("pub")).publish("a", "x");
    await world.run(60_000);
    assert.deepEqual(back.take(), [], "its subscription ended with it");
    assert.deepEqual(watcher.take(), [], "and who is back takes the will away");
  });
});
