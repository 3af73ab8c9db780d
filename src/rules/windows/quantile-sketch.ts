/**
 * Median and percentiles: exact up to 256 values, then a histogram of logarithmic bins (DDSketch, Masson et al. 2019) that
 * is off by at most 1 % of the value. Joining two gives what one over all values would have given.
 */
import type { StateValue } from "../../sql/mod.ts";
import type { Holder, ToNumber } from "./aggregate.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

const EXACT_MAX = 256;
const ERROR = 0.01;
const LOG_BASE = Math.log((1 + ERROR) / (1 - ERROR));
/** Nearer to zero than this is zero: bounds the bins. */
const TINY = 1e-9;
/** All doubles from 1e-9 to 1e308 lie in fewer bins than this, so it is never reached; it bounds damaged state. */
const BIN_BYTES = 40;

export class QuantileSketch implements Holder {
  readonly #percent: number;
  readonly #toNumber: ToNumber;
  #exact: number[] | null = [];
  /** Signed bin number → how many; 0 is zero. */
  #bins = new Map<number, number>();
  #count = 0;

  constructor(percent: number, toNumber: ToNumber) {
    this.#percent = percent;
    this.#toNumber = toNumber;
  }

  get bytes(): number {
    return 96 + (this.#exact === null ? this.#bins.size * BIN_BYTES : this.#exact.length * 8);
  }

  add(value: StateValue): void {
    const number = this.#toNumber(value);
    if (number !== undefined) this.#put(number);
  }

  merge(later: this): void {
    if (later.#exact !== null) {
      for (const number of later.#exact) this.#put(number);
      return;
    }
    this.#toBins();
    for (const [bin, count] of later.#bins) this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + count);
    this.#count += later.#count;
  }

  /** Between the two nearest where exact, as PERCENTILE_CONT; the bin's middle else. */
  result(): StateValue {
    if (this.#count === 0) return undefined;
    const rank = (this.#percent / 100) * (this.#count - 1);
    if (this.#exact !== null) {
      const sorted = this.#exact.toSorted((a, b) => a - b);
      const low = Math.floor(rank);
      const below = sorted[low]!;
      const above = sorted[Math.min(low + 1, sorted.length - 1)]!;
      return below + (above - below) * (rank - low);
    }
    let passed = 0;
    for (const bin of [...this.#bins.keys()].sort((a, b) => a - b)) {
      passed += this.#bins.get(bin)!;
      if (passed > rank) return middleOf(bin);
    }
    return undefined;
  }

  write(writer: StateWriter): void {
    writer.u32(this.#exact === null ? 1 : 0);
    if (this.#exact !== null) {
      writer.u32(this.#exact.length);
      for (const number of this.#exact) writer.f64(number);
      return;
    }
    writer.u32(this.#bins.size);
    for (const [bin, count] of this.#bins) {
      writer.f64(bin);
      writer.f64(count);
    }
  }

  read(reader: StateReader): void {
    const binned = reader.u32() === 1;
    const entries = reader.u32();
    if (!binned) {
      for (let i = 0; i < entries; i++) this.#put(reader.f64());
      return;
    }
    this.#exact = null;
    for (let i = 0; i < entries; i++) {
      const bin = reader.f64();
      const count = reader.f64();
      this.#bins.set(bin, count);
      this.#count += count;
    }
  }

  #put(number: number): void {
    this.#count++;
    if (this.#exact !== null) {
      this.#exact.push(number);
      if (this.#exact.length > EXACT_MAX) {
        this.#count = 0;
        this.#toBins();
      }
      return;
    }
    const bin = binOf(number);
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
  }

  #toBins(): void {
    const exact = this.#exact;
    if (exact === null) return;
    this.#exact = null;
    this.#count = 0;
    for (const number of exact) this.#put(number);
  }
}

/** Bins of positive numbers begin at 1: bin 1 holds what is just above `TINY`. */
function binOf(number: number): number {
  const size = Math.abs(number);
  if (size <= TINY) return 0;
  return Math.sign(number) * Math.max(1, Math.ceil(Math.log(size / TINY) / LOG_BASE));
}

function middleOf(bin: number): number {
  if (bin === 0) return 0;
  return Math.sign(bin) * TINY * Math.exp((Math.abs(bin) - 0.5) * LOG_BASE);
}
