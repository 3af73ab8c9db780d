/** What can be asked of the series, and the answer. Shapes as in `cloud/api/contract.ts`. */
import type { EpochMs, Millis } from "../base/mod.ts";
import type { Aggregate, Interpolation } from "./aggregate.ts";
import type { Calendar } from "./grid.ts";
import type { FieldType, FieldValue } from "./points.ts";
import type { Level } from "./levels.ts";

/**
 * What stands for a window without points: nothing at all, null, the value of the window before, a value on the line
 * between its neighbours (numbers), or a number.
 */
export type Fill = "none" | "null" | "previous" | "linear" | number;

/** The `count` series with the highest (or lowest) aggregate over the whole range, of each measurement and field. */
export interface Ranking {
  readonly count: number;
  readonly by: Aggregate;
  readonly lowest: boolean;
}

/** Points with `from <= time < to`. What is optional is absent where it was not asked for. */
export interface SeriesQuery {
  /** One thing, to the letter; where there is `things`, the names as they were asked for. */
  readonly thing: string;
  /** Names, and patterns with `*` and `?`. */
  readonly things?: readonly string[];
  /** Null: all measurements. */
  readonly measurement: string | null;
  /** Null: all fields. */
  readonly fields: readonly string[] | null;
  readonly from: EpochMs;
  readonly to: EpochMs;
  /**
   * Null: raw points. Windows start at multiples of this since 1970, so the first one may start before `from`. With
   * `calendar` its nominal width.
   */
  readonly window: Millis | null;
  /** Windows by the clock of a zone, or one for the whole range. */
  readonly calendar?: Calendar;
  /** Null exactly where `window` is. */
  readonly aggregate: Aggregate | null;
  /** Where there are several; `aggregate` is the first of them. */
  readonly aggregates?: readonly Aggregate[];
  readonly fill?: Fill;
  /** How numbers are held between points, for `integral` and `twa`; absent: linear. Booleans are always steps. */
  readonly interpolation?: Interpolation;
  /** One series per measurement and field over all things, not one per thing. */
  readonly together?: true;
  readonly top?: Ranking;
  /** Arithmetic over fields, parsed by `series-expression.ts`; the answer is its value. */
  readonly expression?: string;
  /** At most so many points per series, chosen so that a chart looks as with all of them. Raw points only. */
  readonly points?: number;
  /** Nothing is carried on behind this. */
  readonly now?: EpochMs;
  /** Values of the whole answer, at most. */
  readonly limit: number;
}

/**
 * One field's points, ascending; equal times in the order of their arrival. A field whose type changed comes as one
 * series per type. Aggregates: `count` and the `avg` of booleans (the share of true) are numbers; `min` and `max` of
 * booleans are booleans; strings know `count`, `first` and `last` only and are left out of the others.
 */
export interface Series {
  readonly measurement: string;
  readonly field: string;
  readonly type: FieldType;
  readonly times: readonly EpochMs[];
  readonly values: readonly FieldValue[];
}

export interface SeriesOfResult {
  /** Where the query may name several things and does not take them together. */
  readonly thing?: string;
  readonly measurement: string;
  /** Of an expression: its text. */
  readonly field: string;
  readonly type: FieldType;
  /** Where the query names several. */
  readonly aggregate?: Aggregate;
  /** How many points `times` and `values` stand for, where there were more than the `points` asked for. */
  readonly reducedFrom?: number;
  readonly times: readonly EpochMs[];
  /** Null with `fill=null` only. */
  readonly values: readonly (FieldValue | null)[];
}

export interface SeriesResult {
  readonly thing: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly window: Millis | null;
  readonly aggregate: Aggregate | null;
  readonly series: readonly SeriesOfResult[];
  /** True where the limit cut the answer: it is then complete up to its last time. */
  readonly truncated: boolean;
  /** The coarsest level that the answer was made from. */
  readonly level: Level;
  /** True where stored points that belong here are damaged and left out. */
  readonly incomplete: boolean;
}

export interface LatestValue {
  readonly measurement: string;
  readonly field: string;
  readonly value: FieldValue;
  readonly time: EpochMs;
}

export interface LatestValues {
  readonly thing: string;
  readonly values: readonly LatestValue[];
}
