/**
 * `npm run storm -- --kills 100 [--seed S]`: twenty receivers, half of them failing, and the platform killed that often by
 * SIGKILL. Prints the ledger. Status 1 where a receiver lacks an event that was acknowledged, or a healthy one waited for an ill one.
 */
import { parseArgs } from "node:util";
import { temporaryFolder } from "../test/scenarios/support/platform-process.ts";
import { ledgerLines, runStorm } from "../test/scenarios/support/storm.ts";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "50" }, seed: { type: "string", default: "1" } },
});
const [kills, seed] = [Number(values.kills), Number(values.seed)];
if (!Number.isSafeInteger(kills) || kills < 0 || !Number.isSafeInteger(seed)) {
  process.stderr.write("usage: npm run storm -- [--kills N] [--seed S]\n");
  process.exit(2);
}
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const folder = temporaryFolder();
const startedAt = performance.now();
try {
  const report = await runStorm({ folder: folder.path, kills, seed, say });
  for (const line of ledgerLines(report)) say(line);
  say(`${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  process.exitCode = report.wrong.length === 0 ? 0 : 1;
} finally {
  folder.remove();
}
