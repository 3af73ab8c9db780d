/** What the query model needs of a store: points, windows' measures and extremes, by the numbers of series. */
import type { EpochMs, Millis } from "../base/mod.ts";
import type { Measure } from "./aggregate.ts";
import type { Grid } from "./grid.ts";
import type { FieldValue } from "./points.ts";
import type { Level } from "./levels.ts";
import type { SeriesBook } from "./series-book.ts";

/** Series that are taken as one; all strings or none. */
export interface SeriesGroup {
  readonly ids: readonly number[];
  readonly text: boolean;
}

export interface PointSelection {
  readonly groups: readonly SeriesGroup[];
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly rowsMax: number;
}

/** Columns, ascending by time, then group, then arrival. Booleans are 0 and 1. */
export interface PointRows {
  /** Index into the selection's groups. */
  readonly groups: readonly number[];
  readonly times: readonly EpochMs[];
  readonly values: readonly (number | string)[];
  /** There are more than `rowsMax`. */
  readonly truncated: boolean;
}

export interface WindowSelection extends PointSelection {
  readonly grid: Grid;
  readonly measures: readonly Measure[];
}

/** Columns, ascending by start, then group. Windows without points are left out. */
export interface WindowRows {
  readonly groups: readonly number[];
  readonly starts: readonly EpochMs[];
  /** Each as long as `starts`. Null where the measure has no value, as all but count, first and last of strings. */
  readonly measures: ReadonlyMap<Measure, readonly (FieldValue | null)[]>;
  readonly truncated: boolean;
  readonly level: Level;
}

export interface EdgeSelection {
  readonly groups: readonly SeriesGroup[];
  readonly side: "before" | "from";
  readonly at: EpochMs;
  /** How far to look. */
  readonly reach: Millis;
}

/** Lowest and highest point of each of `bins` equal parts of the range, and the first and the last point. */
export interface ExtremeSelection {
  readonly groups: readonly SeriesGroup[];
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly bins: number;
}

/** One group's points, ascending by time. */
export interface ExtremePoints {
  readonly times: readonly EpochMs[];
  readonly values: readonly number[];
  /** How many there were. */
  readonly count: number;
}

export interface SeriesReader {
  readonly series: SeriesBook;
  /** Whether something that was asked for is damaged and left out; final after the last question. */
  readonly incomplete: boolean;
  points(selection: PointSelection): Promise<PointRows>;
  /** Throws QUERY_TOO_LARGE and POINTS_GONE. */
  windows(selection: WindowSelection): Promise<WindowRows>;
  /** Per group the newest point before `at`, or the oldest one from `at` on; groups without one are left out. */
  edges(selection: EdgeSelection): Promise<PointRows>;
  /** Numbers only; one answer per group. */
  extremes(selection: ExtremeSelection): Promise<{ readonly groups: readonly ExtremePoints[]; readonly level: Level }>;
}
