import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { days, hours, minutes } from "../base/mod.ts";
import { gridOf, isMultiple, isZone, nextStart, startOf, startsIn, zoneSegments } from "./grid.ts";
import type { Calendar, Grid } from "./grid.ts";

function at(text: string): number {
  return Date.parse(text);
}

function zoned(zone: string, window: number, from: string, to: string): Grid {
  return gridOf({ window, calendar: { zone, unit: "time", size: window }, from: at(from), to: at(to) });
}

function startsOf(grid: Grid, from: string, to: string): string[] {
  return startsIn(grid, at(from), at(to), 1000)!.map((start) => new Date(start).toISOString());
}

describe("days of a zone", () => {
  test("Berlin's spring day has 23 hours and its autumn day 25", () => {
    const spring = zoned("Europe/Berlin", days(1), "2026-03-28T12:00Z", "2026-03-30T12:00Z");
    assert.deepEqual(startsOf(spring, "2026-03-28T12:00Z", "2026-03-30T12:00Z"), [
      "2026-03-27T23:00:00.000Z",
      "2026-03-28T23:00:00.000Z",
      "2026-03-29T22:00:00.000Z",
    ]);
    const autumn = zoned("Europe/Berlin", days(1), "2026-10-25T00:00Z", "2026-10-26T12:00Z");
    assert.deepEqual(startsOf(autumn, "2026-10-25T00:00Z", "2026-10-26T12:00Z"), [
      "2026-10-24T22:00:00.000Z",
      "2026-10-25T23:00:00.000Z",
    ]);
  });

  test("a day that begins at 01:00, because midnight is skipped, begins then", () => {
    // Beirut moved its clocks at midnight on 31 March 2024.
    const grid = zoned("Asia/Beirut", days(1), "2024-03-30T00:00Z", "2024-04-01T12:00Z");
    assert.deepEqual(startsOf(grid, "2024-03-30T12:00Z", "2024-04-01T00:00Z"), [
      "2024-03-29T22:00:00.000Z",
      "2024-03-30T22:00:00.000Z",
      "2024-03-31T21:00:00.000Z",
    ]);
  });

  test("weeks begin on Monday, months on the first, years in January", () => {
    const week = zoned("Europe/Berlin", days(7), "2026-01-01T00:00Z", "2026-01-09T00:00Z");
    assert.deepEqual(startsOf(week, "2026-01-01T12:00Z", "2026-01-06T00:00Z"), [
      "2025-12-28T23:00:00.000Z",
      "2026-01-04T23:00:00.000Z",
    ]);
    const months = (count: number): Grid => {
      const calendar: Calendar = { zone: "America/New_York", unit: "months", months: count };
      return gridOf({ window: days(30) * count, calendar, from: at("2026-02-10T00:00Z"), to: at("2026-12-01T00:00Z") });
    };
    assert.deepEqual(startsOf(months(1), "2026-02-10T00:00Z", "2026-04-02T00:00Z"), [
      "2026-02-01T05:00:00.000Z",
      "2026-03-01T05:00:00.000Z",
      "2026-04-01T04:00:00.000Z",
    ]);
    assert.deepEqual(startsOf(months(12), "2026-02-10T00:00Z", "2026-11-02T00:00Z"), ["2026-01-01T05:00:00.000Z"]);
  });

  test("an hour that the clock shows twice is two windows; six hours by the clock may be seven", () => {
    const hour = zoned("Europe/Berlin", hours(1), "2026-10-25T00:00Z", "2026-10-25T03:00Z");
    assert.equal(startsOf(hour, "2026-10-25T00:00Z", "2026-10-25T03:00Z").length, 3);
    const six = zoned("Europe/Berlin", hours(6), "2026-10-24T22:00Z", "2026-10-25T12:00Z");
    assert.deepEqual(startsOf(six, "2026-10-24T22:00Z", "2026-10-25T12:00Z"), [
      "2026-10-24T22:00:00.000Z",
      "2026-10-25T05:00:00.000Z",
      "2026-10-25T11:00:00.000Z",
    ]);
  });

  test("hours of a zone that is half an hour off begin at its full hours", () => {
    const grid = zoned("Asia/Kolkata", hours(1), "2026-01-01T00:00Z", "2026-01-01T02:00Z");
    assert.deepEqual(startsOf(grid, "2026-01-01T00:00Z", "2026-01-01T01:00Z"), [
      "2025-12-31T23:30:00.000Z",
      "2026-01-01T00:30:00.000Z",
    ]);
  });
});

test("segments are where the zone's clock changes", () => {
  const year = zoneSegments("Europe/Berlin", at("2026-01-01T00:00Z"), at("2027-01-01T00:00Z"));
  assert.deepEqual(
    year.map(({ from, offset }) => [new Date(from).toISOString(), offset / hours(1)]),
    [
      ["2026-01-01T00:00:00.000Z", 1],
      ["2026-03-29T01:00:00.000Z", 2],
      ["2026-10-25T01:00:00.000Z", 1],
    ],
  );
});

test("whole buckets lie in one window, or the level does not fit", () => {
  const berlin = zoned("Europe/Berlin", days(1), "2026-01-01T00:00Z", "2026-12-31T00:00Z");
  assert.deepEqual(
    [minutes(1), hours(1), days(1)].map((size) => isMultiple(berlin, size)),
    [true, true, false],
  );
  const india = zoned("Asia/Kolkata", days(1), "2026-01-01T00:00Z", "2026-12-31T00:00Z");
  assert.deepEqual(
    [minutes(1), hours(1), days(1)].map((size) => isMultiple(india, size)),
    [true, false, false],
  );
  assert.deepEqual(
    [minutes(1), hours(1), days(1)].map((size) => isMultiple({ kind: "fixed", size: days(2) }, size)),
    [true, true, true],
  );
});

test("windows follow each other without a gap, and every time lies in the one that holds it", () => {
  const zones = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "America/Sao_Paulo",
  ];
  const from = at("2017-01-01T00:00Z");
  const to = at("2019-01-01T00:00Z");
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.constantFrom(minutes(15), hours(1), hours(3), hours(6), days(1), days(3), days(7), null),
      fc.integer({ min: from, max: to - days(40) }),
      (zone, size, time) => {
        const calendar: Calendar = size === null ? { zone, unit: "months", months: 1 } : { zone, unit: "time", size };
        const grid = gridOf({ window: size ?? days(30), calendar, from: time, to: time + days(2) });
        const start = startOf(grid, time);
        const next = nextStart(grid, start);
        assert.ok(start <= time && time < next, `${start} ${time} ${next}`);
        assert.equal(startOf(grid, start), start);
        assert.equal(startOf(grid, next - 1), start);
        assert.equal(startOf(grid, next), next);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("what is no zone is told so", () => {
  assert.deepEqual(["Europe/Berlin", "UTC", "Mars/Olympus", "", "'; DROP"].map(isZone), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
