/** `lag`, `changed`, `ewma`, `zscore`: a column over the keys; each message steps its key's once, in event order of arrival. */
import type { EpochMs } from "../../base/mod.ts";
import { equal, toNumber } from "../../sql/mod.ts";
import type { KeyedSpec, StateValue } from "../../sql/mod.ts";
import { bytesOf } from "./end-value.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

export interface KeyedFunction {
  readonly bytesPerKey: number;
  readonly sideBytes: number;
  grow(keys: number): void;
  reset(key: number): void;
  step(key: number, value: StateValue, time: EpochMs): StateValue;
  write(key: number, writer: StateWriter): void;
  read(key: number, reader: StateReader): void;
}

export function keyedFunctionOf(spec: KeyedSpec): KeyedFunction {
  switch (spec.name) {
    case "lag":
      return new Remembered(spec.back, (before) => before);
    case "changed":
      return new Remembered(1, (before, value) => equal(before, value) !== true && value !== undefined);
    case "ewma":
      return new Ewma(spec.alpha, spec.halfLife);
    case "zscore":
      return new ZScore(spec.count);
  }
}

/** The last `back` values that were there: a message without the value leaves them as they are. */
class Remembered implements KeyedFunction {
  readonly bytesPerKey = 8;
  sideBytes = 0;
  readonly #back: number;
  readonly #result: (before: StateValue, value: StateValue) => StateValue;
  readonly #values: (StateValue[] | undefined)[] = [];

  constructor(back: number, result: (before: StateValue, value: StateValue) => StateValue) {
    this.#back = back;
    this.#result = result;
  }

  grow(keys: number): void {
    while (this.#values.length < keys) this.#values.push(undefined);
  }

  reset(key: number): void {
    for (const value of this.#values[key] ?? []) this.sideBytes -= bytesOf(value);
    this.#values[key] = undefined;
  }

  step(key: number, value: StateValue): StateValue {
    const values = (this.#values[key] ??= []);
    const before = values.length < this.#back ? undefined : values[0];
    const result = this.#result(before, value);
    if (value !== undefined) this.#push(values, value);
    return result;
  }

  #push(values: StateValue[], value: StateValue): void {
    if (values.length === this.#back) this.sideBytes -= bytesOf(values.shift());
    values.push(value);
    this.sideBytes += bytesOf(value);
  }

  write(key: number, writer: StateWriter): void {
    const values = this.#values[key] ?? [];
    writer.u32(values.length);
    for (const value of values) writer.value(value);
  }

  read(key: number, reader: StateReader): void {
    this.reset(key);
    const count = reader.u32();
    if (count === 0) return;
    const values: StateValue[] = (this.#values[key] = []);
    for (let i = 0; i < count; i++) this.#push(values, reader.value());
  }
}

/** Weighted by a fixed share, or by time, so that an irregular rhythm does not bend it. */
class Ewma implements KeyedFunction {
  readonly bytesPerKey = 16;
  readonly sideBytes = 0;
  readonly #alpha: number | null;
  readonly #halfLife: number | null;
  #data = new Float64Array(0); // mean, time

  constructor(alpha: number | null, halfLife: number | null) {
    this.#alpha = alpha;
    this.#halfLife = halfLife;
  }

  grow(keys: number): void {
    const data = new Float64Array(keys * 2);
    data.set(this.#data);
    this.#data = data;
  }

  reset(key: number): void {
    this.#data[key * 2] = Number.NaN;
    this.#data[key * 2 + 1] = Number.NaN;
  }

  step(key: number, value: StateValue, time: EpochMs): StateValue {
    const at = key * 2;
    const number = toNumber(value);
    if (number === undefined) return undefined;
    const mean = this.#data[at]!;
    if (Number.isNaN(mean)) {
      this.#data[at] = number;
      this.#data[at + 1] = time;
      return number;
    }
    const elapsed = Math.max(0, time - this.#data[at + 1]!);
    const share = this.#alpha ?? 1 - 2 ** (-elapsed / this.#halfLife!);
    const next = mean + share * (number - mean);
    this.#data[at] = next;
    this.#data[at + 1] = Math.max(time, this.#data[at + 1]!);
    return next;
  }

  write(key: number, writer: StateWriter): void {
    writer.f64(this.#data[key * 2]!);
    writer.f64(this.#data[key * 2 + 1]!);
  }

  read(key: number, reader: StateReader): void {
    this.#data[key * 2] = reader.f64();
    this.#data[key * 2 + 1] = reader.f64();
  }
}

/** How many standard deviations (of a sample) from the mean of the values before; Undefined until there are two different ones. */
class ZScore implements KeyedFunction {
  readonly bytesPerKey: number;
  readonly sideBytes = 0;
  readonly #count: number;
  #values = new Float64Array(0);
  /** How many values the key has had. */
  #seen = new Float64Array(0);

  constructor(count: number) {
    this.#count = count;
    this.bytesPerKey = (count + 1) * 8;
  }

  grow(keys: number): void {
    const values = new Float64Array(keys * this.#count);
    values.set(this.#values);
    const seen = new Float64Array(keys);
    seen.set(this.#seen);
    [this.#values, this.#seen] = [values, seen];
  }

  reset(key: number): void {
    this.#seen[key] = 0;
  }

  step(key: number, value: StateValue): StateValue {
    const number = toNumber(value);
    if (number === undefined) return undefined;
    const at = key * this.#count;
    const known = Math.min(this.#seen[key]!, this.#count);
    let mean = 0;
    for (let i = 0; i < known; i++) mean += this.#values[at + i]! / known;
    let squares = 0;
    for (let i = 0; i < known; i++) squares += (this.#values[at + i]! - mean) ** 2;
    this.#values[at + (this.#seen[key]! % this.#count)] = number;
    this.#seen[key] = this.#seen[key]! + 1;
    const score = (number - mean) / Math.sqrt(squares / (known - 1));
    return known >= 2 && squares > 0 && Number.isFinite(score) ? score : undefined;
  }

  write(key: number, writer: StateWriter): void {
    const known = Math.min(this.#seen[key]!, this.#count);
    writer.f64(this.#seen[key]!);
    for (let i = 0; i < known; i++) writer.f64(this.#values[key * this.#count + i]!);
  }

  read(key: number, reader: StateReader): void {
    const seen = reader.f64();
    this.#seen[key] = seen;
    const known = Math.min(seen, this.#count);
    for (let i = 0; i < known; i++) this.#values[key * this.#count + i] = reader.f64();
  }
}
