import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fileCrc32 as crc32 } from "../adapters/files/mod.ts";
import { GOLDEN_SEGMENT } from "./format.cases.ts";
import {
  FORMAT_VERSION,
  decodeSegmentHeader,
  encodeSegmentHeader,
  readBatchHeader,
  segmentName,
  segmentOffset,
  viewOf,
  writeBatchHeader,
} from "./format.ts";
import { Scene, readAll } from "./log.fixture.ts";

test("format 1 is written as it always was", async () => {
  const scene = new Scene();
  await scene.write(["hello", "", "wörld"]);
  assert.deepEqual(scene.disk.bytesOf(segmentName(0)), GOLDEN_SEGMENT);
});

test("format 1 is read as it always was", async () => {
  const scene = new Scene();
  scene.disk.put(segmentName(0), GOLDEN_SEGMENT.slice());
  const log = await scene.drive(scene.open());
  assert.deepEqual(await readAll(log.readBatches(0)), [
    [0, "hello"],
    [1, ""],
    [2, "wörld"],
  ]);
  assert.deepEqual([...scene.told("warn"), ...scene.told("error")], []);
});

test("a segment of a newer format is refused, not guessed at", () => {
  const bytes = GOLDEN_SEGMENT.slice(0, 64);
  viewOf(bytes).setUint16(8, FORMAT_VERSION + 1, true);
  viewOf(bytes).setUint32(60, crc32(bytes.subarray(0, 60)), true);
  assert.deepEqual(decodeSegmentHeader(bytes, crc32), { kind: "newer", version: FORMAT_VERSION + 1 });
});

const offset = fc.maxSafeNat();
const logId = fc.tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 0xffff_ffff }));

test("headers come back as they were written, up to offset 2^53 - 1", () => {
  fc.assert(
    fc.property(logId, offset, offset, offset, offset, (id, baseOffset, createdAt, previous, previousEnd) => {
      const header = { logId: id, baseOffset, createdAt, previousOffset: previous - 1, previousEnd };
      const read = decodeSegmentHeader(encodeSegmentHeader(header, crc32), crc32);
      assert.deepEqual(read, { kind: "valid", header });
      const batch = {
        logId: id,
        baseOffset,
        count: 3,
        bodyBytes: 12,
        bodyCrc: 7,
        time: createdAt,
        durableOffset: previous,
      };
      const bytes = new Uint8Array(70);
      writeBatchHeader(viewOf(bytes), bytes, batch, crc32);
      assert.deepEqual(readBatchHeader(bytes, viewOf(bytes), 0, crc32), batch);
      assert.equal(readBatchHeader(bytes, viewOf(bytes), 1, crc32), null);
    }),
  );
});

test("a segment's name is its offset, and nothing else is a segment's name", () => {
  assert.equal(segmentName(42), "00000000000000000042.seg");
  assert.equal(segmentOffset(segmentName(Number.MAX_SAFE_INTEGER)), Number.MAX_SAFE_INTEGER);
  for (const name of [
    "42.seg",
    "00000000000000000042.seg~",
    "quarantine/00000000000000000042.seg",
    "99999999999999999999.seg",
  ]) {
    assert.equal(segmentOffset(name), null);
  }
});
