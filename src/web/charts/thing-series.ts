/**
 * All points of one thing at one resolution, where history and live become one.
 *
 * Raw: every point as it came. Windowed: the server's windows up to `openFrom`, and behind it raw points that are folded
 * into the same epoch-aligned windows here, so that the newest window grows as readings arrive instead of appearing late.
 */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { Aggregate, SeriesOfResult } from "../../cloud/api/contract.ts";
import { PointTable, firstAtOrAfter } from "./point-table.ts";
import type { Cell, ColumnInput } from "./point-table.ts";
import { windowStart } from "./ranges.ts";
import type { Span } from "./ranges.ts";

export type DrawnKind = "number" | "boolean";
/** Which value of a window: its average (booleans: its last), its lowest or its highest. */
export type Part = "value" | "min" | "max";

export interface ColumnRequest {
  readonly field: string;
  readonly kind: DrawnKind;
  readonly part: Part;
}

export interface Columns {
  /** Ascending. Windows stand at their middle. */
  readonly times: readonly EpochMs[];
  /** One per request, as long as `times`. */
  readonly cells: readonly (readonly Cell[])[];
}

const NOTHING: Columns = { times: [], cells: [] };

export class ThingSeries {
  readonly window: Millis | null;
  #openFrom: EpochMs;
  readonly #raw = new Map<string, PointTable>();
  readonly #closed = new Map<string, PointTable>();
  /** Fields whose windows keep the last value, not an average. */
  readonly #booleans = new Set<string>();

  /** `openFrom`: start of the first window that is folded here; of no meaning where `window` is null. */
  constructor(window: Millis | null, openFrom: EpochMs) {
    this.window = window;
    this.#openFrom = window === null ? -Infinity : windowStart(openFrom, window);
  }

  get openFrom(): EpochMs {
    return this.#openFrom;
  }

  get measurements(): string[] {
    return [...new Set([...this.#closed.keys(), ...this.#raw.keys()])];
  }

  /**
   * Takes raw points, from history or live. Returns the stretch of late points that belong to windows which only the
   * server can compute now; null where there are none. The caller fetches that stretch again.
   */
  addRaw(measurement: string, series: readonly SeriesOfResult[]): Span | null {
    const inputs: ColumnInput[] = [];
    let late: Span | null = null;
    for (const one of series) {
      if (one.type === "string" || one.times.length === 0) continue;
      if (one.type === "boolean") this.#booleans.add(`${measurement}\t${one.field}`);
      const first = firstAtOrAfter(one.times, this.#openFrom);
      if (first > 0) late = widen(late, one.times[0]!, one.times[first - 1]!);
      if (first === one.times.length) continue;
      inputs.push({ field: one.field, times: one.times.slice(first), values: numbers(one.values.slice(first)) });
    }
    if (inputs.length > 0) tableOf(this.#raw, measurement).merge(inputs);
    return late;
  }

  /** Takes windows that the server computed. Windows from `openFrom` on are left out: they are folded here. */
  addWindows(measurement: string, aggregate: Aggregate, series: readonly SeriesOfResult[]): void {
    const part: Part = aggregate === "min" ? "min" : aggregate === "max" ? "max" : "value";
    const inputs: ColumnInput[] = [];
    for (const one of series) {
      if (one.type === "string") continue;
      const end = firstAtOrAfter(one.times, this.#openFrom);
      if (end === 0) continue;
      const values = numbers(one.values.slice(0, end));
      inputs.push({ field: keyOf(one.field, part), times: one.times.slice(0, end), values });
    }
    if (inputs.length > 0) tableOf(this.#closed, measurement).merge(inputs);
  }

  columns(measurement: string, requests: readonly ColumnRequest[]): Columns {
    if (this.window === null) return rawColumns(this.#raw.get(measurement), requests);
    const closed = closedColumns(this.#closed.get(measurement), requests, this.window);
    const open = foldedColumns(this.#raw.get(measurement), requests, this.window);
    return {
      times: [...closed.times, ...open.times],
      cells: requests.map((_, i) => [...(closed.cells[i] ?? []), ...(open.cells[i] ?? [])]),
    };
  }

  /** The usual distance of two readings, from the newest of them; null where too few are known. */
  period(measurement: string): Millis | null {
    const times = this.#raw.get(measurement)?.times ?? [];
    return medianStep(times.slice(-120));
  }

  /** Newest reading of a measurement. */
  newest(measurement: string): EpochMs | null {
    return this.#raw.get(measurement)?.newest ?? this.#closed.get(measurement)?.newest ?? null;
  }

  /** Rows in memory, for the debug hook and to see when raw points become too many to draw. */
  get rows(): number {
    let rows = 0;
    for (const tables of [this.#raw, this.#closed]) for (const table of tables.values()) rows += table.times.length;
    return rows;
  }

  /** Forgets what lies before `from`, and turns raw points of windows that ended well before `now` into closed ones. */
  tidy(from: EpochMs, now: EpochMs): void {
    for (const tables of [this.#raw, this.#closed]) for (const table of tables.values()) table.dropBefore(from);
    if (this.window === null) return;
    const closeBefore = windowStart(now, this.window) - 2 * this.window;
    if (closeBefore <= this.#openFrom) return;
    for (const [measurement, table] of this.#raw) this.#close(measurement, table, closeBefore);
    this.#openFrom = closeBefore;
  }

  #close(measurement: string, raw: PointTable, before: EpochMs): void {
    const inputs: ColumnInput[] = [];
    for (const field of raw.fields) {
      const kind = this.#booleans.has(`${measurement}\t${field}`) ? "boolean" : "number";
      for (const part of ["value", "min", "max"] as const) {
        const folded = foldColumn(raw, { field, kind, part }, this.window!, before);
        inputs.push({ field: keyOf(field, part), times: folded.map(([at]) => at), values: folded.map(([, v]) => v) });
      }
    }
    tableOf(this.#closed, measurement).merge(inputs);
    raw.dropBefore(before);
  }
}

/** Median distance of neighbours; null below three points. */
export function medianStep(times: readonly EpochMs[]): Millis | null {
  if (times.length < 3) return null;
  const steps = times.slice(1).map((time, i) => time - times[i]!);
  steps.sort((a, b) => a - b);
  return steps[steps.length >>> 1]!;
}

function rawColumns(table: PointTable | undefined, requests: readonly ColumnRequest[]): Columns {
  if (table === undefined) return NOTHING;
  const empty: Cell[] = [];
  return { times: table.times, cells: requests.map(({ field }) => table.column(field) ?? empty) };
}

function closedColumns(table: PointTable | undefined, requests: readonly ColumnRequest[], window: Millis): Columns {
  if (table === undefined) return NOTHING;
  const blank = table.times.map((): Cell => undefined);
  return {
    times: table.times.map((start) => start + window / 2),
    cells: requests.map(({ field, part }) => table.column(keyOf(field, part)) ?? blank),
  };
}

function foldedColumns(table: PointTable | undefined, requests: readonly ColumnRequest[], window: Millis): Columns {
  if (table === undefined || table.times.length === 0) return NOTHING;
  const starts = [...new Set(table.times.map((time) => windowStart(time, window)))];
  const rowOf = new Map(starts.map((start, row) => [start, row]));
  const cells = requests.map((request) => {
    const cells = starts.map((): Cell => undefined);
    for (const [start, value] of foldColumn(table, request, window, Infinity)) cells[rowOf.get(start)!] = value;
    return cells;
  });
  // The newest window is not over: its point stands at its newest reading, not in the future.
  const newest = table.newest!;
  return { times: starts.map((start) => Math.min(start + window / 2, Math.max(newest, start))), cells };
}

/** Windows of one raw column that start before `before`. */
function foldColumn(
  table: PointTable,
  { field, kind, part }: ColumnRequest,
  window: Millis,
  before: EpochMs,
): [start: EpochMs, value: number][] {
  const column = table.column(field) ?? [];
  const folded: [EpochMs, number][] = [];
  let count = 0;
  for (let row = 0; row < table.times.length && table.times[row]! < before; row++) {
    const value = column[row];
    if (value === undefined) continue;
    const start = windowStart(table.times[row]!, window);
    const last = folded.at(-1);
    if (last === undefined || last[0] !== start) {
      folded.push([start, value]);
      count = 1;
      continue;
    }
    count++;
    if (part === "min") last[1] = Math.min(last[1], value);
    else if (part === "max") last[1] = Math.max(last[1], value);
    else if (kind === "boolean") last[1] = value;
    else last[1] += (value - last[1]) / count;
  }
  return folded;
}

function keyOf(field: string, part: Part): string {
  return part === "value" ? field : `${field}\t${part}`;
}

function tableOf(tables: Map<string, PointTable>, measurement: string): PointTable {
  let table = tables.get(measurement);
  if (table === undefined) tables.set(measurement, (table = new PointTable()));
  return table;
}

function numbers(values: SeriesOfResult["values"]): number[] {
  return values.map((value) => (value === null ? NaN : Number(value)));
}

function widen(span: Span | null, from: EpochMs, to: EpochMs): Span {
  return span === null ? { from, to } : { from: Math.min(span.from, from), to: Math.max(span.to, to) };
}
