/** What stands for windows without points. */
import type { EpochMs } from "../base/mod.ts";
import type { FieldValue } from "./points.ts";
import type { Fill } from "./query.ts";

export interface Column {
  readonly times: readonly EpochMs[];
  readonly values: readonly (FieldValue | null)[];
}

/**
 * `column` on all of `starts`, of which its times are some. `before`: what held before the first one, or null.
 * `numbers`: whether its values may be put on a line or replaced by a number. Nothing is carried on behind `until`.
 */
export function fillGaps(
  column: Column,
  starts: readonly EpochMs[],
  fill: Fill,
  {
    before,
    numbers,
    until,
  }: { readonly before: FieldValue | null; readonly numbers: boolean; readonly until: EpochMs },
): Column {
  if (fill === "none" || (typeof fill === "number" && !numbers)) return column;
  const times: EpochMs[] = [];
  const values: (FieldValue | null)[] = [];
  let next = 0;
  let previous = fill === "previous" ? before : null;
  for (const start of starts) {
    let value: FieldValue | null = null;
    if (column.times[next] === start) {
      value = column.values[next++] ?? null;
      previous = value;
    } else if (typeof fill === "number") value = fill;
    else if (fill === "previous" || (fill === "linear" && !numbers)) value = start <= until ? previous : null;
    else if (fill === "linear") value = between(column, next, start);
    if (value === null && fill !== "null") continue;
    times.push(start);
    values.push(value);
  }
  return { times, values };
}

/** On the line from the point before `next` to the one there; null at the ends. */
function between({ times, values }: Column, next: number, at: EpochMs): number | null {
  if (next === 0 || next >= times.length) return null;
  const [t0, t1] = [times[next - 1]!, times[next]!];
  const [v0, v1] = [Number(values[next - 1]), Number(values[next])];
  return v0 + ((v1 - v0) * (at - t0)) / (t1 - t0);
}
