/** Where windows begin: at multiples since 1970, at the times of a zone's wall clock, or once for the whole range. */
import { days, hours } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";

/** From `from` on the zone's clock shows `offset` more than UTC. */
export interface ZoneSegment {
  readonly from: EpochMs;
  readonly offset: Millis;
}

/** `months`: so many make a window. `size`: milliseconds; whole days begin at midnight, whole weeks on Monday. */
export type Calendar = { readonly zone: string } & (
  | { readonly unit: "range" }
  | { readonly unit: "time"; readonly size: Millis }
  | { readonly unit: "months"; readonly months: number }
);

export type Grid =
  | { readonly kind: "fixed"; readonly size: Millis }
  | { readonly kind: "whole"; readonly start: EpochMs }
  /** Up to an hour: real time, counted from the wall clock's; a repeated hour is two windows. */
  | { readonly kind: "short"; readonly size: Millis; readonly segments: readonly ZoneSegment[] }
  /** Wall time from `origin` on: a day may have 23 or 25 hours. */
  | {
      readonly kind: "wall";
      readonly size: Millis;
      readonly origin: Millis;
      readonly segments: readonly ZoneSegment[];
    }
  | { readonly kind: "months"; readonly months: number; readonly segments: readonly ZoneSegment[] };

/** 1970-01-01 was a Thursday. */
const MONDAY: Millis = days(4) - days(7);
const WEEK = days(7);

export function gridOf(query: {
  readonly window: Millis;
  readonly calendar?: Calendar;
  readonly from: EpochMs;
  readonly to: EpochMs;
}): Grid {
  const { calendar, from, to } = query;
  if (calendar === undefined) return { kind: "fixed", size: query.window };
  if (calendar.unit === "range") return { kind: "whole", start: from };
  // A window that begins before the range, or ends behind it, needs the offsets there, too.
  const margin = calendar.unit === "months" ? calendar.months * days(31) : calendar.size;
  const segments = zoneSegments(calendar.zone, from - margin - days(2), to + margin + days(2));
  if (calendar.unit === "months") return { kind: "months", months: calendar.months, segments };
  const { size } = calendar;
  if (size <= hours(1)) return { kind: "short", size, segments };
  return { kind: "wall", size, origin: size % WEEK === 0 ? MONDAY : 0, segments };
}

/** The start of the window that holds `time`. */
export function startOf(grid: Grid, time: EpochMs): EpochMs {
  switch (grid.kind) {
    case "whole":
      return grid.start;
    case "fixed":
      return time - modulo(time, grid.size);
    case "short": {
      const { from, offset } = segmentAt(grid.segments, time);
      return Math.max(from, time - modulo(time + offset, grid.size));
    }
    case "wall":
    case "months":
      return startOfBucket(grid, bucketOf(grid, time + segmentAt(grid.segments, time).offset));
  }
}

/** The start of the window behind the one that starts at `start`; the end of the whole range is not known here. */
export function nextStart(grid: Grid, start: EpochMs): EpochMs {
  switch (grid.kind) {
    case "whole":
      return Infinity;
    case "fixed":
      return start + grid.size;
    case "short": {
      const { offset } = segmentAt(grid.segments, start);
      const next = start - modulo(start + offset, grid.size) + grid.size;
      const change = grid.segments.find(({ from }) => from > start)?.from ?? Infinity;
      return Math.min(next, change);
    }
    case "wall":
    case "months": {
      const bucket = bucketOf(grid, start + segmentAt(grid.segments, start).offset);
      return startOfBucket(grid, bucket + (grid.kind === "wall" ? grid.size : grid.months));
    }
  }
}

/** All windows that overlap [from, to), or null where they are more than `max`. */
export function startsIn(grid: Grid, from: EpochMs, to: EpochMs, max: number): readonly EpochMs[] | null {
  const starts: EpochMs[] = [];
  for (let start = startOf(grid, from); start < to; start = nextStart(grid, start)) {
    if (starts.length >= max) return null;
    starts.push(start);
  }
  return starts;
}

/** A bucket is a window's own number: its wall time, or its month since the year 0. */
export function startOfBucket(grid: Extract<Grid, { kind: "wall" | "months" }>, bucket: number): EpochMs {
  const wall = grid.kind === "wall" ? bucket : Date.UTC(Math.floor(bucket / 12), modulo(bucket, 12));
  return instantOf(grid.segments, wall);
}

/** Whether buckets of `size`, counted since 1970, never lie in two windows. */
export function isMultiple(grid: Grid, size: Millis): boolean {
  switch (grid.kind) {
    case "whole":
      return true;
    case "fixed":
      return grid.size % size === 0;
    case "short":
    case "wall":
    case "months": {
      const even = grid.kind === "months" || grid.size % size === 0;
      return (
        even && grid.segments.every(({ from, offset }, i) => offset % size === 0 && (i === 0 || from % size === 0))
      );
    }
  }
}

function bucketOf(grid: Extract<Grid, { kind: "wall" | "months" }>, wall: number): number {
  if (grid.kind === "wall") return wall - modulo(wall - grid.origin, grid.size);
  const date = new Date(wall);
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth();
  return month - modulo(month, grid.months);
}

/** The first instant at which the clock shows `wall` or, where it skips that, more. */
function instantOf(segments: readonly ZoneSegment[], wall: number): EpochMs {
  for (let i = 0; i < segments.length - 1; i++) {
    const { from, offset } = segments[i]!;
    if (wall - offset < segments[i + 1]!.from) return Math.max(from, wall - offset);
  }
  const { from, offset } = segments.at(-1)!;
  return segments.length === 1 ? wall - offset : Math.max(from, wall - offset);
}

function segmentAt(segments: readonly ZoneSegment[], time: EpochMs): ZoneSegment {
  let found = segments[0]!;
  for (const segment of segments) if (segment.from <= time) found = segment;
  return found;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** No zone changes its clock twice within so few days. */
const STEP = days(7);

/** All offsets of a zone in [from, to], the first from `from` on. */
export function zoneSegments(zone: string, from: EpochMs, to: EpochMs): readonly ZoneSegment[] {
  const offsetAt = offsetReader(zone);
  const segments: ZoneSegment[] = [{ from, offset: offsetAt(from) }];
  for (let low = from; low < to; low += STEP) {
    let before = low;
    let behind = Math.min(low + STEP, to);
    const { offset } = segments.at(-1)!;
    const then = offsetAt(behind);
    if (then === offset) continue;
    while (behind - before > 1) {
      const middle = Math.floor((before + behind) / 2);
      if (offsetAt(middle) === offset) before = middle;
      else behind = middle;
    }
    segments.push({ from: behind, offset: then });
  }
  return segments;
}

export function isZone(name: string): boolean {
  try {
    offsetReader(name);
    return true;
  } catch {
    return false;
  }
}

function offsetReader(zone: string): (time: EpochMs) => Millis {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (time) => {
    const parts: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(time)) parts[type] = Number(value);
    const wall = Date.UTC(
      parts["year"]!,
      parts["month"]! - 1,
      parts["day"],
      parts["hour"],
      parts["minute"],
      parts["second"],
    );
    return wall - Math.floor(time / 1000) * 1000;
  };
}
