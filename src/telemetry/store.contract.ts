/** What a telemetry store promises; every adapter of `TelemetryStore` runs it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LIMITS } from "../base/mod.ts";
import { AGGREGATES } from "./aggregate.ts";
import type { Aggregate } from "./aggregate.ts";
import { PointBatch } from "./point-batch.ts";
import { typeOf } from "./points.ts";
import type { FieldValue } from "./points.ts";
import type { SeriesQuery } from "./query.ts";
import type { SequenceRow } from "./sequence-book.ts";
import type { TelemetryStore } from "./store.ts";

/** A place where a store keeps its data, empty at first. */
export interface StorePlace {
  open(): Promise<TelemetryStore>;
  /** Closes what is open and removes everything. */
  remove(): Promise<void>;
}

export interface ContractReading {
  readonly thing: string;
  readonly measurement: string;
  readonly field: string;
  readonly time: number;
  readonly value: FieldValue;
}

export const CONTRACT_START = 1_767_225_600_000;
const DAY = 86_400_000;

/** `time` counts from `CONTRACT_START`. */
export function contractReading(time: number, value: FieldValue, more: Partial<ContractReading> = {}): ContractReading {
  return { thing: "press-1", measurement: "system", field: "x", time: CONTRACT_START + time, value, ...more };
}

/** Commits readings as one batch. */
export async function commitReadings(
  store: TelemetryStore,
  readings: readonly ContractReading[],
  offset: number,
  sequences: readonly SequenceRow[] = [],
): Promise<void> {
  const points = new PointBatch();
  for (const { thing, measurement, field, time, value } of readings) {
    const id = store.series.resolve(store.series.measurement(thing, measurement), field, typeOf(value));
    if (typeof value === "string") points.addText(id, time, value);
    else points.add(id, time, Number(value));
  }
  await store.commit({ points, sequences, offset });
}

/** All raw points of a thing. */
export function everythingOf(thing: string): SeriesQuery {
  return {
    thing,
    measurement: null,
    fields: null,
    from: 0,
    to: CONTRACT_START + 1e12,
    window: null,
    aggregate: null,
    limit: LIMITS.telemetry.pointsPerQueryMax,
  };
}

const reading = contractReading;
const commit = commitReadings;
const everything = everythingOf;

async function valuesOf(store: TelemetryStore, query: Partial<SeriesQuery> = {}): Promise<unknown> {
  const { series } = await store.query({ ...everything("press-1"), ...query });
  return series.map(({ measurement, field, type, times, values }) => [
    `${measurement}/${field} ${type}`,
    times.map((time) => time - CONTRACT_START),
    values,
  ]);
}

export function telemetryStoreContract(adapter: string, make: () => Promise<StorePlace>): void {
  const withPlace = async (work: (place: StorePlace) => Promise<void>): Promise<void> => {
    const place = await make();
    try {
      await work(place);
    } finally {
      await place.remove();
    }
  };
  const withStore = (work: (store: TelemetryStore) => Promise<void>): Promise<void> =>
    withPlace(async (place) => work(await place.open()));

  describe(`telemetry store: ${adapter}`, () => {
    commits(withPlace, withStore);
    forgets(withPlace);
    queries(withStore);
    limits(withStore);
  });
}

type WithPlace = (work: (place: StorePlace) => Promise<void>) => Promise<void>;
type WithStore = (work: (store: TelemetryStore) => Promise<void>) => Promise<void>;

function commits(withPlace: WithPlace, withStore: WithStore): void {
  test("an empty store has no offset, no rows and no values", () =>
    withStore(async (store) => {
      assert.deepEqual([store.offset, store.rows, store.series.size], [null, 0, 0]);
      assert.deepEqual(await store.loadSequences(), []);
      assert.deepEqual(store.latest("nobody"), { thing: "nobody", values: [] });
      assert.deepEqual((await store.query(everything("nobody"))).series, []);
    }));

  test("numbers, booleans and strings come back bit for bit, in the order of time", () =>
    withStore(async (store) => {
      const numbers = [-1e300, 5e-324, -0, 0.1 + 0.2, 2 ** 53 + 2, Number.MAX_VALUE, 1 / 3];
      const texts = ["läuft 🌊", "", "\t\\N\n\"'", "'; DROP TABLE points; --", "x".repeat(4096)];
      const readings = [
        ...numbers.map((value, i) => reading(10 - i, value)),
        ...texts.map((value, i) => reading(i, value, { field: "s" })),
        reading(1, true, { field: "b" }),
        reading(2, false, { field: "b" }),
      ];
      await commit(store, readings, 5);
      assert.deepEqual(await valuesOf(store), [
        ["system/b boolean", [1, 2], [true, false]],
        ["system/s string", [0, 1, 2, 3, 4], texts],
        ["system/x number", [4, 5, 6, 7, 8, 9, 10], [...numbers].reverse()],
      ]);
    }));

  test("rows, series, offset, latest values and sequence states survive a restart", () =>
    withPlace(async (place) => {
      let store = await place.open();
      const state = { source: "thing press-1", outbox: "a", state: "7:3-4" };
      await commit(store, [reading(0, 1), reading(1, "x", { field: "s" })], 2, [{ ...state, state: "2:" }]);
      await commit(store, [reading(5, 2), reading(3, 9), reading(2, false, { field: "b" })], 9, [state]);
      const before = [await valuesOf(store), store.latest("press-1")];
      for (let round = 0; round < 3; round++) {
        await store.close();
        store = await place.open();
        assert.deepEqual([store.offset, store.rows, store.series.size], [9, 5, 3]);
        assert.deepEqual([await valuesOf(store), store.latest("press-1")], before);
        assert.deepEqual(await store.loadSequences(), [state]);
      }
      await commit(store, [reading(6, 3)], 10);
      assert.deepEqual(
        store.latest("press-1").values.map(({ value }) => value),
        [false, "x", 3].toSorted((a, b) => rank(a) - rank(b)),
      );
      await store.close();
    }));

  test("sequence states: the newest of each, in the order of last use; what was forgotten stays away", () =>
    withPlace(async (place) => {
      let store = await place.open();
      const row = (source: string, outbox: string, state: string | null): SequenceRow => ({ source, outbox, state });
      await commit(store, [], 1, [row("a", "1", "1:"), row("b", "1", "1:"), row("a", "2", "1:"), row("c", "1", "1:")]);
      await commit(store, [], 2, [row("a", "1", "5:2-3"), row("c", "1", null)]);
      await commit(store, [], 3, [row("never seen", "1", null)]);
      await store.close();
      store = await place.open();
      assert.deepEqual(await store.loadSequences(), [row("b", "1", "1:"), row("a", "2", "1:"), row("a", "1", "5:2-3")]);
      await commit(store, [], 4, [row("c", "1", "9:")]);
      await store.close();
      store = await place.open();
      assert.deepEqual((await store.loadSequences()).at(-1), row("c", "1", "9:"));
      await store.close();
    }));

  test("a commit without rows moves the offset", () =>
    withPlace(async (place) => {
      let store = await place.open();
      await commit(store, [], 0);
      assert.equal(store.offset, 0);
      await commit(store, [], 2 ** 40);
      await store.close();
      store = await place.open();
      assert.deepEqual([store.offset, store.rows], [2 ** 40, 0]);
      await store.close();
    }));

  test("offsets count in one log; another one is followed from where it is told, and the points stay", () =>
    withPlace(async (place) => {
      let store = await place.open();
      assert.equal(store.log, null);
      await store.follow("log-a", 3);
      await commit(store, [reading(0, 1)], 7);
      assert.deepEqual([store.log, store.offset], ["log-a", 7]);
      assert.ok(store.forgettable <= 7);
      await store.close();
      store = await place.open();
      assert.deepEqual([store.log, store.offset], ["log-a", 7]);
      await store.follow("log-b", 2);
      assert.ok(store.forgettable <= 2);
      await store.close();
      store = await place.open();
      assert.deepEqual([store.log, store.offset, store.rows], ["log-b", 2, 1]);
      await commit(store, [reading(1, 2)], 4);
      assert.deepEqual([store.log, store.offset, store.rows], ["log-b", 4, 2]);
      assert.equal(store.extent().quarantined, 0);
      await store.close();
    }));

  test("a large commit over many days is whole", () =>
    withStore(async (store) => {
      const readings = Array.from({ length: 30_000 }, (_, i) =>
        reading((i % 40) * DAY + i, i % 7 === 0 ? `t${i}` : i, { field: i % 7 === 0 ? "s" : "x", thing: `t${i % 3}` }),
      );
      await commit(store, readings, 30_000);
      assert.equal(store.rows, 30_000);
      let found = 0;
      for (const thing of ["t0", "t1", "t2"]) {
        for (const { times } of (await store.query(everything(thing))).series) found += times.length;
      }
      assert.equal(found, 30_000);
    }));
}

function rounded(value: unknown): unknown {
  return typeof value === "number" ? Math.round(value * 1e9) / 1e9 : value;
}

function rank(value: FieldValue): number {
  return ["boolean", "string", "number"].indexOf(typeof value);
}

function queries(withStore: WithStore): void {
  test("late data of years ago and data of tomorrow stand where their time says", () =>
    withStore(async (store) => {
      const times = [0, -1, DAY, -26 * 365 * DAY, -400 * DAY, -400 * DAY + 1, -40 * DAY, 74 * 365 * DAY];
      for (const [i, time] of times.entries()) await commit(store, [reading(time, i)], i + 1);
      const ascending = [...times.keys()].sort((a, b) => times[a]! - times[b]!);
      assert.deepEqual(await valuesOf(store, { to: CONTRACT_START + 1e13 }), [
        ["system/x number", ascending.map((i) => times[i]), ascending],
      ]);
      assert.deepEqual(await valuesOf(store, { from: CONTRACT_START - 400 * DAY, to: CONTRACT_START }), [
        ["system/x number", [-400 * DAY, -400 * DAY + 1, -40 * DAY, -1], [4, 5, 6, 1]],
      ]);
    }));

  test("equal times are all kept in the order of arrival, and the last of them is the one that arrived last", () =>
    withStore(async (store) => {
      await commit(store, [reading(5, 3), reading(5, 1), reading(5, "a", { field: "s" })], 1);
      await commit(store, [reading(5, 2), reading(4, 9), reading(5, "", { field: "s" })], 2);
      assert.deepEqual(await valuesOf(store), [
        ["system/s string", [5, 5], ["a", ""]],
        ["system/x number", [4, 5, 5, 5], [9, 3, 1, 2]],
      ]);
      assert.deepEqual(await valuesOf(store, { window: 10, aggregate: "last" }), [
        ["system/s string", [0], [""]],
        ["system/x number", [0], [2]],
      ]);
      assert.deepEqual(
        store.latest("press-1").values.map(({ value }) => value),
        ["", 2],
      );
    }));

  test("a field whose type changes becomes one series per type, and its latest value is the newest of both", () =>
    withStore(async (store) => {
      await commit(store, [reading(0, 1), reading(1, "broken"), reading(2, true), reading(3, "worse")], 4);
      assert.deepEqual(await valuesOf(store), [
        ["system/x boolean", [2], [true]],
        ["system/x number", [0], [1]],
        ["system/x string", [1, 3], ["broken", "worse"]],
      ]);
      assert.deepEqual(
        store.latest("press-1").values.map(({ value }) => value),
        ["worse"],
      );
      await commit(store, [reading(4, 4)], 5);
      assert.deepEqual(
        store.latest("press-1").values.map(({ value }) => value),
        [4],
      );
    }));

  const boolean = { field: "b" };
  const text = { field: "s" };
  const expected: Readonly<Record<string, unknown>> = {
    avg: [
      ["system/b boolean→number", [0, 1000], [0.5, 1]],
      ["system/x number", [0, 1000], [2, 10]],
    ],
    min: [
      ["system/b boolean", [0, 1000], [false, true]],
      ["system/x number", [0, 1000], [1, 10]],
    ],
    max: [
      ["system/b boolean", [0, 1000], [true, true]],
      ["system/x number", [0, 1000], [3, 10]],
    ],
    count: [
      ["system/b number", [0, 1000], [2, 1]],
      ["system/s number", [0], [2]],
      ["system/x number", [0, 1000], [3, 1]],
    ],
    last: [
      ["system/b boolean", [0, 1000], [false, true]],
      ["system/s string", [0], ["off"]],
      ["system/x number", [0, 1000], [2, 10]],
    ],
  };
  for (const aggregate of ["avg", "min", "max", "count", "last"] satisfies Aggregate[]) {
    test(`${aggregate} of windows that begin at multiples of their length, by type`, () =>
      withStore(async (store) => {
        const readings = [
          reading(1000, 10),
          reading(1, 1),
          reading(2, 3),
          reading(999, 2),
          reading(3, true, boolean),
          reading(4, false, boolean),
          reading(1999, true, boolean),
          reading(1, "on", text),
          reading(2, "off", text),
        ];
        await commit(store, readings, 9);
        const wanted = JSON.parse(JSON.stringify(expected[aggregate]).replace("boolean→", "")) as unknown;
        assert.deepEqual(await valuesOf(store, { window: 1000, aggregate }), wanted);
        // The window's start lies before `from`; the points before `from` do not count.
        const cut = await valuesOf(store, {
          window: 1000,
          aggregate: "count",
          from: CONTRACT_START + 2,
          fields: ["x"],
        });
        assert.deepEqual(cut, [["system/x number", [0, 1000], [2, 1]]]);
      }));
  }

  const borders: Readonly<Partial<Record<Aggregate, readonly unknown[]>>> = {
    sum: [15, 5],
    first: [0, 5],
    stddev: [5],
    delta: [10, 5],
    rate: [1.666666667, 0.5],
    change: [10, -5],
    // At 10 s the line is at 9.
    integral: [54, 56],
    twa: [6.75, 7],
    p50: [5, 5],
    p90: [9, 5],
  };
  for (const [aggregate, wanted] of Object.entries(borders) as [Aggregate, readonly unknown[]][]) {
    test(`${aggregate} of windows, and what lies between them`, () =>
      withStore(async (store) => {
        // 0 at 2 s, 5 at 4 s, 10 at 8 s; then, after a reset, 5 at 18 s.
        await commit(store, [reading(2_000, 0), reading(4_000, 5), reading(8_000, 10), reading(18_000, 5)], 4);
        const range = { from: CONTRACT_START, to: CONTRACT_START + 20_000 };
        const { series, incomplete } = await store.query({
          ...everything("press-1"),
          ...range,
          window: 10_000,
          aggregate,
        });
        assert.deepEqual([series[0]!.values.map(rounded), incomplete], [wanted, false]);
      }));
  }

  test("windows by a zone's clock, gaps filled, several aggregates, several things together", () =>
    withStore(async (store) => {
      // Berlin's midnight is 23:00 UTC.
      const night = 23 * 3_600_000;
      const other = { thing: "press-2" };
      await commit(store, [reading(0, 1), reading(night, 3, other), reading(night + 2 * DAY, 5)], 3);
      const { series } = await store.query({
        ...everything("press-1"),
        things: ["press-?"],
        together: true,
        from: CONTRACT_START,
        to: CONTRACT_START + 3 * DAY,
        window: DAY,
        calendar: { zone: "Europe/Berlin", unit: "time", size: DAY },
        aggregate: "max",
        aggregates: ["max", "count"],
        fill: "null",
      });
      assert.deepEqual(
        series.map(({ times, values }) => [times.map((time) => (time - CONTRACT_START) / 3_600_000), values]),
        [
          [
            [-1, 23, 47, 71],
            [1, 3, null, 5],
          ],
          [
            [-1, 23, 47, 71],
            [1, 1, null, 1],
          ],
        ],
      );
    }));

  test("what is too large or too small to be worked out is left out, and never an error", () =>
    withStore(async (store) => {
      const huge = Number.MAX_VALUE;
      await commit(
        store,
        [reading(1, huge), reading(2, -huge), reading(3, huge), reading(4, huge), reading(5, 5e-324)],
        5,
      );
      await commit(store, [reading(1, 5e-324, { field: "y" }), reading(7, 5e-324, { field: "y" })], 7);
      const every: readonly Aggregate[] = [...AGGREGATES, "p50", "p33"];
      for (const interpolation of ["linear", "previous"] as const) {
        const asked = {
          ...everything("press-1"),
          window: 1000,
          aggregate: every[0]!,
          aggregates: every,
          interpolation,
        };
        const { series } = await store.query({ ...asked, from: CONTRACT_START, to: CONTRACT_START + 1000 });
        for (const { values } of series) assert.ok(values.every((value) => Number.isFinite(value)));
        const smallest = series.find(({ field, aggregate }) => field === "y" && aggregate === "max");
        assert.deepEqual(smallest?.values, [5e-324]);
      }
    }));

  test("an average whose squares are beyond all numbers is no error", () =>
    withStore(async (store) => {
      await commit(store, [reading(2, -1e300), reading(3, 1e300), reading(4, 3e299, { field: "y" })], 3);
      const { series } = await store.query({ ...everything("press-1"), window: 1000, aggregate: "avg" });
      assert.deepEqual(
        series.map(({ values }) => values),
        [[0], [3e299]],
      );
    }));

  test("text that looks like SQL stays text", () =>
    withStore(async (store) => {
      const nasty = "'; DROP TABLE points; --";
      const odd = { thing: nasty, measurement: `m"${nasty}`, field: nasty };
      await commit(store, [reading(0, nasty, odd), reading(1, 2, odd)], 2);
      const { series } = await store.query({ ...everything(nasty), measurement: `m"${nasty}`, fields: [nasty] });
      assert.deepEqual(
        series.map(({ values }) => values),
        [[2], [nasty]],
      );
    }));

  test("headlines: wanted values in the order asked for; a thing without any of them shows its own numbers", () =>
    withStore(async (store) => {
      await commit(
        store,
        [
          reading(0, 10, { field: "b" }),
          reading(0, 20, { field: "a" }),
          reading(5, 21.5, { thing: "cellar", measurement: "climate", field: "celsius" }),
          reading(5, "ok", { thing: "cellar", measurement: "climate", field: "state" }),
        ],
        4,
      );
      const wanted = ["b", "a", "none"].map((field) => ({ measurement: "system", field }));
      const headline = store.headline(["press-1", "cellar", "unknown"], wanted, 2);
      assert.deepEqual(
        [...headline].map(([thing, values]) => [thing, values.map(({ value }) => value)]),
        [
          ["press-1", [10, 20]],
          ["cellar", [21.5]],
          ["unknown", []],
        ],
      );
    }));
}

function limits(withStore: WithStore): void {
  test("more points than the limit: the earliest, complete up to the last time, and truncated says so", () =>
    withStore(async (store) => {
      const readings = Array.from({ length: 5_000 }, (_, i) => reading(i, i, { field: i % 2 === 0 ? "x" : "y" }));
      await commit(store, readings, 5_000);
      const cut = await store.query({ ...everything("press-1"), limit: 3_001 });
      assert.equal(cut.truncated, true);
      const found = cut.series.flatMap(({ values }) => values as number[]).sort((a, b) => a - b);
      assert.deepEqual(
        found,
        Array.from({ length: 3_001 }, (_, i) => i),
      );
      const whole = await store.query({ ...everything("press-1"), limit: 5_000 });
      assert.equal(whole.truncated, false);
      assert.equal(whole.series.flatMap(({ times }) => times).length, 5_000);
    }));

  test("an aborted query ends with the reason, and the store answers the next one", () =>
    withStore(async (store) => {
      const readings = Array.from({ length: 150_000 }, (_, i) => reading(i, i));
      await commit(store, readings, 1);
      for (let round = 0; round < 4; round++) {
        const controller = new AbortController();
        const reason = new Error("no more");
        const answer = store.query({ ...everything("press-1"), window: 1, aggregate: "last" }, controller.signal);
        controller.abort(reason);
        await assert.rejects(answer, (error) => error === reason);
      }
      assert.equal((await store.query({ ...everything("press-1"), limit: 10 })).series[0]?.times.length, 10);
    }));

  test("many queries at once are all answered", () =>
    withStore(async (store) => {
      await commit(
        store,
        Array.from({ length: 100 }, (_, i) => reading(i, i)),
        1,
      );
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => store.query({ ...everything("press-1"), limit: i + 1 })),
      );
      assert.deepEqual(
        answers.map(({ series }) => series[0]!.times.length),
        Array.from({ length: 40 }, (_, i) => i + 1),
      );
    }));
}

function forgets(withPlace: WithPlace): void {
  test("a forgotten thing has no series, values or points any more, others keep theirs, and what comes later is new", () =>
    withPlace(async (place) => {
      const store = await place.open();
      await store.follow("log", 0);
      await commit(store, [reading(0, 1), reading(1, 2, { thing: "press-2" }), reading(2, "text")], 3, [
        { source: "thing press-1", outbox: "o", state: "1:" },
      ]);
      assert.deepEqual(await store.retire("press-1"), { series: 2, points: 2 });
      assert.deepEqual(await valuesOf(store), []);
      assert.deepEqual(store.latest("press-1").values, []);
      assert.deepEqual(store.series.things(), ["press-2"]);
      assert.equal(store.offset, 3);
      await commit(store, [reading(10, 7)], 4, [{ source: "thing press-1", outbox: "o", state: null }]);
      await store.erased();
      const after = [["system/x number", [10], [7]]];
      assert.deepEqual(await valuesOf(store), after);
      assert.deepEqual(await valuesOf(store, { thing: "press-2" }), [["system/x number", [1], [2]]]);
      assert.equal(store.rows, 2);
      await store.close();
      const again = await place.open();
      assert.deepEqual(await valuesOf(again), after);
      assert.deepEqual(
        again.latest("press-1").values.map(({ value }) => value),
        [7],
      );
      assert.deepEqual([...again.series.things()].sort(), ["press-1", "press-2"]);
      assert.deepEqual(await again.loadSequences(), []);
      await again.erased();
    }));

  test("forgetting is harmless where there is nothing, and again where there is nothing any more", () =>
    withPlace(async (place) => {
      const store = await place.open();
      assert.deepEqual(await store.retire("nobody"), { series: 0, points: 0 });
      await commit(store, [reading(0, 1)], 1);
      await store.retire("press-1");
      assert.deepEqual(await store.retire("press-1"), { series: 0, points: 0 });
      await store.erased();
      assert.deepEqual([store.rows, await valuesOf(store)], [0, []]);
    }));
}
