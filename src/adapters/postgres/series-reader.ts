/** What the query model asks of a store, as statements over the tables of points and texts: there are no rollups. */
import { ExtremeBins, startOfBucket } from "../../telemetry/mod.ts";
import type {
  EdgeSelection,
  ExtremePoints,
  ExtremeSelection,
  FieldValue,
  Grid,
  Level,
  Measure,
  PointRows,
  PointSelection,
  SeriesBook,
  SeriesGroup,
  SeriesReader,
  WindowRows,
  WindowSelection,
} from "../../telemetry/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import { DIVISOR_OF, edgesSql, extremesSql, membersOf, pointsSql, windowsSql } from "./series-sql.ts";
import type { Members } from "./series-sql.ts";
import type { Row, Session } from "./session.ts";

const NO_POINTS: PointRows = { groups: [], times: [], values: [], truncated: false };

export class PostgresSeriesReader implements SeriesReader {
  readonly series: SeriesBook;
  /** What a server has lost it does not tell. */
  readonly incomplete = false;
  readonly #session: Session;
  readonly #signal: AbortSignal | undefined;

  constructor(session: Session, series: SeriesBook, signal?: AbortSignal) {
    this.#session = session;
    this.series = series;
    this.#signal = signal;
  }

  async points({ groups, from, to, rowsMax }: PointSelection): Promise<PointRows> {
    const members = eachKind(groups);
    if (members.length === 0) return NO_POINTS;
    return pointRows(await this.#ask(pointsSql(members, from, to, rowsMax + 1)), members, rowsMax);
  }

  async edges({ groups, ...edge }: EdgeSelection): Promise<PointRows> {
    const members = eachKind(groups);
    if (members.length === 0) return NO_POINTS;
    return pointRows(await this.#ask(edgesSql(members, edge)), members, Number.POSITIVE_INFINITY);
  }

  async windows({ groups, ...selection }: WindowSelection): Promise<WindowRows> {
    const { grid, measures, rowsMax } = selection;
    const members = eachKind(groups);
    const sql = windowsSql(members, selection);
    const found = sql === null ? [] : await this.#ask(sql);
    const rows = found.slice(0, rowsMax);
    const indexOf = indexesOf(members);
    return {
      groups: rows.map(([group]) => indexOf.get(group as number)!),
      starts: rows.map(([, bucket]) => startOfNumber(grid, bucket as number)),
      measures: new Map(measures.map((measure, i) => [measure, rows.map((row) => valueOf(measure, row, 2 + 2 * i))])),
      truncated: found.length > rowsMax,
      level: "raw",
    };
  }

  async extremes(
    selection: ExtremeSelection,
  ): Promise<{ readonly groups: readonly ExtremePoints[]; readonly level: Level }> {
    const members = membersOf(selection.groups, "points");
    if (members === null) return { groups: [], level: "raw" };
    const found = new ExtremeBins(selection.groups.length);
    for (const row of await this.#ask(extremesSql(members, selection))) {
      const [group, number, count, lowest, lowestTime, highest, highestTime] = row as readonly number[] as Bins;
      found.take(members.indexOf.get(group)!, number, { count, lowest, lowestTime, highest, highestTime });
    }
    await found.complete(
      {
        points: (points) => this.points(points),
        bothEdges: async ([first, last]) => [await this.edges(first), await this.edges(last)],
      },
      selection,
    );
    return { groups: found.groups, level: "raw" };
  }

  async #ask(sql: string): Promise<readonly Row[]> {
    this.#signal?.throwIfAborted();
    return this.#session.query(sql);
  }
}

type Bins = readonly [number, number, number, number, number, number, number];

function eachKind(groups: readonly SeriesGroup[]): readonly Members[] {
  return [membersOf(groups, "points"), membersOf(groups, "texts")].filter((members) => members !== null);
}

function indexesOf(members: readonly Members[]): ReadonlyMap<number, number> {
  return new Map(members.flatMap(({ indexOf }) => [...indexOf]));
}

/** Rows of group, time, value, text. */
function pointRows(found: readonly Row[], members: readonly Members[], rowsMax: number): PointRows {
  const indexOf = indexesOf(members);
  const truncated = found.length > rowsMax;
  const rows = truncated ? found.slice(0, rowsMax) : found;
  return {
    groups: rows.map(([group]) => indexOf.get(group as number)!),
    times: rows.map(([, time]) => time as number),
    values: rows.map(([, , value, text]) => (value ?? text) as number | string),
    truncated,
  };
}

function valueOf(measure: Measure, row: Row, column: number): FieldValue | null {
  const value = row[column] ?? row[column + 1] ?? null;
  const divisor = DIVISOR_OF[measure];
  return divisor === undefined || value === null ? value : Number(value) / divisor;
}

function startOfNumber(grid: Grid, bucket: number): EpochMs {
  if (grid.kind === "whole") return grid.start;
  return grid.kind === "wall" || grid.kind === "months" ? startOfBucket(grid, bucket) : bucket;
}
