import assert from "node:assert/strict";
import { test } from "node:test";
import { property, assert as check, json, uint8Array } from "fast-check";
import { decodeCbor, encodeCbor } from "./cbor.ts";

test("what is JSON goes there and back", () => {
  const value = {
    certificateOwnershipToken: "t",
    parameters: { SerialNumber: "7", empty: "" },
    n: [1, -2, 1.5, true, null],
  };
  assert.deepEqual(decodeCbor(encodeCbor(value)), value);
});

test("bytes of another encoder (RFC 8949 appendix A)", () => {
  assert.deepEqual(decodeCbor(Uint8Array.from([0xa2, 0x61, 0x61, 0x01, 0x61, 0x62, 0x82, 0x02, 0x03])), {
    a: 1,
    b: [2, 3],
  });
});

test("tags, indefinite lengths, deep nesting, torn and trailing bytes are refused", () => {
  const deep = Uint8Array.from([...Array<number>(40).fill(0x81), 0x00]);
  const tag = Uint8Array.from([0xd8, 0x69, 0x80]);
  const indefinite = Uint8Array.from([0x9f, 0x00, 0xff]);
  const huge = Uint8Array.from([0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  const whole = encodeCbor({ a: "text", b: [1, 2] });
  for (const bytes of [deep, tag, indefinite, huge, new Uint8Array(0), Uint8Array.from([...whole, 0])]) {
    assert.throws(() => decodeCbor(bytes));
  }
  for (let end = 0; end < whole.length; end++) assert.throws(() => decodeCbor(whole.subarray(0, end)), `cut at ${end}`);
});

test("any bytes are either a value or an error, and quickly", () => {
  check(
    property(uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeCbor(bytes);
      } catch {
        // refused
      }
    }),
    { numRuns: 2_000 },
  );
  check(
    property(json(), (text) => {
      const value = JSON.parse(text) as Parameters<typeof encodeCbor>[0];
      try {
        // Maps have no order, and -0 no JSON.
        const same = (of: unknown): unknown => JSON.parse(JSON.stringify(of));
        assert.deepEqual(same(decodeCbor(encodeCbor(value))), same(value));
      } catch (error) {
        assert.match(String(error), /nested too deeply/);
      }
    }),
    { numRuns: 200 },
  );
});
