/**
 * `npm run storm -- --kills 100 [--seed S]`: twenty receivers, half of them failing, and the platform killed that often by
 * SIGKILL. Prints the ledger. Status 1 where a receiver lacks an event that was acknowledged, or a healthy one waited for an ill one.
 */
import { temporaryFolder } from "../test/scenarios/support/platform-process.ts";
import { ledgerLines, runStorm } from "../test/scenarios/support/storm.ts";
import { readCommandLine } from "./options.ts";

const { kills, seed } = readCommandLine("storm", { kills: 50, seed: 1 }).values;
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
