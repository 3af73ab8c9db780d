import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { isTidewireError } from "../../base/mod.ts";
import { AGGREGATES } from "../../telemetry/mod.ts";
import type { Aggregate, Calendar, Fill, SeriesQuery, SeriesResult, TelemetryStore } from "../../telemetry/mod.ts";
import {
  CONTRACT_START as START,
  commitReadings,
  contractReading,
  everythingOf,
} from "../../telemetry/store.contract.ts";
import type { ContractReading } from "../../telemetry/store.contract.ts";
import { StoreFolder } from "../duckdb/store.scenario.ts";
import { PostgresServer, postgresMissing } from "./server.fixture.ts";
import { StoreSchema } from "./store.fixture.ts";

const HOUR = 3_600_000;
const missing = postgresMissing();

/** Few names and few times, so that everything meets everything. */
const readings = fc.array(
  fc
    .record({
      time: fc.oneof(
        fc.integer({ min: -HOUR, max: HOUR }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: -60, max: 3 }).map((days) => days * 24 * HOUR),
      ),
      value: fc.oneof(
        fc.integer({ min: -50, max: 50 }),
        fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 }),
        fc.boolean(),
        fc.string({ unit: "grapheme", maxLength: 5 }).map((text) => text.replaceAll("\u0000", "")),
      ),
      thing: fc.constantFrom("a", "b"),
      measurement: fc.constantFrom("m", "line/4", "Ä"),
      field: fc.constantFrom("x", "y.z", "Z"),
    })
    .map(({ time, value, ...names }) => contractReading(time, value, names)),
  { maxLength: 120 },
);

const commits = fc.array(readings, { minLength: 1, maxLength: 6 });

interface Asked extends Omit<SeriesQuery, "to" | "aggregate" | "aggregates" | "things" | "window" | "calendar"> {
  readonly span: number;
  readonly aggregates: readonly Aggregate[];
  readonly things: readonly string[] | null;
  readonly window: number | null | { readonly nominal: number; readonly calendar: Calendar };
}

/** What only windows have is left away where there are none; what a request would be refused for is not asked. */
function queryOf({ span, aggregates, things, window, fill, top, together, ...rest }: Asked): SeriesQuery {
  const of = things === null ? {} : { things, ...(together === undefined ? {} : { together }) };
  const ranked = top === undefined ? {} : { top };
  const raw = { ...rest, ...of, ...ranked, to: rest.from + span, window: null, aggregate: null };
  if (window === null) return raw;
  const width = typeof window === "number" ? { window } : { window: window.nominal, calendar: window.calendar };
  const filled = fill === undefined ? {} : { fill };
  return { ...raw, ...width, ...filled, aggregate: aggregates[0]!, ...(aggregates.length > 1 ? { aggregates } : {}) };
}

const zone = "Europe/Berlin";
const windows = fc.constantFrom<Asked["window"]>(
  null,
  1,
  7,
  1000,
  60_000,
  HOUR,
  24 * HOUR,
  3 * 24 * HOUR,
  { nominal: 1e12, calendar: { zone, unit: "range" } },
  { nominal: HOUR / 4, calendar: { zone: "Asia/Kathmandu", unit: "time", size: HOUR / 4 } },
  { nominal: 24 * HOUR, calendar: { zone, unit: "time", size: 24 * HOUR } },
  { nominal: 7 * 24 * HOUR, calendar: { zone: "America/St_Johns", unit: "time", size: 7 * 24 * HOUR } },
  { nominal: 30 * 24 * HOUR, calendar: { zone, unit: "months", months: 1 } },
  { nominal: 90 * 24 * HOUR, calendar: { zone, unit: "months", months: 3 } },
);
const EVERY: readonly Aggregate[] = [...AGGREGATES, "p0", "p50", "p99.9"];

const queries = fc.array(
  fc
    .record({
      thing: fc.constantFrom("a", "b", "c"),
      measurement: fc.constantFrom(null, "m", "line/4"),
      fields: fc.constantFrom<SeriesQuery["fields"]>(null, ["x"], ["y.z", "x"], ["none"]),
      from: fc.oneof(fc.constant(0), fc.integer({ min: START - HOUR, max: START + HOUR })),
      span: fc.oneof(fc.integer({ min: 1, max: 2 * HOUR }), fc.constant(1e12)),
      things: fc.constantFrom(null, null, ["a", "b"], ["*"], ["?", "none"]),
      window: windows,
      aggregates: fc.uniqueArray(fc.constantFrom(...EVERY), { minLength: 1, maxLength: 4 }),
      limit: fc.constantFrom(1, 10, 100_000),
    })
    .chain((asked) =>
      fc
        .record(
          {
            fill: fc.constantFrom<Fill>("none", "null", "previous", "linear", 7),
            interpolation: fc.constantFrom("linear", "previous"),
            together: fc.constant(true as const),
            top: fc.record({
              count: fc.constantFrom(1, 2),
              // Sums in another order differ in the last bits, and then another series may be ahead.
              by: fc.constantFrom<Aggregate>("max", "min", "count", "last"),
              lowest: fc.boolean(),
            }),
            now: fc.integer({ min: START - HOUR, max: START + HOUR }),
          },
          { requiredKeys: [] },
        )
        .map((more) => Object.assign({}, asked, more)),
    )
    .map(queryOf),
  { minLength: 1, maxLength: 12 },
);

describe("PostgreSQL answers as DuckDB does", { skip: missing ?? false }, () => {
  let server: PostgresServer;
  before(async () => (server = await PostgresServer.start()));
  after(() => server.remove());

  test("the same random commits, the same random questions, also after a restart of both", async () => {
    await fc.assert(
      fc.asyncProperty(commits, queries, fc.boolean(), async (batches, asked, restart) => {
        const folder = await StoreFolder.make();
        const schema = new StoreSchema(server);
        try {
          let [duck, postgres] = [await folder.open(KEEPING), await schema.open()];
          for (const [i, batch] of batches.entries()) {
            await commitReadings(duck, batch, i);
            await commitReadings(postgres, batch, i);
          }
          if (restart) {
            await Promise.all([folder.close(duck), postgres.close()]);
            [duck, postgres] = [await folder.open(KEEPING), await schema.open()];
          }
          assert.deepEqual([postgres.rows, postgres.offset], [duck.rows, duck.offset]);
          for (const thing of ["a", "b"]) assert.deepEqual(postgres.latest(thing), duck.latest(thing));
          for (const query of asked) {
            assertSame(await answerOf(postgres, query), await answerOf(duck, query), JSON.stringify(query));
          }
        } finally {
          await schema.remove();
          await folder.remove();
        }
      }),
      { numRuns: 30, seed: 5 },
    );
  });

  test("many points of one series, by every aggregate, as a chart, and in arithmetic", async () => {
    const folder = await StoreFolder.make();
    const schema = new StoreSchema(server);
    const [duck, postgres] = [await folder.open(KEEPING), await schema.open()];
    const many: ContractReading[] = Array.from({ length: 20_000 }, (_, i) =>
      contractReading(((i * 7919) % 20_000) * 500, Math.sin(i / 300) * 100 + i / 1e6),
    );
    for (let from = 0; from < many.length; from += 3_000) {
      const batch = many.slice(from, from + 3_000);
      await commitReadings(duck, batch, from);
      await commitReadings(postgres, batch, from);
    }
    const whole = { ...everythingOf("press-1"), from: START - HOUR, to: START + 4 * HOUR };
    const windowed = { window: 300_000, aggregate: "avg" } as const;
    const asked: readonly SeriesQuery[] = [
      ...EVERY.map((aggregate) => Object.assign({}, whole, windowed, { aggregate })),
      ...[3, 100, 15_000, 30_000].map((points) => Object.assign({}, whole, { points })),
      { ...whole, expression: "x * 2 - 1" },
      { ...whole, ...windowed, expression: "x / 3 + x" },
    ];
    for (const query of asked) {
      const answer = await postgres.query(query);
      assert.equal(answer.series.length, 1, JSON.stringify(query));
      assertSame(answer, await duck.query(query), JSON.stringify(query));
    }
    await schema.remove();
    await folder.remove();
  });
});

/** DuckDB's answers are to come from the points, whatever day it is in its files. */
const KEEPING = { retention: { raw: null, "1m": null, "1h": null, "1d": null } };

/** A refusal is an answer, too. */
async function answerOf(store: TelemetryStore, query: SeriesQuery): Promise<SeriesResult | string> {
  try {
    return await store.query(query);
  } catch (error) {
    if (isTidewireError(error)) return error.message;
    throw error;
  }
}

const EXACT: readonly (Aggregate | null)[] = [null, "min", "max", "count", "first", "last"];

/**
 * All is equal, but not which levels it was made from, and numbers that are worked out only nearly: sums in another order
 * differ in the last bits, and so does what may then be nothing but such a difference.
 */
function assertSame(answer: SeriesResult | string, expected: SeriesResult | string, about: string): void {
  if (typeof answer === "string" || typeof expected === "string") return assert.equal(answer, expected, about);
  const near = (value: unknown, aggregate: Aggregate | null): boolean =>
    typeof value === "number" && (/"fill":"linear"|"expression"/.test(about) || !EXACT.includes(aggregate));
  const shape = ({ series, ...rest }: SeriesResult): unknown => ({
    ...rest,
    level: "any",
    series: series.map(({ values, ...one }) => ({
      ...one,
      values: values.map((value) => (near(value, one.aggregate ?? rest.aggregate) ? "near" : value)),
    })),
  });
  assert.deepEqual(shape(answer), shape(expected), about);
  for (const [i, { values, aggregate = expected.aggregate }] of expected.series.entries()) {
    const largest = values.reduce<number>((most, one) => Math.max(most, Math.abs(Number(one)) || 0), 0);
    for (const [k, value] of values.entries()) {
      if (!near(value, aggregate)) continue;
      const [found, wanted] = [Number(answer.series[i]!.values[k]), Number(value)];
      assert.ok(Math.abs(found - wanted) <= largest * 1e-9, `${about}: ${found}, not ${wanted}`);
    }
  }
}
