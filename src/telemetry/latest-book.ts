/** The newest committed point of every series, in memory: by time, and among equal times the one that arrived last. */
import type { FieldValue } from "./points.ts";
import type { PointBatch } from "./point-batch.ts";
import type { LatestValue } from "./query.ts";
import type { SeriesBook, SeriesEntry } from "./series-book.ts";

export interface LatestRow {
  readonly series: number;
  readonly time: number;
  /** Numbers and booleans. */
  readonly value: number | null;
  readonly text: string | null;
}

/** A headline value that is wanted, e.g. `system` and `cpu.percent`. */
export interface FieldName {
  readonly measurement: string;
  readonly field: string;
}

export class LatestBook {
  readonly #series: SeriesBook;
  #times = new Float64Array(256).fill(-1);
  #values = new Float64Array(256);
  readonly #texts = new Map<number, string>();

  constructor(series: SeriesBook) {
    this.#series = series;
  }

  /** Takes over what was committed. */
  apply(batch: PointBatch): void {
    for (let i = 0; i < batch.count; i++) this.#number(batch.series[i]!, batch.times[i]!, batch.values[i]!);
    for (let i = 0; i < batch.texts.length; i++) {
      this.#text(batch.textSeries[i]!, batch.textTimes[i]!, batch.texts[i]!);
    }
  }

  load(row: LatestRow): void {
    if (row.text !== null) this.#text(row.series, row.time, row.text);
    else this.#number(row.series, row.time, row.value ?? 0);
  }

  /** These series are retired. */
  forget(series: readonly number[]): void {
    for (const id of series) {
      if (id < this.#times.length) this.#times[id] = -1;
      this.#texts.delete(id);
    }
  }

  rows(): LatestRow[] {
    const rows: LatestRow[] = [];
    for (let series = 0; series < this.#series.size; series++) {
      const time = this.#times[series] ?? -1;
      if (time < 0) continue;
      const text = this.#texts.get(series) ?? null;
      rows.push({ series, time, value: text === null ? this.#values[series]! : null, text });
    }
    return rows;
  }

  /** One value per field, also where its type changed; in the order of measurement and field. */
  of(thing: string): LatestValue[] {
    const values: LatestValue[] = [];
    for (const entry of this.#series.find(thing, null, null)) {
      const value = this.#value(entry);
      if (value === null) continue;
      const before = values.at(-1);
      if (before === undefined || before.measurement !== value.measurement || before.field !== value.field) {
        values.push(value);
      } else if (before.time <= value.time) values[values.length - 1] = value;
    }
    return values;
  }

  /**
   * Of each thing the `wanted` values that it has, in that order; a thing that has none of them gets up to `otherwise`
   * of its own numbers instead, the newest measurement's first.
   */
  headline(things: readonly string[], wanted: readonly FieldName[], otherwise: number): Map<string, LatestValue[]> {
    const headlines = new Map<string, LatestValue[]>();
    for (const thing of things) {
      const found = wanted.flatMap(({ measurement, field }) => {
        const newest = this.#newest(thing, measurement, field);
        return newest === null ? [] : [newest];
      });
      headlines.set(thing, found.length > 0 || otherwise === 0 ? found : this.#numbers(thing, otherwise));
    }
    return headlines;
  }

  #newest(thing: string, measurement: string, field: string): LatestValue | null {
    let newest: LatestValue | null = null;
    for (const entry of this.#series.find(thing, measurement, [field])) {
      const value = this.#value(entry);
      if (value !== null && (newest === null || newest.time <= value.time)) newest = value;
    }
    return newest;
  }

  #numbers(thing: string, atMost: number): LatestValue[] {
    const numbers = this.of(thing).filter(({ value }) => typeof value === "number");
    return numbers.sort((a, b) => b.time - a.time).slice(0, atMost);
  }

  #value(entry: SeriesEntry): LatestValue | null {
    const time = this.#times[entry.id] ?? -1;
    if (time < 0) return null;
    const value: FieldValue =
      entry.type === "string" ? (this.#texts.get(entry.id) ?? "") : asType(entry.type, this.#values[entry.id]!);
    return { measurement: entry.measurement, field: entry.field, value, time };
  }

  #number(series: number, time: number, value: number): void {
    if (series >= this.#times.length) this.#grow(series);
    if (time < this.#times[series]!) return;
    this.#times[series] = time;
    this.#values[series] = value;
  }

  #text(series: number, time: number, text: string): void {
    if (series >= this.#times.length) this.#grow(series);
    if (time < this.#times[series]!) return;
    this.#times[series] = time;
    this.#texts.set(series, text);
  }

  #grow(series: number): void {
    const size = Math.max(series + 1, this.#times.length * 2);
    const times = new Float64Array(size).fill(-1);
    times.set(this.#times);
    this.#times = times;
    const values = new Float64Array(size);
    values.set(this.#values);
    this.#values = values;
  }
}

/** A stored number as the value that it stands for. */
export function asType(type: "number" | "boolean", value: number): number | boolean {
  return type === "boolean" ? value !== 0 : value;
}
