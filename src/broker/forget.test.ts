import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { ForgottenThings } from "../base/mod.ts";

test("a forgotten thing's sessions, what waited for them, its will and its retained messages go; others' and later ones stay", async () => {
  const world = new BrokerWorld();
  await world.broker.restore();
  const watcher = await world.connected("watcher");
  watcher.subscribe("wills/#");
  const will = {
    topic: "wills/gone",
    payload: new Uint8Array(3),
    qos: 1 as const,
    retain: false,
    delaySeconds: 0,
    properties: null,
  };
  const gone = await world.connected("gone", { will, sessionExpirySeconds: 3600 });
  gone.subscribe("commands/#", { qos: 1 });
  gone.publish("factory/x", "from it", { qos: 1, packetId: 1, retain: true });
  const other = await world.connected("other");
  other.publish("telemetry/thing-gone/m", "about it", { qos: 1, packetId: 1, retain: true });
  other.publish("telemetry/thing-other/m", "about another", { qos: 1, packetId: 2, retain: true });
  await world.run();
  const below = world.journal.durable;
  other.publish("telemetry/thing-gone/later", "said later", { qos: 1, packetId: 3, retain: true });
  await world.run();
  const forgotten = new ForgottenThings([{ thing: "thing-gone", below }]);
  const done = world.broker.forgetThing("thing-gone", (offset, source) => forgotten.skips(offset, source));
  await world.run(5_000);
  const { connections, sessions, retained } = await done;
  assert.deepEqual({ connections, sessions, retained }, { connections: 1, sessions: 1, retained: 2 });
  assert.notEqual(gone.state, "open");
  assert.equal(watcher.last("publish"), undefined, "its will was not published");
  for (let life = 0; life < 2; life++) {
    const reader = await world.connected(`reader-${life}`);
    reader.subscribe("#");
    await world.run(2_000);
    const topics = reader.received.flatMap((packet) => (packet.type === "publish" ? [packet.topic] : []));
    assert.deepEqual(topics.toSorted(), ["telemetry/thing-gone/later", "telemetry/thing-other/m"]);
    const again = await world.connected("gone", { cleanStart: false });
    const connack = again.received.find((packet) => packet.type === "connack");
    assert.equal(connack?.type === "connack" && connack.sessionPresent, false);
    await world.crashAndRestart();
  }
});
