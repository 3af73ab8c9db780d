/** `first` and `last`: a value of any kind with its time. */
import type { EpochMs } from "../../base/mod.ts";
import type { StateValue } from "../../sql/mod.ts";
import type { Holder } from "./aggregate.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

export class EndValue implements Holder {
  readonly #end: "first" | "last";
  #value: StateValue;
  #time: EpochMs = Number.NaN;
  #valueBytes = 0;

  constructor(end: "first" | "last") {
    this.#end = end;
  }

  get bytes(): number {
    return 56 + this.#valueBytes;
  }

  /** By event time; of two at the same time, the one that came first or last. */
  add(value: StateValue, time: EpochMs): void {
    const better = this.#end === "first" ? !(time >= this.#time) : !(time < this.#time);
    if (!better) return;
    this.#value = value;
    this.#time = time;
    this.#valueBytes = bytesOf(value);
  }

  merge(later: this): void {
    if (!Number.isNaN(later.#time)) this.add(later.#value, later.#time);
  }

  result(): StateValue {
    return this.#value;
  }

  write(writer: StateWriter): void {
    writer.f64(this.#time);
    writer.value(this.#value);
  }

  read(reader: StateReader): void {
    const time = reader.f64();
    this.add(reader.value(), time);
  }
}

/** About what a value takes in memory. */
export function bytesOf(value: StateValue): number {
  if (typeof value === "string") return 24 + value.length;
  return typeof value === "object" && value !== null ? 64 + 2 * JSON.stringify(value).length : 16;
}
