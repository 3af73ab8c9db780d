/** One aggregate of a windowed statement: a column over the rows of open windows. No object per row where numbers do. */
import type { EpochMs } from "../../base/mod.ts";
import type { StateValue } from "../../sql/mod.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

export interface WindowSpan {
  readonly start: EpochMs;
  readonly end: EpochMs;
}

export interface Aggregate {
  /** Bytes that every row takes, beside what `sideBytes` says. */
  readonly bytesPerRow: number;
  /** Bytes of rows that hold more than numbers, all together. */
  readonly sideBytes: number;
  grow(rows: number): void;
  reset(row: number): void;
  /** `undefined` and null are no values; what is not of the kind wanted is passed over. */
  add(row: number, value: StateValue, time: EpochMs): void;
  /** Adds to `into` what `from` holds: a later stretch of time. `from` stays as it is. */
  merge(into: number, from: number): void;
  result(row: number, span: WindowSpan): StateValue;
  write(row: number, writer: StateWriter): void;
  read(row: number, reader: StateReader): void;
}

export interface NumericRule {
  /** Values of an empty row; as many as the row has numbers. */
  readonly empty: readonly number[];
  add(data: Float64Array, at: number, value: number, time: EpochMs): void;
  merge(data: Float64Array, into: number, from: number): void;
  result(data: Float64Array, at: number): StateValue;
}

/** Numeric strings count as numbers, as everywhere in this SQL. */
export type ToNumber = (value: StateValue) => number | undefined;

/** An aggregate that is a few numbers per row, in one array for all rows. */
export class NumericAggregate implements Aggregate {
  readonly bytesPerRow: number;
  readonly sideBytes = 0;
  readonly #rule: NumericRule;
  readonly #toNumber: ToNumber;
  readonly #stride: number;
  #data = new Float64Array(0);

  constructor(rule: NumericRule, toNumber: ToNumber) {
    this.#rule = rule;
    this.#toNumber = toNumber;
    this.#stride = rule.empty.length;
    this.bytesPerRow = this.#stride * 8;
  }

  grow(rows: number): void {
    const data = new Float64Array(rows * this.#stride);
    data.set(this.#data);
    this.#data = data;
  }

  reset(row: number): void {
    const { empty } = this.#rule;
    const at = row * this.#stride;
    for (let i = 0; i < empty.length; i++) this.#data[at + i] = empty[i]!;
  }

  add(row: number, value: StateValue, time: EpochMs): void {
    const number = typeof value === "number" ? value : this.#toNumber(value);
    if (number !== undefined) this.#rule.add(this.#data, row * this.#stride, number, time);
  }

  merge(into: number, from: number): void {
    this.#rule.merge(this.#data, into * this.#stride, from * this.#stride);
  }

  result(row: number): StateValue {
    return this.#rule.result(this.#data, row * this.#stride);
  }

  write(row: number, writer: StateWriter): void {
    for (let i = 0; i < this.#stride; i++) writer.f64(this.#data[row * this.#stride + i]!);
  }

  read(row: number, reader: StateReader): void {
    for (let i = 0; i < this.#stride; i++) this.#data[row * this.#stride + i] = reader.f64();
  }
}

/** What a row holds where a few numbers do not do. */
export interface Holder {
  readonly bytes: number;
  add(value: StateValue, time: EpochMs): void;
  /** `later` holds a later stretch of time. */
  merge(later: this): void;
  result(span: WindowSpan): StateValue;
  write(writer: StateWriter): void;
  read(reader: StateReader): void;
}

/** An aggregate with an object per row that has had a value. */
export class HeldAggregate<H extends Holder> implements Aggregate {
  readonly bytesPerRow = 8;
  sideBytes = 0;
  readonly #make: () => H;
  readonly #held: (H | undefined)[] = [];

  constructor(make: () => H) {
    this.#make = make;
  }

  grow(rows: number): void {
    while (this.#held.length < rows) this.#held.push(undefined);
  }

  reset(row: number): void {
    this.sideBytes -= this.#held[row]?.bytes ?? 0;
    this.#held[row] = undefined;
  }

  add(row: number, value: StateValue, time: EpochMs): void {
    if (value === undefined || value === null) return;
    const holder = this.#at(row);
    const before = holder.bytes;
    holder.add(value, time);
    this.sideBytes += holder.bytes - before;
  }

  merge(into: number, from: number): void {
    const later = this.#held[from];
    if (later === undefined) return;
    const holder = this.#at(into);
    const before = holder.bytes;
    holder.merge(later);
    this.sideBytes += holder.bytes - before;
  }

  result(row: number, span: WindowSpan): StateValue {
    return (this.#held[row] ?? this.#make()).result(span);
  }

  write(row: number, writer: StateWriter): void {
    const holder = this.#held[row];
    writer.u32(holder === undefined ? 0 : 1);
    holder?.write(writer);
  }

  read(row: number, reader: StateReader): void {
    this.reset(row);
    if (reader.u32() === 0) return;
    const holder = this.#make();
    holder.read(reader);
    this.#held[row] = holder;
    this.sideBytes += holder.bytes;
  }

  #at(row: number): H {
    const present = this.#held[row];
    if (present !== undefined) return present;
    const holder = this.#make();
    this.#held[row] = holder;
    this.sideBytes += holder.bytes;
    return holder;
  }
}
