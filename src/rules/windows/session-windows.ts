/** SESSION: messages of a key less than `gap` apart. One that comes late may join two sessions that were apart. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { SqlInput, WindowShape } from "../../sql/mod.ts";
import { NO_ROW } from "./row-table.ts";
import type { RowTable } from "./row-table.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";
import { RowLists } from "./window-kind.ts";
import type { Refusal, WindowKind, WindowPorts } from "./window-kind.ts";

export class SessionWindows implements WindowKind {
  readonly bytesPerKey = RowLists.bytesPerKey;
  readonly sideBytes = 0;
  readonly #ports: WindowPorts;
  readonly #rows: RowTable;
  readonly #lists: RowLists;
  readonly #gap: Millis;
  readonly #max: Millis;

  constructor(shape: Extract<WindowShape, { kind: "session" }>, ports: WindowPorts) {
    this.#ports = ports;
    this.#rows = ports.rows;
    this.#lists = new RowLists(ports.rows);
    this.#gap = shape.gap;
    this.#max = shape.max ?? Infinity;
  }

  grow(keys: number): void {
    this.#lists.grow(keys);
  }

  open(): void {}

  drop(key: number): void {
    this.#lists.drop(key);
  }

  accept(key: number, input: SqlInput, time: EpochMs, now: EpochMs): Refusal | null {
    let row = this.#touching(key, time);
    if (row === NO_ROW) {
      if (time + Math.min(this.#gap, this.#max) + this.#ports.lateness <= now) return "late";
      const rows = this.#lists.list(key);
      if (rows.length >= this.#ports.openMax) return "crowded";
      const newer = rows.findLast((other) => this.#rows.startOf(other) > time) ?? NO_ROW;
      row = this.#lists.insert(key, newer, time);
    }
    this.#rows.add(row, input, time);
    this.#rows.stretch(row, Math.min(this.#rows.startOf(row), time), Math.max(this.#rows.lastOf(row), time));
    row = this.#joined(key, row);
    if (this.#ports.emit === "changes") this.#ports.result(key, row, this.#spanOf(row), true);
    return null;
  }

  due(key: number): EpochMs {
    let due = Infinity;
    for (let row = this.#lists.newest(key); row >= 0; row = this.#rows.nextOf(row)) {
      due = Math.min(due, this.#endOf(row) + this.#ports.lateness);
    }
    return due;
  }

  close(key: number): void {
    const due = this.due(key);
    const row = this.#lists.list(key).find((row) => this.#endOf(row) + this.#ports.lateness === due)!;
    if (this.#ports.emit === "final") this.#ports.result(key, row, this.#spanOf(row), false);
    this.#lists.remove(key, row);
  }

  idle(key: number): boolean {
    return this.#lists.newest(key) < 0;
  }

  write(key: number, writer: StateWriter): void {
    this.#lists.write(key, writer);
  }

  read(key: number, reader: StateReader): void {
    this.#lists.read(key, reader);
  }

  #endOf(row: number): EpochMs {
    return Math.min(this.#rows.lastOf(row) + this.#gap, this.#rows.startOf(row) + this.#max);
  }

  #spanOf(row: number): { start: EpochMs; end: EpochMs } {
    return { start: this.#rows.startOf(row), end: this.#endOf(row) };
  }

  /** The newest session that a message of this time belongs to. */
  #touching(key: number, time: EpochMs): number {
    for (let row = this.#lists.newest(key); row >= 0; row = this.#rows.nextOf(row)) {
      const start = this.#rows.startOf(row);
      const last = this.#rows.lastOf(row);
      const near = time - last < this.#gap && start - time < this.#gap;
      if (near && Math.max(last, time) - Math.min(start, time) < this.#max) return row;
    }
    return NO_ROW;
  }

  /** The session after it was joined with the older one, where nothing is between them any more. */
  #joined(key: number, row: number): number {
    const newer = this.#lists.list(key);
    const at = newer.indexOf(row);
    const older = newer[at + 1];
    const next = newer[at - 1];
    if (older !== undefined && this.#near(older, row)) return this.#join(key, older, row);
    if (next !== undefined && this.#near(row, next)) return this.#join(key, row, next);
    return row;
  }

  #near(older: number, newer: number): boolean {
    const apart = this.#rows.startOf(newer) - this.#rows.lastOf(older);
    return apart < this.#gap && this.#rows.lastOf(newer) - this.#rows.startOf(older) < this.#max;
  }

  #join(key: number, older: number, newer: number): number {
    this.#rows.merge(older, newer);
    this.#rows.stretch(older, this.#rows.startOf(older), this.#rows.lastOf(newer));
    this.#lists.remove(key, newer);
    return older;
  }
}
