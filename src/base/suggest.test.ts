import assert from "node:assert/strict";
import { test } from "node:test";
import { closestWord } from "./suggest.ts";

for (const [word, known, expected] of [
  ["httpPrt", ["httpPort", "httpsPort", "data"], "httpPort"],
  ["brokr", ["broker", "thing"], "broker"],
  ["FORM", ["FROM", "WHERE", "SELECT"], "FROM"],
  ["Data", ["data"], "data"],
  ["zzz", ["data", "bind"], null],
  ["x", ["y"], "y"],
  ["", ["data"], null],
  ["anything", [], null],
] as const) {
  test(`nearest to '${word}' among ${known.join(", ") || "nothing"}: ${expected}`, () => {
    assert.equal(closestWord(word, known), expected);
  });
}
