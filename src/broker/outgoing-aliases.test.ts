import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { SimRandom } from "../../sim/world.ts";
import { frameOf } from "./frame.ts";
import { OutgoingAliases } from "./outgoing-aliases.ts";

const TOPIC = "telemetry/pump-17/pressure";
const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;

/** Topic and alias of what came, in order; the simulated client has resolved the topic, or thrown. */
function seen(client: SimClient): (readonly [topic: string, alias: number])[] {
  const all = client.publishes.map(({ topic, alias }) => [topic, alias] as const);
  client.received.length = 0;
  return all;
}

async function subscriber(world: BrokerWorld, options: Parameters<BrokerWorld["connected"]>[1]): Promise<SimClient> {
  const client = (await world.connected("sub", options)).subscribe("#", { qos: 2 });
  await world.run();
  client.received.length = 0;
  return client;
}

describe("topic aliases that we give", () => {
  for (const qos of [0, 1, 2] as const) {
    test(`QoS ${qos}: a topic that comes again gets one, and is then left out; never 0 [MQTT-3.3.2-8]`, async () => {
      const world = await BrokerWorld.started();
      const client = await subscriber(world, { topicAliasMaximum: 5 });
      const publisher = await world.connected("pub");
      for (let i = 0; i < 4; i++) publisher.publish(TOPIC, `${i}`, { qos, packetId: i + 1 });
      publisher.publish("another/topic", "once", { qos, packetId: 5 });
      await world.run();
      const payloads = client.publishes.map((p) => p.payload);
      const [first, second, third, fourth, other] = seen(client);
      assert.deepEqual(payloads, ["0", "1", "2", "3", "once"]);
      assert.deepEqual(first, [TOPIC, 0], "nothing is promised to a topic that may never come again");
      assert.equal(second![0], TOPIC);
      assert.ok(second![1] >= 1 && second![1] <= 5);
      assert.deepEqual([third, fourth], [second, second]);
      assert.deepEqual(other, ["another/topic", 0]);
    });
  }

  test("never above the client's Topic Alias Maximum [MQTT-3.1.2-26], [MQTT-3.3.2-11], whatever the topics are", async () => {
    const world = await BrokerWorld.started();
    const client = await subscriber(world, { topicAliasMaximum: 3 });
    const publisher = await world.connected("pub");
    const random = new SimRandom(7);
    const expected: string[] = [];
    for (let i = 0; i < 400; i++) {
      const topic = `plant/line-${Math.floor(random.next() ** 3 * 20)}/value`;
      expected.push(topic);
      publisher.publish(topic, "x");
    }
    await world.run();
    const all = seen(client);
    assert.deepEqual(
      all.map(([topic]) => topic),
      expected,
    );
    assert.ok(all.every(([, alias]) => alias <= 3));
    assert.ok(all.filter(([, alias]) => alias > 0).length > 100, "and they are used");
  });

  test("none where the client says 0 or nothing [MQTT-3.1.2-27], nor in 3.1.1", async () => {
    const world = await BrokerWorld.started();
    const clients = [
      await world.connected("zero", { topicAliasMaximum: 0 }),
      await world.connected("old", { version: 4 }),
    ];
    for (const client of clients) client.subscribe("#");
    const publisher = await world.connected("pub");
    for (let i = 0; i < 5; i++) publisher.publish(TOPIC, "x");
    await world.run();
    for (const client of clients)
      assert.deepEqual(
        seen(client),
        Array.from({ length: 5 }, () => [TOPIC, 0]),
      );
  });

  test("at most our own number of topics, however many the client would take", async () => {
    const world = await BrokerWorld.started({ limits: { topicAliasesGivenMax: 2 } });
    const client = await subscriber(world, { topicAliasMaximum: 65_535 });
    const publisher = await world.connected("pub");
    for (let i = 0; i < 300; i++) publisher.publish(`line/${i % 10}/x`, "x");
    await world.run();
    assert.ok(seen(client).every(([, alias]) => alias <= 2));
  });

  test("a new connection starts without: what was unacknowledged comes with its topic and DUP [MQTT-3.3.2-7]", async () => {
    const world = await BrokerWorld.started();
    const client = await subscriber(world, { ...kept, topicAliasMaximum: 5 });
    client.acknowledges = false;
    const publisher = await world.connected("pub");
    for (let i = 0; i < 3; i++) publisher.publish(TOPIC, `${i}`, { qos: 1, packetId: i + 1 });
    await world.run();
    assert.ok(seen(client)[2]![1] > 0);
    client.cut();
    const again = await world.connected("sub", { ...kept, topicAliasMaximum: 5 });
    await world.run();
    assert.deepEqual(
      again.publishes.map((p) => [p.topic, p.payload, p.dup]),
      [0, 1, 2].map((i) => [TOPIC, `${i}`, true]),
    );
    const [first] = seen(again);
    assert.equal(first![1], 0);
    again.cut();
    const without = await world.connected("sub", kept);
    await world.run();
    assert.deepEqual(seen(without), []);
  });

  test("with subscription identifiers, expiry and retained messages too", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("sub", { topicAliasMaximum: 5 });
    client.subscribe("#", { identifier: 9 });
    const publisher = await world.connected("pub");
    const properties = { messageExpirySeconds: 60, contentType: "t" };
    for (let i = 0; i < 3; i++) publisher.publish(TOPIC, `${i}`, { qos: 1, packetId: i + 1, properties, retain: true });
    await world.run();
    assert.ok(client.publishes.every((p) => p.identifiers[0] === 9 && p.properties?.contentType === "t"));
    const [, second, third] = seen(client);
    assert.ok(second![1] > 0);
    assert.deepEqual(third, second);
    client.subscribe(TOPIC);
    await world.run();
    assert.deepEqual(client.publishes.at(-1)?.retain, true);
    assert.deepEqual(seen(client), [second]);
  });

  test("a packet that the alias makes too large goes without it, and the alias is not taken for known", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    // 2 + 2 + 26 + 1 + payload: the first three fit with exactly nothing to spare.
    const bare = 2 + 2 + TOPIC.length + 1;
    const client = await subscriber(world, { topicAliasMaximum: 5, maximumPacketSize: bare + 60 });
    const payload = "x".repeat(60);
    for (let i = 0; i < 3; i++) publisher.publish(TOPIC, payload);
    publisher.publish(TOPIC, "short");
    publisher.publish(TOPIC, payload);
    publisher.publish(TOPIC, "y".repeat(100));
    publisher.publish(TOPIC, "end");
    await world.run();
    const all = client.publishes.map(({ payload: text, alias }) => [text.length, alias > 0]);
    assert.deepEqual(all, [
      [60, false],
      [60, false],
      [60, false],
      [5, true],
      [60, true],
      // 100 bytes and no topic: now they do not fit either
      [3, true],
    ]);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "too-large" }), 1);
  });
});

describe("the table of aliases", () => {
  const view = (topic: string): ReturnType<typeof frameOf> =>
    frameOf({ topic, payload: new Uint8Array(0), qos: 0, retain: false, properties: null });

  test("a busy topic keeps its place against many that come once; a silent one loses it", () => {
    const aliases = new OutgoingAliases(1);
    const busy = view("plant/busy/value");
    aliases.find(busy);
    assert.equal(aliases.find(busy), -1);
    aliases.told(busy);
    for (let i = 0; i < 100; i++) {
      assert.equal(aliases.find(busy), 1);
      assert.equal(aliases.find(view(`plant/once-${i}/value`)), 0);
    }
    for (let i = 0; i < 20; i++) aliases.find(view(`plant/later-${i}/value`));
    assert.equal(aliases.find(busy), 0);
    assert.equal(aliases.find(busy), -1, "it has to be told again");
  });

  test("a topic that is hardly longer than an alias gets none", () => {
    const aliases = new OutgoingAliases(4);
    for (let i = 0; i < 5; i++) assert.equal(aliases.find(view("a/b")), 0);
  });

  test("what was not told is not known", () => {
    const aliases = new OutgoingAliases(1);
    const topic = view("plant/lost/value");
    aliases.find(topic);
    assert.equal(aliases.find(topic), -1);
    assert.equal(aliases.find(topic), -1);
  });
});
