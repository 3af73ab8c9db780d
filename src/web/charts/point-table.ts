/** The points of one measurement as columns over one ascending time axis, which is what a chart draws. */
import type { EpochMs } from "../../base/mod.ts";

/** Undefined where this field has no point at this time. */
export type Cell = number | undefined;

export interface ColumnInput {
  readonly field: string;
  /** Ascending. */
  readonly times: readonly EpochMs[];
  readonly values: readonly number[];
}

export class PointTable {
  #times: EpochMs[] = [];
  readonly #columns = new Map<string, Cell[]>();

  get times(): readonly EpochMs[] {
    return this.#times;
  }

  get fields(): IterableIterator<string> {
    return this.#columns.keys();
  }

  column(field: string): readonly Cell[] | undefined {
    return this.#columns.get(field);
  }

  /** Time of the newest row, or null where there is none. */
  get newest(): EpochMs | null {
    return this.#times.at(-1) ?? null;
  }

  /**
   * Merges points by time. The same time in the same field replaces the value, so what arrives both as history and live
   * is there once.
   */
  merge(inputs: readonly ColumnInput[]): void {
    this.#addTimes(inputs);
    for (const { field, times, values } of inputs) {
      const column = this.#columnOf(field);
      let row = firstAtOrAfter(this.#times, times[0] ?? 0);
      for (let i = 0; i < times.length; i++) {
        while (this.#times[row]! < times[i]!) row++;
        column[row] = values[i];
      }
    }
  }

  /** Forgets all rows before `time`. */
  dropBefore(time: EpochMs): void {
    const rows = firstAtOrAfter(this.#times, time);
    if (rows === 0) return;
    this.#times.splice(0, rows);
    for (const column of this.#columns.values()) column.splice(0, rows);
  }

  #columnOf(field: string): Cell[] {
    let column = this.#columns.get(field);
    if (column === undefined) {
      column = Array.from<Cell>({ length: this.#times.length });
      this.#columns.set(field, column);
    }
    return column;
  }

  /** Makes a row for every time that has none yet. Live points lie behind the end and cost no more than a push. */
  #addTimes(inputs: readonly ColumnInput[]): void {
    const added = newTimes(this.#times, inputs);
    if (added.length === 0) return;
    const last = this.#times.at(-1);
    if (last === undefined || added[0]! > last) {
      for (const time of added) this.#times.push(time);
      for (const column of this.#columns.values()) while (column.length < this.#times.length) column.push(undefined);
      return;
    }
    this.#interleave(added);
  }

  #interleave(added: readonly EpochMs[]): void {
    const old = this.#times;
    const merged: EpochMs[] = [];
    // For every merged row the old row it comes from, or -1.
    const origin: number[] = [];
    let a = 0;
    for (let o = 0; o < old.length || a < added.length;) {
      const takeOld = a >= added.length || (o < old.length && old[o]! < added[a]!);
      merged.push(takeOld ? old[o]! : added[a]!);
      origin.push(takeOld ? o : -1);
      if (takeOld) o++;
      else a++;
    }
    this.#times = merged;
    for (const [field, column] of this.#columns) {
      this.#columns.set(
        field,
        origin.map((row) => (row < 0 ? undefined : column[row])),
      );
    }
  }
}

function newTimes(known: readonly EpochMs[], inputs: readonly ColumnInput[]): EpochMs[] {
  const added = new Set<EpochMs>();
  for (const { times } of inputs) {
    let row = firstAtOrAfter(known, times[0] ?? 0);
    for (const time of times) {
      while (row < known.length && known[row]! < time) row++;
      if (known[row] !== time) added.add(time);
    }
  }
  return [...added].sort((a, b) => a - b);
}

/** Index of the first element that is not before `time`; the length where all are. */
export function firstAtOrAfter(times: readonly EpochMs[], time: EpochMs): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
