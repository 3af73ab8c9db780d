/** Parts that the store's tests share: a folder, a store on it, and a naive model to compare with. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LIMITS } from "../../base/mod.ts";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { DEFAULT_RETENTION, PointBatch, typeOf } from "../../telemetry/mod.ts";
import type { FieldType, FieldValue, SequenceRow, Series, SeriesQuery } from "../../telemetry/mod.ts";
import { DuckStore } from "./duck-store.ts";
import type { DuckStoreOptions } from "./duck-store.ts";

export const START = 1_767_225_600_000;

export interface Reading {
  readonly thing: string;
  readonly measurement: string;
  readonly field: string;
  readonly time: number;
  readonly value: FieldValue;
}

export class StoreFolder {
  readonly folder: string;
  readonly path: string;
  readonly coldPath: string;
  readonly logger = new SimLogger();
  readonly clock = new SimClock();
  readonly #open = new Set<DuckStore>();

  constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, "telemetry.duckdb");
    this.coldPath = join(folder, "telemetry");
  }

  static async make(): Promise<StoreFolder> {
    return new StoreFolder(await mkdtemp(join(tmpdir(), "tidewire-store-")));
  }

  async open(more: Partial<DuckStoreOptions> = {}): Promise<DuckStore> {
    const { path, logger, clock } = this;
    const store = await DuckStore.open({
      path,
      folder: this.coldPath,
      memoryBytes: LIMITS.telemetry.databaseBytesMax,
      clock,
      logger,
      limits: LIMITS.telemetry,
      retention: DEFAULT_RETENTION,
      room: { diskShare: 0.5 },
      scheduler: clock,
      ...more,
    });
    this.#open.add(store);
    return store;
  }

  async close(store: DuckStore): Promise<void> {
    this.#open.delete(store);
    await store.close();
  }

  async remove(): Promise<void> {
    for (const store of this.#open) await store.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Commits readings as one batch. */
export async function commit(
  store: DuckStore,
  readings: readonly Reading[],
  offset: number,
  sequences: readonly SequenceRow[] = [],
): Promise<void> {
  const points = new PointBatch();
  for (const { thing, measurement, field, time, value } of readings) {
    const id = store.series.resolve(store.series.measurement(thing, measurement), field, typeOf(value));
    if (typeof value === "string") points.addText(id, time, value);
    else points.add(id, time, Number(value));
  }
  await store.commit({ points, sequences, offset });
}

/** Generations that are in files by the last commit's end; those that are open never are. */
export async function compacted(store: DuckStore, others: () => Promise<void> = immediately): Promise<void> {
  while (store.extent().generations > 1) await others();
}

export async function immediately(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

/** All raw points of a thing. */
export function everything(thing: string): SeriesQuery {
  return {
    thing,
    measurement: null,
    fields: null,
    from: 0,
    to: START + 1e12,
    window: null,
    aggregate: null,
    limit: LIMITS.telemetry.pointsPerQueryMax,
  };
}

/** The query's answer, worked out the long way from readings in the order of their arrival. */
export function modelAnswer(readings: readonly Reading[], query: SeriesQuery): Series[] {
  const groups = new Map<string, { measurement: string; field: string; stored: FieldType; points: Reading[] }>();
  for (const reading of readings) {
    const { thing, measurement, field, time, value } = reading;
    if (thing !== query.thing || time < query.from || time >= query.to) continue;
    if (query.measurement !== null && measurement !== query.measurement) continue;
    if (query.fields !== null && !query.fields.includes(field)) continue;
    const key = `${measurement}\n${field}\n${typeOf(value)}`;
    const group = groups.get(key) ?? { measurement, field, stored: typeOf(value), points: [] };
    groups.set(key, group);
    group.points.push(reading);
  }
  const answer: Series[] = [];
  for (const [, { measurement, field, stored, points }] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    points.sort((a, b) => a.time - b.time); // stable
    const { window, aggregate } = query;
    if (window === null || aggregate === null) {
      const times = points.map(({ time }) => time);
      answer.push({ measurement, field, type: stored, times, values: points.map(({ value }) => value) });
      continue;
    }
    if (stored === "string" && aggregate !== "count" && aggregate !== "last") continue;
    const windows = new Map<number, FieldValue[]>();
    for (const { time, value } of points) {
      const start = Math.floor(time / window) * window;
      windows.set(start, [...(windows.get(start) ?? []), value]);
    }
    const numeric = aggregate === "count" || (stored === "boolean" && aggregate === "avg");
    const type = numeric ? "number" : stored;
    const values = [...windows.values()].map((list) => aggregated(list, aggregate));
    answer.push({ measurement, field, type, times: [...windows.keys()], values });
  }
  return answer;
}

function aggregated(values: readonly FieldValue[], aggregate: "avg" | "min" | "max" | "count" | "last"): FieldValue {
  if (aggregate === "count") return values.length;
  if (aggregate === "last") return values.at(-1)!;
  const numbers = values.map(Number);
  const isBoolean = typeof values[0] === "boolean";
  if (aggregate === "avg") return numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const extreme = aggregate === "min" ? Math.min(...numbers) : Math.max(...numbers);
  return isBoolean ? extreme !== 0 : extreme;
}
