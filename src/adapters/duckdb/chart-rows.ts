/**
 * The extremes of one series' points for a chart: the points themselves and a loop over them. As a statement of DuckDB, `arg_min` and
 * `arg_max` take as long again as everything else (a year of minutes: 57 ms of processor time, 30 so).
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { binWidth } from "../../telemetry/mod.ts";
import type { Bin, ExtremeSelection } from "../../telemetry/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { ReadPoints } from "./cold-store.ts";
import { eachNumbers } from "./columns.ts";
import { within } from "./series-sql.ts";
import type { Members, SourcePart } from "./series-sql.ts";

/** 16 bytes each, in DuckDB's memory. */
export const CHART_ROWS_READ_MAX = 1_000_000;

export interface ChartPoint {
  readonly time: EpochMs;
  readonly value: number;
}

export interface ChartRows {
  /** Those that have points, ascending. */
  readonly bins: readonly (readonly [number: number, bin: Bin])[];
  /** `null`: several points have the first or the last time, and which came first is not known here. */
  readonly ends: readonly [first: ChartPoint, last: ChartPoint] | null;
}

/** Null where there are too many points for this. */
export async function chartRows(
  connection: DuckDBConnection,
  points: ReadPoints,
  { from, to }: Pick<SourcePart, "from" | "to">,
  members: Members,
  bins: number,
): Promise<ChartRows | null> {
  const chart = new ChartReading(connection, members, { from, to, bins });
  return (await chart.points(points, from, to)) ? chart.result() : null;
}

/** What a chart of one series is made of, range by range. */
export class ChartReading {
  readonly #connection: DuckDBConnection;
  readonly #members: Members;
  readonly #found: Extremes;
  #rows = 0;

  constructor(
    connection: DuckDBConnection,
    members: Members,
    { from, to, bins }: Pick<ExtremeSelection, "from" | "to" | "bins">,
  ) {
    this.#connection = connection;
    this.#members = members;
    this.#found = new Extremes(from, binWidth({ from, to, bins }), bins);
  }

  /** False where there are too many of them. */
  async points({ columns, others }: ReadPoints, from: EpochMs, to: EpochMs): Promise<boolean> {
    this.#rows += columns.reduce((sum, { times }) => sum + times.length, 0);
    if (this.#rows > CHART_ROWS_READ_MAX) return false;
    for (const { times, values } of columns) this.#found.take(times, values);
    if (others === null) return true;
    const sql =
      `SELECT time::DOUBLE, value FROM (${others}) ` +
      `WHERE ${this.#members.where} AND ${within("time", from, to)} LIMIT ${CHART_ROWS_READ_MAX + 1}`;
    await eachNumbers(this.#connection, sql, 2, ([times, values]) => {
      this.#rows += times!.length;
      if (this.#rows <= CHART_ROWS_READ_MAX) this.#found.take(times!, values!);
      return this.#rows <= CHART_ROWS_READ_MAX;
    });
    return this.#rows <= CHART_ROWS_READ_MAX;
  }

  /** Whole buckets: their extremes are points like others, at the times when they were. `relation`: the columns of `rollup.ts`. */
  async rollups(relation: string, from: EpochMs, to: EpochMs): Promise<void> {
    const columns = ["count", "min_time", "min", "max_time", "max", "first_time", "first", "last_time", "last"];
    const sql =
      `SELECT ${columns.map((column) => `${column}::DOUBLE`).join(", ")} FROM (${relation}) ` +
      `WHERE ${this.#members.where} AND ${within("bucket", from, to)}`;
    await eachNumbers(this.#connection, sql, columns.length, ([counts, ...pairs]) => {
      for (let pair = 0; pair < pairs.length; pair += 2) this.#found.take(pairs[pair]!, pairs[pair + 1]!, 0);
      this.#found.count(pairs[0]!, pairs[2]!, counts!);
      return true;
    });
  }

  result(): ChartRows {
    return this.#found.result();
  }
}

/** Columns by number of the bin. */
class Extremes {
  readonly #from: EpochMs;
  readonly #width: number;
  readonly #counts: Float64Array;
  readonly #lowest: Float64Array;
  readonly #lowestTimes: Float64Array;
  readonly #highest: Float64Array;
  readonly #highestTimes: Float64Array;
  #firstTime = Infinity;
  #firstValue = 0;
  #lastTime = -Infinity;
  #lastValue = 0;
  /** Also set by ties that turn out to be in the middle: that costs a statement and nothing else. */
  #isTied = false;

  constructor(from: EpochMs, width: number, bins: number) {
    this.#from = from;
    this.#width = width;
    this.#counts = new Float64Array(bins);
    this.#lowest = new Float64Array(bins).fill(Infinity);
    this.#lowestTimes = new Float64Array(bins);
    this.#highest = new Float64Array(bins).fill(-Infinity);
    this.#highestTimes = new Float64Array(bins);
  }

  /** Half a million rows at a time: everything that the loop touches is a local. `each`: 0 where `count` tells how many there are. */
  take(times: Float64Array, values: Float64Array, each: 0 | 1 = 1): void {
    const [from, width, counts] = [this.#from, this.#width, this.#counts];
    const [lowest, lowestTimes, highest, highestTimes] = [
      this.#lowest,
      this.#lowestTimes,
      this.#highest,
      this.#highestTimes,
    ];
    let [firstTime, firstValue, lastTime, lastValue] = [
      this.#firstTime,
      this.#firstValue,
      this.#lastTime,
      this.#lastValue,
    ];
    let isTied = this.#isTied;
    for (let row = 0; row < times.length; row++) {
      const time = times[row]!;
      const value = values[row]!;
      const bin = Math.floor((time - from) / width);
      counts[bin]! += each;
      if (value < lowest[bin]! || (value === lowest[bin] && time < lowestTimes[bin]!)) {
        lowest[bin] = value;
        lowestTimes[bin] = time;
      }
      if (value > highest[bin]! || (value === highest[bin] && time < highestTimes[bin]!)) {
        highest[bin] = value;
        highestTimes[bin] = time;
      }
      if (time === firstTime || time === lastTime) isTied = true;
      if (time < firstTime) {
        firstTime = time;
        firstValue = value;
      }
      if (time > lastTime) {
        lastTime = time;
        lastValue = value;
      }
    }
    [this.#firstTime, this.#firstValue, this.#lastTime, this.#lastValue] = [firstTime, firstValue, lastTime, lastValue];
    this.#isTied = isTied;
  }

  /** Of a bucket's points one is where the highest is, and all others are where the lowest is. */
  count(lowestTimes: Float64Array, highestTimes: Float64Array, counts: Float64Array): void {
    const binOf = (time: number): number => Math.floor((time - this.#from) / this.#width);
    for (let row = 0; row < counts.length; row++) {
      this.#counts[binOf(lowestTimes[row]!)]! += counts[row]! - 1;
      this.#counts[binOf(highestTimes[row]!)]! += 1;
    }
  }

  result(): ChartRows {
    const bins: (readonly [number, Bin])[] = [];
    for (const [number, count] of this.#counts.entries()) {
      if (count === 0) continue;
      const [lowest, highest] = [this.#lowest[number]!, this.#highest[number]!];
      const [lowestTime, highestTime] = [this.#lowestTimes[number]!, this.#highestTimes[number]!];
      bins.push([number, { count, lowest, lowestTime, highest, highestTime }]);
    }
    const first = { time: this.#firstTime, value: this.#firstValue };
    const last = { time: this.#lastTime, value: this.#lastValue };
    return { bins, ends: this.#isTied || bins.length === 0 ? null : [first, last] };
  }
}
