import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../../sim/broker.ts";
import { decodeUtf8 } from "../../base/mod.ts";
import { publishLifeCycleEvents } from "./life-cycle-events.ts";
import type { LifeCycleEvents } from "./life-cycle-events.ts";

function publishAll({ broker, limits, logger, metrics }: BrokerWorld, which: LifeCycleEvents): void {
  publishLifeCycleEvents({ broker, limits, logger, metrics, which });
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
  await world.run();
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
