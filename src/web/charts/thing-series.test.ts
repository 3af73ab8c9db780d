import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Series } from "../../cloud/api/contract.ts";
import { PointTable } from "./point-table.ts";
import { ThingSeries, medianStep } from "./thing-series.ts";
import type { ColumnRequest } from "./thing-series.ts";

function numberSeries(field: string, points: readonly (readonly [number, number])[]): Series {
  return {
    measurement: "m",
    field,
    type: "number",
    times: points.map(([time]) => time),
    values: points.map(([, value]) => value),
  };
}

const value = (field: string): ColumnRequest => ({ field, kind: "number", part: "value" });

test("live points that overtook the history are there once, and in order", () => {
  const series = new ThingSeries(null, 0);
  series.addRaw("m", [
    numberSeries("a", [
      [3000, 3],
      [4000, 4],
    ]),
  ]);
  series.addRaw("m", [
    numberSeries("a", [
      [1000, 1],
      [2000, 2],
      [3000, 3],
    ]),
  ]);
  const { times, cells } = series.columns("m", [value("a")]);
  assert.deepEqual(times, [1000, 2000, 3000, 4000]);
  assert.deepEqual(cells, [[1, 2, 3, 4]]);
});

test("whatever the cut between history and live, and whatever arrives twice, the result is the same", () => {
  const point = fc.tuple(fc.integer({ min: 0, max: 50 }), fc.constantFrom("a", "b"));
  fc.assert(
    fc.property(fc.array(fc.array(point, { maxLength: 12 }), { maxLength: 8 }), (batches) => {
      const table = new PointTable();
      const model = new Map<number, Map<string, number>>();
      for (const batch of batches) {
        const inputs = ["a", "b"].map((field) => {
          const times = [...new Set(batch.filter(([, f]) => f === field).map(([time]) => time))].sort((x, y) => x - y);
          for (const time of times)
            model.set(time, (model.get(time) ?? new Map<string, number>()).set(field, time * 2));
          return { field, times, values: times.map((time) => time * 2) };
        });
        table.merge(inputs.filter(({ times }) => times.length > 0));
      }
      const times = [...model.keys()].sort((x, y) => x - y);
      assert.deepEqual(table.times, times);
      for (const field of table.fields) {
        assert.deepEqual(
          table.column(field),
          times.map((time) => model.get(time)!.get(field)),
        );
      }
    }),
  );
});

test("the newest window is folded from raw points as the server would", () => {
  const series = new ThingSeries(10_000, 20_000);
  series.addWindows("m", "avg", [
    numberSeries("a", [
      [0, 5],
      [10_000, 7],
    ]),
  ]);
  series.addWindows("m", "max", [
    numberSeries("a", [
      [0, 9],
      [10_000, 8],
    ]),
  ]);
  series.addRaw("m", [
    numberSeries("a", [
      [20_000, 1],
      [25_000, 2],
      [29_999, 6],
      [30_000, 40],
    ]),
  ]);
  const { times, cells } = series.columns("m", [value("a"), { ...value("a"), part: "max" }]);
  // Closed windows stand at their middle; the open one at its newest reading, never in the future.
  assert.deepEqual(times, [5000, 15_000, 25_000, 30_000]);
  assert.deepEqual(cells[0], [5, 7, 3, 40]);
  assert.deepEqual(cells[1], [9, 8, 6, 40]);
});

test("windows that overlap with raw points are not counted twice", () => {
  const series = new ThingSeries(10_000, 20_000);
  series.addRaw("m", [numberSeries("a", [[21_000, 4]])]);
  series.addWindows("m", "avg", [
    numberSeries("a", [
      [10_000, 7],
      [20_000, 4],
    ]),
  ]);
  assert.deepEqual(series.columns("m", [value("a")]).cells, [[7, 4]]);
});

test("readings that arrive late for closed windows are told, not guessed", () => {
  const series = new ThingSeries(10_000, 40_000);
  assert.equal(series.addRaw("m", [numberSeries("a", [[41_000, 1]])]), null);
  const late = series.addRaw("m", [
    numberSeries("a", [
      [5000, 1],
      [12_000, 2],
      [42_000, 3],
    ]),
  ]);
  assert.deepEqual(late, { from: 5000, to: 12_000 });
  assert.deepEqual(series.columns("m", [value("a")]).cells, [[2]]);
});

test("closing windows changes nothing that is drawn, and forgets what left the picture", () => {
  const series = new ThingSeries(10_000, 0);
  const points = Array.from({ length: 100 }, (_, i): [number, number] => [i * 1000, (i * 7) % 13]);
  series.addRaw("m", [numberSeries("a", points)]);
  const requests = [value("a"), { ...value("a"), part: "min" as const }, { ...value("a"), part: "max" as const }];
  const before = series.columns("m", requests);
  series.tidy(0, 99_000);
  assert.equal(series.openFrom, 70_000);
  assert.deepEqual(series.columns("m", requests), before);
  series.tidy(50_000, 99_000);
  assert.equal(series.columns("m", requests).times[0], 55_000);
});

test("booleans keep their last value in a window, also after it is closed", () => {
  const series = new ThingSeries(10_000, 0);
  const flags: Series = {
    measurement: "m",
    field: "on",
    type: "boolean",
    times: [0, 3000, 6000, 10_000, 14_000],
    values: [false, true, true, true, false],
  };
  series.addRaw("m", [flags]);
  const request: ColumnRequest = { field: "on", kind: "boolean", part: "value" };
  assert.deepEqual(series.columns("m", [request]).cells, [[1, 0]]);
  series.tidy(0, 90_000);
  assert.deepEqual(series.columns("m", [request]).cells, [[1, 0]]);
});

test("strings are not drawn, unknown measurements are empty", () => {
  const series = new ThingSeries(null, 0);
  series.addRaw("m", [{ measurement: "m", field: "s", type: "string", times: [1], values: ["x"] }]);
  assert.deepEqual(series.columns("m", [value("s")]), { times: [], cells: [] });
  assert.equal(series.newest("other"), null);
});

test("the period is the usual distance, whatever the outages", () => {
  assert.equal(medianStep([0, 1000, 2000, 90_000, 91_000, 92_000]), 1000);
  assert.equal(medianStep([0, 1000]), null);
});
