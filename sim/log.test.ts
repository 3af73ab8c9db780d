/**
 * The log on a disk that tears, forgets and fails: whatever it reported durable is there afterwards, byte for byte and
 * in order, and it never serves what nobody appended. Replay one seed: `SEED=123 node --test sim/log.test.ts`; run more:
 * `SEEDS=100000`.
 */
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { playLogSeed } from "./log-simulation.ts";

const SEEDS = Number(process.env["SEEDS"] ?? 1_200);
const only = process.env["SEED"];

if (only === undefined) {
  test(`what the log reported durable survives power cuts, kills and failing disks (${SEEDS} seeds)`, async () => {
    const range = { logSeedFrom: 1, below: SEEDS + 1 };
    const worker = new Worker(new URL("log-simulation.ts", import.meta.url), { workerData: range });
    await once(worker, "exit"); // rejects with the worker's error
  });
} else test(`the log under the faults of seed ${only}`, async () => void (await playLogSeed(Number(only))));
