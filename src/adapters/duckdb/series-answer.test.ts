/** Answers that the naive model does not know: arithmetic, charts, refusals, files. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { isTidewireError } from "../../base/mod.ts";
import fc from "fast-check";
import { PointBatch, parseSeriesQuery } from "../../telemetry/mod.ts";
import type { QueryParameters, SeriesResult } from "../../telemetry/mod.ts";
import { RolledUp } from "./rolled-up.scenario.ts";
import { parquetOf } from "./series-parquet.ts";
import { START } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";

const MINUTE = 60_000;
const END = START + 10 * MINUTE;
const RANGE = { from: String(START), to: String(END) };

let store: RolledUp;

function reading(thing: string, field: string, minute: number, value: Reading["value"], measurement = "m"): Reading {
  return { thing, measurement, field, time: START + minute * MINUTE, value };
}

function ask(parameters: QueryParameters): Promise<SeriesResult> {
  return store.ask(parseSeriesQuery({ ...RANGE, ...parameters }, END));
}

/** Of every series: what names it, and its points as minute and value. */
async function shown(parameters: QueryParameters): Promise<unknown> {
  const { series } = await ask(parameters);
  return series.map(({ thing, aggregate, times, values }) => {
    const points = times.map((time, i) => [(time - START) / MINUTE, values[i]]);
    const names: unknown[] = [thing, aggregate].filter((name) => name !== undefined);
    return names.concat([points]);
  });
}

async function refused(code: string, reason: RegExp, parameters: QueryParameters): Promise<void> {
  await assert.rejects(
    ask(parameters),
    (error) => isTidewireError(error) && error.code === code && reason.test(error.message),
    JSON.stringify(parameters),
  );
}

before(async () => {
  store = await RolledUp.make();
  await store.addReadings([
    ...[0, 1, 2, 3].map((minute) => reading("a", "power", minute, 10 * minute)),
    reading("a", "flow", 0, 0),
    reading("a", "flow", 1, 4),
    reading("a", "flow", 3, 5),
    reading("boiler-2", "power", 1, 1),
    reading("boiler-2", "power", 2, 2),
    reading("a", "on", 1, true),
    reading("a", "state", 1, "ok"),
    reading("two", "x", 0, 1, "m"),
    reading("two", "x", 0, 1, "n"),
  ]);
});
after(() => store.close());

describe("arithmetic", () => {
  test("fields of one thing, where all of them have a value", async () => {
    // At minute 0 it would be 0 / 0.
    assert.deepEqual(await shown({ thing: "a", expr: "power * 2 / flow" }), [
      [
        [
          [1, 5],
          [3, 12],
        ],
      ],
    ]);
  });

  test("things by name, in windows; each thing for itself; several aggregates", async () => {
    assert.deepEqual(await shown({ things: "a,boiler-2", expr: 'a.power - "boiler-2".power', window: "1m" }), [
      [
        [
          [1, 9],
          [2, 18],
        ],
      ],
    ]);
    assert.deepEqual(await shown({ things: "*", expr: "power + 1", window: "all", aggregate: "max,count" }), [
      ["a", "max", [[0, 31]]],
      ["a", "count", [[0, 5]]],
      ["boiler-2", "max", [[0, 3]]],
      ["boiler-2", "count", [[0, 3]]],
    ]);
  });

  test("what is missing is filled before it is reckoned with, or shown", async () => {
    assert.deepEqual(
      await shown({ thing: "a", expr: "power - flow", window: "1m", fill: "previous", to: String(START + 4 * MINUTE) }),
      [
        [
          [
            [0, 0],
            [1, 6],
            [2, 16],
            [3, 25],
          ],
        ],
      ],
    );
    assert.deepEqual(
      await shown({ thing: "a", expr: "power - flow", window: "1m", fill: "null", to: String(START + 4 * MINUTE) }),
      [
        [
          [
            [0, 0],
            [1, 6],
            [2, null],
            [3, 25],
          ],
        ],
      ],
    );
  });

  test("booleans are 0 and 1; strings and what is not there give nothing", async () => {
    assert.deepEqual(await shown({ thing: "a", expr: "on * 5" }), [[[[1, 5]]]]);
    assert.deepEqual(await shown({ thing: "a", expr: "state + 1" }), []);
    assert.deepEqual(await shown({ thing: "a", expr: "power + nothing" }), []);
    assert.deepEqual(await shown({ thing: "nobody", expr: "power" }), []);
  });

  test("names that could mean several series are refused", async () => {
    await refused("REQUEST_INVALID", /'x' is in several measurements \(m, n\)/, { thing: "two", expr: "x + 1" });
    await refused("REQUEST_INVALID", /whose field is 'flow'\?/, { things: "a,boiler-2", expr: "a.power / flow" });
    assert.deepEqual(await shown({ thing: "two", measurement: "n", expr: "x + 1" }), [[[[0, 2]]]]);
  });
});

describe("refusals", () => {
  test("windows that are filled count, whether points are in them or not", async () => {
    const wide = { thing: "a", from: "2020-01-01", to: "2026-01-01", window: "1m" };
    await refused("QUERY_TOO_LARGE", /more than 100000/, { ...wide, fill: "0" });
    await refused("QUERY_TOO_LARGE", /more than 100000/, { ...wide, aggregate: "integral" });
    assert.deepEqual((await ask(wide)).series, []);
  });

  test("a chart of more points than one answer holds", async () => {
    const many = Array.from({ length: 11 }, (_, i) => reading("wide", `f${i}`, 0, i));
    await store.addReadings(many);
    await refused("QUERY_TOO_LARGE", /11 series of 10000 points each/, { thing: "wide", points: "10000" });
    assert.equal((await ask({ thing: "wide", points: "9000" })).series.length, 11);
  });
});

describe("charts", () => {
  let chart: RolledUp;
  const SECONDS = 200_000;
  const query = parseSeriesQuery(
    { thing: "c", from: String(START), to: String(START + SECONDS * 1000), points: "500" },
    END,
  );

  before(async () => {
    chart = await RolledUp.make();
    const points = new PointBatch();
    const id = chart.series.resolve(chart.series.measurement("c", "m"), "x", "number");
    for (let i = 0; i < SECONDS; i++)
      points.add(id, START + i * 1000, i === 123_456 ? 99 : i === 77_777 ? -99 : Math.sin(i / 5_000));
    await chart.add(points);
  });
  after(() => chart.close());

  test("few of many points: first, last and both spikes, each as it was stored", async () => {
    chart.believed = "nothing";
    const { series, level } = await chart.ask(query);
    chart.believed = "too many points";
    const [{ times, values, reducedFrom }] = series as [SeriesResult["series"][0]];
    assert.deepEqual([times.length <= 500, times.length > 480, reducedFrom, level], [true, true, SECONDS, "raw"]);
    const at = new Map(times.map((time, i) => [(time - START) / 1000, values[i]]));
    assert.deepEqual([at.get(123_456), at.get(77_777), at.get(0)], [99, -99, 0]);
    assert.ok(at.has(SECONDS - 1));
    for (const [second, value] of at) {
      if (Math.abs(Number(value)) < 99) assert.equal(value, Math.sin(second / 5_000));
    }
  });

  test("many points are drawn from rollups, which have the same peaks at the same times, and the same ends", async () => {
    const { series, level } = await chart.ask(query);
    const [{ times, values, reducedFrom }] = series as [SeriesResult["series"][0]];
    assert.deepEqual([times.length <= 500, times.length > 480, reducedFrom, level], [true, true, SECONDS, "1m"]);
    const at = new Map(times.map((time, i) => [(time - START) / 1000, values[i]]));
    assert.deepEqual([at.get(123_456), at.get(77_777), at.get(0)], [99, -99, 0]);
    assert.ok(at.has(SECONDS - 1));
  });

  test("what rollups draw is within half a pixel of what the points draw, whatever the range and however wide its pixels", async () => {
    const groups = [{ ids: [0], text: false }];
    const stored = (time: number): number => {
      const i = (time - START) / 1000;
      return i === 123_456 ? 99 : i === 77_777 ? -99 : Math.sin(i / 5_000);
    };
    const offset = fc.integer({ min: -100_000, max: (SECONDS + 100) * 1000 });
    await fc.assert(
      fc.asyncProperty(offset, offset, fc.integer({ min: 1, max: 3_000 }), async (one, other, wanted) => {
        const [from, to] = [START + Math.min(one, other), START + Math.max(one, other)];
        const bins = Math.min(wanted, Math.floor((to - from) / 60_000)); // no narrower than minutes
        if (bins < 1) return;
        chart.believed = "nothing";
        const raw = (await chart.reader().extremes({ groups, from, to, bins })).groups[0]!;
        chart.believed = "too many points";
        const { groups: rolled, level } = await chart.reader().extremes({ groups, from, to, bins });
        const { times, values, count } = rolled[0]!;
        assert.equal(count, raw.count);
        assert.deepEqual([times[0], times.at(-1)], [raw.times[0], raw.times.at(-1)]);
        assert.ok(times.every((time, i) => values[i] === stored(time) && (i === 0 || time >= times[i - 1]!)));
        const width = Math.ceil((to - from) / bins);
        assert.ok(level !== "raw" || to - from < 2 * 3_600_000);
        let start = 0;
        for (const [i, time] of raw.times.entries()) {
          while (times[start]! < time - width) start++;
          let [lowest, highest] = [Infinity, -Infinity];
          for (let near = start; near < times.length && times[near]! <= time + width; near++) {
            lowest = Math.min(lowest, values[near]!);
            highest = Math.max(highest, values[near]!);
          }
          assert.ok(lowest <= raw.values[i]! && raw.values[i]! <= highest, `${time}: ${raw.values[i]}`);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("few points are all of them, and nothing says that they were reduced", async () => {
    const { series } = await chart.ask({ ...query, to: START + 499_000 });
    assert.deepEqual([series[0]!.times.length, series[0]!.reducedFrom], [499, undefined]);
  });

  test("where the points are gone, rollups draw the same peaks, and the answer says so", async () => {
    chart.knownFrom = new Map([["raw", START + 10 * 86_400_000]]);
    const { series, level } = await chart.ask(query);
    chart.knownFrom = new Map();
    const [{ values, times }] = series as [SeriesResult["series"][0]];
    assert.deepEqual([level, Math.max(...values.map(Number)), Math.min(...values.map(Number))], ["1m", 99, -99]);
    assert.ok(times.every((time, i) => i === 0 || time >= times[i - 1]!));
  });
});

test("an answer as Parquet is read by any DuckDB, its texts and booleans, too", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidewire-parquet-test-"));
  const instance = await DuckDBInstance.create(":memory:");
  try {
    const path = join(folder, "answer.parquet");
    await writeFile(path, await parquetOf(await ask({ thing: "a", fields: "on,state,flow" })));
    const connection = await instance.connect();
    const rows = await connection.runAndReadAll(
      `SELECT epoch_ms(time)::DOUBLE, thing, measurement, field, type, value, text FROM '${path}' ORDER BY time, field`,
    );
    assert.deepEqual(rows.getRowsJson(), [
      [START, "a", "m", "flow", "number", 0, null],
      [START + MINUTE, "a", "m", "flow", "number", 4, null],
      [START + MINUTE, "a", "m", "on", "boolean", 1, null],
      [START + MINUTE, "a", "m", "state", "string", null, "ok"],
      [START + 3 * MINUTE, "a", "m", "flow", "number", 5, null],
    ]);
  } finally {
    instance.closeSync();
    await rm(folder, { recursive: true, force: true });
  }
});
