import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { matchesPattern, mayTouch } from "./actor.ts";
import type { Actor } from "./actor.ts";

describe("patterns of thing names", () => {
  for (const [pattern, name, takes] of [
    ["pump-1", "pump-1", true],
    ["pump-1", "pump-10", false],
    ["*", "", true],
    ["*", "anything", true],
    ["line-*", "line-", true],
    ["line-*", "line-7", true],
    ["line-*", "on-line-7", false],
    ["*-7", "line-7", true],
    ["*-7", "line-77x", false],
    ["a*b*c", "abc", true],
    ["a*b*c", "a-b-c", true],
    ["a*b*c", "acb", false],
    ["ab*ba", "aba", false],
    ["a**b", "ab", true],
    ["*a*a*", "a", false],
    ["*a*a*", "xaya", true],
    ["", "", true],
    ["", "x", false],
  ] as const) {
    test(`'${pattern}' ${takes ? "takes" : "leaves"} '${name}'`, () =>
      assert.equal(matchesPattern(pattern, name), takes));
  }

  test("an actor who is narrowed to nothing may touch nothing; one who is not, everything", () => {
    const actor = (things: Actor["things"]): Actor => ({
      identity: { kind: "token", session: null, mark: "m" },
      permissions: new Set(),
      things,
    });
    assert.deepEqual(
      [[], ["a", "b-*"], null].map((things) => ["a", "b-1", "c"].map((thing) => mayTouch(actor(things), thing))),
      [
        [false, false, false],
        [true, true, false],
        [true, true, true],
      ],
    );
  });
});
