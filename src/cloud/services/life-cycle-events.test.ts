import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../../sim/broker.ts";
import { decodeUtf8 } from "../../base/mod.ts";
import type { Cancel } from "../../base/mod.ts";
import { publishLifeCycleEvents } from "./life-cycle-events.ts";
import type { LifeCycleEvents } from "./life-cycle-events.ts";

function publishAll({ broker, limits, logger, metrics }: BrokerWorld, which: LifeCycleEvents): Cancel {
  return publishLifeCycleEvents({ broker, limits, logger, metrics, which });
}

async function eventsOf(
  which: LifeCycleEvents,
  story: (world: BrokerWorld) => Promise<void>,
): Promise<[string, object][]> {
  const world = await BrokerWorld.started();
  const events: [string, object][] = [];
  world.broker.subscribeLocal("$aws/events/#", ({ topic, payload }) =>
    events.push([topic, JSON.parse(decodeUtf8(payload, 0, payload.length)) as object]),
  );
  publishAll(world, which);
  await story(world);
  await world.run(100);
  return events;
}

async function visit(world: BrokerWorld): Promise<void> {
  const client = world
    .client({ certificateId: "ab".repeat(32), remoteAddress: "192.0.2.9" })
    .connect({ clientId: "c1" });
  await world.run();
  client.subscribe("a/b").unsubscribe("a/b");
  await world.run();
  client.disconnect();
}

test("each connection is told with its session, its number and its end, each subscription with its topics", async () => {
  const [connected, subscribed, unsubscribed, disconnected, ...rest] = await eventsOf("all", visit);
  assert.deepEqual(rest, []);
  const { sessionIdentifier, timestamp, versionNumber } = connected![1] as Record<string, unknown>;
  const common = { clientId: "c1", timestamp, sessionIdentifier, principalIdentifier: "ab".repeat(32) };
  assert.equal(typeof timestamp, "number");
  assert.deepEqual(connected, [
    "$aws/events/presence/connected/c1",
    { ...common, eventType: "connected", ipAddress: "192.0.2.9", versionNumber },
  ]);
  const topics = ["a/b"];
  assert.deepEqual(subscribed, [
    "$aws/events/subscriptions/subscribed/c1",
    { ...common, eventType: "subscribed", topics },
  ]);
  assert.deepEqual(unsubscribed, [
    "$aws/events/subscriptions/unsubscribed/c1",
    { ...common, eventType: "unsubscribed", topics },
  ]);
  const end = { clientInitiatedDisconnect: true, disconnectReason: "CLIENT_INITIATED_DISCONNECT", versionNumber };
  assert.deepEqual(disconnected, [
    "$aws/events/presence/disconnected/c1",
    { ...common, eventType: "disconnected", ...end },
  ]);
});

test("a second connection of a client identifier ends the first, and each tells its own number", async () => {
  const events = await eventsOf("presence", async (world) => {
    await world.connected("c1");
    await world.connected("c1");
  });
  const told = events.map(([topic, e]) => {
    const { versionNumber, disconnectReason } = e as { versionNumber: number; disconnectReason?: string };
    return [topic.split("/")[3], versionNumber, disconnectReason];
  });
  const first = told[0]![1] as number;
  assert.deepEqual(told, [
    ["connected", first, undefined],
    ["disconnected", first, "DUPLICATE_CLIENTID"],
    ["connected", first + 1, undefined],
  ]);
});

test("client identifiers with wildcards get none, and the setting switches them off", async () => {
  const odd = async (world: BrokerWorld): Promise<void> => void (await world.connected("a+#"));
  assert.deepEqual(await eventsOf("all", odd), []);
  assert.deepEqual(await eventsOf("none", visit), []);
  const topics = (await eventsOf("presence", visit)).map(([topic]) => topic);
  assert.deepEqual(topics, ["$aws/events/presence/connected/c1", "$aws/events/presence/disconnected/c1"]);
});

test("a log that takes nothing loses the event, counted, and the client connects all the same", async () => {
  const world = await BrokerWorld.started();
  publishAll(world, "all");
  world.journal.failure = new Error("full");
  const client = await world.connected("c1");
  assert.equal(client.last("connack")?.reasonCode, 0);
  assert.equal(world.metrics.value("tidewire_life_cycle_events_lost_total"), 1);
});

test("a fleet that comes back has each told of at once and in order, and costs a few syncs", async () => {
  const world = await BrokerWorld.started();
  const told: string[] = [];
  world.broker.subscribeLocal("$aws/events/presence/#", ({ topic }) => told.push(topic.split("/").at(-1)!));
  publishAll(world, "presence");
  const fleet = Array.from({ length: 300 }, (_, n) => `c${n}`);
  const before = world.journal.syncs;
  for (const clientId of fleet) {
    world.client().connect({ clientId });
    await world.run(5);
    assert.equal(told.at(-1), clientId);
  }
  await world.run(1_000);
  assert.deepEqual(told, fleet);
  assert.equal(world.journal.durable, 300);
  assert.ok(world.journal.syncs - before <= 9, `${world.journal.syncs - before} syncs in one and a half seconds`);
});

test("a publish is acknowledged as soon as ever, and takes the events before it to the disk", async () => {
  const world = await BrokerWorld.started();
  publishAll(world, "presence");
  const client = await world.connected("c1");
  await world.run(300);
  await world.connected("c2");
  assert.equal(world.journal.durable, 1, "nobody waits for the second event");
  client.publish("a", "1", { qos: 1, packetId: 7 });
  await world.run();
  assert.equal(client.last("puback")?.packetId, 7);
  assert.equal(world.journal.durable, 3);
});

test("what is acknowledged with the offset of an event does not wait for that event's patience", async () => {
  const world = await BrokerWorld.started();
  publishAll(world, "presence");
  const client = await world.connected("c1");
  client.acknowledges = false;
  client.publish("a", "1", { qos: 2, packetId: 7 });
  await world.run();
  assert.equal(client.last("pubrec")?.packetId, 7);
  await world.connected("c2");
  assert.equal(world.journal.durable, 2, "the second client's event waits");
  client.acknowledge("pubrel", 7);
  await world.run();
  assert.equal(client.last("pubcomp")?.packetId, 7);
});

test("a subscriber of events waits for the disk alone", async () => {
  const world = await BrokerWorld.started();
  publishAll(world, "presence");
  const watcher = await world.connected("watcher");
  watcher.subscribe("$aws/events/presence/connected/#", { qos: 1 });
  await world.run();
  await world.connected("c1");
  assert.equal(watcher.last("publish")?.topic, "$aws/events/presence/connected/c1");
});
