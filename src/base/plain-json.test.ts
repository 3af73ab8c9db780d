import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseJson } from "./json.ts";
import { PlainJson, UNREAD } from "./plain-json.ts";

const limits = { jsonBytesMax: 1024, jsonDepthMax: 5 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const plain = new PlainJson();
const me = {};
const isPlain = (text: string): boolean => plain.scan(bytes(text), limits, me);
const wholeOf = (text: string): string | null => {
  assert.ok(isPlain(text), text);
  return plain.whole === null ? null : new TextDecoder().decode(plain.whole);
};

/** What a member is by the parser, and whether there is one. */
function parsed(text: string): Readonly<Record<string, unknown>> | null {
  const result = parseJson(bytes(text), limits);
  return result.ok ? (result.value as Record<string, unknown>) : null;
}

function assertAsParsed(text: string): void {
  const object = parsed(text);
  assert.notEqual(object, null, `plain, and no JSON: ${text}`);
  for (const key of [...Object.keys(object!), "missing", "", "__proto__", "constructor"]) {
    const value = plain.member(key);
    if (value !== UNREAD) assert.deepEqual(value, Object.hasOwn(object!, key) ? object![key] : undefined, key);
    else assert.equal(typeof object![key], "object");
  }
}

test("members are what the parser makes of them", () => {
  const text = ` {"n":-0.5,"t" : "warm","a":[1,{"b":[]}],"o":{"x":{"y":1.25}},"yes":true,"no":false,"none":null,"e":{},"z":0,"m":-0} `;
  assert.equal(isPlain(text), true);
  assertAsParsed(text);
  assert.equal(plain.member("n"), -0.5);
  assert.equal(plain.member("t"), "warm");
  assert.ok(Object.is(plain.member("m"), -0));
  assert.deepEqual(plain.member("a"), [1, { b: [] }]);
});

test("a number is the double that is nearest to what is written", () => {
  const digits = fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 });
  fc.assert(
    fc.property(digits, fc.nat({ max: 15 }), (number, places) => {
      const text = String(Math.abs(number)).padStart(places + 1, "0");
      const written = `${number < 0 ? "-" : ""}${text.slice(0, text.length - places)}${places === 0 ? "" : "."}${text.slice(text.length - places)}`;
      fc.pre(text.length <= 15);
      assert.equal(isPlain(`{"n":${written}}`), true, written);
      assert.equal(plain.member("n"), Number(written));
    }),
  );
});

test("whatever is plain is JSON with the same members; JSON of printable ASCII without long numbers is plain", () => {
  const text = fc.string({ unit: fc.constantFrom(..."abc12 ".split("")) });
  const decimal = fc.integer({ min: -99_999, max: 99_999 }).map((number) => number / 100 + 0);
  const leaf = fc.oneof(text, fc.integer(), decimal, fc.boolean(), fc.constant(null));
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof({ maxDepth: 2 }, leaf, fc.array(tie("tree"), { maxLength: 3 }), fc.dictionary(text, tie("tree"))),
  }));
  fc.assert(
    fc.property(fc.dictionary(text, tree, { maxKeys: 8 }), fc.boolean(), (object, spaced) => {
      const written = JSON.stringify(object, null, spaced ? " " : undefined).replaceAll("\n", " ");
      fc.pre(written.length <= limits.jsonBytesMax - 2); // with what stands around it below
      assert.equal(isPlain(written), true, written);
      assertAsParsed(written);
      assert.equal(wholeOf(` ${written}\t`), written);
    }),
  );
});

test("one byte changed, and it is still JSON with the same members, or not plain", () => {
  const text = '{"a":12.5,"b":[1,"x",{"c":true}],"d":null,"e":"text"}';
  const position = fc.nat({ max: text.length - 1 });
  fc.assert(
    fc.property(position, fc.constantFrom(...'{}[]",:.0-9eE+ \n\t\\trufalsn\u0000\u007f'.split("")), (at, other) => {
      const changed = text.slice(0, at) + other + text.slice(at + 1);
      if (isPlain(changed)) assertAsParsed(changed);
      const cut = text.slice(0, at);
      assert.equal(isPlain(cut), false, cut);
    }),
    { numRuns: 2_000 },
  );
});

for (const [what, text] of [
  ["nothing", ""],
  ["an array", "[1]"],
  ["a bare number", "1"],
  ["two objects", "{}{}"],
  ["an object and more", '{"a":1} x'],
  ["a leading zero", '{"a":01}'],
  ["a bare minus", '{"a":-}'],
  ["a point without digits", '{"a":1.}'],
  ["a comma at the end", '{"a":1,}'],
  ["a comma at the end of an array", '{"a":[1,]}'],
  ["no comma", '{"a":1 "b":2}'],
  ["brackets that do not fit", '{"a":[1}}'],
  ["a word that is none", '{"a":nul}'],
  ["a key that is no text", "{a:1}"],
  ["a text without an end", '{"a":"b}'],
  ["a control character", '{"a":"\u0001"}'],
  ["16 digits", '{"a":1234567890.123456}'],
  ["an exponent", '{"a":1e3}'],
  ["an escape", '{"a":"\\n"}'],
  ["an escape in a key", '{"\\u0061":1}'],
  ["other letters", '{"a":"ü"}'],
  ["a line break", '{"a":1,\n"b":2}'],
  ["a byte order mark", '\ufeff{"a":1}'],
  ["too deep", '{"a":{"a":{"a":{"a":{"a":{}}}}}}'],
  ["too long", `{"a":"${"x".repeat(1024)}"}`],
  ["many members", `{${Array.from({ length: 65 }, (_, i) => `"${i}":1`).join()}}`],
] as const) {
  test(`left to the parser: ${what}`, () => {
    assert.equal(isPlain(text), false);
    assert.equal(plain.owner, null);
  });
}

test("of a key that is there twice the last one counts, and the object is not passed on as it is", () => {
  assert.equal(wholeOf('{"ab":1,"ba":2,"ab":3}'), null);
  assert.equal(plain.member("ab"), 3);
  assert.equal(wholeOf('{"ab":1,"ba":2,"a":{"ab":1,"ab":2}}'), '{"ab":1,"ba":2,"a":{"ab":1,"ab":2}}');
});

test("an object with a number that would be written otherwise is not passed on as it is", () => {
  for (const number of ["10.0", "-0", "1.50", "-0.0", "0.10"]) {
    assert.equal(wholeOf(`{"a":[${number}]}`), null, number);
    assert.ok(isPlain(`{"a":${number}}`));
    assertAsParsed(`{"a":${number}}`);
  }
  for (const number of ["10", "0", "-10", "0.01", "-0.5", "100.25"]) assert.ok(wholeOf(`{"a":[${number}]}`), number);
});

test("a long object within is left to the parser", () => {
  assert.ok(isPlain(`{"a":[${"1,".repeat(40)}1],"b":2}`));
  assert.equal(plain.member("a"), UNREAD);
  assert.equal(plain.member("b"), 2);
  assert.equal(plain.owner, me);
});
