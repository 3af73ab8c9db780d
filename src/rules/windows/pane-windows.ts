/**
 * TUMBLE and HOP. Overlapping windows share panes, as long as the greatest common divisor of size and step: a message goes
 * to one pane, whatever the overlap, and a window is its panes joined.
 */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { SqlInput, WindowShape } from "../../sql/mod.ts";
import { NO_ROW, SCRATCH } from "./row-table.ts";
import type { RowTable } from "./row-table.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";
import { RowLists } from "./window-kind.ts";
import type { Refusal, WindowKind, WindowPorts } from "./window-kind.ts";

export class PaneWindows implements WindowKind {
  readonly bytesPerKey = 8 + RowLists.bytesPerKey;
  readonly sideBytes = 0;
  readonly #ports: WindowPorts;
  readonly #rows: RowTable;
  readonly #lists: RowLists;
  readonly #size: Millis;
  readonly #every: Millis;
  readonly #offset: Millis;
  readonly #pane: Millis;
  /** Windows of the key that end here or before are closed. */
  #closed = new Float64Array(0);

  constructor(shape: Extract<WindowShape, { kind: "tumble" | "hop" }>, ports: WindowPorts) {
    this.#ports = ports;
    this.#rows = ports.rows;
    this.#lists = new RowLists(ports.rows);
    this.#size = shape.size;
    this.#every = shape.kind === "hop" ? shape.every : shape.size;
    this.#offset = shape.kind === "hop" ? 0 : shape.offset;
    this.#pane = gcd(this.#size, this.#every);
  }

  grow(keys: number): void {
    const closed = new Float64Array(keys);
    closed.set(this.#closed);
    this.#closed = closed;
    this.#lists.grow(keys);
  }

  open(key: number): void {
    this.#closed[key] = -Infinity;
  }

  drop(key: number): void {
    this.#lists.drop(key);
  }

  accept(key: number, input: SqlInput, time: EpochMs, now: EpochMs): Refusal | null {
    const pane = this.#begin(time, this.#pane);
    const lastEnd = this.#begin(pane, this.#every) + this.#size;
    const closedNow = now - this.#ports.lateness;
    if (lastEnd <= closedNow) return "late";
    if (closedNow > this.#closed[key]!) this.#closed[key] = closedNow;
    const row = this.#rowOf(key, pane);
    if (row === NO_ROW) return "crowded";
    this.#rows.add(row, input, time);
    if (this.#ports.emit === "changes") this.#tell(key, pane, lastEnd);
    return null;
  }

  due(key: number): EpochMs {
    const end = this.#nextEnd(key);
    return end + this.#ports.lateness;
  }

  close(key: number): void {
    const end = this.#nextEnd(key);
    this.#closed[key] = end;
    if (this.#ports.emit === "final") this.#result(key, end, false);
    for (const row of this.#lists.list(key)) {
      if (this.#begin(this.#rows.startOf(row), this.#every) + this.#size <= end) this.#lists.remove(key, row);
    }
  }

  idle(key: number): boolean {
    return this.#lists.newest(key) < 0;
  }

  write(key: number, writer: StateWriter): void {
    writer.f64(this.#closed[key]!);
    this.#lists.write(key, writer);
  }

  read(key: number, reader: StateReader): void {
    this.#closed[key] = reader.f64();
    this.#lists.read(key, reader);
  }

  #begin(time: EpochMs, step: Millis): EpochMs {
    return Math.floor((time - this.#offset) / step) * step + this.#offset;
  }

  /** The key's row of a pane, made where there is none. */
  #rowOf(key: number, pane: EpochMs): number {
    let newer = NO_ROW;
    for (let row = this.#lists.newest(key); row >= 0; row = this.#rows.nextOf(row)) {
      const start = this.#rows.startOf(row);
      if (start === pane) return row;
      if (start < pane) break;
      newer = row;
    }
    if (this.#lists.list(key).length >= this.#ports.openMax) return NO_ROW;
    return this.#lists.insert(key, newer, pane);
  }

  /** End of the first window that has data and is not closed; Infinity where there is none. */
  #nextEnd(key: number): EpochMs {
    let oldest = NO_ROW;
    for (let row = this.#lists.newest(key); row >= 0; row = this.#rows.nextOf(row)) oldest = row;
    if (oldest < 0) return Infinity;
    const firstEnd = this.#firstEnd(this.#rows.startOf(oldest) + this.#pane);
    const closed = this.#closed[key]!;
    return closed < firstEnd ? firstEnd : this.#firstEnd(closed + 1);
  }

  /** The first end of a window at or after `time`. */
  #firstEnd(time: EpochMs): EpochMs {
    return Math.ceil((time - this.#size - this.#offset) / this.#every) * this.#every + this.#offset + this.#size;
  }

  /** All open windows with this pane have changed. */
  #tell(key: number, pane: EpochMs, lastEnd: EpochMs): void {
    const firstEnd = this.#firstEnd(Math.max(pane + this.#pane, this.#closed[key]! + 1));
    for (let end = firstEnd; end <= lastEnd; end += this.#every) this.#result(key, end, true);
  }

  #result(key: number, end: EpochMs, byMessage: boolean): void {
    const start = end - this.#size;
    const within: number[] = [];
    for (let row = this.#lists.newest(key); row >= 0; row = this.#rows.nextOf(row)) {
      const at = this.#rows.startOf(row);
      if (at >= start && at < end) within.push(row);
    }
    if (within.length === 0) return;
    if (within.length === 1) {
      this.#ports.result(key, within[0]!, { start, end }, byMessage);
      return;
    }
    this.#rows.clear(SCRATCH);
    for (const row of within.reverse()) this.#rows.merge(SCRATCH, row);
    this.#ports.result(key, SCRATCH, { start, end }, byMessage);
  }
}

export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
