/** Every query against a naive model: what DuckDB and the query model answer together must be what the long way gives. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { SimRandom } from "../../../sim/world.ts";
import { isTidewireError } from "../../base/mod.ts";
import { AGGREGATES } from "../../telemetry/mod.ts";
import type { SeriesOfResult, SeriesQuery } from "../../telemetry/mod.ts";
import { modelAnswer } from "./query-model.scenario.ts";
import { RolledUp } from "./rolled-up.scenario.ts";
import { START, StoreFolder, commit } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";
import type { DuckStore } from "./duck-store.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Two days; late and out of order, many at equal times, counters that fall, fields that change their type. */
function readingsOf(random: SimRandom): Reading[] {
  return Array.from({ length: 700 }, () => ({
    thing: random.pick(["line-1", "line-2", "press"]),
    measurement: random.pick(["system", "line/4"]),
    field: random.pick(["x", "y.z"]),
    time: START + (random.chance(0.3) ? random.below(40) * 1000 : random.below(2 * DAY)),
    value: random.pick<Reading["value"]>([
      random.below(100),
      random.below(100) / 4,
      -random.below(1000),
      random.chance(0.5),
      `s${random.below(3)}`,
    ]),
  }));
}

const percentile = fc.integer({ min: 0, max: 1000 }).map((tenths) => `p${tenths / 10}` as const);
const aggregate = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...AGGREGATES) },
  { weight: 1, arbitrary: percentile },
);
const times = {
  from: fc.integer({ min: START - HOUR, max: START + 2 * DAY }),
  span: fc.oneof(fc.integer({ min: 1, max: 2 * HOUR }), fc.integer({ min: 1, max: 2 * DAY })),
};
const names = {
  thing: fc.constantFrom("line-1", "press", "nobody"),
  measurement: fc.constantFrom(null, "system", "line/4"),
  fields: fc.constantFrom<SeriesQuery["fields"]>(null, ["x"], ["y.z", "x"], ["none"]),
};

const rawParts = fc.record({ ...names, ...times });
const rawQueries = rawParts.map(rawQuery);

const zone = fc.constantFrom("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns");
const windows = fc.oneof(
  fc.constantFrom(60_000, 7_000, 90_000, HOUR, 6 * HOUR, DAY).map((window) => ({ window })),
  fc.record({ zone, size: fc.constantFrom(900_000, HOUR, 6 * HOUR, DAY, 7 * DAY) }).map(({ zone: name, size }) => ({
    window: size,
    calendar: { zone: name, unit: "time", size } as const,
  })),
  zone.map((name) => ({ window: 30 * DAY, calendar: { zone: name, unit: "months", months: 1 } as const })),
  fc.constant({ window: 1, calendar: { zone: "UTC", unit: "range" } as const }),
);

const windowParts = fc.record({
  ...names,
  ...times,
  windows,
  aggregates: fc.uniqueArray(aggregate, { minLength: 1, maxLength: 4 }),
  fill: fc.option(fc.constantFrom<NonNullable<SeriesQuery["fill"]>>("none", "null", "previous", "linear", 0, -1.5), {
    nil: undefined,
  }),
  interpolation: fc.constantFrom(undefined, "previous" as const),
  things: fc.constantFrom(undefined, ["line-*"], ["press", "line-?"], ["*"]),
  together: fc.boolean(),
  now: fc.option(fc.integer({ min: START, max: START + 2 * DAY }), { nil: undefined }),
  top: fc.option(
    fc.record({
      count: fc.integer({ min: 1, max: 2 }),
      by: fc.constantFrom("max" as const, "count" as const, "delta" as const),
      lowest: fc.boolean(),
    }),
    { nil: undefined },
  ),
});

type Parts<A> = A extends fc.Arbitrary<infer P> ? P : never;

function rawQuery({ span, ...rest }: Parts<typeof rawParts>): SeriesQuery {
  return { ...rest, to: rest.from + span, window: null, aggregate: null, limit: 100_000 };
}

function windowQuery(given: Parts<typeof windowParts>): SeriesQuery {
  const { span, windows: chosen, fill, interpolation, things, together, now, top, aggregates, ...rest } = given;
  const alone = together && aggregates.every((one) => !["rate", "delta", "change", "integral", "twa"].includes(one));
  return {
    ...rest,
    to: rest.from + span,
    ...chosen,
    aggregate: aggregates[0]!,
    ...(aggregates.length > 1 ? { aggregates } : {}),
    ...(fill === undefined ? {} : { fill }),
    ...(interpolation === undefined ? {} : { interpolation }),
    ...(things === undefined ? {} : { things }),
    ...(alone ? { together: true as const } : top === undefined ? {} : { top }),
    ...(now === undefined ? {} : { now }),
    limit: 100_000,
  };
}

const windowQueries = windowParts
  .map(windowQuery)
  .filter(({ window, from, to, calendar }) => calendar !== undefined || (to - from) / window! < 500);

describe("queries against a naive model", () => {
  let folder: StoreFolder;
  let store: DuckStore;
  const readings: Reading[] = [];

  before(async () => {
    folder = await StoreFolder.make();
    store = await folder.open();
    const random = new SimRandom(7);
    for (let round = 0; round < 4; round++) {
      const batch = readingsOf(random);
      readings.push(...batch);
      await commit(store, batch, readings.length);
    }
  });
  after(() => folder.remove());

  async function compare(query: SeriesQuery): Promise<void> {
    const answer = await store.query(query);
    assert.equal(answer.truncated, false);
    assertAlike(answer.series, modelAnswer(readings, query));
  }

  test("raw points of any range and names", async () => {
    await fc.assert(fc.asyncProperty(rawQueries, compare), { numRuns: 100, seed: 11 });
  });

  test("any windows, aggregates, gaps, zones, groups and rankings", async () => {
    await fc.assert(fc.asyncProperty(windowQueries, compare), { numRuns: 250, seed: 12 });
  });
});

describe("rollups give what the points give", () => {
  let rolled: RolledUp;
  const readings: Reading[] = [];

  before(async () => {
    rolled = await RolledUp.make();
    const random = new SimRandom(8);
    for (let generation = 0; generation < 4; generation++) {
      const batch = readingsOf(random);
      readings.push(...batch);
      await rolled.addReadings(batch);
    }
  });
  after(() => rolled.close());

  test("with late data, equal times, booleans and strings, in windows of any width, at any edge", async () => {
    const used = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(windowQueries, async (query) => {
        const answer = await rolled.ask(query);
        used.set(answer.level, (used.get(answer.level) ?? 0) + 1);
        assertAlike(answer.series, modelAnswer(readings, query));
      }),
      { numRuns: 150, seed: 13 },
    );
    assert.deepEqual([...used.keys()].sort(), ["1d", "1h", "1m", "raw"]);
  });

  test("likewise where few points are read one by one", async () => {
    rolled.believed = "nothing";
    try {
      await fc.assert(
        fc.asyncProperty(windowQueries, async (query) => {
          const answer = await rolled.ask(query);
          assert.equal(answer.level, "raw");
          assertAlike(answer.series, modelAnswer(readings, query));
        }),
        { numRuns: 150, seed: 14 },
      );
    } finally {
      rolled.believed = "too many points";
    }
  });

  test("where points have left by retention, the finest level that is left answers, and says so", async () => {
    const query: SeriesQuery = {
      thing: "line-1",
      measurement: null,
      fields: null,
      from: START,
      to: START + 2 * DAY,
      window: HOUR,
      aggregate: "avg",
      aggregates: ["avg", "min", "max", "count", "sum", "first", "last", "change"],
      limit: 100_000,
    };
    const whole = modelAnswer(readings, query);
    for (const gone of [["raw"], ["raw", "1m"]] as const) {
      rolled.knownFrom = new Map(gone.map((level) => [level, START + DAY]));
      const answer = await rolled.ask(query);
      assertAlike(answer.series, whole);
      assert.equal(answer.level, "1h");
      // Narrower windows than the level: a bucket counts where it starts, and nothing is counted twice or lost.
      const narrow = await rolled.ask({
        ...query,
        window: 7_000,
        from: START + 1,
        aggregate: "count",
        aggregates: ["count"],
      });
      const total = (series: readonly SeriesOfResult[]): number =>
        series.flatMap(({ values }) => values).reduce<number>((sum, value) => sum + Number(value), 0);
      assert.equal(total(narrow.series), total(whole.filter((one) => one.aggregate === "count")));
      assert.equal(narrow.level, gone.length === 1 ? "1m" : "1h");
    }
    await assert.rejects(
      rolled.ask({ ...query, aggregate: "rate", aggregates: ["rate"] }),
      (error) => isTidewireError(error) && error.code === "POINTS_GONE",
    );
    rolled.knownFrom = new Map();
  });
});

/** Sums in another order differ in the last bits. */
function assertAlike(actual: readonly SeriesOfResult[], expected: readonly SeriesOfResult[]): void {
  const plain = (series: readonly SeriesOfResult[]): unknown =>
    series.map((one) => ({ ...one, values: one.values.map((value) => (typeof value === "number" ? 0 : value)) }));
  assert.deepEqual(plain(actual), plain(expected));
  for (const [i, { values, field, aggregate: which }] of actual.entries()) {
    for (const [at, value] of values.entries()) {
      const other = expected[i]!.values[at]!;
      if (typeof value !== "number" || typeof other !== "number") continue;
      const close = Math.abs(value - other) <= 1e-9 * Math.max(1, Math.abs(other));
      assert.ok(close, `${field} ${which ?? ""} at ${at}: ${value}, not ${other}`);
    }
  }
}
