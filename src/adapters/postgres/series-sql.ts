/**
 * Statements for series. All that stands in them are numbers of our own and checked integers, never a request's text.
 * PostgreSQL refuses a sum, difference or product that leaves the range of numbers, in either direction; one reading of
 * 1e300 must not make a question fail, so what is large is counted apart, in parts of 2^100, which is exact.
 */
import type { EpochMs } from "../../base/mod.ts";
import { binWidth, isPercentile, quantileOf } from "../../telemetry/mod.ts";
import type {
  EdgeSelection,
  ExtremeSelection,
  Grid,
  Measure,
  SeriesGroup,
  WindowSelection,
} from "../../telemetry/mod.ts";
import { integer, ownersOf, windowOf } from "../series-grid-sql.ts";

type Kind = "points" | "texts";

/** Which rows are wanted, and the number of the group that each belongs to. */
export interface Members {
  readonly table: Kind;
  /** What stands behind FROM. */
  readonly from: string;
  /** A condition on `series`. */
  readonly where: string;
  /** The group of a row: its series, where each group is one series. */
  readonly group: string;
  /** Index of the group by that number. */
  readonly indexOf: ReadonlyMap<number, number>;
}

/** Null where no group is of this kind. */
export function membersOf(groups: readonly SeriesGroup[], table: Kind): Members | null {
  const found = ownersOf(groups, table === "texts");
  if (found === null) return null;
  const { ids, owners, single, indexOf } = found;
  const where = `series = ANY (${array(ids)})`;
  if (single) return { table, from: table, where, group: "series", indexOf };
  const from = `${table} JOIN unnest(${array(ids)}, ${array(owners)}) AS members (member, owner) ON series = member`;
  return { table, from, where, group: "owner", indexOf };
}

/** SELECT g, time, value, text; ascending by time, group, arrival. */
export function pointsSql(members: readonly Members[], from: EpochMs, to: EpochMs, limit: number): string {
  const selects = members.map((one) => {
    const value =
      one.table === "texts" ? "NULL::double precision AS value, value AS text" : "value, NULL::text AS text";
    return `SELECT ${one.group} AS g, time, ${value}, arrival ${tailOf(one, from, to)}`;
  });
  return `SELECT g, time, value, text FROM (${selects.join(" UNION ALL ")}) AS found ORDER BY time, g, arrival LIMIT ${integer(limit)}`;
}

/** SELECT g, time, value, text: of each group the point that is next to `at`. */
export function edgesSql(members: readonly Members[], { side, at, reach }: Omit<EdgeSelection, "groups">): string {
  const [from, to] = side === "before" ? [Math.max(0, at - reach), at] : [at, at + reach];
  const order = side === "before" ? "time DESC, arrival DESC" : "time, arrival";
  const selects = members.map((one) => {
    const value = one.table === "texts" ? "NULL::double precision, value" : "value, NULL::text";
    return `(SELECT DISTINCT ON (1) ${one.group}, time, ${value} ${tailOf(one, from, to)} ORDER BY 1, ${order})`;
  });
  return selects.join(" UNION ALL ");
}

/** What texts have. */
const TEXT_MEASURES: readonly Measure[] = ["count", "first", "last"];

/** SELECT g, b (the window, see `startOfBucket`) and two columns per measure: as a number and as a text. */
export function windowsSql(members: readonly Members[], selection: Omit<WindowSelection, "groups">): string | null {
  const { measures, rowsMax } = selection;
  const selects: string[] = [];
  for (const one of members) {
    const text = one.table === "texts";
    if (text && !measures.some((measure) => TEXT_MEASURES.includes(measure))) continue;
    const columns = measures.map((measure) => (text ? ofTexts(measure) : `${ofPoints(measure)}, NULL::text`));
    selects.push(`SELECT g, b, ${columns.join(", ")} FROM (${rowsOf(one, selection)}) AS rows GROUP BY g, b`);
  }
  if (selects.length === 0) return null;
  return `${selects.join(" UNION ALL ")} ORDER BY 2, 1 LIMIT ${integer(rowsMax + 1)}`;
}

/** The rows of a range with their group and window, and what those measures need that look at the point before. */
function rowsOf(members: Members, { grid, measures, from, to }: Omit<WindowSelection, "groups">): string {
  const rows = `SELECT ${members.group} AS g, ${bucketOf(grid, "time")} AS b, time, arrival, value ${tailOf(members, from, to)}`;
  if (members.table === "texts" || !measures.some((measure) => measure in OF_NEIGHBOURS)) return rows;
  return (
    `SELECT *, greatest(abs(value), abs(before)) >= ${LARGE} AS large FROM (` +
    `SELECT *, lag(value) OVER neighbours AS before, time - lag(time) OVER neighbours AS elapsed FROM (${rows}) AS rows ` +
    "WINDOW neighbours AS (PARTITION BY g, b ORDER BY time, arrival)) AS rows"
  );
}

/** SELECT g, bin, count, lowest and its time, highest and its time, of each of `bins` equal parts of the range. */
export function extremesSql(members: Members, selection: Omit<ExtremeSelection, "groups">): string {
  const { from, to } = selection;
  // Arrays compare element by element: of equal values the first one in time.
  const [lowest, highest] = ["min(ARRAY[value, time::double precision])", "max(ARRAY[value, -time::double precision])"];
  return (
    `SELECT g, bin, count, lowest[1], lowest[2], highest[1], -highest[2] FROM (SELECT ${members.group} AS g, ` +
    `(time - ${integer(from)}) / ${integer(binWidth(selection))} AS bin, count(*) AS count, ${lowest} AS lowest, ${highest} AS highest ` +
    `${tailOf(members, from, to)} GROUP BY 1, 2) AS bins ORDER BY g, bin`
  );
}

function tailOf({ from, where }: Members, begin: EpochMs, end: EpochMs): string {
  return `FROM ${from} WHERE ${where} AND time >= ${integer(begin)} AND time < ${integer(end)}`;
}

/** The window of a time as a number, see `windowOf`. */
function bucketOf(grid: Grid, time: string): string {
  return windowOf(grid, time, (wall) => {
    const date = `(timestamp '1970-01-01' + (${wall}) / 1000 * interval '1 second')`;
    const part = (name: string): string => `extract(${name} FROM ${date})::integer`;
    return `(${part("year")} * 12 + ${part("month")} - 1)`;
  });
}

/** Sums of as many rows as there may be, times a century in ms, stay numbers below it. */
const LARGE = "1e280";
/** 2^100, and the largest sum of parts that is a number as a whole. */
const PART = "1267650600228229401496703205376::double precision";
const PARTS_MAX = "1.41e278";

/** `term` of `value` and `before`. A sum that is no number comes as infinite, and the query model leaves it out. */
function sumOf(large: string, term: (value: string, before: string) => string): string {
  // What is small beside it would be no number any more if it were divided.
  const part = (name: string): string => `(CASE WHEN abs(${name}) >= 1e200 THEN ${name} / ${PART} ELSE 0 END)`;
  const small = `coalesce(sum(${term("value", "before")}) FILTER (WHERE NOT ${large}), 0)`;
  const parts = `coalesce(sum(${term(part("value"), part("before"))}) FILTER (WHERE ${large}), 0)`;
  return `CASE WHEN abs(${parts}) < ${PARTS_MAX} THEN ${small} + ${parts} * ${PART} ELSE 'Infinity' END`;
}

const OF_NEIGHBOURS: Readonly<Partial<Record<Measure, string>>> = {
  increase: sumOf(
    "large",
    (value, before) => `CASE WHEN value >= before THEN ${value} - ${before} WHEN value < before THEN ${value} END`,
  ),
  area: sumOf("large", (value, before) => `(${value} + ${before}) * elapsed`),
  steps: sumOf("large", (_, before) => `${before} * elapsed`),
};

/** What a sum of the above must still be divided by; there, what is small would be no number any more. */
export const DIVISOR_OF: Readonly<Partial<Record<Measure, number>>> = { area: 2000, steps: 1000 };

/** The row that is first or last by time and arrival, in constant room: arrays compare element by element. */
const ROW = "ARRAY[time::double precision, arrival::double precision, value]";
const TEXT_ROW = `(ARRAY[lpad(time::text, 20, '0'), lpad(arrival::text, 20, '0'), value] COLLATE "C")`;

const OF_POINTS: Readonly<Partial<Record<Measure, string>>> = {
  count: "count(*)",
  sum: sumOf(`abs(value) >= ${LARGE}`, (value) => value),
  min: "min(value)",
  max: "max(value)",
  first: `(min(${ROW}))[3]`,
  firstTime: "min(time)",
  last: `(max(${ROW}))[3]`,
  lastTime: "max(time)",
  // Beyond it a square is no number any more.
  stddev: "stddev_samp(value) FILTER (WHERE abs(value) < 1e150)",
};

function ofPoints(measure: Measure): string {
  // Sorted by the server, on its disk where there are many: no limit of ours.
  if (isPercentile(measure)) return `percentile_cont(${quantileOf(measure)}) WITHIN GROUP (ORDER BY value)`;
  return OF_POINTS[measure] ?? OF_NEIGHBOURS[measure]!;
}

function ofTexts(measure: Measure): string {
  if (measure === "count") return "count(*), NULL::text";
  if (measure === "first") return `NULL::double precision, (min(${TEXT_ROW}))[3]`;
  if (measure === "last") return `NULL::double precision, (max(${TEXT_ROW}))[3]`;
  return "NULL::double precision, NULL::text";
}

function array(numbers: readonly number[]): string {
  return `'{${numbers.map(integer).join(",")}}'::integer[]`;
}
