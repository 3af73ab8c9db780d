/**
 * `npm run damage -- --count 10000 --seed 1 [--kind log]`: bits flipped and ends cut off in every kind of file of a data folder. Prints what
 * became of each; status 1 where an answer changed silently, or an error had no sentence.
 */
import { damageCampaign } from "../test/scenarios/support/damage-campaign.ts";
import { readCommandLine } from "./options.ts";

const { count, seed, kind } = readCommandLine(
  "damage",
  { count: 1000, seed: 1, kind: "" },
  { atLeastOne: ["count"] },
).values;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const startedAt = performance.now();
const { counts, foundByScrub, wrong } = await damageCampaign(count, seed, kind);
const totals = new Map<string, number>();
for (const [file, outcomes] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
  const parts = [...outcomes].sort(([a], [b]) => a.localeCompare(b));
  const found = foundByScrub.get(file);
  const scrubbed = found === undefined ? "" : `; found by scrub ${found}`;
  say(`${file.padEnd(52)} ${parts.map(([outcome, times]) => `${outcome} ${times}`).join(", ")}${scrubbed}`);
  for (const [outcome, times] of parts) totals.set(outcome, (totals.get(outcome) ?? 0) + times);
}
say(`found by scrub: ${[...foundByScrub.values()].reduce((sum, times) => sum + times, 0)}`);
say(
  `${count} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${JSON.stringify(Object.fromEntries(totals))}`,
);
for (const one of wrong) say(`wrong: ${one}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
