/** `npm run sim -- --seed 7`: one seed with its trace. `npm run sim -- --seed 1 --count 1000`: many; those that fail are printed. */
import { parseArgs } from "node:util";
import { playPlatformSeed } from "./platform-story.ts";
import type { Story } from "./platform-story.ts";

const { values } = parseArgs({
  options: { seed: { type: "string", default: "1" }, count: { type: "string", default: "1" } },
});
const first = Number(values.seed);
const count = Number(values.count);
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  process.stderr.write("usage: npm run sim -- [--seed N] [--count M]\n");
  process.exit(2);
}
const say = (line: string): void => void process.stdout.write(`${line}\n`);

if (count === 1) {
  const story = await playPlatformSeed(first, say);
  say(JSON.stringify(story, null, 2));
  process.exitCode = story.violation === null ? 0 : 1;
} else await playMany();

async function playMany(): Promise<void> {
  const failed: number[] = [];
  const sum = { accepted: 0, dropped: 0, stored: 0, duplicates: 0, lostToPowerCuts: 0, refusals: 0, recoveries: 0 };
  let longest = 0;
  const startedAt = performance.now();
  for (let seed = first; seed < first + count; seed++) {
    const story: Story = await playPlatformSeed(seed);
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += story[key];
    longest = Math.max(longest, story.drainTime);
    if (story.violation === null) continue;
    failed.push(seed);
    say(`seed ${seed} fails: ${story.violation}\n  npm run sim -- --seed ${seed}`);
  }
  const took = ((performance.now() - startedAt) / 1000).toFixed(1);
  say(
    `${count} seeds in ${took} s, ${failed.length} failed; slowest to drain: ${longest / 1000} s; ${JSON.stringify(sum)}`,
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
}
