/**
 * SLIDE: for each message the time up to it. The messages of that time are kept, and each result is made anew from them:
 * exact whatever the aggregate, also where messages come out of order; bounded by `openMax` messages per key.
 */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { SqlInput, StateValue, WindowShape } from "../../sql/mod.ts";
import { bytesOf } from "./end-value.ts";
import { SCRATCH } from "./row-table.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";
import type { Refusal, WindowKind, WindowPorts } from "./window-kind.ts";

interface Kept {
  readonly times: EpochMs[];
  /** As many values per time as there are aggregates. */
  readonly values: StateValue[];
}

export class SlideWindows implements WindowKind {
  readonly bytesPerKey = 96;
  sideBytes = 0;
  readonly #ports: WindowPorts;
  readonly #size: Millis;
  readonly #width: number;
  readonly #kept: (Kept | undefined)[] = [];

  constructor(shape: Extract<WindowShape, { kind: "slide" }>, ports: WindowPorts) {
    this.#ports = ports;
    this.#size = shape.size;
    this.#width = ports.rows.width;
  }

  grow(keys: number): void {
    while (this.#kept.length < keys) this.#kept.push(undefined);
  }

  open(key: number): void {
    this.#kept[key] = { times: [], values: [] };
  }

  drop(key: number): void {
    const kept = this.#kept[key];
    if (kept !== undefined) this.#cut(kept, kept.times.length);
    this.#kept[key] = undefined;
  }

  accept(key: number, input: SqlInput, time: EpochMs, now: EpochMs): Refusal | null {
    const kept = this.#kept[key]!;
    const over = now - this.#size - this.#ports.lateness;
    if (time <= over) return "late";
    let old = 0;
    while (old < kept.times.length && kept.times[old]! <= over) old++;
    if (kept.times.length - old >= this.#ports.openMax) old++;
    this.#cut(kept, old);
    const values: StateValue[] = [];
    this.#ports.rows.valuesOf(input, values);
    this.#insert(kept, time, values);
    this.#result(key, kept, time);
    return null;
  }

  due(key: number): EpochMs {
    const newest = this.#kept[key]?.times.at(-1);
    return newest === undefined ? Infinity : newest + this.#size + this.#ports.lateness;
  }

  close(key: number): void {
    this.#cut(this.#kept[key]!, this.#kept[key]!.times.length);
  }

  idle(key: number): boolean {
    return this.#kept[key]!.times.length === 0;
  }

  write(key: number, writer: StateWriter): void {
    const { times, values } = this.#kept[key]!;
    writer.u32(times.length);
    for (const time of times) writer.f64(time);
    for (const value of values) writer.value(value);
  }

  read(key: number, reader: StateReader): void {
    this.drop(key);
    this.open(key);
    const count = reader.u32();
    const times: EpochMs[] = [];
    for (let i = 0; i < count; i++) times.push(reader.f64());
    for (const time of times) {
      const values: StateValue[] = [];
      for (let i = 0; i < this.#width; i++) values.push(reader.value());
      this.#insert(this.#kept[key]!, time, values);
    }
  }

  /** Behind those of the same time, as it arrived. */
  #insert({ times, values }: Kept, time: EpochMs, own: readonly StateValue[]): void {
    let at = times.length;
    while (at > 0 && times[at - 1]! > time) at--;
    times.splice(at, 0, time);
    values.splice(at * this.#width, 0, ...own);
    for (const value of own) this.sideBytes += bytesOf(value);
    this.sideBytes += 8;
  }

  #cut({ times, values }: Kept, count: number): void {
    if (count === 0) return;
    times.splice(0, count);
    for (const value of values.splice(0, count * this.#width)) this.sideBytes -= bytesOf(value);
    this.sideBytes -= 8 * count;
  }

  #result(key: number, { times, values }: Kept, time: EpochMs): void {
    const { rows } = this.#ports;
    rows.clear(SCRATCH);
    for (let i = 0; i < times.length && times[i]! <= time; i++) {
      if (times[i]! > time - this.#size) rows.addValues(SCRATCH, values, i * this.#width, times[i]!);
    }
    this.#ports.result(key, SCRATCH, { start: time - this.#size, end: time }, true);
  }
}
