/** What the query model asks of a store, as DuckDB statements over the store's relations. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import {
  ExtremeBins,
  ROLLUPS,
  ROLLUP_WIDTH,
  cheapestPlan,
  coarsestOf,
  isPercentile,
  needsPoints,
  startOfBucket,
  widened,
} from "../../telemetry/mod.ts";
import type {
  EdgeSelection,
  EndsReader,
  ExtremePoints,
  ExtremeSelection,
  FieldValue,
  Grid,
  Level,
  LevelPart,
  Measure,
  PointRows,
  PointSelection,
  Rollup,
  SeriesBook,
  SeriesGroup,
  SeriesReader,
  WindowRows,
  WindowSelection,
} from "../../telemetry/mod.ts";
import { eachChunkAtOnce } from "./columns.ts";
import { CHART_ROWS_READ_MAX, ChartReading, chartRows } from "./chart-rows.ts";
import type { ChartPoint, ChartRows } from "./chart-rows.ts";
import { mayBeFew, ordered, windowsOfFew } from "./few-points.ts";
import type { ReadPoints } from "./cold-store.ts";
import type { PointRange } from "./file-points.ts";
import { integer } from "../series-grid-sql.ts";
import { INSTANT, extremesSql, membersOf, nameOf, windowsSql, within } from "./series-sql.ts";
import type { RollupRange } from "./layout.ts";
import type { Members, SourcePart } from "./series-sql.ts";

/** What stands behind FROM: rows of a range, and maybe others. */
export interface Relations {
  /** Whether something of what was asked for is damaged and left out. */
  readonly incomplete: boolean;
  /** What lies before this may have been removed from a level. */
  knownFrom(level: Level): EpochMs;
  /** SELECT series, time, value, arrival. */
  numbers(from: EpochMs, to: EpochMs): Promise<string>;
  texts(from: EpochMs, to: EpochMs): Promise<string>;
  /** Numbers that need no database to be read, and the relation of the others; null where files have to be asked by one, too. */
  columns(range: PointRange, arrivals: boolean): Promise<ReadPoints | null>;
  /** SELECT the columns that `rollup.ts` names: partial aggregates of buckets. */
  rollup(rollup: Rollup, kind: "numbers" | "texts", range: RollupRange): Promise<string>;
  /** Whether every file of the level says when its lowest and highest points were. */
  tellsExtremes(rollup: Rollup, from: EpochMs, to: EpochMs): boolean;
  /** Whether there is certainly no point in files; what is in tables is read by its time. */
  isEmpty(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): boolean;
  /** About how many rows are read for series low to high of a level's relation. */
  rowsRead(level: Level, kind: "numbers" | "texts", from: EpochMs, to: EpochMs, low: number, high: number): number;
}

const TEXT_MEASURES: readonly Measure[] = ["count", "first", "last"];
/** A chart of more points than this is drawn from rollups where its pixels are wider than their buckets. */
const CHART_ROWS_MAX = 2_000_000;
/** Points that are drawn as fast as a statement over rollups is planned. */
const STATEMENT_ROWS = 200_000;

export class DuckSeriesReader implements SeriesReader {
  readonly series: SeriesBook;
  readonly #connection: DuckDBConnection;
  readonly #relations: Relations;

  constructor(connection: DuckDBConnection, relations: Relations, series: SeriesBook) {
    this.#connection = connection;
    this.#relations = relations;
    this.series = series;
  }

  get incomplete(): boolean {
    return this.#relations.incomplete;
  }

  async points({ groups, from, to, rowsMax }: PointSelection): Promise<PointRows> {
    const range = ["time", from, to] as const;
    const selects = await this.#eachKind(groups, from, to, (relation, members, text) => {
      const value = text ? "NULL::DOUBLE AS value, value AS text" : "value, NULL::VARCHAR AS text";
      return `SELECT ${members.group} AS g, time, ${value}, arrival FROM (${relation})${members.join} WHERE ${members.where} AND ${within(...range)}`;
    });
    if (selects.length === 0) return { groups: [], times: [], values: [], truncated: false };
    const sql = `SELECT g, time::DOUBLE, value, text FROM (${selects.join(" UNION ALL ")}) ORDER BY time, g, arrival LIMIT ${integer(rowsMax + 1)}`;
    return this.#pointRows(sql, groups, rowsMax);
  }

  async edges(selection: EdgeSelection): Promise<PointRows> {
    return (await this.#edges([selection]))[0]!;
  }

  /** Of the same groups, in one statement. */
  async #edges(selections: readonly EdgeSelection[]): Promise<readonly PointRows[]> {
    const { groups } = selections[0]!;
    const selects: string[] = [];
    for (const [number, { side, at, reach }] of selections.entries()) {
      const [from, to] = side === "before" ? [Math.max(0, at - reach), at] : [at, at + reach];
      const [when, which] = side === "before" ? ["max", "arg_max"] : ["min", "arg_min"];
      const own = await this.#eachKind(groups, from, to, (relation, members, text) => {
        const value = `${which}(value, ${INSTANT})`;
        const columns = text ? `NULL::DOUBLE AS value, ${value} AS text` : `${value} AS value, NULL::VARCHAR AS text`;
        return `SELECT ${members.group} AS g, ${when}(time)::DOUBLE AS time, ${columns}, ${number} AS side FROM (${relation})${members.join} WHERE ${members.where} AND ${within("time", from, to)} GROUP BY g`;
      });
      selects.push(...own);
    }
    const found = selections.map(() => ({
      groups: [] as number[],
      times: [] as EpochMs[],
      values: [] as (number | string)[],
      truncated: false,
    }));
    if (selects.length === 0) return found;
    const indexOf = indexesOf(membersOf(groups, false), membersOf(groups, true));
    await eachChunkAtOnce(this.#connection, selects.join(" UNION ALL "), ([ids, at, numbers, texts, sides], rows) => {
      for (let row = 0; row < rows; row++) {
        const rowsOf = found[sides![row] as number]!;
        rowsOf.groups.push(indexOf.get(ids![row] as number)!);
        rowsOf.times.push(at![row] as number);
        rowsOf.values.push((numbers![row] as number | null) ?? (texts![row] as string));
      }
    });
    return found;
  }

  async windows(selection: WindowSelection): Promise<WindowRows> {
    const { groups, from, to, grid, measures, rowsMax } = selection;
    const parts = await this.#sources(selection);
    const ofNumbers = membersOf(groups, false);
    const ofTexts = membersOf(groups, true);
    const known = measures.filter((measure) => TEXT_MEASURES.includes(measure));
    const withText = ofTexts === null ? [] : known;
    if (ofNumbers !== null && ofTexts === null) {
      const few = await this.#windowsOfFew(parts.numbers, ofNumbers, selection);
      if (few !== null) return few;
    }
    if (measures.some(isPercentile) && ofNumbers !== null) await this.#refuseTooMany(ofNumbers, from, to);
    const selects: string[] = [];
    if (ofNumbers !== null) {
      const sql = windowsSql(parts.numbers, { members: ofNumbers, grid, measures, text: false });
      selects.push(`SELECT ${columnsOfNumbers(measures, withText)} FROM (${sql})`);
    }
    if (ofTexts !== null && known.length > 0) {
      const sql = windowsSql(parts.texts, { members: ofTexts, grid, measures: known, text: true });
      selects.push(`SELECT ${columnsOfTexts(measures, known)} FROM (${sql})`);
    }
    const level = coarsestOf(ofNumbers === null ? parts.texts : parts.numbers);
    const sql = `${selects.join(" UNION ALL ")} ORDER BY 2, 1 LIMIT ${integer(rowsMax + 1)}`;
    const indexOf = indexesOf(ofNumbers, ofTexts);
    return { ...(await this.#windowRows(selects.length === 0 ? null : sql, selection, withText, indexOf)), level };
  }

  async #windowsOfFew(
    parts: readonly SourcePart[],
    members: Members,
    selection: WindowSelection,
  ): Promise<WindowRows | null> {
    const { groups, measures } = selection;
    const [low, high] = rangeOf(groups.flatMap(({ ids }) => ids));
    const rowsRead = this.#relations.rowsRead("raw", "numbers", selection.from, selection.to, low, high);
    if (!mayBeFew(parts, members, measures, rowsRead)) return null;
    const { from, to } = parts[0]!;
    const points = await this.#read({ low, high, from, to }, parts[0]!.relation, ordered(measures));
    const few = await windowsOfFew(this.#connection, points, { from, to }, members, selection);
    return few === null ? null : { ...few, level: "raw" };
  }

  async extremes(
    selection: ExtremeSelection,
  ): Promise<{ readonly groups: readonly ExtremePoints[]; readonly level: Level }> {
    const { groups, bins } = selection;
    const members = membersOf(groups, false);
    if (members === null) return { groups: [], level: "raw" };
    const found = new ExtremeBins(groups.length);
    const rolledUp = await this.#chartOfRollups(members, selection);
    if (rolledUp !== null) {
      for (const [number, bin] of rolledUp.rows.bins) found.take(0, number, bin);
      await found.complete(this.#endsReader(rolledUp.rows.ends), selection);
      return { groups: found.groups, level: rolledUp.level };
    }
    const source = await this.#chartSource(members, selection);
    const rows = await this.#chartRows(source, members, selection);
    if (rows !== null) {
      for (const [number, bin] of rows.bins) found.take(0, number, bin);
      await found.complete(this.#endsReader(rows.ends), selection);
      return { groups: found.groups, level: "raw" };
    }
    await eachChunkAtOnce(this.#connection, extremesSql(source, members, bins), (columns, rows) => {
      for (let row = 0; row < rows; row++) {
        const at = (column: number): number => columns[column]![row] as number;
        const [count, lowest, lowestTime, highest, highestTime] = [at(2), at(3), at(4), at(5), at(6)];
        const bin = { count, lowest, lowestTime, highest, highestTime };
        found.take(members.indexOf.get(at(0))!, Number(columns[1]![row]), bin);
      }
    });
    if (source.level === "raw") await found.complete(this.#endsReader(null), selection);
    return { groups: found.groups, level: source.level };
  }

  /**
   * Of one series, where that is much less to read: rollups that are no wider than a bin, which is half a pixel, and say when their lowest and
   * highest points were. Those are points of the series, and no extreme of it is further than a bin from one that is as extreme.
   */
  async #chartOfRollups(
    members: Members,
    { groups, from, to, bins }: ExtremeSelection,
  ): Promise<{ readonly rows: ChartRows; readonly level: Rollup } | null> {
    const relations = this.#relations;
    if (groups.length !== 1 || members.join !== "" || relations.knownFrom("raw") > from) return null;
    const fits = (level: Rollup): boolean =>
      ROLLUP_WIDTH[level] <= (to - from) / bins && relations.knownFrom(level) <= from;
    const level = ROLLUPS.findLast((one) => fits(one) && relations.tellsExtremes(one, from, to));
    if (level === undefined) return null;
    const width = ROLLUP_WIDTH[level];
    const [start, end] = [Math.ceil(from / width) * width, Math.floor(to / width) * width];
    const [low, high] = rangeOf(groups[0]!.ids);
    const rowsRead = (of: Level): number => relations.rowsRead(of, "numbers", from, to, low, high);
    if (start >= end || rowsRead("raw") < rowsRead(level) + STATEMENT_ROWS) return null;
    const chart = new ChartReading(this.#connection, members, { from, to, bins });
    for (const [first, last] of [
      [from, start],
      [end, to],
    ] as const) {
      if (first === last) continue;
      const range = { low, high, from: first, to: last };
      const points = await this.#read(range, await relations.numbers(first, last), false);
      if (!(await chart.points(points, first, last))) return null;
    }
    const range = { from: start, to: end, pointsFrom: start, pointsTo: end };
    await chart.rollups(await relations.rollup(level, "numbers", range), start, end);
    return { rows: chart.result(), level };
  }

  async #chartRows(
    source: SourcePart,
    members: Members,
    { groups, bins }: ExtremeSelection,
  ): Promise<ChartRows | null> {
    if (source.level !== "raw" || groups.length !== 1 || members.join !== "") return null;
    const [low, high] = rangeOf(groups[0]!.ids);
    const rowsRead = this.#relations.rowsRead("raw", "numbers", source.from, source.to, low, high);
    if (rowsRead > CHART_ROWS_READ_MAX) return null;
    const { from, to } = source;
    const points = await this.#read({ low, high, from, to }, source.relation, false);
    return chartRows(this.#connection, points, { from, to }, members, bins);
  }

  /** `relation`: of all of it, for DuckDB where files have to be read by it. */
  async #read(range: PointRange, relation: string, arrivals: boolean): Promise<ReadPoints> {
    return (await this.#relations.columns(range, arrivals)) ?? { columns: [], others: relation };
  }

  /** `known`: the ends of the only group. */
  #endsReader(known: ChartRows["ends"]): EndsReader {
    const rowsOf = ({ time, value }: ChartPoint): PointRows => ({
      groups: [0],
      times: [time],
      values: [value],
      truncated: false,
    });
    return {
      points: (points) => this.points(points),
      bothEdges: async (edges) =>
        known === null ? ((await this.#edges(edges)) as [PointRows, PointRows]) : [rowsOf(known[0]), rowsOf(known[1])],
    };
  }

  /** Numbers and texts may lie in different places. */
  async #sources({
    groups,
    from,
    to,
    grid,
    measures,
  }: WindowSelection): Promise<{ readonly numbers: readonly SourcePart[]; readonly texts: readonly SourcePart[] }> {
    const knownFrom = (level: Level): EpochMs => this.#relations.knownFrom(level);
    const demanding = measures.find(needsPoints);
    if (demanding !== undefined && knownFrom("raw") > from && groups.some(({ text }) => !text)) {
      throw new TidewireError("POINTS_GONE", { since: new Date(knownFrom("raw")).toISOString() });
    }
    const plan = (text: boolean): readonly LevelPart[] => {
      const ids = groups.filter((group) => group.text === text).flatMap((group) => group.ids);
      if (ids.length === 0) return [];
      if (!text && demanding !== undefined) return [{ level: "raw", from, to }];
      const kind = text ? "texts" : "numbers";
      const [low, high] = rangeOf(ids);
      const wide =
        knownFrom("raw") <= from
          ? widened(from, to, grid, (start, end) => this.#relations.isEmpty(kind, start, end))
          : { from, to };
      return cheapestPlan(wide.from, wide.to, grid, knownFrom, (part) =>
        this.#relations.rowsRead(part.level, kind, part.from, part.to, low, high),
      );
    };
    return {
      numbers: await this.#located(plan(false), "numbers", { from, to }),
      texts: await this.#located(plan(true), "texts", { from, to }),
    };
  }

  /** `asked`: beyond, a plan may reach where there is nothing but what has just come in. */
  async #located(
    plan: readonly LevelPart[],
    kind: "numbers" | "texts",
    asked: { readonly from: EpochMs; readonly to: EpochMs },
  ): Promise<readonly SourcePart[]> {
    const parts: SourcePart[] = [];
    const clips = this.#relations.knownFrom("raw") <= asked.from;
    for (const { level, from, to } of plan) {
      const [start, end] = clips ? [Math.max(from, asked.from), Math.min(to, asked.to)] : [from, to];
      if (start >= end) continue; // nothing was asked for there
      if (level === "raw") {
        parts.push({ level, from: start, to: end, relation: await this.#relations[kind](start, end) });
        continue;
      }
      const range = { from, to, pointsFrom: start, pointsTo: end };
      parts.push({ level, from, to, relation: await this.#relations.rollup(level, kind, range) });
    }
    return parts;
  }

  /** The points, where there are not too many of them; rollups that are finer than a bin, or all that is left. */
  async #chartSource(members: Members, { groups, from, to, bins }: ExtremeSelection): Promise<SourcePart> {
    const known = (level: Level): boolean => this.#relations.knownFrom(level) <= from;
    const fine = ROLLUPS.filter((level) => known(level) && ROLLUP_WIDTH[level] <= (to - from) / bins);
    const coarsest = fine.at(-1);
    const [low, high] = rangeOf(groups.flatMap(({ ids }) => ids));
    const few =
      coarsest === undefined ||
      this.#relations.rowsRead("raw", "numbers", from, to, low, high) <= CHART_ROWS_MAX / 2 ||
      (await this.#count(members, from, to, coarsest)) <= CHART_ROWS_MAX;
    const level: Level = known("raw") && few ? "raw" : (coarsest ?? ROLLUPS.find(known) ?? "raw");
    return (await this.#located([{ level, from, to }], "numbers", { from, to }))[0]!;
  }

  /** A percentile holds all its values in memory. */
  async #refuseTooMany(members: Members, from: EpochMs, to: EpochMs): Promise<void> {
    const { percentilePointsMax } = LIMITS.telemetry;
    const count = await this.#count(members, from, to, "raw");
    if (count <= percentilePointsMax) return;
    const reason = `a percentile over ${count} points needs too much memory; at most ${percentilePointsMax} may be`;
    throw new TidewireError("QUERY_TOO_LARGE", { reason });
  }

  async #count(members: Members, from: EpochMs, to: EpochMs, level: Level): Promise<number> {
    const [{ relation }] = (await this.#located([{ level, from, to }], "numbers", { from, to })) as [SourcePart];
    const [count, time] = level === "raw" ? ["count(*)", "time"] : ["sum(count)", "bucket"];
    let total = 0;
    const sql = `SELECT ${count}::DOUBLE FROM (${relation})${members.join} WHERE ${members.where} AND ${within(time, from, to)}`;
    await eachChunkAtOnce(this.#connection, sql, ([counts]) => (total = (counts![0] as number | null) ?? 0));
    return total;
  }

  async #eachKind(
    groups: readonly SeriesGroup[],
    from: EpochMs,
    to: EpochMs,
    select: (relation: string, members: Members, text: boolean) => string,
  ): Promise<readonly string[]> {
    const selects: string[] = [];
    for (const text of [false, true]) {
      const members = membersOf(groups, text);
      if (members === null) continue;
      const relation = await (text ? this.#relations.texts(from, to) : this.#relations.numbers(from, to));
      selects.push(select(relation, members, text));
    }
    return selects;
  }

  async #pointRows(sql: string, selected: readonly SeriesGroup[], rowsMax: number): Promise<PointRows> {
    const indexOf = indexesOf(membersOf(selected, false), membersOf(selected, true));
    const groups: number[] = [];
    const times: EpochMs[] = [];
    const values: (number | string)[] = [];
    let truncated = false;
    await eachChunkAtOnce(this.#connection, sql, ([ids, at, numbers, texts], rows) => {
      for (let row = 0; row < rows; row++) {
        if (times.length >= rowsMax) {
          truncated = true;
          return;
        }
        groups.push(indexOf.get(ids![row] as number)!);
        times.push(at![row] as number);
        values.push((numbers![row] as number | null) ?? (texts![row] as string));
      }
    });
    return { groups, times, values, truncated };
  }

  async #windowRows(
    sql: string | null,
    { grid, measures, rowsMax }: WindowSelection,
    withText: readonly Measure[],
    indexOf: ReadonlyMap<number, number>,
  ): Promise<Omit<WindowRows, "level">> {
    const groups: number[] = [];
    const starts: EpochMs[] = [];
    const found = new Map<Measure, (FieldValue | null)[]>(measures.map((measure) => [measure, []]));
    let truncated = false;
    if (sql === null) return { groups, starts, measures: found, truncated };
    await eachChunkAtOnce(this.#connection, sql, (columns, all) => {
      const rows = Math.min(all, rowsMax - starts.length);
      truncated ||= rows < all;
      for (let row = 0; row < rows; row++) {
        groups.push(indexOf.get(columns[0]![row] as number)!);
        starts.push(startOfNumber(grid, columns[1]![row] as number));
      }
      let next = 2;
      for (const [measure, values] of found) {
        const numbers = columns[next++]!;
        const texts = withText.includes(measure) ? columns[next++]! : null;
        for (let row = 0; row < rows; row++) values.push((numbers[row] ?? texts?.[row] ?? null) as FieldValue | null);
      }
    });
    return { groups, starts, measures: found, truncated };
  }
}

/** Those of `withText` have a column for numbers and one for texts. */
function columnsOfNumbers(measures: readonly Measure[], withText: readonly Measure[]): string {
  const columns = measures.map((measure) => {
    const number = `${nameOf(measure)}::DOUBLE`;
    return withText.includes(measure) ? `${number}, NULL::VARCHAR` : number;
  });
  return ["g", "b::DOUBLE", ...columns].join(", ");
}

function columnsOfTexts(measures: readonly Measure[], known: readonly Measure[]): string {
  const columns = measures.map((measure) => {
    if (!known.includes(measure)) return "NULL::DOUBLE";
    return measure === "count" ? "count::DOUBLE, NULL::VARCHAR" : `NULL::DOUBLE, ${measure}`;
  });
  return ["g", "b::DOUBLE", ...columns].join(", ");
}

function indexesOf(numbers: Members | null, texts: Members | null): ReadonlyMap<number, number> {
  return new Map([...(numbers?.indexOf ?? []), ...(texts?.indexOf ?? [])]);
}

function rangeOf(ids: readonly number[]): readonly [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (const id of ids) {
    if (id < low) low = id;
    if (id > high) high = id;
  }
  return [low, high];
}

function startOfNumber(grid: Grid, bucket: number): EpochMs {
  if (grid.kind === "whole") return grid.start;
  return grid.kind === "wall" || grid.kind === "months" ? startOfBucket(grid, bucket) : bucket;
}
