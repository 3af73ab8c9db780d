import assert from "node:assert/strict";
import { test } from "node:test";
import { queryObjects } from "node:v8";
import { BatchBuffer, BatchPool } from "./batch.ts";
import { RecentBatches } from "./recent.ts";

const SIZE = 1024;

function batchAt(pool: BatchPool, baseOffset: number, used = SIZE): BatchBuffer {
  return Object.assign(pool.take(1), { baseOffset, count: 10, used });
}

test("what was dropped is not kept in memory: neither by the list nor by the pool", () => {
  const before = queryObjects(BatchBuffer, { format: "count" });
  const pool = new BatchPool(SIZE, 2);
  const recent = new RecentBatches(pool, 4 * SIZE);
  for (let i = 0; i < 500; i++) recent.add(batchAt(pool, i * 10));
  assert.ok(queryObjects(BatchBuffer, { format: "count" }) - before <= 4 + 2 + 1);
  assert.equal(recent.from, 4960);
  assert.equal(recent.find(4959), null);
  assert.equal(recent.find(4975)?.baseOffset, 4970);
});

test("a batch that fills little of its buffer is kept as a copy, and counts as what that takes", () => {
  const pool = new BatchPool(SIZE, 2);
  const recent = new RecentBatches(pool, 4 * SIZE);
  for (let i = 0; i < 16; i++) recent.add(batchAt(pool, i * 10, 200));
  assert.equal(recent.from, 0);
  assert.equal(recent.find(5)?.bytes.length, 256);
  recent.add(batchAt(pool, 160, 200));
  assert.equal(recent.from, 10);
});

test("batches of all sizes, for ever, in a bounded number of buffers, and each with its own bytes", () => {
  const before = queryObjects(BatchBuffer, { format: "count" });
  const pool = new BatchPool(SIZE, 2);
  const recent = new RecentBatches(pool, 4 * SIZE);
  for (let i = 0; i < 2000; i++) {
    const batch = batchAt(pool, i, 30 + ((i * 37) % (SIZE - 30)));
    batch.count = 1;
    batch.bytes.fill(i & 255, 0, batch.used);
    recent.add(batch);
    for (let offset = recent.from; offset <= i; offset++) {
      const { bytes, used } = recent.find(offset)!;
      assert.ok(bytes[0] === (offset & 255) && bytes[used - 1] === (offset & 255));
    }
  }
  recent.clear();
  const left = queryObjects(BatchBuffer, { format: "count" }) - before;
  assert.ok(left <= 2 + 4 + 16, `${left} buffers`);
});

test("long after the first, all that is kept is found", () => {
  const pool = new BatchPool(SIZE, 2);
  const recent = new RecentBatches(pool, 3 * SIZE);
  for (let i = 0; i < 5000; i++) {
    recent.add(batchAt(pool, i * 10));
    assert.equal(recent.find(i * 10 + 9)?.baseOffset, i * 10);
  }
  recent.clear();
  assert.equal(recent.from, Infinity);
  assert.equal(recent.find(49_990), null);
});
