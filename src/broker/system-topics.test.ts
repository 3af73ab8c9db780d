import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { LoadAverages } from "./load-averages.ts";

const PERIOD = 10_000;
let heap = 1000;

function started(): Promise<BrokerWorld> {
  heap = 1000;
  return BrokerWorld.started({ broker: { system: { version: "9.9.9", heapBytes: () => heap, period: PERIOD } } });
}

/** The latest value by topic, without `$SYS/broker/`. */
function valuesOf(client: SimClient): Map<string, string> {
  return new Map(client.publishes.map(({ topic, payload }) => [topic.replace("$SYS/broker/", ""), payload]));
}

describe("$SYS", () => {
  test("a new subscriber gets the present values like retained messages, at QoS 0, behind its SUBACK", async () => {
    const world = await started();
    const client = (await world.connected("admin")).subscribe("$SYS/#", { identifier: 3 });
    await world.run();
    assert.deepEqual(
      client.received.slice(0, 3).map((p) => p.type),
      ["connack", "suback", "publish"],
    );
    assert.ok(client.publishes.every((p) => p.retain && p.qos === 0 && p.identifiers[0] === 3));
    assert.equal(valuesOf(client).get("version"), "tidewire 9.9.9");
    assert.equal(world.journal.messages.length, 0, "nothing of it is in the log");
    assert.deepEqual([...world.state.retained.messages.keys()], []);
  });

  test("has what Mosquitto's exporters read", async () => {
    const world = await started();
    const client = (await world.connected("admin")).subscribe("$SYS/broker/#");
    await world.run();
    const names = new Set(valuesOf(client).keys());
    const loads =
      "messages/received messages/sent publish/received publish/sent publish/dropped bytes/received bytes/sent"
        .concat(" sockets connections")
        .split(" ")
        .flatMap((name) => ["1min", "5min", "15min"].map((span) => `load/${name}/${span}`));
    const wanted = [
      ...["total", "connected", "disconnected", "maximum", "expired", "active", "inactive"].map((n) => `clients/${n}`),
      "bytes/received",
      "bytes/sent",
      "messages/received",
      "messages/sent",
      "messages/stored",
      "publish/messages/received",
      "publish/messages/sent",
      "publish/messages/dropped",
      "publish/bytes/received",
      "publish/bytes/sent",
      "subscriptions/count",
      "shared_subscriptions/count",
      "retained messages/count",
      "store/messages/count",
      "store/messages/bytes",
      "heap/current",
      "heap/maximum",
      "uptime",
      "version",
      ...loads,
    ];
    assert.deepEqual(
      wanted.filter((name) => !names.has(name)),
      [],
    );
    assert.equal(names.size, wanted.length, "and nothing that this test does not know");
  });

  test("counts packets, bytes, clients and subscriptions; what has not changed is not sent again", async () => {
    const world = await started();
    const admin = (await world.connected("admin", { keepAliveSeconds: 3600 })).subscribe("$SYS/broker/#");
    const kept = await world.connected("kept", { cleanStart: false, sessionExpirySeconds: 12 });
    kept.subscribe("a").subscribe("b");
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    publisher.publish("a", "12345", { qos: 1, retain: true });
    await world.run();
    kept.cut();
    publisher.publish("a", "123", { qos: 1 }).send((w) => w.pingreq());
    await world.run();
    admin.received.length = 0;
    heap = 500;
    await world.run(PERIOD);
    const first = valuesOf(admin);
    const picked = (...names: string[]): Record<string, string | undefined> =>
      Object.fromEntries(names.map((name) => [name, first.get(name)]));
    assert.deepEqual(
      picked(
        "clients/total",
        "clients/connected",
        "clients/disconnected",
        "subscriptions/count",
        "retained messages/count",
      ),
      {
        "clients/total": "3",
        "clients/connected": "2",
        "clients/disconnected": "1",
        "subscriptions/count": "3",
        "retained messages/count": "1",
      },
    );
    // 3 CONNECT, 3 SUBSCRIBE, 1 PUBACK, 1 PINGREQ, 2 PUBLISH
    assert.deepEqual(
      picked("messages/received", "publish/messages/received", "publish/bytes/received", "store/messages/count"),
      {
        "messages/received": "10",
        "publish/messages/received": "2",
        "publish/bytes/received": "8",
        "store/messages/count": "1",
      },
    );
    // 10 packets in 10 s are 60 a minute; of that counts 1 - e^(-1/6).
    assert.equal(first.get("load/messages/received/1min"), (60 * (1 - Math.exp(-1 / 6))).toFixed(2));
    assert.deepEqual(
      [first.get("heap/current"), first.get("heap/maximum"), first.has("version")],
      ["500", undefined, false],
    );
    assert.equal(first.get("uptime"), "10 seconds");
    admin.received.length = 0;
    await world.run(PERIOD);
    assert.equal(valuesOf(admin).get("clients/expired"), "1");
    assert.equal(valuesOf(admin).has("publish/messages/received"), false);
    assert.ok(
      admin.publishes.every((p) => !p.retain),
      "news are not retained messages",
    );
  });

  test("a wildcard does not ask for it [MQTT-4.7.2-1], and a policy decides topic by topic", async () => {
    const world = await started();
    const everything = (await world.connected("everything")).subscribe("#").subscribe("+/broker/uptime");
    world.policy("narrow").change({ receive: (topic) => topic.endsWith("/uptime") });
    const narrow = (await world.connected("narrow")).subscribe("$SYS/#");
    world.policy("denied").change({ subscribe: (filter) => !filter.startsWith("$SYS") });
    const denied = (await world.connected("denied")).subscribe("$SYS/#");
    await world.run(3 * PERIOD);
    assert.deepEqual(everything.take(), []);
    assert.deepEqual([...valuesOf(narrow).keys()], ["uptime"]);
    assert.deepEqual(denied.take(), []);
  });

  test("retain handling 2 wants no present values; without a period there are no such topics", async () => {
    const world = await started();
    const later = (await world.connected("later")).subscribe("$SYS/#", { retainHandling: 2 });
    await world.run();
    assert.deepEqual(later.take(), []);
    const none = await BrokerWorld.started({ broker: { system: { version: "1", heapBytes: () => 0, period: 0 } } });
    const client = (await none.connected("admin")).subscribe("$SYS/#");
    await none.run(2 * PERIOD);
    assert.deepEqual(client.take(), []);
  });
});

describe("load averages", () => {
  test("a steady rate is what all three come to; a burst fades from the short one first", () => {
    const loads = new LoadAverages(0, { x: 0 });
    let now = 0;
    for (let i = 1; i <= 600; i++) loads.advance((now = i * 10_000), { x: i * 5 });
    const steady = new Map(loads.values());
    for (const span of ["1min", "5min", "15min"]) assert.ok(Math.abs(steady.get(`x/${span}`)! - 30) < 0.5, span);
    for (let i = 1; i <= 6; i++) loads.advance(now + i * 10_000, { x: 3000 });
    const quiet = new Map(loads.values());
    assert.ok(Math.abs(quiet.get("x/1min")! - 30 / Math.E) < 0.1);
    assert.ok(quiet.get("x/1min")! < quiet.get("x/5min")! && quiet.get("x/5min")! < quiet.get("x/15min")!);
  });

  test("no time, no change", () => {
    const loads = new LoadAverages(5, { x: 0 });
    loads.advance(5, { x: 100 });
    assert.deepEqual(new Map(loads.values()).get("x/1min"), 0);
  });
});
