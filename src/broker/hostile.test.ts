import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { REASON } from "../wire/mqtt/mod.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;

describe("memory that a client can make us spend is bounded", () => {
  test("retained messages by their bytes too: what does not fit is delivered, not retained, and no stale one stays", async () => {
    const world = await BrokerWorld.started({ limits: { retainedBytesMax: 1_100 } });
    const live = (await world.connected("live")).subscribe("#");
    const publisher = await world.connected("pub");
    for (const topic of ["a", "b", "c"]) publisher.publish(topic, "x".repeat(300), { retain: true });
    await world.run(1_500);
    publisher.publish("a", "y".repeat(600), { retain: true });
    await world.run(1_500);
    assert.equal(live.publishes.length, 4);
    const names = async (id: string): Promise<string[]> => {
      const late = (await world.connected(id)).subscribe("#");
      await world.run();
      return late.publishes.map((p) => p.topic).sort();
    };
    assert.deepEqual(await names("late"), ["b", "c"]);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "retained-full" }), 1);
    publisher.publish("b", "", { retain: true }).publish("a", "y".repeat(600), { retain: true });
    await world.run(1_500);
    assert.deepEqual(await names("later"), ["a", "c"], "removing one made room");
  });

  test("retained messages that expired are forgotten, in memory and on disk", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    publisher.publish("short", "x", { retain: true, properties: { messageExpirySeconds: 10 } });
    publisher.publish("long", "x", { retain: true, properties: { messageExpirySeconds: 10_000 } });
    publisher.publish("replaced", "x", { retain: true, properties: { messageExpirySeconds: 10 } });
    publisher.publish("replaced", "x", { retain: true });
    await world.run(5_000);
    assert.equal(world.state.retained.messages.size, 3);
    await world.run(100_000);
    assert.equal(world.metrics.value("tidewire_mqtt_retained_messages"), 2);
    assert.deepEqual([...world.state.retained.messages.keys()].sort(), ["long", "replaced"]);
  });

  test("sessions: one more that would outlive its connection is refused, who is known may come back", async () => {
    const world = await BrokerWorld.started({ limits: { sessionsMax: 3 } });
    for (const id of ["c1", "c2", "c3"]) (await world.connected(id, kept)).cut();
    const five = await world.connected("c4", kept);
    assert.equal(five.last("connack")?.reasonCode, REASON.quotaExceeded);
    const four = await world.connected("c4", { version: 4, cleanStart: false });
    assert.equal(four.last("connack")?.reasonCode, 3, "3.1.1: server unavailable");
    assert.equal((await world.connected("passing")).last("connack")?.reasonCode, 0, "it leaves nothing behind");
    assert.equal((await world.connected("c2", kept)).last("connack")?.sessionPresent, true);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "sessions-full" }), 2);
  });

  test("queues of all sessions together: above the limit, each may keep little", async () => {
    const world = await BrokerWorld.started({ limits: { queuedMessagesMax: 640, queuedTotalMessagesMax: 500 } });
    for (const id of ["c1", "c2", "c3"]) (await world.connected(id, kept)).subscribe("a").cut();
    const publisher = await world.connected("pub");
    for (let i = 0; i < 300; i++) publisher.publish("a", "x", { qos: 1, packetId: 1 + i });
    await world.run(1_000);
    assert.equal(world.metrics.value("tidewire_mqtt_queued_messages"), 900);
    publisher.publish("a", "one too many", { qos: 1 });
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "queue-full" }), 3);
    for (const id of ["c1", "c2"]) await world.connected(id, kept);
    await world.run(1_000);
    publisher.publish("a", "welcome", { qos: 1 });
    await world.run();
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "queue-full" }), 3);
    assert.equal((await world.connected("c3", kept)).publishes.at(-1)?.payload, "welcome");
  });

  test("messages read back from the log: as many bytes as an output takes, not as many messages as a window", async () => {
    const world = await BrokerWorld.started({ limits: { recentBytesMax: 256, queuedBytesMax: 1e9 } });
    (await world.connected("c1", kept)).subscribe("a").cut();
    const publisher = await world.connected("pub");
    for (let i = 0; i < 40; i++) publisher.publish("a", "x".repeat(100_000), { qos: 1, packetId: 1 + i });
    await world.run();
    let atOnce = 0;
    let most = 0;
    const read = world.journal.read.bind(world.journal);
    world.journal.read = async (offset) => {
      most = Math.max(most, ++atOnce);
      await new Promise<void>((resolve) => void world.clock.after(1, resolve));
      atOnce--;
      return read(offset);
    };
    const back = await world.connected("c1", kept);
    await world.run(1_000);
    assert.equal(back.publishes.length, 40);
    assert.ok(most <= 6, `${most} at once`);
  });

  test("routes: many subscribers of many topics do not fill memory with who gets what", async () => {
    const world = await BrokerWorld.started({ limits: { routeTargetsMax: 100 } });
    for (let i = 0; i < 30; i++) (await world.connected(`sub-${i}`)).subscribe("#", { qos: 0 });
    const publisher = await world.connected("pub");
    await world.run();
    for (let i = 0; i < 50; i++) publisher.publish(`t/${i}`, "x");
    await world.run();
    assert.equal(world.metrics.value("tidewire_mqtt_messages_sent_total"), 30 * 50);
    assert.ok(world.metrics.value("tidewire_mqtt_route_targets") <= 100);
  });
});

describe("time that a client can make us spend at once is bounded", () => {
  test("many retained messages that it may not have are passed over in small steps", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    for (let i = 0; i < 3_000; i++) publisher.publish(`r/${i}`, "x", { retain: true });
    await world.run();
    let asked = 0;
    let most = 0;
    world.policy("c1").change({ receive: (topic) => (asked++, topic === "r/2999") });
    const client = await world.connected("c1");
    const defer = world.clock.defer.bind(world.clock);
    world.clock.defer = (task) =>
      defer(() => {
        most = Math.max(most, asked);
        asked = 0;
        task();
      });
    for (const [i, filter] of ["r/#", "+/#", "#", "r/+", "+/+", "r/2999"].entries()) {
      client.subscribe(filter, { packetId: 1 + i });
    }
    assert.equal(asked, 0, "nothing within the call");
    await world.run(1_000);
    assert.ok(most > 0 && most <= 1_000, `${most} in one turn`);
    assert.deepEqual(
      client.take(),
      Array.from({ length: 6 }, () => "r/2999=x"),
    );
  });

  test("what a client that subscribed and left at once had not been sent is looked up when it is back", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 2_000 } });
    const publisher = await world.connected("pub");
    for (let i = 0; i < 50; i++) publisher.publish(`r/${i}`, "x".repeat(50), { retain: true, qos: 1, packetId: 1 + i });
    await world.run();
    const client = await world.connected("c1", kept);
    client.stall();
    for (const filter of ["r/+", "r/#", "+/1", "r/2"]) client.subscribe(filter);
    await world.run();
    client.cut();
    const back = await world.connected("c1", kept);
    await world.run(1_000);
    assert.equal(new Set(back.publishes.map((p) => p.topic)).size, 50);
    assert.ok(back.publishes.every((p) => p.retain));
    assert.equal(back.publishes.filter((p) => p.topic === "r/1").length, 3, "once per subscription");
  });
});

describe("a client that takes its output slowly", () => {
  const slowly = async (pieces: number, pause: number): Promise<{ state: string; received: number }> => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 1_000_000, stalledOutputMax: 20_000 } });
    const slow = (await world.connected("slow", { keepAliveSeconds: 10 })).subscribe("a");
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    await world.run();
    slow.stall();
    for (let i = 0; i < 20; i++) {
      publisher.publish("a", "x".repeat(100_000), { qos: 1, packetId: 1 + i });
      await world.run(publisher.paused ? 60 : 0);
    }
    for (let i = 0; i < pieces; i++) {
      await world.run(pause);
      slow.unstall();
      slow.stall();
      if (!slow.paused && slow.open) slow.send((w) => w.pingreq());
    }
    slow.unstall();
    await world.run(1_000);
    return { state: slow.state, received: slow.publishes.length };
  };

  test("but steadily is not cut off: neither for its output nor for a PINGREQ that we do not read", async () => {
    assert.deepEqual(await slowly(8, 18_000), { state: "open", received: 20 });
  });

  test("and then not at all, is", async () => {
    assert.equal((await slowly(2, 40_000)).state, "destroyed");
  });
});

test("a transport that throws ends its own connection, and the others get what they are owed", async () => {
  const world = await BrokerWorld.started();
  const broken = (await world.connected("broken")).subscribe("a");
  const good = (await world.connected("good")).subscribe("a");
  const publisher = await world.connected("pub");
  await world.run();
  broken.write = () => {
    throw new Error("EPIPE");
  };
  for (let i = 0; i < 2; i++) publisher.publish("a", `${i}`, { qos: 1, packetId: 1 + i });
  await world.run();
  assert.deepEqual(good.take(), ["a=0", "a=1"]);
  assert.equal(broken.state, "destroyed");
});

test("a take-over while the log fails to be read for the old connection serves the new one", async () => {
  const world = await BrokerWorld.started({ limits: { recentBytesMax: 256 } });
  (await world.connected("c1", kept)).subscribe("a").cut();
  const publisher = await world.connected("pub");
  for (let i = 0; i < 20; i++) publisher.publish("a", `${i}`, { qos: 1, packetId: 1 + i });
  await world.run();
  const read = world.journal.read.bind(world.journal);
  world.journal.read = async () => {
    await new Promise<void>((resolve) => void world.clock.after(50, resolve));
    throw new Error("EIO");
  };
  await world.connected("c1", kept);
  const young = await world.connected("c1", kept);
  await world.run(40);
  world.journal.read = read;
  await world.run(100);
  assert.equal(young.publishes.length, 20);
});
