/** What statements for series have in common, whatever database they are for: whose rows, which window, and numbers of our own as text. */
import type { Grid, SeriesGroup, ZoneSegment } from "../telemetry/mod.ts";

export interface Owners {
  readonly ids: readonly number[];
  /** Of each of them, the index of its group. */
  readonly owners: readonly number[];
  /**
   * Whether each group, of any kind, is one series: then a row's group is its series. Of all kinds: numbers of series and of groups
   * must not meet in one answer.
   */
  readonly single: boolean;
  /** Index of the group by what stands for it in a row. */
  readonly indexOf: ReadonlyMap<number, number>;
}

/** `text`: of strings, or of numbers and booleans. Null where there are none. */
export function ownersOf(groups: readonly SeriesGroup[], text: boolean): Owners | null {
  const ids: number[] = [];
  const owners: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (group.text !== text) continue;
    for (const id of group.ids) {
      ids.push(id);
      owners.push(index);
    }
  }
  if (ids.length === 0) return null;
  const single = groups.every((group) => group.ids.length === 1);
  const keys = single ? ids : owners;
  return { ids, owners, single, indexOf: new Map(keys.map((key, i) => [key, owners[i]!] as const)) };
}

/** The window of a time as a number: its start, or what `startOfBucket` makes one of. `monthOf`: months since year 0 of a local time in ms. */
export function windowOf(grid: Grid, time: string, monthOf: (wall: string) => string): string {
  switch (grid.kind) {
    case "whole":
      return "0";
    case "fixed":
      return `${time} - ${time} % ${integer(grid.size)}`;
    case "short":
      return bySegment(grid.segments, time, ({ from, offset }) => {
        const start = `${time} - ${floorModulo(`${time} + ${integer(offset)}`, grid.size)}`;
        return `greatest(${integer(from)}, ${start})`;
      });
    case "wall": {
      const wall = bySegment(grid.segments, time, ({ offset }) => `${time} + ${integer(offset)}`);
      return `${wall} - ${floorModulo(`${wall} - ${integer(grid.origin)}`, grid.size)}`;
    }
    case "months": {
      const month = monthOf(bySegment(grid.segments, time, ({ offset }) => `${time} + ${integer(offset)}`));
      return `${month} - ${month} % ${integer(grid.months)}`;
    }
  }
}

function bySegment(segments: readonly ZoneSegment[], time: string, of: (segment: ZoneSegment) => string): string {
  const [first, ...later] = segments;
  const cases = later.toReversed().map((segment) => `WHEN ${time} >= ${integer(segment.from)} THEN ${of(segment)}`);
  return cases.length === 0 ? `(${of(first!)})` : `(CASE ${cases.join(" ")} ELSE ${of(first!)} END)`;
}

/** Never negative, unlike `%`. */
function floorModulo(value: string, by: number): string {
  return `((${value}) % ${integer(by)} + ${integer(by)}) % ${integer(by)}`;
}

export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error(`not an integer: ${value}`);
  return String(value);
}
