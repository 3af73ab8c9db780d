/** From columns to what uPlot draws: `null` breaks a line, `undefined` does not. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { Columns } from "./thing-series.ts";

export type DrawCell = number | null | undefined;
export type DrawData = [times: EpochMs[], ...cells: DrawCell[][]];

/** A silence longer than this many periods is drawn as a gap. */
const GAP_PERIODS = 3;
/** So many steps to each side tell the period at a place: devices change theirs, and windows hold several of them. */
const NEIGHBOURS = 8;

/**
 * Rows after which a line is broken: the next point comes more than three periods later, where the period is the median
 * step around that place. A window without points is left out by the server, so among dense windows one missing window
 * is a gap already: it stands for at least a whole window of silence.
 */
export function gapsIn(times: readonly EpochMs[], window: Millis | null): number[] {
  const gaps: number[] = [];
  const step = (row: number): Millis => times[row + 1]! - times[row]!;
  const last = times.length - 2;
  for (let row = 0; row <= last; row++) {
    const own = step(row);
    const before = row > 0 ? step(row - 1) : Infinity;
    const after = row < last ? step(row + 1) : Infinity;
    // Cheap, and true nearly always: not much longer than its shorter neighbour.
    if (own <= 1.5 * Math.min(before, after)) continue;
    const around: Millis[] = [];
    for (let i = Math.max(0, row - NEIGHBOURS); i <= Math.min(last, row + NEIGHBOURS); i++) {
      if (i !== row) around.push(step(i));
    }
    if (around.length > 0 && own > thresholdOf(around, window)) gaps.push(row);
  }
  return gaps;
}

function thresholdOf(around: Millis[], window: Millis | null): Millis {
  around.sort((a, b) => a - b);
  const period = around[around.length >>> 1]!;
  const dense = window !== null && around.filter((step) => step <= window).length >= around.length * 0.75;
  return dense ? 1.5 * window : GAP_PERIODS * period;
}

/** Copies the columns and breaks each line where it was silent. */
export function drawData(columns: Columns, window: Millis | null): DrawData {
  const cells = columns.cells.map((column): DrawCell[] => [...column]);
  const wholeGaps = gapsIn(columns.times, window);
  const insertAfter = new Set<number>();
  for (const column of cells) {
    const rows = definedRows(column);
    const whole = rows.length === column.length;
    const gaps = whole
      ? wholeGaps
      : gapsIn(
          rows.map((row) => columns.times[row]!),
          window,
        );
    for (const gap of gaps) {
      const row = whole ? gap : rows[gap]!;
      // Another series has points inside the silence: one of those rows takes the break. Else it gets a row of its own.
      if (row + 1 < column.length && column[row + 1] === undefined) column[row + 1] = null;
      else insertAfter.add(row);
    }
  }
  if (insertAfter.size === 0) return [[...columns.times], ...cells];
  const times: EpochMs[] = [];
  const broken: DrawCell[][] = cells.map(() => []);
  for (let row = 0; row < columns.times.length; row++) {
    times.push(columns.times[row]!);
    for (let i = 0; i < cells.length; i++) broken[i]!.push(cells[i]![row]);
    if (!insertAfter.has(row)) continue;
    times.push(columns.times[row]! + 1);
    // Only lines that are silent here are broken; the others run through.
    for (let i = 0; i < cells.length; i++) broken[i]!.push(cells[i]![row + 1] === undefined ? undefined : null);
  }
  return [times, ...broken];
}

function definedRows(column: readonly DrawCell[]): number[] {
  const rows: number[] = [];
  for (let row = 0; row < column.length; row++) if (column[row] !== undefined) rows.push(row);
  return rows;
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
  const cells = data[line];
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
  const cells = data[line] ?? [];
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
