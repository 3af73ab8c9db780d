import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { TidewireError, days } from "../base/mod.ts";
import { LIST_PRICES, MEASURED } from "./plan-figures.ts";
import { planRequestOf } from "./plan-request.ts";
import type { PlanWords } from "./plan-request.ts";
import { compact, planOf, shownBytes } from "./plan.ts";

const WORDS: PlanWords = {
  sensors: "1000000",
  every: "10s",
  bytes: "100",
  fields: "1",
  raw: "1w",
  rollup: "1h:1y",
  log: "1d",
  archive: "0",
};

function planFor(words: Partial<PlanWords> = {}) {
  return planOf(planRequestOf({ ...WORDS, ...words }), LIST_PRICES);
}

function close(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * 1e-9, `${actual} is not ${expected}`);
}

describe("exercise 3: 1 million sensors, every 10 seconds, 100 bytes", () => {
  test("8.64 billion points a day (the exercise prints 86.4, which is one every second)", () => {
    close(planFor().pointsPerDay, 8.64e9);
    close(planFor({ every: "1s" }).pointsPerDay, 86.4e9);
  });

  test("a year as sent is 315.36 TB, and 10:1 of it 31.5 TB; a week is 6.048 TB", () => {
    const { uncompressed } = planFor();
    close(uncompressed.year, 315.36e12);
    close(uncompressed.raw, 6.048e12);
  });

  test("a week of points and a year of hours, against a year of points", () => {
    const { storage, saving } = planFor();
    const [, raw, hours] = storage;
    assert.deepEqual([raw!.name, hours!.name], ["raw", "1h"]);
    close(raw!.rows, 8.64e9 * 7);
    close(hours!.rows, 1e6 * 24 * 365);
    close(raw!.bytes, 8.64e9 * 7 * MEASURED.bytesPerPoint.value);
    close(hours!.bytes, 8.76e9 * MEASURED.bytesPerRollup1h.value);
    close(saving.rawYear.bytes, 8.64e9 * 365 * MEASURED.bytesPerPoint.value);
    close(
      saving.rawYear.perMonth - saving.planned.perMonth,
      ((saving.rawYear.bytes - saving.planned.bytes) / 1e9) * 0.08,
    );
  });

  test("AWS' bill, computed by hand", () => {
    const aws = planFor().costs.find(({ name }) => name.startsWith("AWS"))!;
    const part = (name: string) => aws.parts.find((one) => one.name === name)!.perMonth;
    const messages = 100_000 * 730 * 3600; // 262.8 billion a month
    close(part("messages"), 1000 * 1 + 4000 * 0.8 + (messages / 1e6 - 5000) * 0.7);
    close(part("connections"), ((1e6 * 730 * 60) / 1e6) * 0.08);
    close(part("rules"), (messages / 1e6) * 0.3);
    close(part("writes"), (messages / 1e6) * 0.5);
    close(
      aws.perMonth,
      aws.parts.reduce((sum, { perMonth }) => sum + perMonth, 0),
    );
  });
});

test("what one machine cannot do is said", () => {
  assert.equal(planFor().machine.beyond, null);
  assert.match(planFor({ every: "1s" }).machine.beyond ?? "", /1 million messages a second are more than the 211,500/);
  assert.match(planFor({ sensors: "10M", every: "1h" }).machine.beyond ?? "", /memory/);
  assert.match(planFor({ every: "1s" }).costs[1]!.doubt ?? "", /750,000/);
});

test("a level finer than the sensors' own rhythm has a row per message, not per bucket", () => {
  const minutes = planFor({ every: "1h", rollup: "1m:1w" }).storage.find(({ name }) => name === "1m")!;
  close(minutes.rows, 1e6 * 24 * 7);
});

test("more sensors, more often, larger or kept longer never needs less", () => {
  const size = (words: Partial<PlanWords>): number => planFor(words).storage.reduce((sum, { bytes }) => sum + bytes, 0);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 300 }),
      (sensors, every, kept) => {
        const words = { sensors: String(sensors), every: `${every}s`, raw: `${kept}d` };
        const base = size(words);
        assert.ok(size({ ...words, sensors: String(sensors + 1) }) >= base);
        assert.ok(size({ ...words, every: `${every + 1}s` }) <= base);
        assert.ok(size({ ...words, raw: `${kept + 1}d` }) >= base);
        assert.ok(size({ ...words, bytes: "200" }) >= base);
        assert.ok(size({ ...words, archive: "1y" }) > base);
      },
    ),
  );
});

test("words: units, several levels, separators", () => {
  const request = planRequestOf({
    ...WORDS,
    sensors: "20k",
    bytes: "2KiB",
    rollup: "1m:30d, 1h:1y,1d:10y",
    every: "500ms",
    archive: "90d",
  });
  assert.deepEqual([request.sensors, request.bytes, request.every, request.archive], [20_000, 2048, 500, days(90)]);
  assert.deepEqual(
    request.rollups.map(({ level }) => level),
    ["1m", "1h", "1d"],
  );
  assert.equal(planRequestOf({ ...WORDS, sensors: "1,000,000", rollup: "" }).sensors, 1_000_000);
});

test("nonsense is refused kindly: the option, what was given, what is expected", () => {
  const nonsense: readonly (readonly [keyof PlanWords, string])[] = [
    ["sensors", "0"],
    ["sensors", "-5"],
    ["sensors", "1.5"],
    ["sensors", "many"],
    ["sensors", "2G"],
    ["sensors", ""],
    ["sensors", "1e9"],
    ["every", "0s"],
    ["every", "10"],
    ["every", "-1s"],
    ["every", "2y"],
    ["every", "10 s"],
    ["bytes", "0"],
    ["bytes", "1GB"],
    ["bytes", "x"],
    ["fields", "0"],
    ["fields", "5000"],
    ["raw", "1s"],
    ["raw", "200y"],
    ["raw", "forever"],
    ["rollup", "5m:1y"],
    ["rollup", "1h"],
    ["rollup", "1h:1y:2y"],
    ["rollup", "1d:1h"],
    ["log", "never"],
    ["archive", "-1d"],
  ];
  for (const [option, value] of nonsense) {
    assert.throws(
      () => planRequestOf({ ...WORDS, [option]: value }),
      (error: Error) =>
        error instanceof TidewireError &&
        error.code === "CONFIG_VALUE_INVALID" &&
        error.message.includes(`--${option}`) &&
        error.message.includes(`'${value}'`),
      `${option} ${value}`,
    );
  }
});

test("numbers as people say them", () => {
  assert.deepEqual([8.64e9, 100_000, 1234, 999.4, 0.05, 1e6].map(compact), [
    "8.64 billion",
    "100,000",
    "1,234",
    "999",
    "0.05",
    "1 million",
  ]);
  assert.deepEqual([0, 999, 1500, 315.36e12].map(shownBytes), ["0 B", "999 B", "1.5 KB", "315 TB"]);
});
