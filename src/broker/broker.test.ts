import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";

test("a message goes from publisher to subscriber, and is acknowledged once it is on disk [MQTT-4.3.2-4]", async () => {
  const world = await BrokerWorld.started();
  world.journal.mode = "held";
  const subscriber = (await world.connected("sub")).subscribe("a/+");
  const publisher = await world.connected("pub");
  await world.run();
  publisher.publish("a/b", "hello", { qos: 1, packetId: 7 });
  await world.run();
  assert.deepEqual(subscriber.take(), ["a/b=hello"], "delivered at once");
  assert.equal(publisher.last("puback"), undefined, "not acknowledged before the disk has it");
  world.journal.sync();
  await world.run();
  assert.deepEqual(publisher.last("puback"), { type: "puback", packetId: 7, reasonCode: 0 });
});
