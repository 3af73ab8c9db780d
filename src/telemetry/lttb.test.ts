import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { chooseForChart } from "./lttb.ts";

const points = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.double({ min: -1e9, max: 1e9, noNaN: true })), {
    maxLength: 400,
  })
  .map((pairs) => pairs.sort(([a], [b]) => a - b));

describe("points of a chart", () => {
  test("are some of the points, in their order, at most as many as asked for, with first, last, lowest and highest", () =>
    fc.assert(
      fc.property(points, fc.integer({ min: 4, max: 120 }), (pairs, max) => {
        const times = pairs.map(([time]) => time);
        const values = pairs.map(([, value]) => value);
        const chosen = chooseForChart(times, values, max);
        assert.ok(chosen.length <= max);
        assert.ok(chosen.every((at, i) => at >= 0 && at < times.length && (i === 0 || at > chosen[i - 1]!)));
        if (times.length <= max) assert.equal(chosen.length, times.length);
        if (times.length === 0) return;
        const shown = chosen.map((at) => values[at]!);
        assert.equal(Math.max(...shown), Math.max(...values));
        assert.equal(Math.min(...shown), Math.min(...values));
        assert.deepEqual([chosen[0], chosen.at(-1)], [0, times.length - 1]);
      }),
      { numRuns: 500 },
    ));

  test("three points are enough for the extremes", () => {
    assert.deepEqual(chooseForChart([1, 2, 3, 4, 5], [0, 9, 0, -9, 0], 3), [1, 3, 4]);
  });

  test("one spike among a million equal values is seen", () => {
    const times = Array.from({ length: 1_000_000 }, (_, i) => i);
    const values = times.map((i) => (i === 654_321 ? 1 : 0));
    assert.ok(chooseForChart(times, values, 100).includes(654_321));
  });

  test("a saw tooth keeps its teeth", () => {
    const times = Array.from({ length: 2_000 }, (_, i) => i * 10);
    const values = times.map((_, i) => i % 100);
    const chosen = chooseForChart(times, values, 200);
    for (let tooth = 0; tooth < 20; tooth++) {
      const shown = chosen.filter((at) => Math.floor(at / 100) === tooth).map((at) => values[at]!);
      assert.ok(Math.max(...shown) >= 85 && Math.min(...shown) <= 15, `tooth ${tooth}: ${shown.join(" ")}`);
    }
  });
});
