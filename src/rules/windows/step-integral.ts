/**
 * Time-weighted average: each value holds until the next one, the last until the window's end. What comes out of order is
 * put where it belongs among the newest 128 samples; older ones are folded into one number.
 */
import type { EpochMs } from "../../base/mod.ts";
import type { StateValue } from "../../sql/mod.ts";
import type { Holder, ToNumber, WindowSpan } from "./aggregate.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

const SAMPLES_MAX = 128;

export class StepIntegral implements Holder {
  readonly #toNumber: ToNumber;
  readonly #times: EpochMs[] = [];
  readonly #values: number[] = [];
  #firstTime: EpochMs = Number.NaN;
  /** Value × milliseconds from the first sample to the oldest one that is still kept. */
  #folded = 0;

  constructor(toNumber: ToNumber) {
    this.#toNumber = toNumber;
  }

  get bytes(): number {
    return 128 + this.#times.length * 16;
  }

  add(value: StateValue, time: EpochMs): void {
    const number = this.#toNumber(value);
    if (number !== undefined) this.#put(number, time);
  }

  merge(later: this): void {
    if (later.#times.length === 0) return;
    if (this.#times.length > 0) {
      // Up to where the other begins, all of this one is settled: nothing can come in between any more.
      while (this.#times.length > 1) this.#fold();
      this.#folded += this.#values[0]! * (later.#firstTime - this.#times[0]!);
      this.#times.length = 0;
      this.#values.length = 0;
    } else this.#firstTime = later.#firstTime;
    this.#folded += later.#folded;
    this.#times.push(...later.#times);
    this.#values.push(...later.#values);
  }

  result({ end }: WindowSpan): StateValue {
    const count = this.#times.length;
    if (count === 0) return undefined;
    let area = this.#folded;
    for (let i = 0; i < count; i++) {
      const until = i + 1 < count ? this.#times[i + 1]! : Math.max(end, this.#times[i]!);
      area += this.#values[i]! * (until - this.#times[i]!);
    }
    const span = Math.max(end, this.#times[count - 1]!) - this.#firstTime;
    const mean = span > 0 ? area / span : this.#values[count - 1]!;
    return Number.isFinite(mean) ? mean : undefined;
  }

  write(writer: StateWriter): void {
    writer.f64(this.#firstTime);
    writer.f64(this.#folded);
    writer.u32(this.#times.length);
    for (let i = 0; i < this.#times.length; i++) {
      writer.f64(this.#times[i]!);
      writer.f64(this.#values[i]!);
    }
  }

  read(reader: StateReader): void {
    this.#firstTime = reader.f64();
    this.#folded = reader.f64();
    const count = reader.u32();
    for (let i = 0; i < count; i++) {
      this.#times.push(reader.f64());
      this.#values.push(reader.f64());
    }
  }

  #put(value: number, time: EpochMs): void {
    let at = this.#times.length;
    while (at > 0 && this.#times[at - 1]! > time) at--;
    if (at === 0 && this.#firstTime < this.#times[0]!) return; // older than what is folded
    this.#times.splice(at, 0, time);
    this.#values.splice(at, 0, value);
    if (at === 0) this.#firstTime = time;
    if (this.#times.length > SAMPLES_MAX) this.#fold();
  }

  #fold(): void {
    const time = this.#times.shift()!;
    this.#folded += this.#values.shift()! * (this.#times[0]! - time);
  }
}
