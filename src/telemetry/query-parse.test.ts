import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { parseSeriesQuery } from "./query-parse.ts";
import type { SeriesQuery } from "./query.ts";
import type { QueryParameters } from "./query-parse.ts";

const NOW = 1_767_225_600_000;

describe("a valid request", () => {
  test("only a thing: the last hour, raw, all fields", () => {
    assert.deepEqual(parseSeriesQuery({ thing: "a" }, NOW), {
      thing: "a",
      measurement: null,
      fields: null,
      from: NOW - 3_600_000,
      to: NOW,
      window: null,
      aggregate: null,
      limit: 100_000,
    });
  });

  const times: readonly (readonly [text: string, time: number])[] = [
    ["now", NOW],
    ["-90s", NOW - 90_000],
    ["now-7d", NOW - 7 * 86_400_000],
    ["-1w", NOW - 7 * 86_400_000],
    ["-250ms", NOW - 250],
    ["-1h30m", NOW - 5_400_000],
    ["1.5h", NOW - 5_400_000],
    ["-1y", NOW - 365 * 86_400_000],
    [" 500ms", NOW + 500],
    ["now 500ms", NOW + 500],
    ["5", 5],
    ["1767225599999", NOW - 1],
    ["2025-12-31", NOW - 86_400_000],
    ["2025-12-31T23:59:59Z", NOW - 1_000],
    ["2025-12-31T23:59Z", NOW - 60_000],
    ["2026-01-01T00:59:59.5+01:00", NOW - 500],
    ["2026-01-01T00:59:59.5 01:00", NOW - 500],
    ["2025-12-31t18:59:59-0500", NOW - 1_000],
  ];
  for (const [text, time] of times) {
    test(`from=${text}`, () =>
      assert.equal(parseSeriesQuery({ thing: "a", from: text, to: "now+1s" }, NOW).from, time));
  }

  test("windows, aggregates, fields and a limit", () => {
    const query = parseSeriesQuery(
      { thing: "a", window: "5m", fields: "x, y.z,x", measurement: "m/n", limit: "7" },
      NOW,
    );
    assert.deepEqual(
      [query.window, query.aggregate, query.fields, query.measurement, query.limit],
      [300_000, "avg", ["x", "y.z"], "m/n", 7],
    );
    assert.equal(parseSeriesQuery({ thing: "a", window: "1d", aggregate: "last" }, NOW).aggregate, "last");
    assert.equal(parseSeriesQuery({ thing: "a", window: undefined, aggregate: "" }, NOW).aggregate, null);
  });
});

describe("what else can be asked", () => {
  const cases: readonly (readonly [parameters: QueryParameters, query: Partial<SeriesQuery>])[] = [
    [{ things: "a, b,line-*" }, { thing: "a,b,line-*", things: ["a", "b", "line-*"] }],
    [{ things: ["a,b"] }, { thing: "a,b", things: ["a,b"] }],
    [{ thing: "line-*" }, { thing: "line-*", things: ["line-*"] }],
    [
      { window: "1h", aggregate: "avg,p95,p99.9,avg" },
      { aggregate: "avg", aggregates: ["avg", "p95", "p99.9"] },
    ],
    [
      { window: "1h", aggregate: "rate" },
      { aggregate: "rate", now: NOW },
    ],
    [
      { window: "1h", fill: "previous" },
      { fill: "previous", now: NOW },
    ],
    [{ window: "1h", fill: "-1.5" }, { fill: -1.5 }],
    [{ window: "1h", fill: "none" }, {}],
    [{ window: "1h", aggregate: "twa", interpolation: "previous" }, { interpolation: "previous" }],
    [{ window: "1d", tz: "Europe/Berlin" }, { calendar: { zone: "Europe/Berlin", unit: "time", size: 86_400_000 } }],
    [{ window: "3mo" }, { calendar: { zone: "UTC", unit: "months", months: 3 }, window: 90 * 86_400_000 }],
    [{ window: "1y", tz: "Asia/Tokyo" }, { calendar: { zone: "Asia/Tokyo", unit: "months", months: 12 } }],
    [
      { window: "all", aggregate: "last" },
      { calendar: { zone: "UTC", unit: "range" }, aggregate: "last" },
    ],
    [{ window: "1h", group: "all", things: "*" }, { together: true }],
    [{ things: "*", top: "5", by: "max" }, { top: { count: 5, by: "max", lowest: false } }],
    [{ things: "*", bottom: "2" }, { top: { count: 2, by: "avg", lowest: true } }],
    [{ expr: "power / flow" }, { expression: "power / flow" }],
    [{ points: "1000" }, { points: 1000 }],
  ];
  for (const [parameters, expected] of cases) {
    test(JSON.stringify(parameters), () => {
      const named = parameters["things"] === undefined ? { thing: "a", ...parameters } : parameters;
      assert.partialDeepStrictEqual(parseSeriesQuery(named, NOW), expected);
    });
  }
});

describe("a wrong request says which parameter, and what it may be", () => {
  const cases: readonly (readonly [parameters: QueryParameters, reason: RegExp])[] = [
    [{}, /'thing' is missing/],
    [{ thing: "" }, /'thing' is missing/],
    [{ thing: "a", form: "-1h" }, /'form' is no parameter.*from/],
    [{ thing: "a", from: "yesterday" }, /'from' is 'yesterday'.*ISO 8601/],
    [{ thing: "a", to: "2026-01-01T00:00:00" }, /'to' is.*with a zone/],
    [{ thing: "a", from: "2026-02-30" }, /'from'/],
    [{ thing: "a", from: "2026-13-01T00:00:00Z" }, /'from'/],
    [{ thing: "a", from: "-99999999w" }, /'from'/],
    [{ thing: "a", from: "9".repeat(16) }, /'from'/],
    [{ thing: "a", from: "now", to: "now" }, /does not lie before/],
    [{ thing: "a", from: "-1h", to: "-2h" }, /does not lie before/],
    [{ thing: "a", window: "0s" }, /'window' is '0s'.*10s/],
    [{ thing: "a", window: "5 m" }, /'window'/],
    [{ thing: "a", window: "367d" }, /at most 366d/],
    [{ thing: "a", window: "1m", aggregate: "median" }, /'aggregate' is 'median'.*avg, min, max, count, last, first/],
    [{ thing: "a", aggregate: "avg" }, /needs a 'window'/],
    [{ thing: "a", fields: " , " }, /'fields' names no field/],
    [{ thing: "a", fields: Array.from({ length: 201 }, (_, i) => i).join(",") }, /at most 200/],
    [{ thing: "a", limit: "0" }, /'limit' is '0'.*1 to 100000/],
    [{ thing: "a", limit: "100001" }, /'limit'/],
    [{ thing: "a", things: "b" }, /'thing' and 'things'/],
    [{ things: "," }, /'thing' is missing/],
    [{ things: Array.from({ length: 1001 }, (_, i) => i).join(",") }, /at most 1000 may be, or a pattern/],
    [{ thing: ["a", "b"] }, /'thing' is a list/],
    [{ thing: "a", window: "1h", aggregate: "p101" }, /'aggregate' is 'p101'.*percentile from p0 to p100/],
    [{ thing: "a", window: "1h", aggregate: "avg,min,max,sum,count,first,last,p1,p2,p3,p4" }, /at most 10/],
    [
      { thing: "a", window: "1h", fill: "zero" },
      /'fill' is 'zero'; it must be none, null, previous, linear or a number/,
    ],
    [{ thing: "a", fill: "0" }, /'fill' needs a 'window'/],
    [{ thing: "a", window: "1h", interpolation: "cubic" }, /'interpolation' is 'cubic'/],
    [{ thing: "a", window: "1d", tz: "Mars/Olympus" }, /'tz' is 'Mars\/Olympus'/],
    [{ thing: "a", tz: "Europe/Berlin" }, /'tz' needs a 'window'/],
    [{ thing: "a", window: "7h", tz: "Europe/Berlin" }, /must divide a day/],
    [{ thing: "a", window: "1201mo" }, /1200mo/],
    [{ thing: "a", group: "all" }, /'group=all' needs a 'window'/],
    [{ thing: "a", group: "field", window: "1h" }, /'group' is 'field'/],
    [{ thing: "a", group: "all", window: "1h", aggregate: "rate" }, /'rate' follows one series/],
    [{ thing: "a", group: "all", window: "1h", top: "1" }, /no 'top'/],
    [{ thing: "a", top: "0" }, /'top' is '0'/],
    [{ thing: "a", top: "1", bottom: "1" }, /one is enough/],
    [{ thing: "a", by: "max" }, /'by' needs 'top'/],
    [{ thing: "a", top: "1", by: "best" }, /'by' is 'best'/],
    [{ thing: "a", expr: "x +" }, /'expr' cannot be read at character 4/],
    [{ thing: "a", expr: "x", fields: "x" }, /leave 'fields' out/],
    [{ thing: "a", expr: "x", top: "1" }, /'expr' does not go together/],
    [{ thing: "a", points: "2" }, /at least 3/],
    [{ thing: "a", points: "10001" }, /'points'/],
    [{ thing: "a", points: "100", window: "1h" }, /leave 'window' out/],
  ];
  for (const [parameters, reason] of cases) {
    test(JSON.stringify(parameters).slice(0, 80), () =>
      assert.throws(
        () => parseSeriesQuery(parameters, NOW),
        (error) => isTidewireError(error) && error.code === "REQUEST_INVALID" && reason.test(error.message),
      ),
    );
  }
});
