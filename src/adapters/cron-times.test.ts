import assert from "node:assert/strict";
import { test } from "node:test";
import { cronTimes } from "./cron-times.ts";

function times(pattern: string, zone: string, after: string, count: number): string[] {
  const cron = cronTimes();
  let at = Date.parse(after);
  return Array.from({ length: count }, () => new Date((at = cron.next(pattern, zone, at)!)).toISOString().slice(0, 19));
}

test("five fields, six with seconds; local time in summer and in winter", () => {
  assert.deepEqual(times("30 2 * * *", "UTC", "2026-11-22T02:30:00Z", 1), ["2026-11-23T02:30:00"]);
  assert.deepEqual(times("*/20 * * * * *", "UTC", "2026-11-22T00:00:01Z", 2), [
    "2026-11-22T00:00:20",
    "2026-11-22T00:00:40",
  ]);
  assert.deepEqual(times("0 8 * * MON", "America/New_York", "2026-07-01T00:00:00Z", 1), ["2026-07-06T12:00:00"]);
  assert.deepEqual(times("0 8 * * MON", "America/New_York", "2026-12-01T00:00:00Z", 1), ["2026-12-07T13:00:00"]);
});

test("02:30 that does not exist is run at 03:00; 02:30 that comes twice is run once", () => {
  const spring = times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
  assert.deepEqual(spring, ["2026-03-29T01:00:00", "2026-03-30T00:30:00"], "03:00 summer time, then 02:30");
  const autumn = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
  assert.deepEqual(autumn, ["2026-10-25T00:30:00", "2026-10-26T01:30:00"]);
});

test("every half hour goes on through both hours of the change", () => {
  const autumn = times("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 5);
  assert.deepEqual(
    autumn.map((text) => text.slice(11, 16)),
    ["00:00", "00:30", "01:00", "01:30", "02:00"],
  );
});

test("what is no pattern or no zone, or never comes, is told", () => {
  const cron = cronTimes();
  for (const wrong of ["", "* * *", "61 * * * *", "a b c d e"]) assert.notEqual(cron.fault(wrong, "UTC"), null, wrong);
  assert.notEqual(cron.fault("* * * * *", "Mars/Olympus"), null);
  assert.equal(cron.fault("0 0 30 2 *", "UTC"), "it never comes");
  assert.equal(cron.fault("0 0 29 2 *", "Europe/Berlin"), null);
});
