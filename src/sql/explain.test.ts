import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileSql } from "./compile.ts";
import { explainSql, printExplanation } from "./explain.ts";
import type { SqlInput } from "./input.ts";
import type { SqlValue } from "./value.ts";

function input(json: SqlValue): SqlInput {
  const payload = new TextEncoder().encode(JSON.stringify(json) ?? "not JSON");
  return { topic: "a/b", clientId: "c", receivedAt: 0, payload, json: () => json };
}

const reasons = (sql: string, json: SqlValue): readonly string[] =>
  explainSql(sql, input(json)).where.flatMap(({ text, reason }) => (reason === null ? [] : [`${text}: ${reason}`]));

describe("an explanation", () => {
  test("says what is not asked here, also where a variable asks", () => {
    const sql = "SET @row = lookup('t', n), @max = @row.max, @none = get(n, 'x') SELECT * FROM 'a/b' WHERE ";
    assert.deepEqual(reasons(`${sql}n < @max`, { n: 1 }), [
      "@max: what SET asks for it is asked when a message comes, not here",
    ]);
    assert.deepEqual(reasons(`${sql}lookup('t', n).max > n`, { n: 1 }), [
      "lookup('t', n): lookup() is asked when a message comes, not here",
    ]);
    assert.deepEqual(reasons(`${sql}n < @none`, { n: 1 }), ["@none: SET gives it no value"]);
  });

  test("shows each part with its value, under the statement's own text", () => {
    const sql = "SELECT * FROM 'a/b' WHERE temp > 30 AND status = 'on'";
    assert.equal(
      printExplanation(sql, explainSql(sql, input({ temp: 31, status: "off" }))),
      [
        `  ${sql}`,
        "                            ^             ^",
        "  temp > 30 AND status = 'on'  false",
        "    temp > 30                  true",
        "      temp                     31",
        "    status = 'on'              false",
        '      status                   "off"',
      ].join("\n"),
    );
  });

  test("says where Undefined begins, and why", () => {
    const where = (condition: string): string => `SELECT * FROM 'a/b' WHERE ${condition}`;
    assert.deepEqual(reasons(where("a.b.c > 1"), { a: {} }), ["a.b.c: a has no key b"]);
    assert.deepEqual(reasons(where("a.b > 1"), { a: 5 }), ["a.b: a is a number, not an object"]);
    assert.deepEqual(reasons(where("a > 1"), { a: "x" }), ["a > 1: > has no value of a string and a number"]);
    assert.deepEqual(reasons(where("a > 1"), undefined), ["a: the payload is not JSON"]);
    assert.deepEqual(reasons(where("a > 1 AND b = 2"), { b: 2 }), ["a: the payload has no key a"]);
  });

  test("does not pretend to know what state keeps", () => {
    const { verdict, where } = explainSql("SELECT * FROM 'a/b' WHERE v > lag(v)", input({ v: 1 }));
    assert.equal(verdict, null);
    assert.deepEqual(
      where.map(({ text, unknown }) => [text, unknown]),
      [
        ["v > lag(v)", true],
        ["v", false],
        ["lag(v)", true],
        ["v", false],
      ],
    );
  });

  test("has the verdict of the statement itself, whatever the payload", () => {
    const sqls = [
      "a > 1 AND b = 'x'",
      "NOT a OR b < 3",
      "isUndefined(a)",
      "nanvl(a, 0) = 0",
      "(SELECT VALUE v FROM a) = b",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...sqls), fc.dictionary(fc.constantFrom("a", "b"), fc.jsonValue()), (where, json) => {
        const sql = `SELECT * FROM 'a/b' WHERE ${where}`;
        const message = input(json as SqlValue);
        assert.equal(explainSql(sql, message).verdict, compileSql(sql).test(message));
      }),
    );
  });
});
