/**
 * Edge agents → network → broker → log → store under seeded faults; `platform-story.ts` says which, `witness.ts` what must
 * be true. Replay one seed with its trace: `npm run sim -- --seed 123`; run more: `npm run sim -- --seed 1 --count 10000`.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import type { Story } from "./platform-story.ts";
import { DRAIN_TIME_MAX } from "./platform.ts";
import { FAILED_SEEDS } from "./seeds/platform.ts";

const SEEDS = Number(process.env["SEEDS"] ?? 250);

/** In a worker: the test runner's promise hooks would make it four times as slow. */
async function play(seeds: readonly number[]): Promise<readonly Story[]> {
  const worker = new Worker(new URL("platform-story.ts", import.meta.url), { workerData: { platformSeeds: seeds } });
  const stories: Story[] = [];
  worker.on("message", (story: Story) => stories.push(story));
  await once(worker, "exit"); // rejects with the worker's error
  assert.equal(stories.length, seeds.length);
  return stories;
}

function assertClean(stories: readonly Story[]): void {
  const failed = stories.filter(({ violation }) => violation !== null);
  const told = failed.map(({ seed, violation }) => `${violation}\n  npm run sim -- --seed ${seed}`);
  assert.equal(told.length, 0, `${told.length} seeds fail:\n${told.join("\n")}`);
}

test("every seed that ever failed", async () => {
  assertClean(await play(FAILED_SEEDS.map(({ seed }) => seed)));
});

test(`${SEEDS} seeds: what an agent accepted is stored exactly once, and nothing acknowledged is lost`, async () => {
  const stories = await play(Array.from({ length: SEEDS }, (_, i) => i + 1));
  assertClean(stories);
  const total = (key: "accepted" | "dropped" | "duplicates" | "lostToPowerCuts" | "refusals" | "recoveries"): number =>
    stories.reduce((sum, story) => sum + story[key], 0);
  // The faults must bite, else this tests nothing.
  assert.ok(total("accepted") > 50 * SEEDS, `${total("accepted")} readings were accepted`);
  for (const key of ["dropped", "duplicates", "lostToPowerCuts", "refusals", "recoveries"] as const)
    assert.ok(total(key) > SEEDS / 2, `only ${total(key)} ${key}`);
  assert.ok(stories.every(({ drainTime }) => drainTime < DRAIN_TIME_MAX));
});

test("the same seed tells the same story, event by event; another seed another one", async () => {
  const stories = await play([7, 8, 7, 8]);
  const [seven, eight, sevenAgain, eightAgain] = stories.map(({ hash }) => hash);
  assert.deepEqual([sevenAgain, eightAgain], [seven, eight]);
  assert.notEqual(seven, eight);
});
