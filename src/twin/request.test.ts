import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, encodeUtf8 } from "../base/mod.ts";
import { decodeDelete, decodeGet, decodeUpdate } from "./request.ts";

const nested = (levels: number, inner = "{}"): string => '{"k":'.repeat(levels) + inner + "}".repeat(levels);
const state = (text: string): string => `{"state":${text},"clientToken":"t"}`;
const wide = (text: string): string => `{"state":{"desired":${text}},"clientToken":"t"}`;

/** AWS IoT, "Device Shadow error messages". Null: taken. */
const UPDATES: readonly (readonly [what: string, body: string | Uint8Array, refused: string | null, token?: string])[] =
  [
    ["both sections", '{"state":{"desired":{"a":1},"reported":{}},"clientToken":"t"}', null],
    ["dropping sections", state('{"desired":null,"reported":null}'), null],
    ["no section", state("{}"), null],
    ["unknown keys beside state", '{"state":{},"clientToken":"t","more":[1]}', null],
    ["version 0", '{"state":{},"version":0,"clientToken":"t"}', null],
    ["empty", "", "400 Invalid JSON", ""],
    ["no JSON", "{state", "400 Invalid JSON", ""],
    ["two documents", "{}{}", "400 Invalid JSON", ""],
    ["a number", "1", "400 Missing required node: state", ""],
    ["null", "null", "400 Missing required node: state", ""],
    ["an array", '[{"clientToken":"t"}]', "400 Missing required node: state", ""],
    ["no state", '{"clientToken":"t"}', "400 Missing required node: state"],
    ["state is null", state("null"), "400 State node must be an object"],
    ["state is an array", state("[]"), "400 State node must be an object"],
    ["state is a huge number", state("12345678901234567890"), "400 State node must be an object"],
    ["desired is text", state('{"desired":"on"}'), "400 Desired node must be an object"],
    ["desired is an array", state('{"desired":[]}'), "400 Desired node must be an object"],
    ["reported is a number", state('{"reported":1e400}'), "400 Reported node must be an object"],
    ["reported is false", state('{"reported":false}'), "400 Reported node must be an object"],
    ["another section", state('{"wanted":{}}'), "400 State contains an invalid node"],
    ["a section of the prototype's", state('{"__proto__":{}}'), "400 State contains an invalid node"],
    ["state out of the prototype", '{"__proto__":{"state":{}},"clientToken":"t"}', "400 Missing required node: state"],
    ["delta is nobody's to send", state('{"delta":{}}'), "400 State contains an invalid node"],
    ["null in an array", wide('{"a":[1,null]}'), "400 State contains an invalid node"],
    ["null in an object in an array", wide('{"a":[{"b":null}]}'), "400 State contains an invalid node"],
    ["null in an array in an array", wide('{"a":[[null]]}'), "400 State contains an invalid node"],
    ["version is text", '{"state":{},"version":"1","clientToken":"t"}', "400 Invalid version"],
    ["version is null", '{"state":{},"version":null,"clientToken":"t"}', "400 Invalid version"],
    ["version is negative", '{"state":{},"version":-1,"clientToken":"t"}', "400 Invalid version"],
    ["version is broken", '{"state":{},"version":1.5,"clientToken":"t"}', "400 Invalid version"],
    ["version is beyond counting", '{"state":{},"version":1e30,"clientToken":"t"}', "400 Invalid version"],
    ["six levels of keys", wide(nested(6)), null],
    ["seven levels of keys", wide(nested(7)), "400 JSON contains too many levels of nesting; maximum is 6"],
    ["six levels, with arrays", wide('{"a":[[[[[1]]]]]}'), null],
    [
      "seven levels, with arrays",
      wide('{"a":[[[[[[1]]]]]]}'),
      "400 JSON contains too many levels of nesting; maximum is 6",
    ],
    ["50,000 levels", wide(nested(20_000)), "400 JSON contains too many levels of nesting; maximum is 6"],
    [
      "50,000 levels beside state, and a number that is read exactly",
      `{"state":{},"n":1e400,"clientToken":"t","x":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
      "400 JSON contains too many levels of nesting; maximum is 6",
    ],
    ["a token of 64 bytes", `{"state":{},"clientToken":"${"é".repeat(32)}"}`, null, "é".repeat(32)],
    ["a token of 65 bytes", `{"state":{},"clientToken":"${"é".repeat(32)}a"}`, "400 Invalid clientToken", ""],
    ["a token that is no text", '{"state":{},"clientToken":7}', "400 Invalid clientToken", ""],
    ["a token that is null", '{"state":{},"clientToken":null}', "400 Invalid clientToken", ""],
    [
      "Latin-1",
      Uint8Array.of(0x7b, 0x22, 0xe9, 0x22, 0x3a, 0x31, 0x7d),
      "415 Unsupported documented encoding; supported encoding is UTF-8",
      "",
    ],
    [
      "a lone surrogate in UTF-8",
      Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
      "415 Unsupported documented encoding; supported encoding is UTF-8",
      "",
    ],
    ["128 KiB and a byte", " ".repeat(128 * 1024 + 1), "413 The payload exceeds the maximum size allowed", ""],
  ];

for (const [what, body, refused, token = "t"] of UPDATES) {
  test(`update, ${what}: ${refused ?? "taken"}`, () => {
    const decoded = decodeUpdate(typeof body === "string" ? encodeUtf8(body) : body, LIMITS.shadow);
    const { result, clientToken } = decoded;
    assert.deepEqual(
      [result.ok ? null : `${result.code} ${result.message}`, clientToken],
      [refused, token === "" ? null : token],
    );
  });
}

test("keys of the prototype are data", () => {
  const { result } = decodeUpdate(encodeUtf8(wide('{"__proto__":{"polluted":1},"constructor":2}')), LIMITS.shadow);
  assert.ok(result.ok);
  assert.equal(JSON.stringify(result.change.desired), '{"__proto__":{"polluted":1},"constructor":2}');
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test("get: nothing, an empty object and a token are good; what is no JSON is not", () => {
  const decode = (text: string): unknown => {
    const { result, clientToken } = decodeGet(encodeUtf8(text), LIMITS.shadow);
    return [result.ok ? "ok" : result.message, clientToken];
  };
  assert.deepEqual(["", "{}", '{"clientToken":"t"}', "{", '{"clientToken":1}'].map(decode), [
    ["ok", null],
    ["ok", null],
    ["ok", "t"],
    ["Invalid JSON", null],
    ["Invalid clientToken", null],
  ]);
});

test("delete: of the body only the token counts", () => {
  const decode = (text: string): unknown => decodeDelete(encodeUtf8(text), LIMITS.shadow).clientToken;
  assert.deepEqual(["", "{", "[]", '{"clientToken":"t"}', '{"clientToken":1}'].map(decode), [
    null,
    null,
    null,
    "t",
    null,
  ]);
});
