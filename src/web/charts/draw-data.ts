/** From columns to what uPlot draws: `null` breaks a line, `undefined` does not. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { Columns } from "./thing-series.ts";

export type DrawCell = number | null | undefined;
export type DrawData = [times: EpochMs[], ...cells: DrawCell[][]];

/** A silence longer than this many periods is drawn as a gap. */
const GAP_PERIODS = 3;

/**
 * The longest distance between two points that are still joined by a line: three periods of raw points. A window without
 * points is left out by the server, so with windows one missing window is a gap already, unless readings are rarer.
 */
export function gapThreshold(period: Millis | null, window: Millis | null): Millis {
  const periods = GAP_PERIODS * (period ?? 0);
  if (window !== null) return Math.max(1.5 * window, periods + 1);
  return period === null ? Infinity : periods + 1;
}

/** Copies the columns and breaks each line where it was silent for longer than `threshold`. */
export function drawData(columns: Columns, threshold: Millis): DrawData {
  const times: EpochMs[] = [];
  const cells: DrawCell[][] = columns.cells.map(() => []);
  const lastSeen = columns.cells.map((): EpochMs | null => null);
  for (let row = 0; row < columns.times.length; row++) {
    const time = columns.times[row]!;
    const previous = times.at(-1);
    // A row of its own for the break, so that a line is cut even where no other series has a point inside the gap.
    if (previous !== undefined && time - previous > threshold) {
      times.push(previous + 1);
      for (const column of cells) column.push(null);
    }
    times.push(time);
    for (let i = 0; i < cells.length; i++) {
      const value = columns.cells[i]![row];
      const seen = lastSeen[i]!;
      if (value !== undefined) {
        lastSeen[i] = time;
        if (seen !== null && time - seen > threshold) breakBefore(cells[i]!);
      }
      cells[i]!.push(value);
    }
  }
  return [times, ...cells];
}

/** The cell before the present one has no point of this series: it takes the break. */
function breakBefore(column: DrawCell[]): void {
  const before = column.length - 1;
  if (before >= 0 && column[before] === undefined) column[before] = null;
}

export interface LineSummary {
  readonly last: number;
  readonly lastAt: EpochMs;
  readonly min: number;
  readonly max: number;
  readonly average: number;
  readonly points: number;
}

/** What a line says in words, over the rows within [from, to]. Null where it has no point there. */
export function summarise(data: DrawData, line: number, from: EpochMs, to: EpochMs): LineSummary | null {
  const times = data[0];
  const cells = data[line] as DrawCell[] | undefined;
  let summary: { last: number; lastAt: number; min: number; max: number; sum: number; points: number } | null = null;
  for (let row = 0; row < times.length; row++) {
    const value = cells?.[row];
    const at = times[row]!;
    if (value === null || value === undefined || at < from || at > to) continue;
    if (summary === null) summary = { last: value, lastAt: at, min: value, max: value, sum: value, points: 1 };
    else {
      summary.last = value;
      summary.lastAt = at;
      summary.min = Math.min(summary.min, value);
      summary.max = Math.max(summary.max, value);
      summary.sum += value;
      summary.points++;
    }
  }
  if (summary === null) return null;
  const { sum, ...rest } = summary;
  return { ...rest, average: sum / summary.points };
}

/** Number of breaks of a line within the data. */
export function countGaps(data: DrawData, line: number): number {
  const cells = (data[line] ?? []) as DrawCell[];
  let gaps = 0;
  let seen = false;
  let broken = false;
  for (const cell of cells) {
    if (cell === null) broken = seen;
    else if (cell !== undefined) {
      if (broken) gaps++;
      broken = false;
      seen = true;
    }
  }
  return gaps;
}
