/**
 * Statements for series. All that stands in them are numbers of our own and checked integers, never a request's text;
 * the relations behind FROM come from the store's layout.
 */
import { days } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import { isPercentile, quantileOf } from "../../telemetry/mod.ts";
import type { Grid, Level, Measure, SeriesGroup, ZoneSegment } from "../../telemetry/mod.ts";
import { instant } from "./rollup.ts";

/** A point's place in its series: equal times in the order of arrival. */
export const INSTANT = instant("time", "arrival");

/** Which rows are wanted, and the number of the group that each belongs to. */
export interface Members {
  /** A condition on `series`. */
  readonly where: string;
  /** What follows the relation in FROM. */
  readonly join: string;
  /** The group of a row: its series, where each group is one series. */
  readonly group: string;
  /** Index of the group by that number. */
  readonly indexOf: ReadonlyMap<number, number>;
}

/** `text`: of strings, or of numbers and booleans. Null where there are none. */
export function membersOf(groups: readonly SeriesGroup[], text: boolean): Members | null {
  const ids: number[] = [];
  const owners: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (group.text !== text) continue;
    for (const id of group.ids) {
      ids.push(id);
      owners.push(index);
    }
  }
  if (ids.length === 0) return null;
  const where = among(ids);
  if (new Set(owners).size === owners.length) {
    return { where, join: "", group: "series", indexOf: new Map(ids.map((id, i) => [id, owners[i]!])) };
  }
  const indexOf = new Map(owners.map((owner) => [owner, owner]));
  if (indexOf.size === 1) return { where, join: "", group: integer(owners[0]!), indexOf };
  const members = `SELECT unnest([${ids.map(integer).join(",")}]) AS member, unnest([${owners.map(integer).join(",")}]) AS owner`;
  return { where, join: ` JOIN (${members}) ON series = member`, group: "owner", indexOf };
}

/** Neighbouring numbers, as a thing's series mostly are, compare faster than a list. */
function among(ids: readonly number[]): string {
  if (ids.length === 1) return `series = ${integer(ids[0]!)}`;
  const [low, high] = [Math.min(...ids), Math.max(...ids)];
  const range = `series >= ${integer(low)} AND series <= ${integer(high)}`;
  return high - low === ids.length - 1 ? range : `${range} AND series IN (${ids.map(integer).join(",")})`;
}

export function within(column: string, from: EpochMs, to: EpochMs): string {
  return `${column} >= ${integer(from)} AND ${column} < ${integer(to)}`;
}

/** The window of a time as a number: its start, or what `startOfBucket` makes one of. */
export function bucketOf(grid: Grid, time: string): string {
  switch (grid.kind) {
    case "whole":
      return "0";
    case "fixed":
      return `${time} - ${time} % ${integer(grid.size)}`;
    case "short":
      return bySegment(grid.segments, time, ({ from, offset }) => {
        const start = `${time} - ${floorModulo(`${time} + ${integer(offset)}`, grid.size)}`;
        return `greatest(${integer(from)}, ${start})`;
      });
    case "wall": {
      const wall = bySegment(grid.segments, time, ({ offset }) => `${time} + ${integer(offset)}`);
      return `${wall} - ${floorModulo(`${wall} - ${integer(grid.origin)}`, grid.size)}`;
    }
    case "months": {
      const wall = bySegment(grid.segments, time, ({ offset }) => `${time} + ${integer(offset)}`);
      const date = `make_timestamp((${wall}) * 1000)`;
      const month = `(year(${date}) * 12 + month(${date}) - 1)`;
      return `${month} - ${month} % ${integer(grid.months)}`;
    }
  }
}

function bySegment(segments: readonly ZoneSegment[], time: string, of: (segment: ZoneSegment) => string): string {
  const [first, ...later] = segments;
  const cases = later.toReversed().map((segment) => `WHEN ${time} >= ${integer(segment.from)} THEN ${of(segment)}`);
  return cases.length === 0 ? `(${of(first!)})` : `(CASE ${cases.join(" ")} ELSE ${of(first!)} END)`;
}

/** Never negative, unlike `%`. */
function floorModulo(value: string, by: number): string {
  return `((${value}) % ${integer(by)} + ${integer(by)}) % ${integer(by)}`;
}

type Additive = "count" | "sum" | "min" | "max" | "first" | "firstTime" | "last" | "lastTime";

const FIRST = instant("first_time", "first_arrival");
const LAST = instant("last_time", "last_arrival");

const OF_POINTS: Readonly<Record<Additive, string>> = {
  count: "count(*)",
  sum: "sum(value)",
  min: "min(value)",
  max: "max(value)",
  first: `arg_min(value, ${INSTANT})`,
  firstTime: "min(time)",
  last: `arg_max(value, ${INSTANT})`,
  lastTime: "max(time)",
};

const OF_ROLLUPS: Readonly<Record<Additive, string>> = {
  count: "sum(count)",
  sum: "sum(sum)",
  min: "min(min)",
  max: "max(max)",
  first: `arg_min(first, ${FIRST})`,
  firstTime: "min(first_time)",
  last: `arg_max(last, ${LAST})`,
  lastTime: "max(last_time)",
};

/** Of rows that were made by the two above. */
const OF_PARTS: Readonly<Record<Additive, string>> = {
  count: "sum(count)",
  sum: "sum(sum)",
  min: "min(min)",
  max: "max(max)",
  first: "arg_min(first, first_key)",
  firstTime: "min(firstTime)",
  last: "arg_max(last, last_key)",
  lastTime: "max(lastTime)",
};

/** Beyond it a square is no number any more. */
const SQUARABLE = "1e150";

const OF_NEIGHBOURS: Readonly<Record<"increase" | "area" | "steps", string>> = {
  increase: "sum(CASE WHEN value >= before THEN value - before WHEN value < before THEN value END)",
  area: "sum((value / 2 + before / 2) * (time - before_time)) / 1000",
  steps: "sum(before * (time - before_time)) / 1000",
};

/** Without a `before`: the first of its window, which has no neighbour there. */
export const NEEDS_NEIGHBOURS: readonly Measure[] = ["increase", "area", "steps"];

/** One place to read, with the columns of `rollup.ts` or, where it is raw, series, time, value and arrival. */
export interface SourcePart {
  readonly level: Level;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly relation: string;
}

/** SELECT g, bucket and the measures, one row per group and window. Strings know count, first and last. */
export function windowsSql(
  parts: readonly SourcePart[],
  members: Members,
  grid: Grid,
  measures: readonly Measure[],
  text: boolean,
): string {
  const columnsOf = (of: (measure: Measure) => string): string =>
    measures.map((m) => `, ${of(m)} AS ${nameOf(m)}`).join("");
  const several = parts.length > 1;
  const keys = (first: string, last: string): string => {
    if (!several) return "";
    const wanted = [
      measures.includes("first") ? `, ${first} AS first_key` : "",
      measures.includes("last") ? `, ${last} AS last_key` : "",
    ];
    return wanted.join("");
  };
  const selects = parts.map(({ level, from, to, relation }) => {
    const raw = level === "raw";
    const time = raw ? "time" : "bucket";
    const tail = `FROM (${relation})${members.join} WHERE ${members.where} AND ${within(time, from, to)}`;
    const head = `${members.group} AS g, ${bucketOf(grid, time)} AS b`;
    if (!raw) {
      const of = (m: Measure): string =>
        text
          ? OF_ROLLUPS[m as Additive].replace("(first,", "(first_text,").replace("(last,", "(last_text,")
          : OF_ROLLUPS[m as Additive];
      return `SELECT ${head}${columnsOf(of)}${keys(`min(${FIRST})`, `max(${LAST})`)} ${tail} GROUP BY ALL`;
    }
    const own = columnsOf(ofPoints);
    const order = keys(`min(${INSTANT})`, `max(${INSTANT})`);
    if (!measures.some((measure) => NEEDS_NEIGHBOURS.includes(measure))) {
      return `SELECT ${head}${own}${order} ${tail} GROUP BY ALL`;
    }
    const neighbours = "lag(value) OVER neighbours AS before, lag(time) OVER neighbours AS before_time";
    return (
      `SELECT g, b${own}${order} FROM (SELECT *, ${neighbours} FROM (SELECT ${head}, time, value, arrival ${tail}) ` +
      "WINDOW neighbours AS (PARTITION BY g, b ORDER BY time, arrival)) GROUP BY ALL"
    );
  });
  if (!several) return selects[0]!;
  const merged = columnsOf((measure) => OF_PARTS[measure as Additive]);
  return `SELECT g, b${merged} FROM (${selects.join(" UNION ALL ")}) GROUP BY ALL`;
}

/** A measure as a column's name. */
export function nameOf(measure: Measure): string {
  return isPercentile(measure) ? `p${measure.slice(1).replace(".", "_")}` : measure;
}

function ofPoints(measure: Measure): string {
  if (isPercentile(measure)) return `quantile_cont(value, ${quantileOf(measure)})`;
  if (measure === "stddev") return `stddev_samp(CASE WHEN abs(value) < ${SQUARABLE} THEN value END)`;
  if (measure === "increase" || measure === "area" || measure === "steps") return OF_NEIGHBOURS[measure];
  return OF_POINTS[measure];
}

/** Lowest, highest, first and last of each of `bins` equal parts of the range, in their order. */
export function extremesSql({ level, from, to, relation }: SourcePart, members: Members, bins: number): string {
  const raw = level === "raw";
  const time = raw ? "time" : "bucket";
  const [low, high] = raw ? ["value", "value"] : ["min", "max"];
  const ends = raw
    ? `min(time)::DOUBLE, arg_min(value, ${INSTANT}), max(time)::DOUBLE, arg_max(value, ${INSTANT})`
    : `min(first_time)::DOUBLE, arg_min(first, ${FIRST}), max(last_time)::DOUBLE, arg_max(last, ${LAST})`;
  return (
    `SELECT ${members.group} AS g, ((${time} - ${integer(from)}) * ${integer(bins)}) // ${integer(Math.max(1, to - from))} AS bin, ` +
    `${raw ? "count(*)" : "sum(count)"}::DOUBLE, min(${low}), arg_min(${time}, ${low})::DOUBLE, max(${high}), arg_max(${time}, ${high})::DOUBLE, ${ends} ` +
    `FROM (${relation})${members.join} WHERE ${members.where} AND ${within(time, from, to)} GROUP BY g, bin ORDER BY g, bin`
  );
}

export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error(`not an integer: ${value}`);
  return String(value);
}

/** The first bin of a level starts no later than this before the range. */
export const BUCKET_MAX = days(1);
