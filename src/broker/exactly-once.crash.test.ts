import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { CarefulClient } from "../../sim/careful-client.ts";

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);

/** How the disk and the clock go on between two turns: one record more is on disk, or what was saved is saved. */
const TURNS_MAX = 60;

/**
 * Two clients and six messages, one record of the log reaching the disk per turn. After `cut` turns the power goes; then
 * everybody comes back. True where the story was over before.
 */
async function cutAfter(cut: number, options: { receiveMaximum: number; saveAt: number; dies: "broker" | "network" }) {
  const world = await BrokerWorld.started({ limits: { routesCachedMax: 8 } });
  const publisher = new CarefulClient(world, "pub");
  const subscriber = new CarefulClient(world, "sub", options.receiveMaximum);
  const connection = await subscriber.connect();
  connection.subscribe("a", { qos: 2 });
  await publisher.connect();
  world.journal.mode = "held";
  for (const n of numbers(0, 6)) publisher.publish("a", n, 2);
  let turn = 0;
  const done = (): boolean =>
    subscriber.got.length === 6 &&
    publisher.publications.length === 0 &&
    world.metrics.value("tidewire_mqtt_exchanges") === 0;
  for (; turn < cut && !done(); turn++) {
    await world.run();
    if (turn === options.saveAt) await world.run(1_000);
    world.journal.sync(world.journal.durable + 1);
  }
  const over = turn < cut;
  world.journal.mode = "automatic";
  if (options.dies === "broker") {
    await world.crashAndRestart();
    publisher.lost();
    subscriber.lost();
  } else {
    publisher.cut();
    subscriber.cut();
    world.journal.sync();
  }
  await subscriber.connect();
  await publisher.connect();
  await world.run(10);
  const context = `cut after ${cut} turns, ${JSON.stringify(options)}`;
  assert.deepEqual(
    subscriber.got.map(({ payload }) => payload),
    numbers(0, 6),
    context,
  );
  assert.ok(
    subscriber.got.every(({ qos }) => qos === 2),
    context,
  );
  assert.deepEqual([publisher.wrong, subscriber.wrong], [[], []], context);
  assert.deepEqual(publisher.publications, [], context);
  return over;
}

describe("QoS 2, exactly once [MQTT-4.3.3-10], whatever is on disk when the power goes", () => {
  for (const dies of ["broker", "network"] as const) {
    for (const receiveMaximum of [1, 2, 65_535]) {
      test(`the ${dies} dies between any two syncs, at most ${receiveMaximum} in flight`, async () => {
        for (const saveAt of [-1, 3, 9, 20]) {
          let cut = 0;
          while (!(await cutAfter(cut, { receiveMaximum, saveAt, dies }))) cut++;
          assert.ok(cut > 6 && cut < TURNS_MAX, `${cut} turns`);
        }
      });
    }
  }
});
