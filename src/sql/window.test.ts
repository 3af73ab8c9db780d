import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileSql } from "./compile.ts";
import { parseDuration, printDuration } from "./duration.ts";
import { SqlError } from "./error.ts";
import { parseSql } from "./parser.ts";
import { printSql } from "./print.ts";
import { compileTemplate } from "./template.ts";

describe("statements with windows", () => {
  const ACCEPTED: readonly string[] = [
    "SELECT avg(temp) AS t, window_start() AS s FROM 'a/+/b' WHERE temp > 0 GROUP BY topic(2), TUMBLE('1 min') HAVING avg(temp) > 30",
    "SELECT topic(2) AS d, count(*) AS n FROM 'a/+/b' GROUP BY topic(2), HOP('1 h', '5 min') LATENESS '10 s' EMIT CHANGES",
    "SELECT max(x) AS m FROM 't' TIMESTAMP BY at.ms GROUP BY SLIDE('30 s')",
    "SELECT sum(x) AS m FROM 't' GROUP BY thing(), SESSION('10 min', '4 h')",
    "SELECT last(state) AS s FROM 't' GROUP BY room, COUNT(10, 5)",
    "SELECT percentile(x, 95) AS p FROM 't' GROUP BY TUMBLE('1 d', '6 h')",
    "SELECT x, lag(x) AS before FROM 't' WHERE changed(state)",
    "SELECT ewma(x, 0.1) AS e, zscore(x, 20) AS z FROM 't' GROUP BY topic(2)",
    "SELECT ewma(x, '30 s') AS e FROM 't'",
    "SELECT topic(2) AS d FROM 'a/+' WHERE temp > 30 FOR '5 min'",
    "SELECT topic(2) AS d FROM 'a/+' ABSENT FOR '2 min'",
    "SELECT topic(2) AS d FROM 'a/+' WHERE door = 'open' THEN motion WITHIN '30 s'",
    "SET @c = temp - 273 SELECT avg(@c) AS c FROM 't' GROUP BY TUMBLE('1 min')",
    "SELECT avg FROM 't' WHERE absent = 1 AND lag > group",
  ];
  for (const sql of ACCEPTED) {
    test(`${sql}: is compiled, and printed as it was written`, () => {
      compileSql(sql);
      assert.equal(printSql(parseSql(sql)), sql);
    });
  }

  test("AWS IoT's statements have no plan, ours have", () => {
    assert.equal(compileSql("SELECT avg FROM 't' WHERE absent = 1 AND lag > group").windows, null);
    assert.notEqual(compileSql("SELECT lag(x) AS l FROM 't'").windows, null);
  });

  test("what SELECT and HAVING make of the state is no part of its definition; what goes in is", () => {
    const definition = (sql: string): string => compileSql(sql).windows!.definition;
    const base = definition("SELECT avg(x) AS a FROM 't' WHERE y > 1 GROUP BY TUMBLE('1 min')");
    assert.equal(
      definition("SELECT avg(x) * 2 AS b FROM 't' WHERE y > 1 GROUP BY TUMBLE('60 s') HAVING avg(x) > 3"),
      base,
    );
    for (const other of [
      "SELECT avg(x) AS a FROM 't' WHERE y > 2 GROUP BY TUMBLE('1 min')",
      "SELECT avg(x) AS a FROM 'u' WHERE y > 1 GROUP BY TUMBLE('1 min')",
      "SELECT avg(z) AS a FROM 't' WHERE y > 1 GROUP BY TUMBLE('1 min')",
      "SELECT avg(x) AS a FROM 't' WHERE y > 1 GROUP BY y, TUMBLE('1 min')",
    ])
      assert.notEqual(definition(other), base, other);
  });

  const REFUSED: readonly (readonly [sql: string, column: number, words: RegExp])[] = [
    ["SELECT avg(x) AS a FROM 't'", 8, /avg\(\) needs a window/],
    ["SELECT x, 1 + avg(x) AS a FROM 't' WHERE x > 1", 15, /avg\(\) needs a window/],
    ["SELECT x FROM 't' GROUP BY TUMBLE('1 min')", 8, /x is neither grouped by nor inside.*\n.*\n.*\n.*last\(x\)/],
    ["SELECT topic(2) AS d FROM 't' GROUP BY topic(3), TUMBLE('1 min')", 8, /topic\(2\) is neither/],
    ["SELECT timestamp() AS d FROM 't' GROUP BY TUMBLE('1 min')", 8, /timestamp\(\) is neither/],
    ["SELECT * FROM 't' GROUP BY TUMBLE('1 min')", 8, /\* is neither/],
    ["SELECT avg(max(x)) AS a FROM 't' GROUP BY TUMBLE('1 min')", 12, /another aggregate/],
    ["SELECT avg(x) AS a FROM 't' WHERE avg(x) > 1 GROUP BY TUMBLE('1 min')", 35, /cannot stand in WHERE/],
    ["SELECT lag(x) AS a FROM 't' GROUP BY TUMBLE('1 min')", 8, /not of a window/],
    ["SELECT count(*) AS a FROM 't' GROUP BY count(*), TUMBLE('1 min')", 46, /expected a whole number/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY TUMBLE('1 min'), HOP('1 min', '1 s')", 55, /one window/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY TUMBLE(60)", 45, /expected a duration.*\n.*\n.*\n.*'90 s'/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY TUMBLE('1 fortnight')", 45, /expected a duration/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY TUMBLE('0 s')", 45, /at least 1 ms/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY TUMBLE('60 d')", 45, /at most 31 d/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY HOP('1 min')", 49, /a size and a step/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY HOP('1 s', '1 min')", 49, /longer than the window/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY HOP('1 d', '1 s')", 29, /windows of a key/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY COUNT(0)", 44, /whole number from 1/],
    ["SELECT avg(x) AS a FROM 't' GROUP BY x", 8, /needs a window/],
    ["SELECT x FROM 't' GROUP BY x", 19, /GROUP BY needs a window/],
    ["SELECT x FROM 't' HAVING x > 1", 19, /HAVING needs a window/],
    ["SELECT x FROM 't' WHERE x > 1 EMIT CHANGES", 31, /EMIT needs a window/],
    ["SELECT x FROM 't' TIMESTAMP BY ts", 19, /TIMESTAMP BY needs a window/],
    ["SELECT percentile(x, 101) AS p FROM 't' GROUP BY TUMBLE('1 min')", 22, /from 0 to 100/],
    ["SELECT percentile(x, y) AS p FROM 't' GROUP BY TUMBLE('1 min')", 22, /from 0 to 100/],
    ["SELECT lag(x, 0) AS p FROM 't'", 15, /whole number from 1/],
    ["SELECT ewma(x, 'soon') AS p FROM 't'", 16, /half-life/],
    ["SELECT ewma(x, 0) AS p FROM 't'", 16, /more than 0/],
    ["SELECT avg() AS p FROM 't'", 8, /takes 1 argument/],
    ["SELECT avg(*) AS p FROM 't' GROUP BY TUMBLE('1 min')", 12, /expected a value/],
    ["SELECT x FROM 't' WHERE ABSENT FOR '1 min'", 19, /takes no WHERE/],
    ["SELECT x FROM 't' WHERE y THEN z", 33, /expected WITHIN/],
    ["SELECT count(*) AS n FROM 't' WHERE y FOR '1 min' GROUP BY TUMBLE('1 min')", 39, /either a window or/],
    [
      "SELECT avg(x) AS a FROM 't' GROUP BY TUMBLE('1 min') HAVING avg(x) > 8 FOR '5 min'",
      72,
      /FOR does not go with HAVING/,
    ],
    ["SELECT avg(x) AS a FROM 't' GROUP BY TUMBLE('1 min') HAVING avg(x) > 8 THEN z", 72, /THEN does not go/],
    ["SET @a = lag(x) SELECT @a AS a FROM 't'", 10, /cannot stand in SET/],
    ["SELECT (SELECT VALUE lag(x) FROM list) AS a FROM 't'", 22, /nested SELECT/],
  ];
  for (const [sql, column, words] of REFUSED) {
    test(`${sql}: is refused at ${column}`, () => {
      assert.throws(
        () => compileSql(sql),
        (error: unknown) => {
          assert.ok(error instanceof SqlError, String(error));
          assert.match(error.message, words);
          assert.equal(error.column, column, error.message);
          return true;
        },
      );
    });
  }

  test("a template has no windows", () => {
    assert.throws(() => compileTemplate("${avg(x)}"), /can stand in the statement only/);
  });
});

describe("durations", () => {
  test("are read in words and in ISO 8601", () => {
    const rows: readonly (readonly [string, number | null])[] = [
      ["90 s", 90_000],
      ["5 minutes", 300_000],
      ["1 h 30 min", 5_400_000],
      ["1.5 hours", 5_400_000],
      ["250ms", 250],
      ["1 day", 86_400_000],
      ["PT5M", 300_000],
      ["PT1H30M", 5_400_000],
      ["P1DT12H", 129_600_000],
      ["P2W", 1_209_600_000],
      ["PT0.5S", 500],
      ["P", null],
      ["PT", null],
      ["5", null],
      ["minutes", null],
      ["5 parsecs", null],
      ["-5 s", null],
      ["", null],
      ["99999999999999999999 d", null],
    ];
    for (const [text, span] of rows) assert.equal(parseDuration(text), span, text);
  });

  test("are printed so that they are read as the same", () => {
    fc.assert(fc.property(fc.nat({ max: 10_000_000_000 }), (span) => parseDuration(printDuration(span)) === span));
  });
});
