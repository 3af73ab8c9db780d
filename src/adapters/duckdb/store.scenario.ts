/** Parts that the store's tests share: a folder, a store on it, and a naive model to compare with. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LIMITS } from "../../base/mod.ts";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { DEFAULT_RETENTION, PointBatch, typeOf } from "../../telemetry/mod.ts";
import type { FieldValue, SequenceRow, SeriesQuery } from "../../telemetry/mod.ts";
import { DuckStore } from "./duck-store.ts";
import type { DuckStoreOptions } from "./duck-store.ts";

export const START = 1_767_225_600_000;

export { modelAnswer } from "./query-model.scenario.ts";

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
export async function compacted(store: DuckStore, others: () => Promise<void> = aMoment): Promise<void> {
  while (store.extent().generations > 1) await others();
}

/** Who waits for DuckDB's threads leaves them the processor: to look again at once would take a core from them. */
export async function aMoment(): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, 1));
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
