import assert from "node:assert/strict";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { settle } from "../../sim/world.ts";
import { Scene, bytesOf, numbered, readAll, textOf } from "./log.fixture.ts";
import type { LogBatch } from "./batch.ts";
import type { Log } from "./log.ts";

async function append(scene: Scene, log: Log, records: readonly string[]): Promise<void> {
  for (const record of records) {
    log.append(bytesOf(record));
    await scene.settle(log);
  }
}

function collect(into: string[]): (batch: LogBatch) => void {
  return (batch) => batch.forEach((offset, bytes) => into.push(`${offset} ${textOf(bytes)}`));
}

test("a consumer gets what was there, then what comes, each once and in order", async () => {
  const scene = new Scene({ recentBytesMax: 1_000 });
  const log = await scene.drive(scene.open());
  await append(scene, log, ["a", "b", "c"]);
  const seen: string[] = [];
  const consumer = log.consume(1, collect(seen), "test");
  assert.deepEqual(seen, [], "never from within consume");
  await scene.clock.run(1);
  assert.deepEqual(seen, ["1 b", "2 c"]);
  await append(scene, log, ["d", "e"]);
  await scene.clock.run(1);
  assert.deepEqual(seen, ["1 b", "2 c", "3 d", "4 e"]);
  assert.equal(consumer.position, 5);
  assert.deepEqual(log.status().consumers, [{ name: "test", position: 5 }]);
  await consumer.close();
  await append(scene, log, ["f"]);
  assert.equal(seen.length, 4);
});

test("one that keeps up is served from memory: nothing is read", async () => {
  let reads = 0;
  const scene = new Scene({}, (operation) => {
    if (operation === "read") reads++;
    return null;
  });
  const log = await scene.drive(scene.open());
  const seen: string[] = [];
  log.consume(0, collect(seen));
  await append(scene, log, numbered(5));
  reads = 0;
  await append(scene, log, numbered(20));
  await scene.clock.run(1);
  assert.equal(seen.length, 25);
  assert.equal(reads, 0);
});

test("a slow one delays nobody, and catches up from the files", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  const slow: string[] = [];
  const fast: string[] = [];
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const consumer = log.consume(0, async (batch) => {
    await held;
    collect(slow)(batch); // the bytes are still those of this batch, whatever was written meanwhile
  });
  log.consume(0, collect(fast));
  await append(scene, log, numbered(40));
  assert.equal(fast.length, 40);
  assert.deepEqual([slow.length, consumer.position], [0, 0]);
  release();
  while (consumer.position < 40) await scene.clock.run(1);
  assert.deepEqual(slow, fast);
});

test("how far behind one is, in records and time; nothing once it has caught up", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const consumer = log.consume(0, () => held, "slow");
  const behind = (): number[] => {
    const labels = { consumer: "slow" };
    const value = (unit: string): number => scene.metrics.value(`tidewire_log_consumer_behind_${unit}`, labels);
    return [value("records"), value("seconds")];
  };
  assert.deepEqual(behind(), [0, 0]);
  const begun = scene.clock.monotonic();
  await append(scene, log, numbered(3));
  await scene.clock.run(90_000);
  const passed = (scene.clock.monotonic() - begun) / 1000;
  const [records, age] = behind();
  assert.equal(records, 3);
  assert.ok(age! >= 90 && age! <= passed, `${age} s of ${passed}`);
  release();
  while (consumer.position < 3) await scene.clock.run(1);
  assert.deepEqual(behind(), [0, 0]);
  await consumer.close();
  assert.deepEqual(behind(), [0, 0], "nobody of this name");
});

test("where its handler fails it gets the same batch again, later and later", async () => {
  const scene = new Scene({ consumerRetryDelayMin: 100, consumerRetryDelayMax: 400 });
  const log = await scene.drive(scene.open());
  const attempts: number[] = [];
  const seen: string[] = [];
  log.consume(0, (batch) => {
    attempts.push(scene.clock.monotonic());
    if (attempts.length < 5) throw new Error("not yet");
    collect(seen)(batch);
  });
  await append(scene, log, ["a"]);
  const start = attempts[0]!;
  await scene.clock.run(50);
  await append(scene, log, ["b"]); // something new is no reason to try sooner
  await scene.clock.run(2_000);
  assert.deepEqual(
    attempts.slice(0, 5).map((at) => at - start),
    [0, 100, 300, 700, 1_100],
  );
  assert.deepEqual(seen, ["0 a", "1 b"]);
  assert.equal(scene.metrics.value("tidewire_log_consumer_failures_total"), 4);
});

test("closing waits for the handler, and does not wait for a retry", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  let finish = (): void => {};
  let finished = false;
  const busy = log.consume(0, async () => {
    await new Promise<void>((resolve) => (finish = resolve));
    finished = true;
  });
  const failing = log.consume(0, () => {
    throw new Error("always");
  });
  await append(scene, log, ["a"]);
  await scene.clock.run(1);
  await scene.drive(failing.close());
  const closed = busy.close().then(() => assert.ok(finished));
  await settle();
  assert.ok(!finished);
  finish();
  await closed;
});

test("one that is ahead of the log is refused: a part of the log is missing", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  assert.throws(
    () => log.consume(1, () => {}, "telemetry"),
    (error: unknown) =>
      isTidewireError(error) && error.code === "LOG_OFFSET_AHEAD" && error.message.startsWith("telemetry has"),
  );
});

test("retention removes whole old segments, and never what a consumer still needs", async () => {
  const scene = new Scene({ retentionAge: 10_000 });
  const log = await scene.drive(scene.open());
  await append(scene, log, numbered(20));
  const names = scene.disk.names;
  await scene.clock.run(20_000);
  await append(scene, log, numbered(10));
  await scene.drive(log.retain(9));
  assert.ok(log.first > 0 && log.first <= 9, `first is ${log.first}`);
  assert.ok(!scene.disk.names.includes(names[0]!));
  assert.equal(await log.read(0), null);
  assert.equal(textOf((await log.read(9))!), "record-009");
  await scene.drive(log.retain(log.next));
  assert.ok(log.first > 9 && log.first <= 20, "what is young stays");
  const seen: string[] = [];
  const late = log.consume(0, collect(seen));
  while (late.position < log.durable) await scene.clock.run(1);
  assert.equal(seen.length, log.next - log.first);
  assert.deepEqual(scene.told("warn"), ["a reader of the log came too late for some records"]);
});

test("retention by size keeps the newest, even where all are young", async () => {
  const scene = new Scene({ retentionBytes: 1_000 });
  const log = await scene.drive(scene.open());
  await append(scene, log, numbered(30));
  await scene.drive(log.retain(Infinity));
  assert.ok(log.status().bytes <= 1_000 && log.status().bytes > 300);
  await scene.drive(log.close());
  assert.deepEqual((await readAll((await scene.drive(scene.open())).readBatches(log.first))).length, 30 - log.first);
});

test("a segment of a quiet log ends when it is old, so that retention can take it", async () => {
  const scene = new Scene({ segmentAgeMax: 5_000 });
  const log = await scene.drive(scene.open());
  await append(scene, log, ["a"]);
  await scene.clock.run(6_000);
  await append(scene, log, ["b", "c"]);
  assert.equal(log.status().segments, 2);
});

test("a reader in another process follows through new segments and around removed ones", async () => {
  const scene = new Scene({ retentionBytes: 1_000 });
  const reader = await scene.reader(); // before there is a log
  assert.deepEqual(await readAll(reader.readBatches(0, 0)), []);
  const log = await scene.drive(scene.open());
  await append(scene, log, numbered(8));
  const open = reader.readBatches(0, 8)[Symbol.asyncIterator]();
  assert.equal((await open.next()).value?.baseOffset, 0);
  await append(scene, log, numbered(20));
  await scene.drive(log.retain(Infinity)); // takes the segment that is being read, too
  const rest: number[] = [];
  for (let step = await open.next(); step.done !== true; step = await open.next())
    step.value.forEach((offset) => rest.push(offset));
  assert.deepEqual(rest.slice(0, 2), [1, 2], "an open file stays readable");
  const last = await readAll(reader.readBatches(log.durable - 2, log.durable));
  assert.deepEqual(
    last.map(([offset]) => offset),
    [26, 27],
  );
  assert.equal((await readAll(reader.readBatches(0, log.durable))).at(0)?.[0], log.first);
});
