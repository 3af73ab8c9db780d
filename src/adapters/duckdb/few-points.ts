/**
 * Windows of few points of few series, as a chart asks for every few seconds: the points themselves and a loop over them. As a
 * statement of DuckDB the grouping would take longer to plan (2 ms) than all of it.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { startOf } from "../../telemetry/mod.ts";
import type { FieldValue, Grid, Measure, WindowRows, WindowSelection } from "../../telemetry/mod.ts";
import type { ReadPoints } from "./cold-store.ts";
import { eachNumbers } from "./columns.ts";
import type { PointColumns } from "./file-points.ts";
import { within } from "./series-sql.ts";
import type { Members, SourcePart } from "./series-sql.ts";

/** Beyond, DuckDB's vectors are faster than a loop. */
const ROWS_MAX = 50_000;

/** What a window knows of its points. */
interface Window {
  readonly start: number;
  readonly group: number;
  count: number;
  sum: number;
  min: number;
  max: number;
  first: number;
  firstTime: number;
  firstArrival: number;
  last: number;
  lastTime: number;
  lastArrival: number;
}

const MEASURES: readonly Measure[] = ["count", "sum", "min", "max", "first", "firstTime", "last", "lastTime"];

/** Whether that could be; `rowsRead`: by what the files say. */
export function mayBeFew(
  parts: readonly SourcePart[],
  members: Members,
  measures: readonly Measure[],
  rowsRead: number,
): boolean {
  const [part, ...others] = parts;
  if (part === undefined || others.length > 0 || part.level !== "raw" || members.join !== "") return false;
  return rowsRead <= FILE_ROWS_MAX && measures.every((measure) => MEASURES.includes(measure));
}

/** Rows of files, most of other series. */
const FILE_ROWS_MAX = 400_000;

/** Null where there are too many for this. */
export async function windowsOfFew(
  connection: DuckDBConnection,
  { columns, others }: ReadPoints,
  { from, to }: Pick<SourcePart, "from" | "to">,
  members: Members,
  { grid, measures, rowsMax }: Pick<WindowSelection, "grid" | "measures" | "rowsMax">,
): Promise<Omit<WindowRows, "level"> | null> {
  const windows = new Windows(grid, members);
  let rows = columns.reduce((sum, { times }) => sum + times.length, 0);
  if (rows > ROWS_MAX) return null;
  for (const points of columns) windows.take(points);
  if (others !== null) {
    const arrival = ordered(measures) ? "arrival::DOUBLE" : "0::DOUBLE";
    const sql =
      `SELECT series::DOUBLE, time::DOUBLE, value, ${arrival} FROM (${others}) ` +
      `WHERE ${members.where} AND ${within("time", from, to)} LIMIT ${ROWS_MAX + 1}`;
    await eachNumbers(connection, sql, 4, ([series, times, values, arrivals]) => {
      rows += times!.length;
      if (rows > ROWS_MAX) return false;
      windows.take({ series: series!, times: times!, values: values!, arrivals: arrivals! });
      return true;
    });
  }
  return rows > ROWS_MAX ? null : windows.rows(measures, rowsMax);
}

/** Whether it matters which of equal times came first. */
export function ordered(measures: readonly Measure[]): boolean {
  return measures.includes("first") || measures.includes("last");
}

class Windows {
  readonly #grid: Grid;
  readonly #members: Members;
  /** The group of all rows, where it is not their series. */
  readonly #key: number | null;
  /** By group, then start. Bounded by `ROWS_MAX`. */
  readonly #found = new Map<number, Map<number, Window>>();
  /** Points come in the order of time, so mostly it is the one before. */
  #last: Window | null = null;
  #lastKey = -1;
  #lastEnd = 0;

  constructor(grid: Grid, members: Members) {
    this.#grid = grid;
    this.#members = members;
    this.#key = members.group === "series" ? null : Number(members.group);
  }

  take({ series, times, values, arrivals }: PointColumns): void {
    const known = arrivals.length > 0;
    for (let i = 0; i < times.length; i++) {
      this.#add(this.#key ?? series[i]!, times[i]!, values[i]!, known ? arrivals[i]! : 0);
    }
  }

  #add(key: number, time: number, value: number, arrival: number): void {
    const window = this.#of(key, time);
    window.count++;
    window.sum += value;
    if (value < window.min) window.min = value;
    if (value > window.max) window.max = value;
    if (time < window.firstTime || (time === window.firstTime && arrival < window.firstArrival)) {
      window.first = value;
      window.firstTime = time;
      window.firstArrival = arrival;
    }
    if (time > window.lastTime || (time === window.lastTime && arrival > window.lastArrival)) {
      window.last = value;
      window.lastTime = time;
      window.lastArrival = arrival;
    }
  }

  /** Ascending by start, then group, as the statement's. */
  rows(measures: readonly Measure[], rowsMax: number): Omit<WindowRows, "level"> {
    const all: Window[] = [];
    for (const windows of this.#found.values()) for (const window of windows.values()) all.push(window);
    all.sort((a, b) => a.start - b.start || a.group - b.group);
    const kept = all.slice(0, rowsMax);
    const columns = measures.map((measure) => {
      const name = measure as "count" | "sum" | "min" | "max" | "first" | "firstTime" | "last" | "lastTime";
      return [measure, kept.map((window): FieldValue => window[name])] as const;
    });
    return {
      groups: kept.map(({ group }) => group),
      starts: kept.map(({ start }) => start),
      measures: new Map(columns),
      truncated: all.length > rowsMax,
    };
  }

  #of(key: number, time: number): Window {
    const last = this.#last;
    if (last !== null && key === this.#lastKey && time >= last.start && time < this.#lastEnd) return last;
    let windows = this.#found.get(key);
    if (windows === undefined) this.#found.set(key, (windows = new Map<number, Window>()));
    const start = startOf(this.#grid, time);
    let window = windows.get(start);
    if (window === undefined) windows.set(start, (window = emptyWindow(start, this.#members.indexOf.get(key)!)));
    this.#last = window;
    this.#lastKey = key;
    this.#lastEnd = this.#grid.kind === "fixed" ? start + this.#grid.size : start;
    return window;
  }
}

function emptyWindow(start: number, group: number): Window {
  return {
    start,
    group,
    count: 0,
    sum: 0,
    min: Infinity,
    max: -Infinity,
    first: 0,
    firstTime: Infinity,
    firstArrival: Infinity,
    last: 0,
    lastTime: -Infinity,
    lastArrival: -Infinity,
  };
}
