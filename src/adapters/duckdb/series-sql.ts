/**
 * Statements for series. All that stands in them are numbers of our own and checked integers, never a request's text;
 * the relations behind FROM come from the store's layout.
 */
import type { EpochMs } from "../../base/mod.ts";
import { binWidth, isPercentile, quantileOf } from "../../telemetry/mod.ts";
import type { Grid, Level, Measure, SeriesGroup } from "../../telemetry/mod.ts";
import { integer, ownersOf, windowOf } from "../series-grid-sql.ts";
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
  const found = ownersOf(groups, text);
  if (found === null) return null;
  const { ids, owners, single, indexOf } = found;
  const range = rangeOf(ids);
  if (range !== null && single) return { where: range, join: "", group: "series", indexOf };
  if (range !== null && new Set(owners).size === 1)
    return { where: range, join: "", group: integer(owners[0]!), indexOf };
  const list = (numbers: readonly number[]): string => `unnest([${numbers.map(integer).join(",")}])`;
  const members = `SELECT ${list(ids)} AS member${single ? "" : `, ${list(owners)} AS owner`}`;
  return {
    where: "true",
    join: ` JOIN (${members}) ON series = member`,
    group: single ? "series" : "owner",
    indexOf,
  };
}

/** Neighbouring numbers, as those of one thing mostly are; null where there are gaps: then a join is the fastest. */
function rangeOf(ids: readonly number[]): string | null {
  if (ids.length === 1) return `series = ${integer(ids[0]!)}`;
  let low = Infinity;
  let high = -Infinity;
  for (const id of ids) {
    low = Math.min(low, id);
    high = Math.max(high, id);
  }
  return high - low === ids.length - 1 ? `series >= ${integer(low)} AND series <= ${integer(high)}` : null;
}

export function within(column: string, from: EpochMs, to: EpochMs): string {
  return `${column} >= ${integer(from)} AND ${column} < ${integer(to)}`;
}

/** The window of a time as a number, see `windowOf`. */
export function bucketOf(grid: Grid, time: string): string {
  return windowOf(grid, time, (wall) => {
    const date = `make_timestamp((${wall}) * 1000)`;
    return `(year(${date}) * 12 + month(${date}) - 1)`;
  });
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

export interface WindowsAsked {
  readonly members: Members;
  readonly grid: Grid;
  readonly measures: readonly Measure[];
  /** Strings know count, first and last. */
  readonly text: boolean;
}

/** SELECT g, b (the window, see `bucketOf`) and the measures; one row per group and window. */
export function windowsSql(parts: readonly SourcePart[], asked: WindowsAsked): string {
  if (parts.length === 1) return partSql(parts[0]!, asked, false);
  const columns = asked.measures.map((measure) => `${OF_PARTS[measure as Additive]} AS ${nameOf(measure)}`);
  const selects = parts.map((part) => partSql(part, asked, true));
  return `SELECT g, b, ${columns.join(", ")} FROM (${selects.join(" UNION ALL ")}) GROUP BY ALL`;
}

/** `keyed`: with what tells which of several parts has the first and the last point. */
function partSql({ level, from, to, relation }: SourcePart, asked: WindowsAsked, keyed: boolean): string {
  const { members, grid, measures, text } = asked;
  const raw = level === "raw";
  const time = raw ? "time" : "bucket";
  const columns = measures.map(
    (measure) => `${raw ? ofPoints(measure) : ofRollups(measure, text)} AS ${nameOf(measure)}`,
  );
  if (keyed && measures.includes("first")) columns.push(`min(${raw ? INSTANT : FIRST}) AS first_key`);
  if (keyed && measures.includes("last")) columns.push(`max(${raw ? INSTANT : LAST}) AS last_key`);
  const head = `${members.group} AS g, ${bucketOf(grid, time)} AS b`;
  const tail = `FROM (${relation})${members.join} WHERE ${members.where} AND ${within(time, from, to)}`;
  if (measures.some((measure) => NEEDS_NEIGHBOURS.includes(measure))) {
    const neighbours = "lag(value) OVER neighbours AS before, lag(time) OVER neighbours AS before_time";
    return (
      `SELECT g, b, ${columns.join(", ")} FROM (SELECT *, ${neighbours} FROM (SELECT ${head}, time, value, arrival ${tail}) ` +
      "WINDOW neighbours AS (PARTITION BY g, b ORDER BY time, arrival)) GROUP BY ALL"
    );
  }
  // A constant among the keys would double the time of the whole.
  const keys = [/^\d+$/.test(members.group) ? [] : ["g"], grid.kind === "whole" ? [] : ["b"]].flat();
  const group = keys.length === 0 ? "HAVING count(*) > 0" : `GROUP BY ${keys.join(", ")}`;
  return `SELECT ${head}, ${columns.join(", ")} ${tail} ${group}`;
}

function ofRollups(measure: Measure, text: boolean): string {
  if (text && measure === "first") return `arg_min(first_text, ${FIRST})`;
  if (text && measure === "last") return `arg_max(last_text, ${LAST})`;
  return OF_ROLLUPS[measure as Additive];
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

/** SELECT g, bin, count, lowest and its time, highest and its time, of each of `bins` equal parts of the range. */
export function extremesSql({ level, from, to, relation }: SourcePart, members: Members, bins: number): string {
  const raw = level === "raw";
  const time = raw ? "time" : "bucket";
  const [low, lowTime, high, highTime, count] = raw
    ? ["value", "time", "value", "time", "count(*)"]
    : ["min", "min_time", "max", "max_time", "sum(count)"];
  return (
    `SELECT ${members.group} AS g, (${time} - ${integer(from)}) // ${integer(binWidth({ from, to, bins }))} AS bin, ${count}::DOUBLE, ` +
    `min(${low}), arg_min(${lowTime}, ${low})::DOUBLE, max(${high}), arg_max(${highTime}, ${high})::DOUBLE ` +
    `FROM (${relation})${members.join} WHERE ${members.where} AND ${within(time, from, to)} GROUP BY g, bin ORDER BY g, bin`
  );
}
