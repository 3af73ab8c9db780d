/** Statements and messages of people who mean harm: refused or computed, never thrown, never without end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { nodeSqlEnvironment } from "../adapters/sql-environment.ts";
import { LIMITS } from "../base/mod.ts";
import { compileSql } from "./compile.ts";
import { SqlError } from "./error.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import type { SqlInput } from "./input.ts";
import { parsePayload } from "./number.ts";
import { compileTemplate } from "./template.ts";
import { SQL_VERSIONS } from "./version.ts";

const environment = nodeSqlEnvironment("1");
const utf8 = new TextEncoder();

function inputOf(payload: Uint8Array): SqlInput {
  const { json, exact } = parsePayload(payload, LIMITS.rules);
  const written = (): typeof json => parsePayload(payload, LIMITS.rules, "2015-10-08").json;
  return { topic: "a/b", clientId: "c", receivedAt: 1e12, payload, json: () => json, exact, written, environment };
}

describe("statements", () => {
  const many = (n: number, text: string): string => text.repeat(n);
  for (const [what, sql] of [
    ["of a megabyte", `SELECT '${many(1_000_000, "x")}' AS a FROM 't'`],
    ["with 10,000 parentheses", `SELECT ${many(10_000, "(")}1${many(10_000, ")")} AS a FROM 't'`],
    ["with 10,000 open parentheses", `SELECT ${many(10_000, "(")}`],
    ["with 10,000 arguments", `SELECT concat(1${many(10_000, ",1")}) AS a FROM 't'`],
    ["with 1,000 arguments", `SELECT concat(1${many(1_000, ",1")}) AS a FROM 't'`],
    [
      "with 1,000 variables",
      `SET @a = 1${Array.from({ length: 1_000 }, (_, i) => `,@v${i}=1`).join("")} SELECT a FROM 't'`,
    ],
    ["with a pattern that grows", `SELECT regexp_matches(a, '${many(5, "(")}a{1000}${many(5, "){1000}")}') FROM 't'`],
    ["with a time field as wide as a book", `SELECT parse_time('${many(9_000, "y")}', 0) FROM 't'`],
  ] as const) {
    test(`${what} are refused`, () => assert.throws(() => compileSql(sql), SqlError));
  }
});

describe("texts that grow", () => {
  const input = inputOf(
    utf8.encode(JSON.stringify({ s: "ab".repeat(250_000), list: Array.from({ length: 9_000 }, () => ({ k: 1 })) })),
  );
  for (const expression of [
    "s + s + s",
    "concat(s, s, s)",
    "replace(s, 'a', s)",
    "regexp_replace(s, 'a', s)",
    "regexp_replace(s, '', '$0xxxxxxxxxx')",
    "transform('enrichArray', {'big': s}, list)",
    "transform('enrichArray', {'big': 'xxxxxxxxxx'}, list)",
    "(SELECT VALUE lpad('x', 1000) FROM list)",
    "(SELECT VALUE concat(@s, k) FROM list)",
    "(SELECT VALUE sha512(@s) FROM list)",
  ]) {
    test(`${expression} is Undefined`, () => {
      const outcome = compileSql(`SET @s = s SELECT ${expression} AS v FROM 't'`).evaluate(input);
      // Only asked for: a difference of a megabyte would take the test for minutes to show.
      assert.ok(outcome.matched && !Object.hasOwn(outcome.value as object, "v"));
    });
  }

  test("SET doubles a text only as far as a text may be", () => {
    const set = Array.from({ length: 60 }, (_, i) => `@v${i + 1} = @v${i} + @v${i}`).join(", ");
    const sql = compileSql(`SET @v0 = 'x', ${set} SELECT @v60 AS v, length(@v20) AS n FROM 't'`);
    assert.deepEqual(sql.evaluate(input), { matched: true, value: { n: 2 ** 20 } });
  });
});

const words = fc.constantFrom(
  "a",
  "b.c",
  "*",
  "1",
  "-2.5",
  "12345678901234567890",
  "1e300",
  "'x'",
  "''",
  "'base64'",
  "'\ud800'",
  "'(a+)+'",
  "'yyyy-MM-dd HH:mm z'",
  "'Europe/Berlin'",
  "'__proto__'",
  "'constructor'",
  "NULL",
  "TRUE",
  "[1, a]",
  "{'__proto__': a}",
  "__proto__",
  "constructor.prototype",
  "@v",
  "(SELECT * FROM a)",
  "(SELECT VALUE b FROM a WHERE b > 1)",
  "missing",
);
const calls = fc.letrec<{ e: string }>((tie) => ({
  e: fc.oneof(
    { maxDepth: 3 },
    words,
    fc
      .tuple(fc.constantFrom(...[...FUNCTIONS.values()].map(({ name }) => name)), fc.array(tie("e"), { maxLength: 3 }))
      .map(([name, args]) => `${name}(${args.join(", ")})`),
    fc
      .tuple(tie("e"), fc.constantFrom("+", "-", "*", "/", "%", "=", "<", "AND"), tie("e"))
      .map((parts) => `(${parts.join(" ")})`),
  ),
})).e;
const payloads = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.json({ maxDepth: 4 }).map((text) => utf8.encode(text)),
  fc
    .constantFrom(
      '{"a":1e999}',
      '{"a":10.0,"b":{"c":[]}}',
      '{"__proto__":{"a":1},"a":[{"b":2}]}',
      '{"a":"\\ud800"}',
      '{"a":1,"a":2}',
      "null",
      "5",
      '"x"',
      "[]",
      "",
    )
    .map((text) => utf8.encode(text)),
);

test("whatever is called with whatever, in every version: a value, or a SqlError that says where", () => {
  fc.assert(
    fc.property(calls, payloads, fc.constantFrom(...SQL_VERSIONS), (expression, payload, version) => {
      const text = `SET @v = a SELECT *, ${expression} AS x.y, a AS __proto__.z FROM 't' WHERE nanvl(isNull(${expression}), TRUE) OR TRUE`;
      const input = inputOf(payload);
      try {
        for (const numbers of ["double", "exact"] as const) {
          const sql = compileSql(text, { version, numbers });
          const outcome = sql.evaluate(input);
          if (outcome.matched) assert.ok((JSON.stringify(outcome.value) ?? "").length < 10_000_000);
          compileTemplate(`\${${expression}}`, sql).render(input);
        }
      } catch (error) {
        assert.ok(error instanceof SqlError, `${expression}: ${String(error)}`);
        assert.ok(error.position <= text.length && error.reason.length > 0);
      }
    }),
    { numRuns: 400 },
  );
  assert.deepEqual(Object.keys(Object.prototype), []);
});
