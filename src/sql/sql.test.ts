import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { nodeSqlEnvironment } from "../adapters/sql-environment.ts";
import { LIMITS } from "../base/mod.ts";
import type { JsonValue } from "../base/mod.ts";
import { compileSql } from "./compile.ts";
import type { CompiledSql } from "./compile.ts";
import { SqlError } from "./error.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import type { ExternalRequest } from "./external.ts";
import type { SqlEnvironment, SqlInput } from "./input.ts";
import { parsePayload } from "./number.ts";
import { parseSql } from "./parser.ts";
import { printSql } from "./print.ts";
import {
  ARITHMETIC,
  CASES,
  CASTS,
  CLIENT,
  COMPARISONS,
  DIGITS,
  DIGITS_2015,
  DIGITS_PAYLOAD,
  FAULTS,
  GOTCHAS,
  LITERALS,
  LOGIC,
  NESTED,
  NOT_IN_2015,
  PATHS,
  PAYLOAD,
  RECEIVED_AT,
  STATEMENTS,
  TOPIC,
  VARIABLES as VARIABLE_ROWS,
} from "./sql.cases.ts";
import type { Row } from "./sql.cases.ts";
import { compileTemplate } from "./template.ts";
import type { BinaryOperator, Expression, SelectStatement } from "./tree.ts";
import type { SqlVersion } from "./version.ts";

/** What the external functions of the examples are answered. */
const ANSWERS: Readonly<Record<ExternalRequest["name"], (request: ExternalRequest) => JsonValue>> = {
  get_thing_shadow: (request) =>
    "shadow" in request && request.shadow === "config"
      ? { state: { desired: { mode: "eco" } } }
      : { state: { reported: { alarm: "ON" } } },
  get_registry_data: () => ({ thingName: "pi-1", attributes: { site: "north" } }),
  get_secret: () => '{"API_KEY_VALUE":"s3cr3t"}',
  aws_lambda: (request) => ({ n: 2 * (request as unknown as { payload: { n: number } }).payload.n }),
  function: (request) => ({ n: 2 * (request as unknown as { payload: { n: number } }).payload.n }),
  get_dynamodb: () => ({ id: "pi-1", location: "roof" }),
  lookup: () => ({ id: "pi-1", location: "roof" }),
  machinelearning_predict: () => ({ predictedValue: 0.5 }),
};

const environment: SqlEnvironment = {
  ...nodeSqlEnvironment("123456789012"),
  decodeProtobuf: (bytes, { message }) => (message === "Reading" ? { value: bytes[1]! } : undefined),
  external: async (request) => ANSWERS[request.name](request),
};

function inputOf(payload: Uint8Array): SqlInput {
  const { json, exact } = parsePayload(payload, LIMITS.rules);
  return {
    topic: TOPIC,
    clientId: CLIENT,
    receivedAt: RECEIVED_AT,
    payload,
    json: () => json,
    written: () => parsePayload(payload, LIMITS.rules, "2015-10-08").json,
    exact,
    principal: "ba67293af50bf2506f5f93469686da660c7c844e7b3950bfb16813e0d31e9373",
    traceId: "12345678-1234-1234-1234-123456789012",
    sourceIp: "192.0.2.7",
    properties: {
      contentType: "application/json",
      payloadFormat: 1,
      userProperties: [
        ["site", "north"],
        ["unit", "C"],
        ["site", "roof"],
      ],
    },
    environment,
  };
}

const utf8 = new TextEncoder();
const message = inputOf(utf8.encode(JSON.stringify(PAYLOAD)));

/** The value of an expression; `undefined` where its key was left out of the result. */
function valueOf(expression: string, input: SqlInput = message): JsonValue | undefined {
  const outcome = compileSql(`SELECT ${expression} AS v FROM 't'`).evaluate(input);
  assert.ok(outcome.matched);
  return (outcome.value as { v?: JsonValue }).v;
}

const GROUPS: Readonly<Record<string, readonly Row[]>> = {
  literals: LITERALS,
  paths: PATHS,
  comparisons: COMPARISONS,
  logic: LOGIC,
  arithmetic: ARITHMETIC,
  casts: CASTS,
  "case … end": CASES,
  gotchas: GOTCHAS,
};

describe("expressions", () => {
  for (const [group, rows] of Object.entries(GROUPS)) {
    test(group, () => {
      for (const [expression, value] of rows) assert.deepEqual(valueOf(expression), value, expression);
    });
  }

  for (const { examples, name } of FUNCTIONS.values()) {
    test(`${name}() does what its examples say`, async () => {
      assert.ok(examples.length > 0);
      for (const [expression, result] of examples) {
        const sql = compileSql(`SELECT ${expression} AS v FROM 't'`, { numbers: "exact" });
        const outcome = sql.evaluate((await sql.prepare(message)) ?? message);
        assert.ok(outcome.matched);
        const { v } = outcome.value as { v?: JsonValue };
        assert.equal(v === undefined ? "Undefined" : JSON.stringify(v), result, expression);
      }
    });
  }

  test("functions are found whatever their case", () => {
    assert.equal(valueOf("ISUNDEFINED(missing)"), true);
    assert.equal(valueOf("Round(1.5)"), 2);
  });
});

describe("numbers with more digits than a double has", () => {
  const input = inputOf(utf8.encode(DIGITS_PAYLOAD));
  const jsonOf = (expression: string, version: SqlVersion): string | undefined => {
    const outcome = compileSql(`SELECT ${expression} AS v FROM 't'`, { numbers: "exact", version }).evaluate(input);
    assert.ok(outcome.matched);
    return JSON.stringify((outcome.value as { v?: JsonValue }).v);
  };

  test("come out with all of them", () => {
    for (const [expression, json] of DIGITS) assert.equal(jsonOf(expression, "2016-03-23"), json, expression);
  });

  test("in version 2015-10-08 whole Decimals stay Decimals", () => {
    for (const [expression, json] of DIGITS_2015) assert.equal(jsonOf(expression, "2015-10-08"), json, expression);
  });

  test("leave as doubles where nothing else is asked for", () => {
    const all = compileSql("SELECT *, big + 1 AS next, [long] AS list FROM 't' WHERE big = 9007199254740993");
    const outcome = all.evaluate(input);
    assert.ok(outcome.matched);
    const value = outcome.value as Record<string, JsonValue>;
    assert.deepEqual(
      [value["big"], value["next"], value["list"], value["huge"]],
      [9007199254740992, 9007199254740994, [12345678901234567000], null],
    );
    const exact = compileSql("SELECT * FROM 't'", { numbers: "exact" }).evaluate(input);
    assert.ok(exact.matched);
    assert.match(JSON.stringify(exact.value), /"big":9007199254740993,"long":12345678901234567890\.123456789/);
  });

  test("have no keys that a path reaches", () => {
    for (const path of ["big.coefficient", "big.toJSON", "get(big, 'scale')"])
      assert.equal(valueOf(path, input), undefined);
  });
});

describe("version 2015-10-08 does not have", () => {
  for (const [sql, column, words] of NOT_IN_2015) {
    test(sql, () => {
      compileSql(sql);
      assert.throws(
        () => compileSql(sql, { version: "2015-10-08" }),
        (error: unknown) => error instanceof SqlError && words.test(error.message) && error.column === column,
      );
    });
  }
});

describe("external functions", () => {
  const sql = (text: string): CompiledSql => compileSql(text);
  const shadow = "get_thing_shadow(topic(2), 'role').state.reported.alarm";

  test("are asked before, and only where WHERE can still be true without them", async () => {
    const asked: ExternalRequest[] = [];
    const input: SqlInput = {
      ...message,
      environment: {
        ...environment,
        external: async (request) => {
          asked.push(request);
          return ANSWERS[request.name](request);
        },
      },
    };
    assert.deepEqual(sql("SELECT a FROM 't'").externals, []);
    assert.equal(sql("SELECT a FROM 't'").prepare(input), null);
    assert.equal(sql(`SELECT ${shadow} AS alarm FROM 't' WHERE n > 100`).prepare(input), null);
    assert.equal(asked.length, 0);
    const rule = sql(`SET @alarm = ${shadow} SELECT @alarm AS alarm FROM 't' WHERE @alarm = 'ON'`);
    assert.deepEqual(rule.externals, ["get_thing_shadow"]);
    const answered = await rule.prepare(input);
    assert.deepEqual(rule.evaluate(answered!), { matched: true, value: { alarm: "ON" } });
    assert.equal(compileTemplate("${@alarm}!", rule).render(answered!), "ON!");
    assert.deepEqual(asked, [{ name: "get_thing_shadow", thing: "pi-1", shadow: null, role: "role" }]);
    assert.deepEqual(rule.evaluate(message), { matched: false, undecided: true }); // not asked: Undefined
  });

  test("may be given what others answered", async () => {
    const chained = sql("SELECT aws_lambda('double', aws_lambda('double', {'n': 1})).n AS v FROM 't'");
    assert.deepEqual(chained.evaluate((await chained.prepare(message))!), { matched: true, value: { v: 4 } });
  });

  test("are Undefined where they fail, answer too much or nobody answers, and say why", async () => {
    const notes: string[] = [];
    const ask = async (external: SqlEnvironment["external"]): Promise<unknown> => {
      const bare = nodeSqlEnvironment("1");
      const with_ = external === undefined ? bare : { ...bare, external };
      const input: SqlInput = { ...message, environment: with_, note: (reason) => void notes.push(reason) };
      const rule = sql("SELECT get_dynamodb('t', 'k', 1, 'r') AS v FROM 't'");
      const outcome = rule.evaluate((await rule.prepare(input))!);
      return outcome.matched && outcome.value;
    };
    assert.deepEqual(await ask(undefined), {});
    assert.deepEqual(await ask(() => Promise.reject(new Error("table is away"))), {});
    assert.deepEqual(await ask(async () => undefined), {});
    assert.deepEqual(await ask(async () => "x".repeat(9000)), {}); // gotcha 8
    assert.match(notes.join("\n"), /nothing that answers[^]*table is away[^]*no answer[^]*larger than 8192 bytes/);
  });
});

describe("statements", () => {
  for (const [sql, payload, expected] of [...STATEMENTS, ...NESTED, ...VARIABLE_ROWS]) {
    test(`${sql.replaceAll(/\s+/g, " ")} ← ${payload}`, () => {
      const outcome = compileSql(sql).evaluate(inputOf(utf8.encode(payload)));
      if (outcome.matched) assert.deepEqual(outcome.value, expected);
      else assert.equal(outcome.undecided ? "undecided" : "no match", expected);
    });
  }

  test("* alone hands on a payload that is not JSON as it came", () => {
    const bytes = Uint8Array.of(0xff, 0x00, 0x7f);
    const outcome = compileSql("SELECT * FROM 't'").evaluate(inputOf(bytes));
    assert.ok(outcome.matched);
    assert.equal(outcome.value, bytes);
  });

  test("the payload is not changed by nesting into it", () => {
    const json = { a: { b: 1 } };
    const input: SqlInput = { ...message, json: () => json };
    const outcome = compileSql("SELECT *, 2 AS a.c FROM 't'").evaluate(input);
    assert.deepEqual(outcome, { matched: true, value: { a: { b: 1, c: 2 } } });
    assert.deepEqual(json, { a: { b: 1 } });
  });

  test("a key named __proto__ is a key like any other", () => {
    const input = inputOf(utf8.encode('{"__proto__":{"polluted":1},"a":2}'));
    const all = compileSql("SELECT *, a AS __proto__.x FROM 't'").evaluate(input);
    assert.ok(all.matched);
    assert.equal(JSON.stringify(all.value), '{"__proto__":{"polluted":1,"x":2},"a":2}');
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  test("a variable is computed once per message, for WHERE, SELECT and the templates of the actions", () => {
    const sql = compileSql(
      "SET @now = {'at': count}, @twice = @now.at * 2 SELECT @twice AS t FROM 't' WHERE @now.at > 0",
    );
    let asked = 0;
    const counting = (): SqlInput => ({ ...message, json: () => ({ count: ++asked }) });
    const first = counting();
    assert.equal(sql.test(first), true);
    assert.deepEqual(sql.select(first), { t: 2 });
    assert.equal(compileTemplate("${@now.at} of ${@twice}", sql).render(first), "1 of 2");
    assert.equal(asked, 1);
    assert.deepEqual(sql.evaluate(counting()), { matched: true, value: { t: 4 } });
    assert.throws(() => compileTemplate("${@later}", sql), /no variable @later/);
    assert.throws(() => compileTemplate("${@now}"), /no variable @now/);
  });

  test("nested SELECTs stop where a payload and a rule would make them work for minutes", () => {
    const items = Array.from({ length: 100_000 }, (_, i) => i);
    const input: SqlInput = { ...message, json: () => ({ items, text: "x".repeat(100_000) }) };
    const value = (sql: string): JsonValue => {
      const outcome = compileSql(sql).evaluate(input);
      assert.ok(outcome.matched);
      return outcome.value as JsonValue;
    };
    const count = "SELECT (SELECT VALUE * FROM items WHERE * < 3) AS v FROM 't'";
    assert.throws(() => compileSql(count)); // a number has no keys and * stands alone
    assert.deepEqual(value("SELECT get((SELECT * FROM items), 2) AS v FROM 't'"), { v: 2 });
    const text = "SET @text = text";
    assert.deepEqual(value(`${text} SELECT (SELECT VALUE upper(@text) FROM items) AS v FROM 't'`), {});
    assert.deepEqual(value(`${text} SELECT (SELECT VALUE @text FROM items) AS v FROM 't'`), {});
    const all = "SET @all = items";
    const product = "(SELECT VALUE (SELECT VALUE (SELECT VALUE 1 FROM @all) FROM @all) FROM @all)";
    assert.deepEqual(value(`${all} SELECT ${product} AS v FROM 't'`), {});
  });

  test("the filter and the text are handed out for routing and display", () => {
    const sql = compileSql("SELECT * FROM 'telemetry/+/system' WHERE a > 1");
    assert.equal(sql.filter, "telemetry/+/system");
    assert.equal(sql.text, "SELECT * FROM 'telemetry/+/system' WHERE a > 1");
  });
});

describe("faults", () => {
  for (const [sql, line, column, words] of FAULTS) {
    test(`${JSON.stringify(sql)} is refused at ${line}:${column}`, () => {
      assert.throws(
        () => compileSql(sql),
        (error: unknown) => {
          assert.ok(error instanceof SqlError, String(error));
          assert.match(error.message, words);
          assert.deepEqual([error.line, error.column], [line, column], error.message);
          return true;
        },
      );
    });
  }

  test("the message shows the line with a caret under the place, however long the line is", () => {
    const sql = `SELECT ${"a, ".repeat(100)}b ! FROM 't'`;
    assert.throws(
      () => parseSql(sql),
      (error: unknown) => {
        const [, excerpt, caret] = (error as SqlError).message.split("\n");
        assert.equal(excerpt![caret!.indexOf("^")], "!");
        assert.ok(excerpt!.length < 110);
        return true;
      },
    );
  });
});

describe("limits", () => {
  const deep = LIMITS.rules.sqlDepthMax;
  const nested: readonly (readonly [string, (n: number) => string])[] = [
    ["parentheses", (n) => `SELECT ${"(".repeat(n)}1${")".repeat(n)} AS x FROM 't'`],
    ["NOT", (n) => `SELECT * FROM 't' WHERE ${"NOT ".repeat(n)}a`],
    ["minus", (n) => `SELECT ${"- ".repeat(n)}a AS x FROM 't'`],
    ["a chain of +", (n) => `SELECT a${"+a".repeat(n)} AS x FROM 't'`],
    ["SELECT", (n) => `SELECT ${"(SELECT VALUE ".repeat(n)}1${" FROM a)".repeat(n)} AS x FROM 't'`],
    ["SELECT in FROM", (n) => `SELECT ${"(SELECT * FROM ".repeat(n)}a${")".repeat(n)} AS x FROM 't'`],
    ["calls", (n) => `SELECT ${"abs(".repeat(n)}1${")".repeat(n)} AS x FROM 't'`],
    ["arrays", (n) => `SELECT ${"[".repeat(n)}${"]".repeat(n)} AS x FROM 't'`],
    ["objects", (n) => `SELECT ${"{'a':".repeat(n)}1${"}".repeat(n)} AS x FROM 't'`],
    ["CASE", (n) => `SELECT ${"CASE ".repeat(n)}1${" WHEN 1 THEN 1 END".repeat(n)} AS x FROM 't'`],
  ];
  for (const [what, text] of nested) {
    test(`${what}: deep nesting is refused with a reason, never by an exhausted stack`, () => {
      compileSql(text(deep - 3)).evaluate(message);
      for (const n of [deep + 1, 600]) {
        assert.throws(() => parseSql(text(n)), /nested deeper than|longer than 16384 bytes/);
      }
    });
  }

  test("a statement that is too long, a path that is too deep, a list that is too long", () => {
    assert.throws(() => parseSql(`SELECT '${"x".repeat(17_000)}' AS a FROM 't'`), /longer than 16384 bytes/);
    assert.throws(() => parseSql(`SELECT a${".a".repeat(8000)} FROM 't'`), /path of more than 32/);
    assert.throws(() => parseSql(`SELECT 1 AS a${".a".repeat(8000)} FROM 't'`), /path of more than 32/);
    assert.throws(() => parseSql(`SELECT a${",a".repeat(300)} FROM 't'`), /more than 256 items/);
    assert.throws(() => parseSql(`SELECT concat(a${",a".repeat(300)}) FROM 't'`), /more than 256 items/);
  });

  test("a text that would grow without end becomes Undefined", () => {
    const big = "x".repeat(600_000);
    const input: SqlInput = { ...message, json: () => ({ s: big, list: [big] }) };
    assert.equal(valueOf("s + s", input), undefined);
    assert.equal(valueOf("concat(s, s)", input), undefined);
    assert.equal(valueOf("replace(s, 'x', 'xx')", input), undefined);
    assert.equal(valueOf("length(encode(s + 'y', 'base64'))", input), 800_004);
    assert.equal(valueOf("encode(concat(s, 'abc'), 'base64') + s", input), undefined);
  });
});

// ── properties ─────────────────────────────────────────────────────────────────────────────────

const OPERATORS: readonly BinaryOperator[] = ["or", "and", "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"];
const at = 0;
const name = fc.constantFrom("a", "b2", "_c", "Temperature", "value");

const VARIABLES = ["v1", "Half_2"] as const;

const expressions = fc.letrec<{ e: Expression }>((tie) => ({
  e: fc.oneof(
    { maxDepth: 5 },
    fc
      .oneof(fc.constant(null), fc.boolean(), fc.string({ maxLength: 8 }))
      .map((value): Expression => ({ kind: "literal", value, decimal: false, at })),
    fc.nat(1e6).map((value): Expression => ({ kind: "literal", value, decimal: false, at })),
    fc
      .double({ min: 0, max: 1e12, noNaN: true })
      .map((value): Expression => ({ kind: "literal", value: value + 0, decimal: true, at })),
    fc.array(name, { minLength: 1, maxLength: 3 }).map((path): Expression => ({ kind: "path", path, at })),
    fc
      .tuple(tie("e"), name)
      .map(([of, key]): Expression =>
        of.kind === "path" ? { kind: "path", path: [...of.path, key], at } : { kind: "member", of, name: key, at },
      ),
    fc.tuple(tie("e"), tie("e")).map((args): Expression => ({ kind: "call", name: "get", args, at })),
    tie("e").map((of): Expression => ({ kind: "cast", of, type: "int", at })),
    fc
      .tuple(fc.constantFrom("-" as const, "not" as const), tie("e"))
      .map(([operator, of]): Expression => ({ kind: "unary", operator, of, at })),
    fc
      .tuple(fc.constantFrom(...OPERATORS), tie("e"), tie("e"))
      .map(([operator, left, right]): Expression => ({ kind: "binary", operator, left, right, at })),
    fc.tuple(tie("e"), tie("e"), tie("e"), fc.option(tie("e"))).map(([of, when, result, otherwise]): Expression => ({
      kind: "case",
      of,
      branches: [{ when, result }],
      otherwise,
      at,
    })),
    fc.array(tie("e"), { maxLength: 3 }).map((items): Expression => ({ kind: "array", items, at })),
    fc.constantFrom(...VARIABLES).map((name): Expression => ({ kind: "variable", name, at })),
    fc
      .record({ value: tie("e"), from: tie("e"), where: fc.option(tie("e")), as: name })
      .filter(({ from }) => from.kind !== "unary" && from.kind !== "binary")
      .map(({ value, from, where, as }): Expression => ({
        kind: "nested",
        select:
          as === "value"
            ? { kind: "value", value }
            : { kind: "items", items: [{ kind: "expression", value, as: [as], at }] },
        from,
        where,
        at,
      })),
    fc
      .array(fc.record({ key: fc.string({ maxLength: 5 }), value: tie("e") }), { maxLength: 3 })
      .map((entries): Expression => ({ kind: "object", entries, at })),
  ),
})).e;

const statements: fc.Arbitrary<SelectStatement> = fc.record({
  variables: fc.tuple(
    fc.record({
      name: fc.constant(VARIABLES[0]),
      value: fc.jsonValue({ maxDepth: 0 }).map((value): Expression =>
        typeof value === "object"
          ? { kind: "path", path: ["a"], at }
          : {
              kind: "literal",
              value: typeof value === "number" ? 5 : value,
              decimal: false,
              at,
            },
      ),
      at: fc.constant(at),
    }),
    fc.record({
      name: fc.constant(VARIABLES[1]),
      value: fc.constant<Expression>({ kind: "variable", name: VARIABLES[0], at }),
      at: fc.constant(at),
    }),
  ),
  select: fc.oneof(
    expressions.map((value) => ({ kind: "value" as const, value })),
    fc
      .array(
        fc.oneof(
          fc.constant({ kind: "star" as const, at }),
          fc.record({
            kind: fc.constant("expression" as const),
            value: expressions,
            as: fc.array(name, { minLength: 1, maxLength: 3 }),
            at: fc.constant(at),
          }),
        ),
        { minLength: 1, maxLength: 4 },
      )
      .map((items) => ({ kind: "items" as const, items })),
  ),
  filter: fc.constantFrom("a", "a/+/b", "#", "it's/x", "$aws/things/+/shadow/#"),
  where: fc.option(expressions),
});

/** The tree without positions, which printing does not keep. */
function bare(tree: unknown): unknown {
  return JSON.parse(JSON.stringify(tree, (key, value: unknown) => (key === "at" ? undefined : value)));
}

describe("properties", () => {
  test("what is printed is parsed to the same tree", () => {
    fc.assert(
      fc.property(statements, (statement) => {
        const text = printSql(statement);
        assert.deepEqual(bare(parseSql(text)), bare(statement), text);
      }),
      { numRuns: 2000 },
    );
  });

  test("evaluating never throws and never changes the payload, whatever the statement and the payload", () => {
    fc.assert(
      fc.property(statements, fc.jsonValue({ maxDepth: 4 }), (statement, json) => {
        const before = JSON.stringify(json);
        const outcome = compileSql(printSql(statement)).evaluate({ ...message, json: () => json as JsonValue });
        if (outcome.matched) JSON.stringify(outcome.value);
        assert.equal(JSON.stringify(json), before);
      }),
      { numRuns: 2000 },
    );
  });

  test("constant expressions are worth the same as with their constants in the payload", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...OPERATORS),
        fc.jsonValue({ maxDepth: 1 }),
        fc.jsonValue({ maxDepth: 1 }),
        (operator, a, b) => {
          if (a === undefined || b === undefined || operator === "/") return;
          const literal = (value: unknown): string => {
            if (Array.isArray(value)) return `[${value.map(literal).join(",")}]`;
            if (typeof value === "object" && value !== null) {
              return `{${Object.entries(value)
                .map(([k, v]) => `'${k.replaceAll("'", "''")}': ${literal(v)}`)
                .join(",")}}`;
            }
            return typeof value === "string"
              ? `'${value.replaceAll("'", "''")}'`
              : String(value).toUpperCase().replace("E+", "E");
          };
          const input: SqlInput = { ...message, json: () => ({ a, b }) as JsonValue };
          const folded = valueOf(`(${literal(a)}) ${operator} (${literal(b)})`, input);
          assert.deepEqual(folded, valueOf(`a ${operator} b`, input));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("no text makes the parser fail otherwise than by a SqlError within the text", () => {
    const words =
      "SELECT FROM WHERE AS VALUE CASE WHEN THEN ELSE END AND OR NOT cast get topic a.b 1 1.5 'x' \"y\" ( ) [ ] { } , . * + - / % = <> < <= > >= : ' \" ! é 😀";
    const soup = fc.array(fc.constantFrom(...words.split(" ")), { maxLength: 30 }).map((parts) => parts.join(" "));
    const cut = fc
      .tuple(statements.map(printSql), fc.nat(), fc.nat())
      .map(([text, from, to]) => text.slice(0, from % (text.length + 1)) + text.slice(to % (text.length + 1)));
    fc.assert(
      fc.property(fc.oneof(soup, cut, fc.string({ unit: "binary" })), (text) => {
        try {
          const statement = parseSql(text);
          assert.deepEqual(bare(parseSql(printSql(statement))), bare(statement));
        } catch (error) {
          if (!(error instanceof SqlError)) throw error;
          assert.ok(error.position >= 0 && error.position <= text.length && error.line >= 1 && error.column >= 1);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe("templates", () => {
  test("expressions are put in, the rest stays; variables come before keys of the payload", () => {
    const template = compileTemplate("CPU at ${round(d)} % on ${thing}: ${s + '}'} ${get({'a': n}, 'a')} $5 {x}");
    assert.equal(template.render(message, { thing: "pi-1" }), "CPU at 3 % on pi-1: hello} 5 $5 {x}");
    assert.equal(compileTemplate("${s}").render(message), "hello");
  });

  test("what has no text leaves nothing", () => {
    assert.equal(
      compileTemplate("[${missing}][${nil}][${color}]").render(message),
      '[][][{"red":255,"deep":{"er":"x"}}]',
    );
  });

  test("values are escaped, the template's own text is not", () => {
    const template = compileTemplate("<b>${s}</b>");
    assert.equal(
      template.render(message, {}, (value) => value.toUpperCase()),
      "<b>HELLO</b>",
    );
  });

  test("faults point into the template", () => {
    assert.throws(
      () => compileTemplate("a ${n +} b"),
      (error: unknown) => error instanceof SqlError && error.column === 8,
    );
    assert.throws(() => compileTemplate("a ${n"), /no closing \}/);
    assert.throws(() => compileTemplate("${}"), /expected a value/);
  });
});
