/**
 * Clients → network → broker → log and state file under seeded faults; `broker-story.ts` says which, `broker-witness.ts`
 * what must be true. Replay one seed with its trace: `npm run sim -- broker --seed 123`; run more: `--seed 1 --count 10000`.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { MUTATIONS } from "./broker-mutations.ts";
import type { BrokerOrder, BrokerStory } from "./broker-story.ts";
import { DRAIN_TIME_MAX } from "./broker-system.ts";
import { FAILED_SEEDS } from "./seeds/broker.ts";

const SEEDS = Number(process.env["SEEDS"] ?? 250);
/** Enough for each mutation to be noticed; most are by the first few. */
const MUTATION_SEEDS = 150;

/** In a worker: the test runner's promise hooks would make it four times as slow. */
async function play(order: BrokerOrder): Promise<readonly BrokerStory[]> {
  const worker = new Worker(new URL("broker-story.ts", import.meta.url), { workerData: order });
  const stories: BrokerStory[] = [];
  worker.on("message", (story: BrokerStory) => stories.push(story));
  await once(worker, "exit"); // rejects with the worker's error
  return stories;
}

function assertClean(stories: readonly BrokerStory[]): void {
  const failed = stories.filter(({ violation }) => violation !== null);
  const told = failed.map(({ seed, violation }) => `${violation}\n  npm run sim -- broker --seed ${seed}`);
  assert.equal(told.length, 0, `${told.length} seeds fail:\n${told.join("\n")}`);
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

test("every seed that ever failed", async () => {
  const stories = await play({ brokerSeeds: FAILED_SEEDS.map(({ seed }) => seed) });
  assert.equal(stories.length, FAILED_SEEDS.length);
  assertClean(stories);
});

test(`${SEEDS} seeds: what is acknowledged arrives, in order, and nobody gets what is not theirs`, async () => {
  const stories = await play({ brokerSeeds: upTo(SEEDS) });
  assert.equal(stories.length, SEEDS);
  assertClean(stories);
  const total = (
    key: "acknowledged" | "delivered" | "duplicates" | "lostToPowerCuts" | "refused" | "recoveries",
  ): number => stories.reduce((sum, story) => sum + story[key], 0);
  // The faults must bite, else this tests nothing.
  assert.ok(total("acknowledged") > 50 * SEEDS, `${total("acknowledged")} messages were acknowledged`);
  assert.ok(total("delivered") > 100 * SEEDS, `${total("delivered")} messages were delivered`);
  for (const key of ["duplicates", "lostToPowerCuts", "refused", "recoveries"] as const)
    assert.ok(total(key) > SEEDS / 2, `only ${total(key)} ${key}`);
  assert.ok(stories.every(({ drainTime }) => drainTime < DRAIN_TIME_MAX));
});

test("the same seed tells the same story, event by event; another seed another one", async () => {
  const [seven, eight, sevenAgain, eightAgain] = (await play({ brokerSeeds: [7, 8, 7, 8] })).map(({ hash }) => hash);
  assert.deepEqual([sevenAgain, eightAgain], [seven, eight]);
  assert.notEqual(seven, eight);
});

for (const [mutation, { noticed }] of Object.entries(MUTATIONS)) {
  test(`the witness would notice: ${mutation}`, async () => {
    const stories = await play({ brokerSeeds: upTo(MUTATION_SEEDS), mutation });
    const { violation } = stories.at(-1)!;
    assert.ok(violation !== null, `${stories.length} seeds, and nothing was noticed`);
    assert.match(violation, noticed);
  });
}
