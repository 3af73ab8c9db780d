/** A short run of the fuzz with two parties, and what it once found. `npm run fuzz` runs it for as long as you like. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { play, printed, shrink, storyOf } from "./hostile-story.ts";
import type { Step } from "./hostile-story.ts";

const STORIES = 40;
/** Looking through the whole memory takes time. */
const LEAKS_EVERY = 20;

test("good clients beside hostile ones are served, and nothing of the hostile remains", async () => {
  for (let seed = 1; seed <= STORIES; seed++) {
    const steps = storyOf(seed);
    const fault = await play(steps, { leaks: seed % LEAKS_EVERY === 0 });
    if (fault === null) continue;
    assert.fail(`seed ${seed}: ${fault}\n${printed(await shrink(steps))}`);
  }
});

test("a story that ends badly is made as short as it can be", async () => {
  const bad: Step = { type: "bytes", from: 0, hex: "de ad be ef" };
  const steps = [...storyOf(1).slice(0, 20), bad, ...storyOf(2).slice(0, 20)];
  const isBad = (some: readonly Step[]): Promise<string | null> =>
    Promise.resolve(some.some((step) => step.type === "bytes" && step.hex.includes("be")) ? "bad" : null);
  assert.deepEqual(await shrink(steps, isBad), [{ type: "bytes", from: 0, hex: "be" }]);
});
