import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { StateReader, StateWriter } from "./state-codec.ts";

test("texts of any kind and values are read as they were written", () => {
  const values = fc.array(
    fc.oneof(fc.string({ unit: "binary" }), fc.double(), fc.constant(undefined), fc.constant([1])),
  );
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 6_000 })), values, (texts, others) => {
      const writer = new StateWriter();
      for (const text of texts) writer.text(text);
      for (const value of others) writer.value(value);
      const reader = new StateReader(writer.take());
      for (const text of texts) assert.equal(reader.text(), text);
      for (const value of others) assert.deepEqual(reader.value(), value);
      assert.ok(reader.ended);
    }),
  );
});

test("the checksum is the CRC-32 that others compute, of every length", () => {
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 151 + length * 7) & 0xff);
    const writer = new StateWriter();
    writer.bytes(bytes);
    const taken = writer.take();
    const end = taken.length - 4;
    assert.equal(new DataView(taken.buffer, taken.byteOffset).getUint32(end, true), crc32(taken.subarray(0, end)));
  }
});
