import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isJsonObject, parseJson } from "./json.ts";

const limits = { jsonBytesMax: 1024, jsonDepthMax: 4 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("JSON values come out as they are", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      const text = JSON.stringify(value);
      fc.pre(bytes(text).length <= limits.jsonBytesMax);
      assert.deepEqual(parseJson(bytes(text), limits), { ok: true, value: JSON.parse(text) });
    }),
  );
});

for (const [name, text, fault] of [
  ["not JSON", "hello", "not-json"],
  ["empty", "", "not-json"],
  ["cut off", '{"a":', "not-json"],
  ["a bomb of brackets", "[".repeat(1000), "too-deep"],
  ["one level too many", "[[[[[1]]]]]", "too-deep"],
  ["objects count too", '{"a":{"b":[{"c":[1]}]}}', "too-deep"],
  ["too large", `"${"x".repeat(1024)}"`, "too-large"],
] as const) {
  test(`refused: ${name}`, () => {
    assert.deepEqual(parseJson(bytes(text), limits), { ok: false, fault });
  });
}

test("the deepest allowed value passes, brackets in strings do not count, escaped quotes do not end a string", () => {
  assert.equal(parseJson(bytes("[[[[1]]]]"), limits).ok, true);
  assert.equal(parseJson(bytes('"[[[[[[[["'), limits).ok, true);
  assert.equal(parseJson(bytes(String.raw`["\"[[[[[[", "\\"]`), limits).ok, true);
});

test("a payload that is not UTF-8 is refused, not patched up", () => {
  assert.deepEqual(parseJson(Uint8Array.of(0x22, 0xff, 0x22), limits), { ok: false, fault: "not-json" });
});

test("only an object is an object", () => {
  assert.equal(isJsonObject({}), true);
  for (const other of [null, [], "x", 1, true, undefined]) assert.equal(isJsonObject(other), false);
});
