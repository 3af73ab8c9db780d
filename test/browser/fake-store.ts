/** Telemetry of the fake platform: plain arrays, with the windows and aggregates of the API. */
import type { EpochMs, Millis } from "../../src/base/mod.ts";
import type { Aggregate, FieldValue, LatestValue, Series, SeriesResult } from "../../src/cloud/api/contract.ts";

const POINTS_MAX = 100_000;

interface Column {
  readonly measurement: string;
  readonly field: string;
  readonly type: Series["type"];
  readonly times: EpochMs[];
  readonly values: FieldValue[];
}

export interface SeriesQuery {
  readonly thing: string;
  readonly measurement: string | null;
  readonly fields: readonly string[] | null;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly window: Millis | null;
  readonly aggregate: Aggregate;
}

export class FakeStore {
  readonly #columns = new Map<string, Map<string, Column>>();

  /** Stores one reading and returns it as live points. */
  commit(thing: string, measurement: string, fields: Readonly<Record<string, FieldValue>>, time: EpochMs): Series[] {
    let columns = this.#columns.get(thing);
    if (columns === undefined) this.#columns.set(thing, (columns = new Map()));
    return Object.entries(fields).map(([field, value]) => {
      const key = `${measurement}\t${field}`;
      const type = typeOf(value);
      let column = columns.get(key);
      if (column === undefined) columns.set(key, (column = { measurement, field, type, times: [], values: [] }));
      insert(column, time, value);
      return { measurement, field, type, times: [time], values: [value] };
    });
  }

  latest(thing: string): LatestValue[] {
    return [...(this.#columns.get(thing)?.values() ?? [])].map(({ measurement, field, times, values }) => ({
      measurement,
      field,
      value: values.at(-1)!,
      time: times.at(-1)!,
    }));
  }

  query(query: SeriesQuery): SeriesResult {
    const { thing, measurement, fields, from, to, window, aggregate } = query;
    let left = POINTS_MAX;
    let truncated = false;
    const series: Series[] = [];
    for (const column of this.#columns.get(thing)?.values() ?? []) {
      if (measurement !== null && column.measurement !== measurement) continue;
      if (fields !== null && !fields.includes(column.field)) continue;
      const found = window === null ? raw(column, from, to) : windows(column, { from, to, window, aggregate });
      if (found.times.length > left) truncated = true;
      const times = found.times.slice(0, left);
      left -= times.length;
      series.push({
        measurement: column.measurement,
        field: column.field,
        type: column.type,
        times,
        values: found.values.slice(0, times.length),
      });
    }
    return {
      thing,
      from,
      to,
      window,
      aggregate: window === null ? null : aggregate,
      series,
      truncated,
      level: "raw",
      incomplete: false,
    };
  }
}

interface Found {
  readonly times: EpochMs[];
  readonly values: FieldValue[];
}

function raw({ times, values }: Column, from: EpochMs, to: EpochMs): Found {
  const first = lowerBound(times, from);
  const end = lowerBound(times, to);
  return { times: times.slice(first, end), values: values.slice(first, end) };
}

interface WindowQuery {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly window: Millis;
  readonly aggregate: Aggregate;
}

function windows(column: Column, { from, to, window, aggregate }: WindowQuery): Found {
  const { times, values } = raw(column, from, to);
  const groups = new Map<EpochMs, FieldValue[]>();
  for (const [i, time] of times.entries()) {
    const start = Math.floor(time / window) * window;
    const group = groups.get(start);
    if (group === undefined) groups.set(start, [values[i]!]);
    else group.push(values[i]!);
  }
  return { times: [...groups.keys()], values: [...groups.values()].map((group) => aggregated(group, aggregate)) };
}

function aggregated(group: readonly FieldValue[], aggregate: Aggregate): FieldValue {
  if (aggregate === "count") return group.length;
  if (aggregate === "last") return group.at(-1)!;
  if (aggregate === "min") return Math.min(...group.map(Number));
  if (aggregate === "max") return Math.max(...group.map(Number));
  return group.reduce<number>((sum, value) => sum + Number(value), 0) / group.length;
}

function insert({ times, values }: Column, time: EpochMs, value: FieldValue): void {
  const at = times.length === 0 || times.at(-1)! < time ? times.length : lowerBound(times, time);
  times.splice(at, 0, time);
  values.splice(at, 0, value);
}

function lowerBound(times: readonly EpochMs[], time: EpochMs): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function typeOf(value: FieldValue): Series["type"] {
  return typeof value === "number" ? "number" : typeof value === "boolean" ? "boolean" : "string";
}
