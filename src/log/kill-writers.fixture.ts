/** A process that appends to a log in a real folder is killed; what it had promised is looked for. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import { SimLogger, SimMetrics } from "../../sim/world.ts";
import type { SimRandom } from "../../sim/world.ts";
import { findings, textOf } from "./log.fixture.ts";
import { LogReader } from "./reader.ts";
import { isDamage } from "./verify.ts";

/** Offsets that a writer has reported durable. */
export interface Promised {
  readonly from: number;
  readonly below: number;
}

/**
 * Kills a writer that often, and looks after each kill for what that one had promised; at the end for all of it. Rejects where
 * anything is missing, altered or given out twice. Returns how many records were promised.
 */
export async function killWriters(folder: string, kills: number, random: SimRandom): Promise<number> {
  const promises: Promised[] = [];
  for (let round = 0; round < kills; round++) {
    const promised = await killedWriter(folder, round, random);
    assert.ok(promised.from >= (promises.at(-1)?.below ?? 0), "no promised offset is given out again");
    promises.push(promised);
    await checkPromise(await openReader(folder), promised);
  }
  const reader = await openReader(folder);
  for (const promised of promises) await checkPromise(reader, promised);
  for (const finding of await findings(await openLogDirectory(folder))) assert.ok(!isDamage(finding), finding.kind);
  return promises.reduce((sum, { from, below }) => sum + below - from, 0);
}

/** Runs a writer until it has promised something, and kills it; the range that it promised. */
async function killedWriter(folder: string, round: number, random: SimRandom): Promise<Promised> {
  const writer = spawn(process.execPath, [join(import.meta.dirname, "kill-writer.fixture.ts"), folder, String(round)]);
  const exited = once(writer, "exit");
  let output = "";
  let complaints = "";
  writer.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  const syncs = 1 + random.below(8);
  for await (const chunk of writer.stdout) {
    output += String(chunk);
    if (output.split("\n").length > syncs) writer.kill("SIGKILL");
  }
  await exited;
  assert.equal(complaints, "", "it died of the signal, not of a mistake");
  const [from, below] = output.split("\n").at(-2)!.split(" ").map(Number);
  return { from: from!, below: below! };
}

/** Every offset of `promised` is there, in order, as it was appended; so is whatever else is there. */
async function checkPromise(reader: LogReader, promised: Promised): Promise<void> {
  let expected = promised.from;
  for await (const batch of reader.readBatches(promised.from, promised.below)) {
    batch.forEach((offset, bytes) => {
      assert.equal(offset, expected++);
      assert.equal(textOf(bytes), `${offset}:${"x".repeat(offset % 700)}`);
    });
  }
  assert.equal(expected, promised.below);
}

async function openReader(folder: string): Promise<LogReader> {
  const directory = await openLogDirectory(folder);
  return LogReader.open({ directory, crc32: fileCrc32, logger: new SimLogger(), metrics: new SimMetrics() });
}
