/** Every limit is reached once: the right answer, counted, and a client beside it that notices nothing. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { LIMITS } from "../base/mod.ts";
import type { MqttLimits } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { COUNTED_LIMITS, LIMIT_EFFECTS } from "./limit-effects.ts";
import type { LimitName } from "./limit-effects.ts";
import { LIMIT_REACHED } from "./reached-limits.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;

interface Case {
  readonly limits?: Partial<MqttLimits>;
  readonly hit: (world: BrokerWorld) => Promise<void>;
}

/** The reason with which a client was sent away, or refused. */
function reason(client: SimClient): number | undefined {
  return client.last("disconnect")?.reasonCode ?? client.last("connack")?.reasonCode;
}

/** What is answered to a client of each version. */
async function both(
  world: BrokerWorld,
  act: (client: SimClient) => void | Promise<void>,
  check: (client: SimClient, version: 4 | 5) => void,
): Promise<void> {
  for (const version of [5, 4] as const) {
    const client = await world.connected(`bad-${version}`, { version });
    await act(client);
    await world.run();
    check(client, version);
  }
}

const sentAway =
  (code: number) =>
  (client: SimClient, version: 4 | 5): void => {
    if (version === 5) assert.equal(client.last("disconnect")?.reasonCode, code);
    assert.equal(client.open, false);
  };

const notConnected =
  (code: number, code3: number) =>
  (client: SimClient): void => {
    assert.equal(client.last("connack")?.reasonCode, client.version === 5 ? code : code3);
    assert.equal(client.open, false);
  };

/** Sends until it is held, at most `most` times; then lets the time pass, and it may go on. */
async function heldOnce(world: BrokerWorld, client: SimClient, most: number, send: () => void): Promise<void> {
  let sent = 0;
  while (!client.paused && sent < most) {
    send();
    sent++;
  }
  assert.ok(client.paused, `read from all the same, after ${sent}`);
  assert.ok(client.open);
  await world.run(10_000);
  assert.ok(!client.paused, "it goes on later");
}

const CASES: Partial<Record<LimitName, Case>> = {
  packetBytesMax: {
    limits: { packetBytesMax: 1_000, connectBytesMax: 900 },
    hit: (world) => both(world, (c) => void c.publish("a", "x".repeat(2_000)), sentAway(REASON.packetTooLarge)),
  },
  connectBytesMax: {
    limits: { connectBytesMax: 200 },
    hit: async (world) => {
      const client = world.client();
      client.sendBytes(Uint8Array.of(0x10, 0x80, 0x10)); // the body is not waited for
      await world.run();
      assert.equal(client.open, false);
    },
  },
  topicBytesMax: {
    limits: { topicBytesMax: 20 },
    hit: async (world) => {
      const long = "x".repeat(21);
      await both(world, (c) => void c.publish(long, "x"), sentAway(REASON.topicNameInvalid));
      await both(
        world,
        (c) => void c.subscribe(long),
        (c, version) =>
          assert.deepEqual(c.last("suback")?.reasonCodes, [version === 5 ? REASON.topicFilterInvalid : 0x80]),
      );
    },
  },
  topicLevelsMax: {
    limits: { topicLevelsMax: 3 },
    hit: async (world) => {
      await both(world, (c) => void c.publish("a/b/c/d", "x"), sentAway(REASON.topicNameInvalid));
      const will = { topic: "a/b/c/d", payload: new Uint8Array(), qos: 0, retain: false, delaySeconds: 0 } as const;
      const client = world.client().connect({ clientId: "w", will: { ...will, properties: null } });
      await world.run();
      assert.equal(client.last("connack")?.reasonCode, REASON.topicNameInvalid);
    },
  },
  clientIdBytesMax: {
    limits: { clientIdBytesMax: 10 },
    hit: async (world) => {
      for (const version of [5, 4] as const) {
        const client = await world.connected("x".repeat(11), { version });
        notConnected(REASON.clientIdentifierNotValid, 2)(client);
      }
    },
  },
  userPropertiesMax: {
    limits: { userPropertiesMax: 4 },
    hit: async (world) => {
      const userProperties = Array.from({ length: 5 }, () => ["a", "b"] as const);
      const client = await world.connected("bad");
      client.publish("a", "x", { properties: { userProperties } });
      await world.run();
      assert.equal(reason(client), REASON.quotaExceeded);
      const second = await world.connected("bad-2", { userProperties });
      assert.equal(reason(second), REASON.quotaExceeded);
    },
  },
  filtersPerSubscribeMax: {
    limits: { filtersPerSubscribeMax: 2 },
    hit: (world) => {
      const options = { qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
      const requests = ["a", "b", "c"].map((filter) => Object.assign({ filter }, options));
      return both(
        world,
        (c) => void c.send((w) => w.subscribe({ packetId: 1, requests, subscriptionIdentifier: 0 })),
        sentAway(REASON.quotaExceeded),
      );
    },
  },
  subscriptionsPerSessionMax: {
    limits: { subscriptionsPerSessionMax: 2 },
    hit: (world) =>
      both(
        world,
        (c) => ["a", "b", "c"].forEach((filter) => c.subscribe(filter)),
        (c, version) => {
          assert.deepEqual(c.last("suback")?.reasonCodes, [version === 5 ? REASON.quotaExceeded : 0x80]);
          assert.ok(c.open);
        },
      ),
  },
  sharedSubscriptionsPerSessionMax: {
    limits: { sharedSubscriptionsPerSessionMax: 2 },
    hit: (world) =>
      both(
        world,
        (c) => ["$share/g/a", "$share/h/a", "$share/i/a"].forEach((filter) => c.subscribe(filter)),
        (c, version) => {
          assert.deepEqual(c.last("suback")?.reasonCodes, [version === 5 ? REASON.quotaExceeded : 0x80]);
          assert.ok(c.open);
        },
      ),
  },
  inflightMax: {
    limits: { inflightMax: 2 },
    hit: async (world) => {
      world.journal.mode = "held";
      for (const version of [5, 4] as const) {
        const client = await world.connected(`bad-${version}`, { version });
        for (let i = 1; i <= 3; i++) client.publish("a", "x", { qos: 1, packetId: i });
        if (version === 5) await world.run();
        if (version === 5) sentAway(REASON.receiveMaximumExceeded)(client, 5);
        else assert.ok(client.open && client.paused, "3.1.1 knows no such number");
      }
      world.journal.mode = "automatic";
      world.journal.sync();
    },
  },
  authenticationStepsMax: {
    limits: { authenticationStepsMax: 2 },
    hit: async (world) => {
      world.authenticate = () => ({ step: () => ({ kind: "continue", data: null }) });
      const client = world.client().connect({ clientId: "bad", authenticationMethod: "endless" });
      for (let i = 0; i < 2; i++) {
        client.send((w) => w.auth({ reasonCode: 0x18, authenticationMethod: "endless", authenticationData: null }));
      }
      await world.run();
      assert.equal(reason(client), REASON.quotaExceeded);
    },
  },
  identifiersUnreleasedMax: {
    limits: { inflightMax: 2, identifiersUnreleasedMax: 2 },
    hit: async (world) => {
      const client = await world.connected("bad", { version: 4 });
      for (let packetId = 1; packetId <= 3; packetId++) client.publish("a", "x", { qos: 2, packetId });
      await world.run();
      assert.equal(client.open, false);
    },
  },
  topicAliasMax: {
    limits: { topicAliasMax: 2 },
    hit: async (world) => {
      const client = await world.connected("bad");
      client.publish("a", "x", { topicAlias: 3 });
      await world.run();
      assert.equal(reason(client), REASON.topicAliasInvalid);
    },
  },
  connectTimeout: {
    limits: { connectTimeout: 2_000 },
    hit: async (world) => {
      const client = world.client();
      await world.run(3_000);
      assert.equal(client.open, false);
    },
  },
  keepAliveSecondsMax: {
    limits: { keepAliveSecondsMax: 100 },
    hit: async (world) => {
      const client = await world.connected("long", { keepAliveSeconds: 65_535 });
      assert.equal(client.last("connack")?.serverKeepAliveSeconds, 100);
      await world.run(151_000);
      assert.equal(reason(client), REASON.keepAliveTimeout, "it does not fill its place for a day");
    },
  },
  sessionExpirySecondsMax: {
    limits: { sessionExpirySecondsMax: 100 },
    hit: async (world) => {
      const client = await world.connected("long", { ...kept, sessionExpirySeconds: 0xffff_ffff });
      assert.equal(client.last("connack")?.sessionExpirySeconds, 100);
      client.cut();
      await world.run(101_000);
      assert.equal(world.metrics.value("tidewire_mqtt_sessions"), 2, "those of the two beside it");
    },
  },
  queuedMessagesMax: { limits: { queuedMessagesMax: 3 }, hit: (world) => fillQueue(world, "x") },
  queuedBytesMax: { limits: { queuedBytesMax: 500 }, hit: (world) => fillQueue(world, "x".repeat(200)) },
  queuedTotalMessagesMax: {
    limits: { queuedMessagesMax: 64, queuedTotalMessagesMax: 3 },
    hit: async (world) => {
      await fillQueue(world, "x");
      await world.run(1_000);
      world.client().connect({ clientId: "late" }).publish("q", "x", { qos: 1 });
      await world.run();
    },
  },
  outputBytesMax: { limits: { outputBytesMax: 2_000 }, hit: (world) => stall(world) },
  outputTotalBytesMax: { limits: { outputBytesMax: 20_000, outputTotalBytesMax: 1_000 }, hit: (world) => stall(world) },
  connectionsMax: {
    limits: { connectionsMax: 3 },
    hit: async (world) => {
      await world.connected("third");
      for (const version of [5, 4] as const) {
        notConnected(REASON.serverBusy, 3)(await world.connected("fourth", { version }));
      }
      const again = await world.connected("third");
      assert.equal(again.last("connack")?.reasonCode, 0, "who is in may take its own place");
    },
  },
  greetingsMax: {
    limits: { greetingsMax: 2 },
    hit: async (world) => {
      const strangers = [world.client(), world.client(), world.client()];
      await world.run();
      assert.deepEqual(
        strangers.map((c) => c.open),
        [false, true, true],
        "who has waited longest goes",
      );
    },
  },
  connectionsPerThingMax: {
    limits: { connectionsPerThingMax: 2 },
    hit: async (world) => {
      standFor(world, "gateway");
      for (const id of ["g1", "g2"]) assert.equal((await world.connected(id)).last("connack")?.reasonCode, 0);
      notConnected(REASON.quotaExceeded, 3)(await world.connected("g3"));
      notConnected(REASON.quotaExceeded, 3)(await world.connected("g3", { version: 4 }));
      assert.equal((await world.connected("g2")).last("connack")?.reasonCode, 0, "its own place");
    },
  },
  connectsPerSecondMax: {
    limits: { connectsPerSecondMax: 5, rateBurst: 1_000 },
    hit: async (world) => {
      await world.run(2_000);
      const clients = Array.from({ length: 12 }, (_, i) => world.client().connect({ clientId: `c${i}` }));
      await world.run();
      const inNow = (): number => clients.filter((c) => c.last("connack")?.reasonCode === 0).length;
      assert.equal(inNow(), 5, "the others wait and are not read from");
      assert.equal(clients.filter((c) => c.paused).length, 7);
      await world.run(2_000);
      assert.equal(inNow(), 12, "nobody had to come again");
    },
  },
  connectsPerSecondPerAddressMax: {
    limits: { connectsPerSecondPerAddressMax: 1, connectionsPerAddressMax: 3 },
    hit: async (world) => {
      const from = (id: string, version: 4 | 5 = 5): SimClient =>
        world.client({ remoteAddress: "203.0.113.9", version }).connect({ clientId: id });
      for (let i = 0; i < 3; i++) from(`s${i}`);
      await world.run();
      const [five, four] = [from("s3"), from("s3", 4)];
      await world.run();
      notConnected(REASON.connectionRateExceeded, 3)(five);
      notConnected(REASON.connectionRateExceeded, 3)(four);
      await world.run(2_000);
      const later = from("s3");
      await world.run();
      assert.equal(later.last("connack")?.reasonCode, 0);
    },
  },
  messagesPerSecondMax: {
    limits: { messagesPerSecondMax: 10, rateBurst: 1_000 },
    hit: async (world) => {
      const client = await world.connected("bad");
      await heldOnce(world, client, 20, () => client.publish("x", "x"));
    },
  },
  bytesPerSecondMax: {
    limits: { bytesPerSecondMax: 10_000, rateBurst: 1_000 },
    hit: async (world) => {
      const client = await world.connected("bad");
      await heldOnce(world, client, 4, () => client.publish("x", "x".repeat(5_000)));
    },
  },
  messagesPerSecondPerThingMax: {
    limits: { messagesPerSecondPerThingMax: 10, rateBurst: 1_000 },
    hit: (world) => together(world, "x"),
  },
  bytesPerSecondPerThingMax: {
    limits: { bytesPerSecondPerThingMax: 10_000, rateBurst: 1_000 },
    hit: (world) => together(world, "x".repeat(2_000)),
  },
  messagesPerSecondPerTenantMax: {
    limits: { messagesPerSecondPerTenantMax: 50, rateBurst: 1_000 },
    hit: (world) => heldAlone(world, "x"),
  },
  bytesPerSecondPerTenantMax: {
    limits: { bytesPerSecondPerTenantMax: 50_000, rateBurst: 1_000 },
    hit: (world) => heldAlone(world, "x".repeat(2_000)),
  },
  messagesPerSecondTotalMax: {
    limits: { messagesPerSecondTotalMax: 50, rateBurst: 1_000 },
    hit: (world) => heldAlone(world, "x"),
  },
  bytesPerSecondTotalMax: {
    limits: { bytesPerSecondTotalMax: 50_000, rateBurst: 1_000 },
    hit: (world) => heldAlone(world, "x".repeat(2_000)),
  },
  filtersPerSecondMax: {
    limits: { filtersPerSecondMax: 10, rateBurst: 1_000 },
    hit: async (world) => {
      const client = await world.connected("bad");
      await heldOnce(world, client, 20, () => client.subscribe("x").unsubscribe("x"));
    },
  },
  turnWorkMax: {
    limits: { turnWorkMax: 100 },
    hit: async (world) => {
      const live = (await world.connected("live")).subscribe("x", { qos: 0 });
      const client = await world.connected("bad");
      await world.run();
      const bytes = Array.from({ length: 200 }, () => [0x30, 4, 0, 1, 0x78, 0]).flat();
      client.sendBytes(Uint8Array.from(bytes));
      assert.ok(client.paused);
      assert.ok(world.journal.messages.length < 60, `${world.journal.messages.length} in one turn`);
      await world.run();
      assert.equal(live.publishes.length, 200, "in the turns that follow");
      assert.ok(!client.paused);
    },
  },
  partialTotalBytesMax: {
    limits: { packetBytesMax: 64_000, partialTotalBytesMax: 10_000, queuedBytesMax: 64_000 },
    hit: async (world) => {
      const begun = [0x30, 0xe0, 0xd4, 0x03, 0, 1, 0x78, 0]; // a packet of 60,000 bytes
      const slow: SimClient[] = [];
      for (let i = 0; i < 4; i++) {
        const client = await world.connected(`slow-${i}`);
        client.sendBytes(Uint8Array.from([...begun, ...Array.from({ length: 4_000 }, () => 0)]));
        slow.push(client);
      }
      await world.run();
      assert.ok(slow.some((c) => reason(c) === REASON.quotaExceeded));
      assert.ok(
        slow.some((c) => c.open),
        "room is made, no more",
      );
    },
  },
  sessionsMax: {
    limits: { sessionsMax: 4 },
    hit: async (world) => {
      for (const id of ["c1", "c2"]) (await world.connected(id, kept)).cut();
      notConnected(REASON.quotaExceeded, 3)(await world.connected("c3", kept));
      notConnected(REASON.quotaExceeded, 3)(await world.connected("c3", { version: 4, cleanStart: false }));
      assert.equal((await world.connected("c2", kept)).last("connack")?.sessionPresent, true);
    },
  },
  sessionsPerThingMax: {
    limits: { sessionsPerThingMax: 2 },
    hit: async (world) => {
      standFor(world, "hoarder");
      for (const id of ["h1", "h2"]) (await world.connected(id, kept)).cut();
      notConnected(REASON.quotaExceeded, 3)(await world.connected("h3", kept));
      const passing = await world.connected("h4");
      assert.equal(passing.last("connack")?.reasonCode, 0, "it leaves nothing behind");
      passing.disconnect();
      (await world.connected("h1", { cleanStart: true })).disconnect();
      assert.equal((await world.connected("h3", kept)).last("connack")?.reasonCode, 0, "one is free again");
    },
  },
  willsTotalBytesMax: {
    limits: { willsTotalBytesMax: 5_000, connectBytesMax: 64_000 },
    hit: async (world) => {
      const will = (bytes: number) => ({
        topic: "gone",
        payload: new Uint8Array(bytes),
        qos: 0 as const,
        retain: false,
        delaySeconds: 500,
        properties: null,
      });
      (await world.connected("w1", { ...kept, will: will(4_000) })).cut();
      await world.run(1_000);
      notConnected(REASON.quotaExceeded, 3)(await world.connected("w2", { ...kept, will: will(4_000) }));
      assert.equal((await world.connected("w3", { will: will(900) })).last("connack")?.reasonCode, 0, "a small one");
      (await world.connected("w1", { cleanStart: true })).disconnect();
      await world.run(1_000);
      assert.equal((await world.connected("w2", { ...kept, will: will(4_000) })).last("connack")?.reasonCode, 0);
    },
  },
  retainedMessagesMax: { limits: { retainedMessagesMax: 2 }, hit: (world) => retainThree(world) },
  retainedBytesMax: { limits: { retainedBytesMax: 200 }, hit: (world) => retainThree(world) },
  retainedUnsavedMessagesMax: { limits: { retainedUnsavedMessagesMax: 5 }, hit: (world) => retainMore(world) },
  retainedUnsavedBytesMax: { limits: { retainedUnsavedBytesMax: 3_000 }, hit: (world) => retainMore(world) },
  backlogBytesMax: {
    limits: { backlogBytesMax: 4_000 },
    hit: async (world) => {
      world.journal.mode = "held";
      const client = await world.connected("bad");
      for (let i = 0; i < 30 && !client.paused; i++) client.publish("x", "x".repeat(500));
      assert.ok(client.paused, "the disk is behind");
      await world.run();
      world.journal.mode = "automatic";
      world.journal.sync();
      await world.run();
      assert.ok(!client.paused);
    },
  },
  stalledOutputMax: {
    limits: { stalledOutputMax: 5_000 },
    hit: async (world) => {
      const client = (await world.connected("bad", { keepAliveSeconds: 3_600 })).subscribe("x");
      await world.run();
      client.stall();
      client.send((w) => w.pingreq());
      await world.run(10_000);
      assert.equal(client.state, "destroyed");
    },
  },
};

async function fillQueue(world: BrokerWorld, payload: string): Promise<void> {
  (await world.connected("away", kept)).subscribe("q").cut();
  const client = await world.connected("sender");
  for (let i = 1; i <= 4; i++) client.publish("q", payload, { qos: 1, packetId: i });
  await world.run();
  assert.equal(client.received.filter((p) => p.type === "puback").length, 4, "the publisher has done its part");
}

async function stall(world: BrokerWorld): Promise<void> {
  const slow = (await world.connected("slow")).subscribe("s", { qos: 0 });
  const client = await world.connected("sender");
  await world.run();
  slow.stall();
  for (let i = 0; i < 10; i++) {
    client.publish("s", "x".repeat(500));
    await world.run(60); // longer than a publisher is paced at once
  }
  assert.ok(slow.open);
  assert.ok(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "slow-subscriber" }) > 0);
}

async function retainThree(world: BrokerWorld): Promise<void> {
  const live = (await world.connected("live")).subscribe("r/#");
  const client = await world.connected("sender");
  await world.run();
  for (const topic of ["r/1", "r/2", "r/3"]) client.publish(topic, "x".repeat(80), { retain: true });
  await world.run(1_500); // there is room, or not, once they are saved
  assert.equal(live.publishes.length, 3, "delivered in any case");
  assert.ok(world.metrics.value("tidewire_mqtt_retained_messages") < 3);
}

/** More than the state store has taken. */
async function retainMore(world: BrokerWorld): Promise<void> {
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const save = world.state.retained.save.bind(world.state.retained);
  world.state.retained.save = (changes, room) => gate.then(() => save(changes, room));
  const client = await world.connected("bad");
  for (let i = 0; i < 30 && !client.paused; i++) client.publish(`r/${i}`, "x".repeat(100), { retain: true });
  assert.ok(client.paused);
  open();
  await world.run(1_500);
  assert.ok(!client.paused);
}

/** All who come from now on have the certificate of one thing; those before are things of their own. */
function standFor(world: BrokerWorld, thing: string): void {
  world.admit = (_peer, { clientId }) => {
    const own = clientId.startsWith("beside");
    return { admitted: true, thing: own ? clientId : thing, authorizer: world.policy(clientId) };
  };
}

/** Two connections of one thing share its rate. */
async function together(world: BrokerWorld, payload: string): Promise<void> {
  standFor(world, "gateway");
  const [one, two] = [await world.connected("g1"), await world.connected("g2")];
  for (let i = 0; i < 20 && !(one.paused && two.paused); i++) {
    if (!one.paused) one.publish("x", payload);
    if (!two.paused) two.publish("x", payload);
  }
  assert.ok(one.paused && two.paused);
  await world.run(10_000);
  assert.ok(!one.paused && !two.paused);
}

/** One of three who share a rate uses it up: it waits, and the others do not. */
async function heldAlone(world: BrokerWorld, payload: string): Promise<void> {
  const moderate = await world.connected("moderate");
  const client = await world.connected("bad");
  moderate.publish("x", "x");
  for (let i = 0; i < 80 && !client.paused; i++) client.publish("x", payload);
  assert.ok(client.paused);
  for (let i = 0; i < 5; i++) moderate.publish("x", "x");
  assert.ok(!moderate.paused, "who uses less than its share goes on");
  await world.run(10_000);
  assert.ok(!client.paused);
}

const of = (world: BrokerWorld, limit: string): number => world.metrics.value(LIMIT_REACHED.name, { limit });

describe("a limit is reached", () => {
  for (const [name, { limits = {}, hit }] of Object.entries(CASES)) {
    test(`${name}: ${LIMIT_EFFECTS[name as LimitName].effect}`, async () => {
      const world = await BrokerWorld.started({ limits });
      const reader = (await world.connected("beside-1", { keepAliveSeconds: 0, version: 4 })).subscribe("ok");
      const writer = await world.connected("beside-2", { keepAliveSeconds: 0, version: 4 });
      await world.run();
      assert.equal(of(world, name), 0);
      await hit(world);
      await world.run();
      assert.ok(of(world, name) > 0, "it is counted");
      assert.ok(reader.open && writer.open, "those beside it are still there");
      writer.publish("ok", "as ever", { qos: 1 });
      await world.run();
      assert.deepEqual(reader.take(), ["ok=as ever"]);
      assert.ok(writer.last("puback"), "and are served");
    });
  }
});

test("every limit that is counted has its case here; the listener's own have theirs there", () => {
  const elsewhere: readonly LimitName[] = ["connectionsPerAddressMax"];
  assert.deepEqual([...Object.keys(CASES), ...elsewhere].sort(), [...COUNTED_LIMITS].sort());
});

test("limits, their effects, the page about them and the metric name the same", async () => {
  const names = Object.keys(LIMITS.mqtt).sort();
  assert.deepEqual(Object.keys(LIMIT_EFFECTS).sort(), names);
  const page = readFileSync(join(import.meta.dirname, "../../docs/reference/limits.md"), "utf8");
  assert.deepEqual([...page.matchAll(/^\| `mqtt\.(\w+)`/gm)].map(([, name]) => name!).sort(), names);
  const world = await BrokerWorld.started();
  for (const limit of COUNTED_LIMITS) assert.equal(of(world, limit), 0, "there before it is reached");
});
