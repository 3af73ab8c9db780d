import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../../sim/broker.ts";
import { decodeUtf8 } from "../../base/mod.ts";
import type { Cancel } from "../../base/mod.ts";
import { publishLifeCycleEvents } from "./life-cycle-events.ts";
import type { LifeCycleEvents } from "./life-cycle-events.ts";

function publishAll({ broker, limits, logger, metrics, clock }: BrokerWorld, which: LifeCycleEvents): Cancel {
  return publishLifeCycleEvents({ broker, limits, logger, metrics, scheduler: clock, which });
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

test("a fleet that comes back is told of together, in order and in full; the first of it at once", async () => {
  const world = await BrokerWorld.started();
  const told: { readonly clientId: string; readonly at: number }[] = [];
  world.broker.subscribeLocal("$aws/events/presence/#", ({ topic }) =>
    told.push({ clientId: topic.split("/").at(-1)!, at: world.clock.monotonic() }),
  );
  publishAll(world, "presence");
  const fleet = Array.from({ length: 300 }, (_, n) => `c${n}`);
  for (const clientId of fleet) world.client().connect({ clientId });
  await world.run();
  assert.deepEqual(
    told.map(({ clientId }) => clientId),
    ["c0"],
  );
  await world.run(1_000);
  assert.deepEqual(
    told.map(({ clientId }) => clientId),
    fleet,
  );
  assert.equal(new Set(told.slice(1).map(({ at }) => at)).size, 1);
  await world.connected("late");
  assert.equal(told.at(-1)!.clientId, "late", "after a silence nothing waits");
});

test("what waits for others when the platform stops is told", async () => {
  const world = await BrokerWorld.started();
  let told = 0;
  world.broker.subscribeLocal("$aws/events/presence/#", () => told++);
  const stop = publishAll(world, "presence");
  for (const clientId of ["a", "b", "c"]) world.client().connect({ clientId });
  await world.run();
  stop();
  await world.run();
  assert.equal(told, 3);
});
