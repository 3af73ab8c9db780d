/** Points of watched things, as they were committed. */
import { asType } from "../../telemetry/mod.ts";
import type { FieldValue, PointBatch, Series, SeriesBook, SeriesEntry } from "../../telemetry/mod.ts";

export interface LivePoints {
  readonly thing: string;
  readonly measurement: string;
  readonly series: readonly Series[];
}

export type LiveNews =
  | ({ readonly type: "points" } & LivePoints)
  /** Too many at once to send: whoever watches must query again. */
  | { readonly type: "skipped"; readonly thing: string };

interface Column {
  readonly entry: SeriesEntry;
  readonly times: number[];
  readonly values: FieldValue[];
}

export class LiveView {
  readonly #series: SeriesBook;
  readonly #pointsMax: number;
  readonly #watched = new Set<string>();

  constructor(series: SeriesBook, pointsMax: number) {
    this.#series = series;
    this.#pointsMax = pointsMax;
  }

  watch(thing: string): void {
    this.#watched.add(thing);
  }

  unwatch(thing: string): void {
    this.#watched.delete(thing);
  }

  /** What the watchers of a committed batch are to be told. Costs nothing while nobody watches. */
  newsOf(batch: PointBatch): LiveNews[] {
    if (this.#watched.size === 0) return [];
    const things = new Map<number, string>();
    for (const thing of this.#watched) {
      const id = this.#series.thingId(thing);
      if (id >= 0) things.set(id, thing);
    }
    if (things.size === 0) return [];
    const columns = new Map<number, Column>();
    const counts = new Map<string, number>();
    const add = (series: number, time: number, value: number | string): void => {
      const entry = this.#series.entry(series);
      if (!things.has(entry.thingId)) return;
      const count = (counts.get(entry.thing) ?? 0) + 1;
      counts.set(entry.thing, count);
      if (count > this.#pointsMax) return;
      let column = columns.get(series);
      if (column === undefined) columns.set(series, (column = { entry, times: [], values: [] }));
      column.times.push(time);
      column.values.push(entry.type === "boolean" ? asType("boolean", Number(value)) : value);
    };
    for (let i = 0; i < batch.count; i++) add(batch.series[i]!, batch.times[i]!, batch.values[i]!);
    for (let i = 0; i < batch.texts.length; i++) add(batch.textSeries[i]!, batch.textTimes[i]!, batch.texts[i]!);
    return this.#grouped(columns, counts);
  }

  #grouped(columns: ReadonlyMap<number, Column>, counts: ReadonlyMap<string, number>): LiveNews[] {
    const news: LiveNews[] = [];
    const groups = new Map<string, Series[]>();
    for (const [thing, count] of counts) if (count > this.#pointsMax) news.push({ type: "skipped", thing });
    for (const column of columns.values()) {
      const { thing, measurement, field, type } = column.entry;
      if (counts.get(thing)! > this.#pointsMax) continue;
      const key = `${thing}\n${measurement}`;
      let series = groups.get(key);
      if (series === undefined) {
        groups.set(key, (series = []));
        news.push({ type: "points", thing, measurement, series });
      }
      series.push({ measurement, field, type, ...ascending(column) });
    }
    return news;
  }
}

/** By time; equal times stay in the order of arrival. Points nearly always come sorted. */
function ascending({ times, values }: Column): Pick<Series, "times" | "values"> {
  if (times.every((time, i) => i === 0 || times[i - 1]! <= time)) return { times, values };
  const order = times.map((_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b);
  return { times: order.map((i) => times[i]!), values: order.map((i) => values[i]!) };
}
