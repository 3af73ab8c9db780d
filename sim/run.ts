/**
 * `npm run sim -- broker --seed 7`: one seed of a system with its trace. `npm run sim -- broker --seed 1 --count 1000`:
 * many; those that fail are printed with the end of their trace.
 */
import { readCommandLine } from "../tools/options.ts";
import { playBrokerSeed } from "./broker-story.ts";
import { playPlatformSeed } from "./platform-story.ts";

/** What every system's story tells. */
interface Story {
  readonly drainTime: number;
  readonly violation: string | null;
}

const SYSTEMS: Readonly<Record<string, (seed: number, print: ((line: string) => void) | null) => Promise<Story>>> = {
  platform: playPlatformSeed,
  broker: (seed, print) => playBrokerSeed(seed, { print }),
};

/** Lines of a failing seed's trace. */
const TRACE_LINES = 25;

const {
  values: { seed: first, count },
  names,
} = readCommandLine("sim", { seed: 1, count: 1 }, { known: Object.keys(SYSTEMS), atLeastOne: ["count"] });
if (names.length > 1) {
  process.stderr.write(`One system at a time, not ${names.join(" and ")}\n`);
  process.exit(2);
}
const [system = "platform"] = names;
const play = SYSTEMS[system]!;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

if (count === 1) {
  const story = await play(first, say);
  say(JSON.stringify(story, null, 2));
  process.exitCode = story.violation === null ? 0 : 1;
} else await playMany(play);

async function playMany(one: typeof play): Promise<void> {
  let failed = 0;
  const sums = new Map<string, number>();
  let longest = 0;
  const startedAt = performance.now();
  for (let seed = first; seed < first + count; seed++) {
    const story = await one(seed, null);
    for (const [key, value] of Object.entries(story))
      if (typeof value === "number" && key !== "seed" && key !== "drainTime")
        sums.set(key, (sums.get(key) ?? 0) + value);
    longest = Math.max(longest, story.drainTime);
    if (story.violation === null) continue;
    failed++;
    const trace: string[] = [];
    await one(seed, (line) => void trace.push(line));
    const end = trace.findIndex((line) => line.includes("VIOLATION")) + 1;
    say(`seed ${seed} fails: ${story.violation}\n${trace.slice(Math.max(0, end - TRACE_LINES), end).join("\n")}`);
    say(`  npm run sim -- ${system} --seed ${seed}`);
  }
  const took = ((performance.now() - startedAt) / 1000).toFixed(1);
  const summary = JSON.stringify(Object.fromEntries(sums));
  say(`${count} seeds in ${took} s, ${failed} failed; slowest to drain: ${longest / 1000} s; ${summary}`);
  process.exitCode = failed === 0 ? 0 : 1;
}
