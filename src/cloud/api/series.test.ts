/** What `/api/series` makes of an answer: formats, pages, names of files; and what it refuses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TidewireError } from "../../base/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import { apiWorld } from "./api.fixture.ts";
import type { Answer } from "./api.fixture.ts";
import type { SeriesOfResult, SeriesResult } from "./contract.ts";
import { csvCell, csvWide } from "./series-formats.ts";

const T = Date.UTC(2026, 0, 31, 12);

const SERIES: readonly SeriesOfResult[] = [
  { measurement: "system", field: "cpu", type: "number", times: [T, T + 1000], values: [-1.5, 2] },
  { measurement: "system", field: "state", type: "string", times: [T], values: ['=cmd|"x",\r\n'] },
];

/** Numbered points, one per millisecond but for a bulk of equal times, as a store gives them page by page. */
function counting(count: number, bulk = 0): (query: SeriesQuery) => Partial<SeriesResult> {
  const all = Array.from({ length: count }, (_, i) => (i < bulk ? T : T + i - bulk));
  return ({ from, to, limit }) => {
    const first = all.findIndex((time) => time >= from);
    const found = first < 0 ? [] : all.slice(first).filter((time) => time < to);
    const times = found.slice(0, limit);
    const values = times.map((_, i) => first + i);
    const series = [{ measurement: "m", field: "x", type: "number" as const, times, values }];
    return { series: times.length === 0 ? [] : series, truncated: found.length > limit };
  };
}

function lines({ text }: Answer): string[] {
  return text.split(/\r?\n/).filter((line) => line !== "");
}

describe("formats", () => {
  test("CSV: a line per time and series; texts that a spreadsheet would run are disarmed, numbers are not touched", async () => {
    await using world = await apiWorld();
    world.store.answer = () => ({ series: SERIES });
    const answer = await world.ask("GET", "/api/series?thing=pump&from=0&format=csv");
    assert.equal(answer.headers["content-type"], "text/csv; charset=utf-8");
    assert.match(
      String(answer.headers["content-disposition"]),
      /^attachment; filename="pump-19700101T0000-\d{8}T\d{4}\.csv"$/,
    );
    assert.equal(
      answer.text,
      "time,thing,measurement,field,aggregate,value\r\n" +
        "2026-01-31T12:00:00.000Z,pump,system,cpu,,-1.5\r\n" +
        '2026-01-31T12:00:00.000Z,pump,system,state,,"\'=cmd|""x"",\r\n"\r\n' +
        "2026-01-31T12:00:01.000Z,pump,system,cpu,,2\r\n",
    );
  });

  test("CSV, wide: a column per series, equal times on lines of their own", () => {
    const repeated = { ...SERIES[0]!, field: "b", times: [T, T], values: [7, 8] };
    assert.equal(
      csvWide([{ ...SERIES[0]!, thing: "pump", aggregate: "avg" }, repeated]),
      "time,pump/system/cpu/avg,system/b\r\n" +
        "2026-01-31T12:00:00.000Z,-1.5,7\r\n" +
        "2026-01-31T12:00:00.000Z,,8\r\n" +
        "2026-01-31T12:00:01.000Z,2,\r\n",
    );
  });

  for (const [text, cell] of [
    ["plain", "plain"],
    ["+1", "'+1"],
    ["-x", "'-x"],
    ["@sum", "'@sum"],
    ["\tx", "'\tx"],
    ["a,b", '"a,b"'],
    ['say "x"', '"say ""x"""'],
    ["", ""],
  ] as const) {
    test(`the cell of ${JSON.stringify(text)}`, () => assert.equal(csvCell(text), cell));
  }

  test("newline-delimited JSON gives every text as it is", async () => {
    await using world = await apiWorld();
    world.store.answer = () => ({ series: SERIES, level: "1h", incomplete: true });
    const answer = await world.ask("GET", "/api/series?thing=pump&from=0", undefined, {
      accept: "application/x-ndjson",
    });
    assert.deepEqual(
      lines(answer).map((line) => JSON.parse(line) as unknown),
      [
        { time: T, thing: "pump", measurement: "system", field: "cpu", value: -1.5 },
        { time: T, thing: "pump", measurement: "system", field: "state", value: '=cmd|"x",\r\n' },
        { time: T + 1000, thing: "pump", measurement: "system", field: "cpu", value: 2 },
      ],
    );
    assert.deepEqual(
      [answer.headers["x-tidewire-level"], answer.headers["x-tidewire-incomplete"]],
      ["1h", "damaged-files"],
    );
  });

  test("Parquet is what the store makes", async () => {
    await using world = await apiWorld();
    const answer = await world.ask("GET", "/api/series?thing=a/../b&format=parquet");
    assert.equal(answer.headers["content-type"], "application/vnd.apache.parquet");
    assert.match(String(answer.headers["content-disposition"]), /filename="a-b-[\dT-]+\.parquet"/);
    assert.equal(answer.text, "PAR1");
  });

  test("the Accept header: first of those that we have; none of them is refused", async () => {
    await using world = await apiWorld();
    for (const [accept, type] of [
      ["*/*", /json/],
      ["text/html, text/csv;q=0.9", /csv/],
      ["application/vnd.apache.parquet", /parquet/],
    ] as const) {
      const { headers } = await world.ask("GET", "/api/series?thing=a", undefined, { accept });
      assert.match(String(headers["content-type"]), type);
    }
    assert.equal((await world.ask("GET", "/api/series?thing=a", undefined, { accept: "image/png" })).status, 400);
  });
});

describe("pages", () => {
  test("points beyond the limit of one answer come page by page, each once and in order", async () => {
    await using world = await apiWorld();
    world.store.answer = counting(150_000, 30_000);
    const answer = await world.ask("GET", "/api/series?thing=a&from=0&to=2027-01-01&format=ndjson");
    const values = lines(answer).map((line) => (JSON.parse(line) as { value: number }).value);
    assert.deepEqual([values.length, values.every((value, i) => value === i)], [150_000, true]);
    assert.equal(answer.headers["x-tidewire-truncated"], undefined);
    assert.ok(world.store.queries.every(({ limit }) => limit <= 100_000));
  });

  test("a limit that is asked for holds", async () => {
    await using world = await apiWorld();
    world.store.answer = counting(150_000);
    const answer = await world.ask("GET", "/api/series?thing=a&from=0&to=2027-01-01&format=csv&limit=45000");
    assert.equal(lines(answer).length, 45_001);
  });

  test("nothing stored is a head without lines", async () => {
    await using world = await apiWorld();
    assert.equal(lines(await world.ask("GET", "/api/series?thing=a&format=csv")).length, 1);
    assert.equal((await world.ask("GET", "/api/series?thing=a&format=ndjson")).text, "");
  });

  test("a failure of the first page has its own status", async () => {
    await using world = await apiWorld();
    world.store.failure = new TidewireError("QUERY_TOO_SLOW", { limit: "10 s" });
    assert.equal((await world.ask("GET", "/api/series?thing=a&format=csv")).status, 504);
  });
});

test("a query that no address has room for is posted; numbers and lists as such", async () => {
  await using world = await apiWorld();
  const fields = ["a,b", "c"];
  const body = {
    things: ["x", "line-*"],
    fields,
    from: T,
    to: T + 1,
    window: "1m",
    aggregate: ["avg", "p95"],
    limit: 10,
  };
  assert.equal((await world.ask("POST", "/api/series", body)).status, 200);
  assert.partialDeepStrictEqual(world.store.queries[0], {
    things: ["x", "line-*"],
    fields,
    from: T,
    aggregates: ["avg", "p95"],
    limit: 10,
  });
  for (const wrong of [{}, { thing: 7, from: {} }, { thing: "a", form: 1 }, { thing: "a", limit: 0.5 }]) {
    assert.equal((await world.ask("POST", "/api/series", wrong)).status, 400, JSON.stringify(wrong));
  }
});
