/** From a time to an offset, in a log that is being written and in one that another process writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimRandom } from "../../sim/world.ts";
import { Scene, bytesOf } from "./log.fixture.ts";
import type { Log } from "./log.ts";

/** Appends one record per group and returns the times of the batches by offset. */
async function writeAt(
  scene: Scene,
  log: Log,
  count: number,
  pause: () => number,
  record = "record",
): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    scene.clock.advance(pause());
    log.append(bytesOf(record));
    await scene.settle(log);
    for await (const batch of log.readBatches(log.durable - 1)) times.push(batch.time);
  }
  return times;
}

/** What a walk through everything says. */
function walked(times: readonly number[], time: number): number {
  const found = times.findIndex((closed) => closed >= time);
  return found < 0 ? times.length : found;
}

test("for every time, both ways of reading name the offset that a walk through everything finds", async () => {
  const scene = new Scene();
  const log = await scene.open();
  const random = new SimRandom(3);
  const times = await writeAt(scene, log, 60, () => random.below(4) * 500);
  assert.ok(log.status().segments > 5);
  const reader = await scene.reader();
  for (let time = times[0]! - 2; time < times.at(-1)! + 3; time += 97) {
    const expected = walked(times, time);
    assert.equal(await log.offsetAt(time), expected, `at ${time}`);
    assert.equal(await reader.offsetAt(time), expected, `at ${time}, read by another process`);
  }
  for (const time of times) assert.equal(await log.offsetAt(time), walked(times, time));
  await scene.drive(log.close());
});

test("an empty log, and one whose oldest part retention removed, answer with what there is", async () => {
  const scene = new Scene({ retentionBytes: 1_000 });
  assert.equal(await (await scene.reader()).offsetAt(5), 0);
  const log = await scene.open();
  assert.equal(await log.offsetAt(0), 0);
  assert.equal(await (await scene.reader()).offsetAt(0), 0);
  const times = await writeAt(scene, log, 40, () => 1_000);
  const early = await scene.reader();
  await scene.drive(log.retain(Infinity));
  assert.ok(log.first > 5);
  assert.equal(await log.offsetAt(0), log.first);
  assert.equal(await early.offsetAt(0), log.first, "a reader whose segments are gone looks again");
  assert.equal(await early.offsetAt(times[35]!), 35);
  await scene.drive(log.close());
});

test("a large segment is not read: some dozen headers of it are", async () => {
  let read = 0;
  const count = (operation: string): null => {
    if (operation === "read") read++;
    return null;
  };
  const large = { segmentBytesMax: 4_000_000, groupBytesMax: 20_000, batchBytesMax: 20_000, recordBytesMax: 20_000 };
  const scene = new Scene({ ...large, pendingBytesMax: 100_000, recentBytesMax: 0 }, count);
  const log = await scene.open();
  const times = await writeAt(scene, log, 150, () => 1_000, "x".repeat(19_000));
  assert.equal(log.status().segments, 1);
  for (const at of [0, 1, 74, 75, 148, 149]) {
    read = 0;
    assert.equal(await log.offsetAt(times[at]! - 1), at);
    assert.ok(read < 60, `${read} reads`);
  }
  await scene.drive(log.close());
});

test("damage on the way is passed over, and a record that is a copy of an earlier batch misleads nobody", async () => {
  const scene = new Scene();
  const log = await scene.open();
  const times = await writeAt(scene, log, 4, () => 1_000);
  const segment = scene.disk.names[0]!;
  const batch = scene.disk.bytesOf(segment).slice(64, 64 + 66);
  scene.clock.advance(1_000);
  log.append(batch);
  await scene.settle(log);
  for await (const { time } of log.readBatches(4)) times.push(time);
  times.push(...(await writeAt(scene, log, 6, () => 1_000)));
  const bytes = scene.disk.bytesOf(segment);
  bytes[64 + 66 + 20]! ^= 1; // in the header of the batch at offset 1
  assert.equal(await log.offsetAt(times[1]!), 2, "it is gone; the next one is not");
  for (let at = 2; at < times.length; at++) assert.equal(await log.offsetAt(times[at]!), at);
  await scene.drive(log.close());
});

test("a clock that is set back and forth: the answer is a place where that time was reached, never behind all of them", async () => {
  const scene = new Scene();
  const log = await scene.open();
  const random = new SimRandom(11);
  const times = await writeAt(scene, log, 60, () => {
    if (random.chance(0.1)) scene.clock.jump(random.pick([-20_000, 20_000]));
    return 1_000;
  });
  assert.ok(times.some((time, at) => at > 0 && time < times[at - 1]!));
  for (let time = Math.min(...times); time < Math.max(...times); time += 333) {
    const at = await log.offsetAt(time);
    assert.ok(at < 60 && times[at]! >= time, `${time}: offset ${at} of ${times[at]}`);
    assert.ok(at === 0 || times.slice(0, at).some((before) => before < time));
  }
  await scene.drive(log.close());
});

test("a reader's end is behind the last whole batch, and is on disk when it is told", async () => {
  const scene = new Scene();
  const log = await scene.open();
  const reader = await scene.reader();
  assert.equal(await reader.end(), 0);
  await writeAt(scene, log, 30, () => 1);
  assert.equal(await reader.end(), 30, "it finds segments that came after it was opened");
  const newest = scene.disk.names.findLast((name) => name.endsWith(".seg"))!;
  const whole = scene.disk.bytesOf(newest);
  await scene.drive(log.close());
  scene.disk.put(newest, whole.slice(0, -3));
  assert.ok((await reader.end()) >= 29 - 8);
  assert.ok((await (await scene.reader()).end()) < 30, "a half-written batch is not counted");
});
