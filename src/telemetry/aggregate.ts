/** What windows can be asked for, and which measures of a window answer it. */
import type { FieldType } from "./points.ts";

/**
 * Beside these, any percentile: `p50`, `p99.9`.
 *
 *   rate, delta   growth of a counter, per second and in all; where it falls it was reset and counts from zero
 *   change        newest value less the one before the window, for what may fall as well as rise
 *   integral      area below the line between the points, value × seconds; windows' borders are interpolated
 *   twa           that area divided by the time it covers: the average weighted by time
 *   stddev        of a sample (n - 1); values beyond ±1e150 are left out, their squares are no numbers
 */
export const AGGREGATES = [
  "avg",
  "min",
  "max",
  "count",
  "last",
  "first",
  "sum",
  "stddev",
  "rate",
  "delta",
  "change",
  "integral",
  "twa",
] as const;
export type Percentile = `p${number}`;
export type Aggregate = (typeof AGGREGATES)[number] | Percentile;

/**
 * What a reader works out for a window. `increase`, `area` and `steps` are those between the window's own points; what
 * lies between windows is added by `borders.ts`. `area` joins the points by lines, `steps` holds each value until the next.
 */
export type Measure =
  | "count"
  | "sum"
  | "min"
  | "max"
  | "first"
  | "firstTime"
  | "last"
  | "lastTime"
  | "stddev"
  | "increase"
  | "area"
  | "steps"
  | Percentile;

/** How a value is held between two points. */
export type Interpolation = "linear" | "previous";

const PERCENTILE = /^p(?:100|\d{1,2}(?:\.\d{1,4})?)$/;

export function isPercentile(name: string): name is Percentile {
  return PERCENTILE.test(name);
}

/** `p99.9` → 0.999. */
export function quantileOf(percentile: Percentile): number {
  return Number((Number(percentile.slice(1)) / 100).toFixed(8));
}

export function aggregateOf(name: string): Aggregate | null {
  const fixed = AGGREGATES.find((known) => known === name);
  return fixed ?? (isPercentile(name) ? name : null);
}

const MEASURES: Readonly<Record<(typeof AGGREGATES)[number], readonly Measure[]>> = {
  avg: ["sum", "count"],
  min: ["min"],
  max: ["max"],
  count: ["count"],
  last: ["last"],
  first: ["first"],
  sum: ["sum"],
  stddev: ["stddev"],
  rate: ["increase", "first", "firstTime", "last", "lastTime"],
  delta: ["increase", "first", "firstTime", "last", "lastTime"],
  change: ["first", "firstTime", "last", "lastTime"],
  integral: ["first", "firstTime", "last", "lastTime"],
  twa: ["first", "firstTime", "last", "lastTime"],
};

/** `held`: how numbers are held between points, and whether booleans, which are always steps, are asked, too. */
export function measuresOf(
  aggregate: Aggregate,
  held: { readonly interpolation: Interpolation; readonly booleans: boolean },
): readonly Measure[] {
  if (isPercentile(aggregate)) return [aggregate];
  const measures = MEASURES[aggregate];
  if (aggregate !== "integral" && aggregate !== "twa") return measures;
  const areas: Measure[] = held.interpolation === "linear" ? ["area"] : ["steps"];
  return [...measures, ...areas, ...(held.booleans && held.interpolation === "linear" ? (["steps"] as const) : [])];
}

/** Whether it looks at what lies before the window or behind it. */
export function crossesBorders(aggregate: Aggregate): boolean {
  return ["rate", "delta", "change", "integral", "twa"].includes(aggregate);
}

/** Whether values of windows without points can be told, from the points around them. */
export function fillsItself(aggregate: Aggregate): boolean {
  return aggregate === "integral" || aggregate === "twa";
}

/** Whether it is a value such as the points have, which may stand for a window without any. */
export function isValueLike(aggregate: Aggregate): boolean {
  return ["avg", "min", "max", "first", "last", "twa"].includes(aggregate) || isPercentile(aggregate);
}

/** Whether partial aggregates cannot tell it, only the points themselves. */
export function needsPoints(measure: Measure): boolean {
  return ["stddev", "increase", "area", "steps"].includes(measure) || isPercentile(measure);
}

/** The type of the answer's values, or null where the aggregate makes no sense for the series. */
export function typeOfAggregate(stored: FieldType, aggregate: Aggregate | null): FieldType | null {
  if (aggregate === null) return stored;
  if (aggregate === "count") return "number";
  const picks = aggregate === "first" || aggregate === "last";
  if (stored === "string") return picks ? "string" : null;
  if (stored === "boolean") return picks || aggregate === "min" || aggregate === "max" ? "boolean" : "number";
  return "number";
}
