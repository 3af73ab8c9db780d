/** `--limits protocol`: what MQTT itself allows works, at its far end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { PROTOCOL_LIMITS } from "./protocol-limits.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 0xffff_ffff } as const;

async function started(): Promise<BrokerWorld> {
  return BrokerWorld.started({ limits: { ...PROTOCOL_LIMITS, outputBytesMax: 1e9, backlogBytesMax: 1e9 } });
}

/** With a wildcard as late as 65,535 bytes allow. */
function deepFilterOf(topic: string): string {
  if (topic.endsWith("/")) return `${topic.slice(0, -1)}#`;
  return topic.includes("/") ? `${topic.slice(0, topic.lastIndexOf("/"))}/+` : "+";
}

describe("topics of 65,535 bytes", () => {
  for (const [name, topic] of [
    ["one level", "x".repeat(65_535)],
    ["30,000 levels", `${"a/".repeat(29_999)}${"b".repeat(5_537)}`],
    ["65,536 levels, all of them empty", "/".repeat(65_535)],
  ] as const) {
    for (const version of [5, 4] as const) {
      test(`${name}, ${version === 5 ? "5.0" : "3.1.1"}: published, retained, subscribed to and left`, async () => {
        const world = await started();
        const reader = await world.connected("reader", { version });
        reader.subscribe(topic);
        const deep = await world.connected("deep", { version });
        deep.subscribe(deepFilterOf(topic));
        const writer = await world.connected("writer", { version });
        writer.publish(topic, "live", { qos: 1, retain: true });
        await world.run();
        const whole = (client: SimClient): boolean => client.publishes[0]?.topic === topic;
        assert.ok(whole(reader), "by its name");
        assert.ok(whole(deep), "by a filter as deep");
        const late = await world.connected("late", { version });
        late.subscribe("#");
        await world.run(1_000);
        assert.ok(whole(late), "retained");
        writer.publish(topic, "", { retain: true });
        reader.unsubscribe(topic);
        await world.run(1_000);
        assert.deepEqual(reader.last("unsuback")?.reasonCodes, version === 5 ? [0] : []);
        assert.equal(world.metrics.value("tidewire_mqtt_retained_messages"), 0);
      });
    }
  }
});

test("65,535 publishes in flight from one client, 32,767 deliveries of QoS 1 to another", async () => {
  const world = await started();
  const reader = await world.connected("reader", { receiveMaximum: 65_535 });
  reader.subscribe("a");
  reader.acknowledges = false;
  const writer = await world.connected("writer");
  assert.equal(writer.last("connack")?.receiveMaximum ?? 65_535, 65_535);
  world.journal.mode = "held";
  const packet = {
    topic: "a",
    payload: new Uint8Array(),
    qos: 1,
    retain: false,
    dup: false,
    properties: null,
  } as const;
  writer.send((w) => {
    for (let packetId = 1; packetId <= 65_535; packetId++) w.publish({ ...packet, packetId });
  });
  await world.run();
  assert.ok(writer.open);
  assert.equal(writer.last("puback"), undefined);
  world.journal.sync();
  await world.run();
  assert.equal(writer.received.filter((p) => p.type === "puback").length, 65_535);
  assert.equal(reader.publishes.length, 32_767);
  assert.equal(new Set(reader.publishes.map((p) => p.packetId)).size, 32_767, "no identifier twice");
  reader.puback(reader.publishes[0]!.packetId);
  await world.run();
  assert.equal(reader.publishes.length, 32_768, "the next one takes the identifier that is free");
});

test("topic alias 65,535, keep-alive 65,535 and a session that never expires", async () => {
  const world = await started();
  const reader = await world.connected("reader");
  reader.subscribe("a");
  const client = await world.connected("far", { ...kept, keepAliveSeconds: 65_535 });
  const connack = client.last("connack")!;
  assert.equal(connack.topicAliasMaximum, 65_535);
  assert.equal(connack.serverKeepAliveSeconds, undefined);
  assert.equal(connack.sessionExpirySeconds, undefined);
  client.publish("a", "1", { topicAlias: 65_535 }).publish("", "2", { topicAlias: 65_535 });
  await world.run();
  assert.deepEqual(reader.take(), ["a=1", "a=2"]);
  client.cut();
  world.clock.advance(1_000);
  const back = await world.connected("far", kept);
  assert.equal(back.last("connack")?.sessionPresent, true);
});

test("ten thousand user properties travel, and so do ten thousand filters in one packet", async () => {
  const world = await started();
  const reader = await world.connected("reader");
  const options = { qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const requests = Array.from({ length: 10_000 }, (_, i) => Object.assign({ filter: `f/${i}` }, options));
  reader.send((w) => w.subscribe({ packetId: 1, requests, subscriptionIdentifier: 0 }));
  const writer = await world.connected("writer");
  const userProperties = Array.from({ length: 10_000 }, (_, i) => [`${i}`, "v"] as const);
  writer.publish("f/9999", "x", { properties: { userProperties } });
  await world.run();
  assert.equal(reader.last("suback")?.reasonCodes.length, 10_000);
  assert.deepEqual(reader.publishes[0]?.properties?.userProperties, userProperties);
});
