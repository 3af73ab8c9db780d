/** Open windows, or the panes that make them: a row each, in columns. Row 0 is scratch paper for joining several. */
import type { EpochMs } from "../../base/mod.ts";
import type { AggregateSpec, SqlInput, StateValue } from "../../sql/mod.ts";
import type { Aggregate, WindowSpan } from "./aggregate.ts";
import { aggregateOf } from "./aggregates.ts";
import { roomFor } from "./key-table.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

export const NO_ROW = -1;
export const SCRATCH = 0;
/** start, last, count, next. */
const ROW_BYTES = 24;

export class RowTable {
  readonly #specs: readonly AggregateSpec[];
  readonly #aggregates: readonly Aggregate[];
  readonly #bytesPerRow: number;
  #start = new Float64Array(0);
  #last = new Float64Array(0);
  #count = new Uint32Array(0);
  #next = new Int32Array(0);
  readonly #free: number[] = [];
  #used = 0;
  #high = 0;

  constructor(specs: readonly AggregateSpec[]) {
    this.#specs = specs;
    this.#aggregates = specs.map(aggregateOf);
    this.#bytesPerRow = this.#aggregates.reduce((sum, { bytesPerRow }) => sum + bytesPerRow, ROW_BYTES);
    this.take(Number.NaN, NO_ROW); // the scratch row
  }

  get bytes(): number {
    let bytes = this.#used * this.#bytesPerRow;
    for (const aggregate of this.#aggregates) bytes += aggregate.sideBytes;
    return bytes;
  }

  startOf(row: number): EpochMs {
    return this.#start[row]!;
  }
  lastOf(row: number): EpochMs {
    return this.#last[row]!;
  }
  countOf(row: number): number {
    return this.#count[row]!;
  }
  nextOf(row: number): number {
    return this.#next[row]!;
  }
  link(row: number, next: number): void {
    this.#next[row] = next;
  }
  stretch(row: number, start: EpochMs, last: EpochMs): void {
    this.#start[row] = start;
    this.#last[row] = last;
  }

  /** An empty row before `next`. */
  take(start: EpochMs, next: number): number {
    const row = this.#free.pop() ?? this.#high++;
    if (row >= this.#start.length) this.#grow();
    this.#used++;
    this.#start[row] = start;
    this.#last[row] = start;
    this.#next[row] = next;
    this.clear(row);
    return row;
  }

  give(row: number): void {
    this.clear(row); // what it held beside the columns goes now
    this.#used--;
    this.#free.push(row);
  }

  clear(row: number): void {
    this.#count[row] = 0;
    for (const aggregate of this.#aggregates) aggregate.reset(row);
  }

  add(row: number, input: SqlInput, time: EpochMs): void {
    this.#count[row] = this.#count[row]! + 1;
    for (let i = 0; i < this.#aggregates.length; i++) {
      const { of } = this.#specs[i]!;
      this.#aggregates[i]!.add(row, of === null ? true : of(input), time);
    }
  }

  /** What `add` would take from the message. */
  valuesOf(input: SqlInput, into: StateValue[]): void {
    for (const { of } of this.#specs) into.push(of === null ? true : of(input));
  }

  addValues(row: number, values: readonly StateValue[], at: number, time: EpochMs): void {
    this.#count[row] = this.#count[row]! + 1;
    for (let i = 0; i < this.#aggregates.length; i++) this.#aggregates[i]!.add(row, values[at + i], time);
  }

  get width(): number {
    return this.#specs.length;
  }

  /** `from` is a later stretch of time than `into`. */
  merge(into: number, from: number): void {
    this.#count[into] = this.#count[into]! + this.#count[from]!;
    for (const aggregate of this.#aggregates) aggregate.merge(into, from);
  }

  results(row: number, span: WindowSpan, into: StateValue[], at: number): void {
    for (let i = 0; i < this.#aggregates.length; i++) into[at + i] = this.#aggregates[i]!.result(row, span);
  }

  write(row: number, writer: StateWriter): void {
    writer.f64(this.#start[row]!);
    writer.f64(this.#last[row]!);
    writer.u32(this.#count[row]!);
    for (const aggregate of this.#aggregates) aggregate.write(row, writer);
  }

  /** A row before `next` with what was written. */
  read(next: number, reader: StateReader): number {
    const row = this.take(reader.f64(), next);
    this.#last[row] = reader.f64();
    this.#count[row] = reader.u32();
    for (const aggregate of this.#aggregates) aggregate.read(row, reader);
    return row;
  }

  #grow(): void {
    const rows = roomFor(this.#start.length);
    const start = new Float64Array(rows);
    start.set(this.#start);
    const last = new Float64Array(rows);
    last.set(this.#last);
    const count = new Uint32Array(rows);
    count.set(this.#count);
    const next = new Int32Array(rows);
    next.set(this.#next);
    [this.#start, this.#last, this.#count, this.#next] = [start, last, count, next];
    for (const aggregate of this.#aggregates) aggregate.grow(rows);
  }
}
