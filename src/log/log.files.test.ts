/** The log on a real file system, under a process that is really killed. */
import assert from "node:assert/strict";
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
import { killWriters } from "./kill-writers.fixture.ts";
import { Log } from "./log.ts";

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

test("a process that is killed with SIGKILL while it appends, twenty times: what it promised is there", async (context) => {
  assert.ok((await killWriters(await temporary(context), 20, new SimRandom(1))) > 1_000);
});
