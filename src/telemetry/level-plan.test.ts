import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { days, hours, minutes } from "../base/mod.ts";
import { cheapestPlan, coarsestOf, planLevels } from "./level-plan.ts";
import { LEVELS, ROLLUP_WIDTH } from "./levels.ts";
import type { LevelPart } from "./level-plan.ts";
import type { Level } from "./levels.ts";

const DAY = days(1);
const nothingGone = (): number => 0;

function plan(from: number, to: number, size: number, known: (level: Level) => number = nothingGone): string[] {
  return planLevels(from, to, { kind: "fixed", size }, known).map(
    (part) => `${part.level} ${part.from / DAY} ${part.to / DAY}`,
  );
}

describe("the levels of a plan", () => {
  test("whole days from days; a window of hours from hours; one of seconds from points", () => {
    assert.deepEqual(plan(10 * DAY, 20 * DAY, DAY), ["1d 10 20"]);
    assert.deepEqual(plan(10 * DAY, 20 * DAY, hours(6)), ["1h 10 20"]);
    assert.deepEqual(plan(10 * DAY, 20 * DAY, 90_000), ["raw 10 20"]);
  });

  test("edges come from finer levels", () => {
    const from = 10 * DAY + hours(12);
    const to = 20 * DAY + 1;
    const parts = planLevels(from, to, { kind: "fixed", size: DAY }, nothingGone);
    assert.deepEqual(
      parts.map(({ level }) => level),
      ["1h", "1d", "raw"],
    );
    assert.equal(coarsestOf(parts), "1d");
  });

  test("where points are gone, what is left of them", () => {
    const known = (level: Level): number => (level === "raw" ? 15 * DAY : level === "1m" ? 12 * DAY : 0);
    assert.deepEqual(plan(10 * DAY, 20 * DAY, 10_000, known), ["1h 10 12", "1m 12 15", "raw 15 20"]);
    assert.deepEqual(plan(10 * DAY + minutes(90), 20 * DAY, 10_000, known)[0], `1h ${10 + 1 / 24} 12`);
    assert.deepEqual(
      plan(20 * DAY, 21 * DAY, 10_000, () => 30 * DAY),
      ["1d 20 21"],
    );
  });

  test("parts are whole buckets, leave no gap and do not overlap", () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20 * DAY }),
        fc.integer({ min: 1, max: 20 * DAY }),
        fc.constantFrom(1000, minutes(1), minutes(90), hours(1), hours(36), DAY, 3 * DAY),
        fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 3, maxLength: 3 }),
        (from, span, size, gone) => {
          const known = new Map(LEVELS.map((level, i) => [level, (gone.toSorted((a, b) => b - a)[i] ?? 0) * DAY]));
          const parts = planLevels(from, from + span, { kind: "fixed", size }, (level) => known.get(level)!);
          assert.ok(parts[0]!.from <= from && parts.at(-1)!.to >= from + span);
          for (const [i, part] of parts.entries()) {
            assert.ok(part.from < part.to);
            const better = LEVELS.filter((level) => known.get(level)! <= part.from && part.from >= from);
            if (better.length > 0) assert.ok(better.includes(part.level));
            if (i > 0) assert.equal(part.from, parts[i - 1]!.to);
            if (part.level === "raw") continue;
            assert.deepEqual([part.from % ROLLUP_WIDTH[part.level], part.to % ROLLUP_WIDTH[part.level]], [0, 0]);
          }
        },
      ),
      { numRuns: 2_000 },
    ));

  test("coarser levels answer only where reading them is less work than reading the points", () => {
    const day = { kind: "fixed", size: DAY } as const;
    const levels = (pointsPerDay: number, known: (level: Level) => number = nothingGone): readonly Level[] => {
      const rows = ({ level, from, to }: LevelPart): number =>
        ((to - from) / DAY) * (level === "raw" ? pointsPerDay : DAY / ROLLUP_WIDTH[level]);
      return cheapestPlan(DAY / 3 + 1, 30 * DAY, day, known, rows).map(({ level }) => level);
    };
    assert.deepEqual(levels(1_000), ["raw"]);
    assert.deepEqual(levels(100_000), ["raw", "1h"], "of the first hour the points, which are few");
    assert.deepEqual(levels(10_000_000), ["raw", "1m"]);
    const gone = levels(1_000, (level) => (level === "raw" ? 40 * DAY : 0));
    assert.ok(!gone.includes("raw"), "there are no points");
  });
});
