/**
 * `npm run kill -- --kills 1000 [--qos 1,2] [--seed S]`: the platform under load, killed that often by SIGKILL, and the
 * ledger of what became of every message. Status 1 where anything that was acknowledged is lost or, at QoS 2, doubled.
 */
import { runKills } from "../test/scenarios/support/kill-ledger.ts";
import { temporaryFolder } from "../test/scenarios/support/platform-process.ts";
import { readCommandLine } from "./options.ts";

const { kills, qos, seed } = readCommandLine(
  "kill",
  { kills: 100, qos: "1,2", seed: 1 },
  { atLeastOne: ["kills"] },
).values;
const qualities = qos.split(",").map(Number);
if (!qualities.every((quality) => quality === 1 || quality === 2)) {
  process.stderr.write(`--qos is 1, 2 or both (1,2), not “${qos}”\n`);
  process.exit(2);
}
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const folder = temporaryFolder();
const startedAt = performance.now();
try {
  const { wrong, ...counts } = await runKills({ folder: folder.path, kills, seed, qualities, say });
  for (const [what, count] of Object.entries(counts)) say(`${what.padEnd(16)} ${String(count).padStart(10)}`);
  say(`${"seconds".padEnd(16)} ${((performance.now() - startedAt) / 1000).toFixed(0).padStart(10)}`);
  for (const what of wrong) say(`wrong: ${what}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  folder.remove();
}
