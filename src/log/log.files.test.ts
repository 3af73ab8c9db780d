/** The log on a real file system, under a process that is really killed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { LIMITS } from "../base/mod.ts";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import { SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { bytesOf, findings, readAll, realClock, textOf } from "./log.fixture.ts";
import type { LogLimits } from "./log.fixture.ts";
import { Log } from "./log.ts";
import { LogReader } from "./reader.ts";
import { isDamage } from "./verify.ts";

async function temporary(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidewire-log-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "log");
}

async function openLog(folder: string, limits: Partial<LogLimits> = {}): Promise<{ log: Log; logger: SimLogger }> {
  const logger = new SimLogger();
  const log = await Log.open({
    directory: await openLogDirectory(folder),
    crc32: fileCrc32,
    clock: realClock,
    scheduler: realClock,
    random: new SimRandom(1),
    logger,
    metrics: new SimMetrics(),
    limits: { ...LIMITS.log, ...limits },
  });
  return { log, logger };
}

test("a log of many segments on real files: written, consumed, retained, opened again", async (context) => {
  const folder = await temporary(context);
  const limits = { segmentBytesMax: 400_000, groupBytesMax: 100_000, batchBytesMax: 20_000, recentBytesMax: 100_000 };
  const { log } = await openLog(folder, { ...limits, retentionBytes: 1_500_000 });
  let consumed = 0;
  let late = 0;
  const early = log.consume(0, (batch) =>
    batch.forEach((offset, bytes) => (consumed += Number(textOf(bytes).startsWith(`${offset}:`)))),
  );
  const count = 20_000;
  for (let n = 0; n < count; n++) {
    log.append(bytesOf(`${n}:${"y".repeat(n % 200)}`));
    if (n % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await log.flush();
  assert.equal(log.durable, count);
  const all = log.consume(0, (batch) => void (late += batch.count));
  while (all.position < log.durable || early.position < log.durable)
    await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([consumed, late], [count, count]);
  assert.equal(textOf((await log.read(12_345))!).slice(0, 6), "12345:");
  const { mode } = await stat(join(folder, (await readdir(folder))[0]!));
  assert.equal(mode & 0o777, 0o600, "nobody else may read messages");
  await log.retain(Infinity);
  assert.ok(log.first > 0);
  const { first } = log;
  await log.close();
  const { log: again, logger } = await openLog(folder, limits);
  assert.deepEqual([again.first, again.next], [first, count]);
  assert.equal((await readAll(again.readBatches(first))).length, count - first);
  assert.deepEqual(logger.lines, []);
  await again.close();
});

test("a half-written end of a real file is cut off, kept in quarantine, and told with its place", async (context) => {
  const folder = await temporary(context);
  const { log } = await openLog(folder);
  for (const record of ["one", "two"]) {
    log.append(bytesOf(record));
    await log.flush();
  }
  await log.close();
  const segment = join(folder, "00000000000000000000.seg");
  const { size } = await stat(segment);
  const file = await open(segment, "r+");
  await file.truncate(size - 2);
  await file.close();
  await writeFile(join(folder, "stranger"), "");
  const { log: again, logger } = await openLog(folder);
  const cut = logger.lines.find((line) => line.message.includes("half written"));
  assert.deepEqual(cut?.fields["segment"], "00000000000000000000.seg");
  assert.deepEqual([cut?.fields["position"], cut?.fields["bytes"]], [size - 63, 61]);
  assert.equal((await stat(join(folder, String(cut?.fields["kept"])))).size, 61);
  assert.deepEqual(await readAll(again.readBatches(0)), [[0, "one"]]);
  assert.ok(again.append(bytesOf("three")) > 1, "offset 1 was given out");
  await again.close();
  const kinds = (await findings(await openLogDirectory(folder))).map((finding) => finding.kind);
  assert.deepEqual(kinds.sort(), ["foreign file", "quarantined", "segment", "segment"]);
});

/** Runs a writer until it has promised something, and kills it; the range that it promised. */
async function killedWriter(folder: string, round: number): Promise<{ readonly from: number; readonly below: number }> {
  const writer = spawn(process.execPath, [join(import.meta.dirname, "kill-writer.fixture.ts"), folder, String(round)]);
  const exited = once(writer, "exit");
  let output = "";
  let complaints = "";
  writer.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  const syncs = 1 + Math.floor(Math.random() * 8);
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
async function checkPromise(
  folder: string,
  promised: { readonly from: number; readonly below: number },
): Promise<void> {
  const directory = await openLogDirectory(folder);
  const ports = { directory, crc32: fileCrc32, logger: new SimLogger(), metrics: new SimMetrics() };
  const reader = await LogReader.open(ports);
  let expected = promised.from;
  for await (const batch of reader.readBatches(promised.from, promised.below)) {
    batch.forEach((offset, bytes) => {
      assert.equal(offset, expected++);
      assert.equal(textOf(bytes), `${offset}:${"x".repeat(offset % 700)}`);
    });
  }
  assert.equal(expected, promised.below);
}

test("a process that is killed with SIGKILL while it appends, twenty times: what it promised is there", async (context) => {
  const folder = await temporary(context);
  const promises: { readonly from: number; readonly below: number }[] = [];
  for (let round = 0; round < 20; round++) {
    const promised = await killedWriter(folder, round);
    assert.ok(promised.from >= (promises.at(-1)?.below ?? 0), "no promised offset is given out again");
    promises.push(promised);
    await checkPromise(folder, promised);
  }
  for (const promised of promises) await checkPromise(folder, promised);
  for (const finding of await findings(await openLogDirectory(folder))) assert.ok(!isDamage(finding), finding.kind);
});
