import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { copied, encoded } from "./bodies.ts";

test("bodies are what they were made of, whatever is made after them", () => {
  const body = fc.oneof(fc.uint8Array({ maxLength: 1_200 }), fc.string({ unit: "grapheme", maxLength: 400 }));
  fc.assert(
    fc.property(fc.array(body, { maxLength: 40 }), (bodies) => {
      const made = bodies.map((given) => (typeof given === "string" ? encoded(given) : copied(given)));
      for (const [i, given] of bodies.entries()) {
        const expected = typeof given === "string" ? new TextEncoder().encode(given) : given;
        assert.deepEqual(Uint8Array.from(made[i]!), Uint8Array.from(expected));
      }
    }),
  );
});

test("a body does not change with the bytes that it is a copy of", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const body = copied(bytes);
  bytes.fill(9);
  assert.deepEqual([...body], [1, 2, 3]);
});
