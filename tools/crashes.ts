/**
 * `npm run crashes -- --kills 1000 --cuts 1000 --seed 1`: the log under a process that is killed by SIGKILL while it appends to a
 * real folder, and under power cuts of a simulated disk that drops, tears and reorders what was not synced. Status 1 where
 * anything that was acknowledged is lost, altered or given out twice, or where the log does not open.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { playLogSeed } from "../sim/log-simulation.ts";
import { SimRandom } from "../sim/world.ts";
import { killWriters } from "../src/log/kill-writers.fixture.ts";
import { readCommandLine } from "./options.ts";

const { kills, cuts, seed } = readCommandLine("crashes", { kills: 100, cuts: 1000, seed: 1 }).values;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(0)} s`;

const cutsFrom = performance.now();
let happened = 0;
let stories = 0;
for (; happened < cuts; stories++) happened += await playLogSeed(seed + stories);
say(`${happened} power cuts in ${stories} stories, ${seconds(cutsFrom)}: nothing acknowledged is lost`);

const folder = mkdtempSync(join(tmpdir(), "tidewire-crashes-"));
const killsFrom = performance.now();
try {
  const promised = await killWriters(join(folder, "log"), kills, new SimRandom(seed));
  say(`${kills} SIGKILLs, ${promised} acknowledged records, ${seconds(killsFrom)}: every one is there`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
