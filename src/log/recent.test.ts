import assert from "node:assert/strict";
import { test } from "node:test";
import { queryObjects } from "node:v8";
import { BatchBuffer, BatchPool } from "./batch.ts";
import { RecentBatches } from "./recent.ts";

const SIZE = 1024;

function batchAt(pool: BatchPool, baseOffset: number, used = SIZE): BatchBuffer {
  return Object.assign(pool.take(1), { baseOffset, count: 10, used });
}

function bytesOf({ bytes, start, used }: BatchBuffer): Uint8Array {
  return bytes.subarray(start, start + used);
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

test("batches that fill little of their buffers share one, and count as what they take", () => {
  const pool = new BatchPool(SIZE, 2);
  const recent = new RecentBatches(pool, 4 * SIZE);
  for (let i = 0; i < 20; i++) recent.add(batchAt(pool, i * 10, 200));
  assert.equal(recent.from, 0);
  assert.equal(recent.find(5)?.bytes.buffer, recent.find(45)?.bytes.buffer);
  assert.notEqual(recent.find(5)?.bytes.buffer, recent.find(55)?.bytes.buffer);
  recent.add(batchAt(pool, 200, 200));
  assert.equal(recent.from, 10);
});

test("a buffer is used again only when nobody reads any of the copies in it", () => {
  const pool = new BatchPool(SIZE, 8);
  const recent = new RecentBatches(pool, SIZE);
  const first = batchAt(pool, 0, 200);
  first.bytes.fill(1, 0, 200);
  recent.add(first);
  const held = recent.find(0)!;
  held.holders++;
  for (let i = 1; i < 100; i++) {
    const next = batchAt(pool, i * 10, 200);
    next.bytes.fill(2, 0, 200);
    recent.add(next);
  }
  assert.ok(recent.from > 0);
  assert.ok(bytesOf(held).every((byte) => byte === 1));
  const { buffer } = held.bytes;
  pool.release(held);
  const taken = Array.from({ length: 8 }, () => pool.take(1));
  assert.ok(taken.some((batch) => batch.bytes.buffer === buffer));
});

test("batches of all sizes, for ever, in a bounded number of buffers, and each with its own bytes", () => {
  const before = queryObjects(BatchBuffer, { format: "count" });
  const pool = new BatchPool(SIZE, 8);
  const recent = new RecentBatches(pool, 4 * SIZE);
  const buffers = new Set<ArrayBufferLike>();
  for (let i = 0; i < 2000; i++) {
    const batch = batchAt(pool, i, 30 + ((i * 37) % (SIZE - 30)));
    batch.count = 1;
    batch.bytes.fill(i & 255, 0, batch.used);
    recent.add(batch);
    buffers.add(recent.find(i)!.bytes.buffer);
    for (let offset = recent.from; offset <= i; offset++) {
      const bytes = bytesOf(recent.find(offset)!);
      assert.ok(bytes[0] === (offset & 255) && bytes.at(-1) === (offset & 255));
    }
  }
  recent.clear();
  const left = queryObjects(BatchBuffer, { format: "count" }) - before;
  assert.ok(left <= 8 + 1, `${left} are left`);
  assert.ok(buffers.size <= 2 * 4 + 8 + 1, `${buffers.size} buffers`);
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
