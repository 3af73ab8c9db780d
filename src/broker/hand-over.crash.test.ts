/** A message that goes from one member of a group to another is with one of both at every moment at which the power may go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { kept } from "./shared-group.fixture.ts";

const SAVED_EVERY = 20_000;
/** More queues than are saved in one turn. */
const OTHERS = 140;
const SHARED = "$share/g/jobs";

interface Scene {
  readonly world: BrokerWorld;
  /** Has job 0 under way, and may take no more before that is acknowledged. */
  readonly revoked: SimClient;
  readonly boss: SimClient;
}

/**
 * Jobs 1 to 3 wait for `w1` and were saved; so were many other queues, which have changed since. Where `w2` is there, it takes
 * nothing more, and is the last whose queue is saved; else the first.
 */
async function scene(isThere: boolean): Promise<Scene> {
  const world = await BrokerWorld.started({ limits: { stateSavePeriod: 5 * SAVED_EVERY } });
  await world.run(10);
  const boss = await world.connected("boss", { keepAliveSeconds: 3600 });
  const revoked = (await world.connected("w1", { ...kept, receiveMaximum: 1 })).subscribe(SHARED);
  revoked.acknowledges = false;
  for (let i = 0; i < 4; i++) boss.publish("jobs", `${i}`, { qos: 1, packetId: 1 + i });
  for (let i = 0; i < OTHERS; i++) (await world.connected(`other-${i}`, kept)).subscribe("fill").cut();
  const taker = (await world.connected("w2", { ...kept, receiveMaximum: 1 })).subscribe(SHARED).subscribe("own");
  taker.acknowledges = false;
  if (!isThere) taker.cut();
  await world.run(SAVED_EVERY);
  boss.publish("fill", "x", { qos: 1, packetId: 10 });
  await world.run();
  boss.publish("own", "early", { qos: 1, packetId: 11 });
  await world.run();
  return { world, revoked, boss };
}

async function revoke({ world, revoked, boss }: Scene): Promise<void> {
  boss.publish("own", "late", { qos: 1, packetId: 12 }); // behind what is being saved, and before what is passed on
  world.policy("w1").change({ receive: (topic) => topic !== "jobs" });
  revoked.puback(revoked.publishes[0]!.packetId);
  await new Promise<void>((resolve) => void world.clock.after(5, resolve));
  revoked.cut();
  await new Promise<void>((resolve) => void world.clock.after(5, resolve));
}

interface Case {
  readonly isThere: boolean;
  /** Calls of the store before. */
  readonly revokedAfter: number;
  readonly diesAfter: number;
}

const cases: readonly Case[] = [true, false].flatMap((isThere) =>
  [0, 1, 2].flatMap((revokedAfter) =>
    [1, 2, 3, 4]
      .filter((diesAfter) => diesAfter >= revokedAfter)
      .map((diesAfter) => ({ isThere, revokedAfter, diesAfter })),
  ),
);

for (const { isThere, revokedAfter, diesAfter } of cases) {
  const other = isThere ? "there" : "away";
  test(`the other one is ${other}, revoked after ${revokedAfter} calls of the store, and the power goes after ${diesAfter}`, async () => {
    const at = await scene(isThere);
    const { world } = at;
    const save = world.state.saveProgress.bind(world.state);
    let calls = 0;
    const sizes: number[] = [];
    world.state.saveProgress = async (progress, life) => {
      if (calls >= diesAfter) return new Promise(() => {});
      await save(progress, life);
      sizes.push(progress.outboxes.length);
      if (++calls === revokedAfter) await revoke(at);
    };
    if (revokedAfter === 0) void revoke(at);
    await world.run(3 * SAVED_EVERY);
    assert.equal(sizes[0], 128, "queues are saved in several turns");
    assert.deepEqual(
      at.revoked.publishes.map(({ payload }) => payload),
      ["0"],
    );
    world.policy("w1").change({ receive: () => true });
    await world.crashAndRestart();
    const back = [await world.connected("w1", kept), await world.connected("w2", kept)];
    await world.run(100);
    const got = new Set(back.flatMap((client) => client.publishes.map(({ payload }) => payload)));
    assert.deepEqual(
      ["1", "2", "3", "early", "late"].filter((payload) => !got.has(payload)),
      [],
    );
  });
}
