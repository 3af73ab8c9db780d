import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { exact, isNode, same } from "./json.ts";

/** What goes in, and what comes out where that is not the same text. */
const NUMBERS: readonly (readonly [text: string, kept?: string])[] = [
  ["0"],
  ["-1"],
  ["1.5"],
  ["1.50", "1.5"],
  ["1e3", "1000"],
  ["1.0e-2", "0.01"],
  ["9007199254740992"],
  ["9007199254740993"],
  ["12345678901234567890"],
  ["-12345678901234567890"],
  ["0.1"],
  ["0.12345678901234567890123"],
  ["1e400"],
  ["-1E+400"],
  ["1e-400"],
  ["0e99", "0"],
  ["123456789012345680000"],
];

for (const [text, kept = text] of NUMBERS) {
  test(`the number ${text} is kept as ${kept}`, () => {
    assert.equal(JSON.stringify(exact(`{"a":[${text}]}`)), `{"a":[${kept}]}`);
  });
}

test("what a double holds is an ordinary number, and exact text survives being read again and again", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.bigInt(), (double, integer) => {
      const text = `{"d":${JSON.stringify(double)},"i":${integer}}`;
      const once = JSON.stringify(exact(text));
      assert.equal(JSON.stringify(exact(once)), once);
      assert.equal((exact(text) as { d: number }).d, JSON.parse(JSON.stringify(double)));
      assert.ok(once.endsWith(`"i":${integer}}`));
    }),
  );
});

test("the last of several equal keys counts", () => {
  assert.equal(JSON.stringify(exact('{"a":1,"a":12345678901234567890}')), '{"a":12345678901234567890}');
});

test("a number that is kept as text is no object", () => {
  const { a } = exact('{"a":12345678901234567890}') as { a: never };
  assert.equal(isNode(a), false);
  assert.equal(same(a, exact("12345678901234567890")), true);
  assert.equal(same(a, {}), false);
  assert.equal(same({}, a), false);
});
