import assert from "node:assert/strict";
import { test } from "node:test";
import { stampOf } from "./message.ts";

test("a stamp is read from its two user properties, wherever they stand", () => {
  const userProperties = [
    ["x", "1"],
    ["tw-seq", "42"],
    ["tw-outbox", "a_B-9"],
  ] as const;
  assert.deepEqual(stampOf({ userProperties }), { outbox: "a_B-9", sequence: 42 });
});

for (const [outbox, sequence] of [
  ["", "1"],
  ["a b", "1"],
  ["a".repeat(65), "1"],
  ["a", "0"],
  ["a", "01"],
  ["a", "-1"],
  ["a", "1.5"],
  ["a", "1e3"],
  ["a", "9".repeat(16)],
] as const) {
  test(`a malformed stamp is none: ${outbox.slice(0, 8)} ${sequence}`, () => {
    assert.equal(
      stampOf({
        userProperties: [
          ["tw-outbox", outbox],
          ["tw-seq", sequence],
        ],
      }),
      null,
    );
  });
}

test("no properties, no stamp; half a stamp is none", () => {
  assert.equal(stampOf(null), null);
  assert.equal(stampOf({}), null);
  assert.equal(stampOf({ userProperties: [["tw-seq", "1"]] }), null);
});
