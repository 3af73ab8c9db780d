/**
 * Aggregates that look across windows' borders: growth from the last point of one window to the first of the next, and
 * the area below the line between them, which is cut where the border is.
 */
import type { EpochMs } from "../base/mod.ts";
import type { Interpolation } from "./aggregate.ts";
import type { Column } from "./fill.ts";

export interface Point {
  readonly time: EpochMs;
  readonly value: number;
}

/** One window's own points. `inner`: increase or area between them, 0 where there is one. */
export interface OwnPoints {
  readonly start: EpochMs;
  readonly first: Point;
  readonly last: Point;
  readonly inner: number;
}

/** Growth of a counter from one value to the next: where it falls, it was reset and counts from zero. */
export function increase(from: number, to: number): number {
  return to >= from ? to - from : to;
}

/** `before`: the newest point before the range, or null. A window whose only point follows none has no value. */
export function growth(
  windows: readonly OwnPoints[],
  before: Point | null,
  aggregate: "rate" | "delta" | "change",
): Column {
  const times: EpochMs[] = [];
  const values: number[] = [];
  let previous = before;
  for (const { start, first, last, inner } of windows) {
    const origin = previous ?? first;
    previous = last;
    const elapsed = last.time - origin.time;
    if (origin === first && first.time === last.time) continue;
    const grown = origin === first ? inner : inner + increase(origin.value, first.value);
    if (aggregate === "rate" && elapsed <= 0) continue;
    times.push(start);
    values.push(
      aggregate === "change" ? last.value - origin.value : aggregate === "delta" ? grown : (grown * 1000) / elapsed,
    );
  }
  return { times, values };
}

export interface AreaRange {
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** All windows of the range. */
  readonly starts: readonly EpochMs[];
  readonly before: Point | null;
  /** The oldest point from `to` on, or null. */
  readonly after: Point | null;
  /** A held value ends here where no later point is known. */
  readonly now: EpochMs;
  readonly interpolation: Interpolation;
}

/** In value × seconds; `twa`: divided by the seconds that lie between points. */
export function areas(windows: readonly OwnPoints[], range: AreaRange, aggregate: "integral" | "twa"): Column {
  const { starts, before, after, to, now } = range;
  const area = new Float64Array(starts.length);
  const covered = new Float64Array(starts.length);
  const only = new Map<number, number>();
  let at = 0;
  const bridge = (a: Point | null, b: Point | null): void => {
    if (a !== null && b !== null) at = spread(a, b, range, area, covered, at);
  };
  let previous = before;
  for (const { start, first, last, inner } of windows) {
    bridge(previous, first);
    while (starts[at] !== start && at < starts.length - 1) at++;
    area[at]! += inner;
    covered[at]! += (last.time - first.time) / 1000;
    only.set(at, last.value);
    previous = last;
  }
  const held = range.interpolation === "previous" && previous !== null && after === null;
  if (held && previous!.time < now) bridge(previous, { time: Math.min(to, now), value: previous!.value });
  else bridge(previous, after);
  const times: EpochMs[] = [];
  const values: number[] = [];
  for (let i = 0; i < starts.length; i++) {
    const seconds = covered[i]!;
    const alone = aggregate === "twa" ? only.get(i) : undefined;
    if (seconds === 0 && alone === undefined) continue;
    times.push(starts[i]!);
    values.push(seconds === 0 ? alone! : aggregate === "twa" ? area[i]! / seconds : area[i]!);
  }
  return { times, values };
}

/** Adds the area between two neighbours to the windows that it crosses; returns the last of them. */
function spread(
  a: Point,
  b: Point,
  { from, to, starts, interpolation }: AreaRange,
  area: Float64Array,
  covered: Float64Array,
  firstWindow: number,
): number {
  const end = Math.min(b.time, to);
  let time = Math.max(a.time, from);
  let at = firstWindow;
  const valueAt = (t: EpochMs): number => {
    if (interpolation === "previous") return a.value;
    return a.value + ((b.value - a.value) * (t - a.time)) / (b.time - a.time);
  };
  while (time < end) {
    while (at + 1 < starts.length && starts[at + 1]! <= time) at++;
    const stop = Math.min(end, starts[at + 1] ?? Infinity);
    const seconds = (stop - time) / 1000;
    area[at]! += ((valueAt(time) + valueAt(stop)) / 2) * seconds;
    covered[at]! += seconds;
    time = stop;
  }
  return at;
}
