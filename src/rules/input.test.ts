import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../base/mod.ts";
import { compileSql, memberOf, parsePayload } from "../sql/mod.ts";
import { MessageInput } from "./input.ts";
import { messageOf } from "./rules.fixture.ts";
import { RuleMatch } from "./sends.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const inputOf = (payload: Uint8Array): MessageInput => new MessageInput(messageOf("a/b", payload));
const textOf = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** What a rule with this SELECT sends. */
function sent(select: string, payload: string, awsIotSqlVersion: "2015-10-08" | "2016-03-23" = "2016-03-23"): string {
  const sql = compileSql(`SELECT ${select} FROM 'a/b'`, { version: awsIotSqlVersion });
  const input = inputOf(bytes(payload));
  const value = sql.takesWhole ? undefined : sql.select(input);
  return textOf(new RuleMatch(input, value, "r", sql).bytes);
}

describe("members of a payload", () => {
  test("are those of the parsed payload, whatever it is, however many are asked for and in between other messages", () => {
    const key = fc.constantFrom("a", "b", "temperature", "__proto__", "ü", "");
    const leaf = fc.oneof(fc.string(), fc.double(), fc.maxSafeInteger(), fc.constantFrom(null, true, "ü", 1e21));
    const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 4 }), fc.dictionary(key, leaf, { maxKeys: 3 }));
    const json = fc.oneof(leaf, fc.dictionary(key, value, { maxKeys: 5 })).map((object) => JSON.stringify(object));
    const payload = fc.oneof({ weight: 5, arbitrary: json.map(bytes) }, fc.uint8Array({ maxLength: 12 }));
    fc.assert(
      fc.property(payload, payload, fc.array(key, { maxLength: 20 }), fc.nat(), (mine, other, keys, between) => {
        const [input, second] = [inputOf(mine), inputOf(other)];
        const { json: parsed } = parsePayload(mine, LIMITS.rules);
        for (const [i, name] of keys.entries()) {
          if (i === between % 20) second.top(name);
          assert.deepEqual(input.top(name), memberOf(parsed, name), name);
        }
      }),
    );
  });

  test("WHERE finds them without parsing, and parses for what it cannot find so", () => {
    const sql = compileSql("SELECT * FROM 'a/b' WHERE temperature > 40 AND battery.percent < 50");
    const verdict = (payload: string): boolean | undefined => sql.test(inputOf(bytes(payload)));
    assert.equal(verdict('{"temperature":41.5,"battery":{"percent":20}}'), true);
    assert.equal(verdict('{"temperature":41.5,"battery":{"percent":50}}'), false);
    assert.equal(verdict('{"temperature":4e2,"battery":{"percent":20}}'), true);
    assert.equal(verdict('{"temperature":12345678901234567890,"battery":{"percent":20}}'), true);
    assert.equal(verdict('{"temperature":41,"temperature":39,"battery":{"percent":20}}'), false);
    assert.equal(verdict('{"temperature":41.5,"battery":{"percent":20}'), undefined);
    assert.equal(verdict('{"temperature":41.5}'), undefined);
    assert.equal(verdict("41.5"), undefined);
  });
});

describe("SELECT * sends", () => {
  test("a plain object as it was written", () => {
    for (const select of ["*", "VALUE *"]) {
      assert.equal(sent(select, ' {"b": 1.5, "a":[1, {"c":"x y"}]}\t'), '{"b": 1.5, "a":[1, {"c":"x y"}]}');
    }
  });

  test("an object of several lines as one: some receivers are given a line each", () => {
    assert.equal(sent("*", '{"a":1,\n"b":\n{"c":2}\n}\n'), '{"a":1,"b":{"c":2}}');
  });

  test("what was decided on, where a key is there twice", () => {
    assert.equal(sent("*", '{"a":1,"b":2,"a":3}'), '{"a":3,"b":2}');
  });

  test("whatever else is JSON as the parser has it, and what is none as it is", () => {
    assert.equal(sent("*", '{"a":"\\u0041"}'), '{"a":"A"}');
    assert.equal(sent("*", "[1, 2]"), "[1,2]");
    assert.equal(sent("*", '{"a":1'), '{"a":1');
    assert.equal(sent("*", '{"a": 10.0}'), '{"a":10}');
    assert.equal(sent("*", '{"a":10.0}', "2015-10-08"), '{"a":10}');
  });

  test("more than the payload where more is selected", () => {
    assert.equal(sent("*, topic(2) AS t", '{"a": 1}'), '{"a":1,"t":"b"}');
    assert.equal(sent("a", '{"a": 1}'), '{"a":1}');
  });
});

test("a match of the whole payload is parsed for whoever asks for its value", () => {
  const sql = compileSql("SELECT * FROM 'a/b'");
  const match = new RuleMatch(inputOf(bytes('{"a": 1}')), undefined, "r", sql);
  assert.deepEqual(match.value, { a: 1 });
  assert.equal(match.value, match.value);
  assert.equal(textOf(match.bytes), '{"a":1}');
});
