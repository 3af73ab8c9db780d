/** What a kind of window does with the messages of a key. Time is given; nothing here owns a timer. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { SqlInput } from "../../sql/mod.ts";
import type { WindowSpan } from "./aggregate.ts";
import type { RowTable } from "./row-table.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

/** Why a message was not taken: its window is closed, or its key has too many open. */
export type Refusal = "late" | "crowded";

export interface WindowPorts {
  readonly rows: RowTable;
  readonly lateness: Millis;
  readonly emit: "final" | "changes";
  /** Windows, panes or messages that a key may have. */
  readonly openMax: number;
  /** The window has this result; `byMessage`: because of the message at hand, not because it is over. */
  result(key: number, row: number, span: WindowSpan, byMessage: boolean): void;
}

export interface WindowKind {
  /** Bytes of a key, beside its rows and what `sideBytes` says. */
  readonly bytesPerKey: number;
  readonly sideBytes: number;
  grow(keys: number): void;
  /** A new key. */
  open(key: number): void;
  /** Gives back all that the key has. */
  drop(key: number): void;
  /** `now`: time of the log. */
  accept(key: number, input: SqlInput, time: EpochMs, now: EpochMs): Refusal | null;
  /** When the key's next window is over; Infinity where none will be by itself. */
  due(key: number): EpochMs;
  /** `due(key)` has come: closes that one. */
  close(key: number): void;
  /** Nothing is open: the key may be forgotten. */
  idle(key: number): boolean;
  write(key: number, writer: StateWriter): void;
  read(key: number, reader: StateReader): void;
}

/** Rows of a key, the newest first. */
export class RowLists {
  readonly #rows: RowTable;
  #first = new Int32Array(0);

  constructor(rows: RowTable) {
    this.#rows = rows;
  }

  static readonly bytesPerKey = 4;

  grow(keys: number): void {
    const first = new Int32Array(keys).fill(-1);
    first.set(this.#first);
    this.#first = first;
  }

  newest(key: number): number {
    return this.#first[key]!;
  }

  /** A new row of the key behind `after` (newer), or as its newest. */
  insert(key: number, after: number, start: EpochMs): number {
    const next = after < 0 ? this.#first[key]! : this.#rows.nextOf(after);
    const row = this.#rows.take(start, next);
    if (after < 0) this.#first[key] = row;
    else this.#rows.link(after, row);
    return row;
  }

  remove(key: number, row: number): void {
    let newer = -1;
    for (let at = this.#first[key]!; at !== row; at = this.#rows.nextOf(at)) newer = at;
    if (newer < 0) this.#first[key] = this.#rows.nextOf(row);
    else this.#rows.link(newer, this.#rows.nextOf(row));
    this.#rows.give(row);
  }

  /** From the newest to the oldest. */
  list(key: number): number[] {
    const rows: number[] = [];
    for (let row = this.#first[key]!; row >= 0; row = this.#rows.nextOf(row)) rows.push(row);
    return rows;
  }

  drop(key: number): void {
    for (const row of this.list(key)) this.#rows.give(row);
    this.#first[key] = -1;
  }

  write(key: number, writer: StateWriter): void {
    const rows = this.list(key);
    writer.u32(rows.length);
    for (const row of rows.reverse()) this.#rows.write(row, writer);
  }

  read(key: number, reader: StateReader): void {
    let newest = -1;
    const count = reader.u32();
    for (let i = 0; i < count; i++) newest = this.#rows.read(newest, reader);
    this.#first[key] = newest;
  }
}
