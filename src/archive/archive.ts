/** The event archive: everything of it that runs in one process, put together. */
import type { Bytes, Clock, EpochMs, Limits, Logger, Millis, Objects, Scheduler } from "../base/mod.ts";
import { Archivist } from "./archivist.ts";
import { Catalog, EMPTY_CATALOG } from "./catalog.ts";
import type { CatalogStore } from "./catalog.ts";
import { ColdTier } from "./cold.ts";
import { newCounters } from "./counters.ts";
import type { ArchiveCounters } from "./counters.ts";
import { WarmFiles } from "./files.ts";
import { Keeper } from "./keeper.ts";
import type { ForgetRequest, ForgottenEvents } from "./forget.ts";
import type { ArchiveFolder, ArchiveSource, Digest, EventFormat, SkipRecord } from "./ports.ts";
import { EventReader } from "./reader.ts";
import type { EventFiles } from "./reader.ts";
import { recover } from "./recover.ts";

export interface ArchiveSettings {
  /** A step is taken after so long where there are too few messages for one. */
  readonly every: Millis;
  /** How long events are kept, in all tiers; `null`: for ever. */
  readonly keep: Millis | null;
  /** What the files on this machine may take, the cache apart; `null`: as long as the disk lasts. */
  readonly bytesMax: Bytes | null;
  /** How long files stay here before they move to the cold tier, where there is one. */
  readonly warm: Millis;
  /** What files that are fetched from the cold tier may take here. */
  readonly cacheBytesMax: Bytes;
}

export interface ArchiveOptions {
  readonly settings: ArchiveSettings;
  readonly source: ArchiveSource;
  readonly format: EventFormat;
  readonly folder: ArchiveFolder;
  readonly store: CatalogStore;
  /** The cold tier; `null`: there is none. */
  readonly objects: Objects | null;
  readonly digestOf: (content: AsyncIterable<Uint8Array>) => Promise<Digest>;
  readonly busy: () => boolean;
  /** Whether a record is of a thing that is forgotten. */
  readonly skips: SkipRecord;
  readonly limits: Limits["archive"];
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly onChange: (progress: ArchiveProgress) => void;
}

export interface ArchiveProgress {
  /** Every message below is archived; `null` before the first step. */
  readonly offset: number | null;
  readonly files: number;
  readonly rows: number;
  readonly warmBytes: Bytes;
  readonly coldFiles: number;
  readonly coldBytes: Bytes;
  readonly cachedBytes: Bytes;
  readonly damagedFiles: number;
  /** First and last day that it holds; `null` while it is empty. */
  readonly days: readonly [first: string, last: string] | null;
  readonly scrubbedAt: EpochMs | null;
  /** Why it does not get on, or is not as it should be; `null` where all is well. */
  readonly problem: string | null;
  readonly counters: ArchiveCounters;
}

/** Before there is an archive to ask. */
export const NOTHING_ARCHIVED: ArchiveProgress = {
  offset: null,
  files: 0,
  rows: 0,
  warmBytes: 0,
  coldFiles: 0,
  coldBytes: 0,
  cachedBytes: 0,
  damagedFiles: 0,
  days: null,
  scrubbedAt: null,
  problem: null,
  counters: newCounters(),
};

export class Archive {
  readonly #counters: ArchiveCounters;
  readonly #catalog: Catalog;
  readonly #archivist: Archivist;
  readonly #keeper: Keeper;
  readonly #cold: ColdTier | null;
  readonly #reader: EventReader;
  #running: Promise<void> | null = null;

  private constructor(options: ArchiveOptions, catalog: Catalog) {
    this.#catalog = catalog;
    const { settings, objects } = options;
    const { keep, bytesMax, cacheBytesMax } = settings;
    const counters = (this.#counters = newCounters());
    const onChange = (): void => options.onChange(this.progress());
    const parts = { ...options, catalog, counters, onChange };
    const files = new WarmFiles(parts);
    this.#cold =
      objects === null
        ? null
        : new ColdTier({ ...parts, objects, files, moveAfter: settings.warm, bytesMax, cacheBytesMax });
    this.#archivist = new Archivist({ ...parts, files, stepPeriod: settings.every });
    const settled = (): Promise<void> => this.#archivist.settled();
    const hasColderTier = objects !== null;
    this.#keeper = new Keeper({ ...parts, files, cold: this.#cold, keep, bytesMax, hasColderTier, settled });
    this.#reader = new EventReader({ ...parts, files, cold: this.#cold, cacheBytesMax });
  }

  /** Rejects where the catalog or the folder cannot be read. */
  static async open(options: ArchiveOptions): Promise<Archive> {
    const { store, source } = options;
    const catalog = new Catalog(store, (await store.load()) ?? EMPTY_CATALOG);
    await recover({ ...options, catalog, logFirst: await source.first() });
    const archive = new Archive(options, catalog);
    await archive.#cold?.open();
    return archive;
  }

  /** Everything below `offset` is on disk in the log. */
  durable(offset: number): void {
    this.#archivist.durable(offset);
  }

  start(): void {
    this.#running = this.#archivist.run();
    this.#keeper.start();
  }

  /** Resolves when nothing of it runs any more. What is not archived is in the log. */
  async close(): Promise<void> {
    this.#archivist.close();
    await this.#running;
    await this.#keeper.close();
  }

  /** Archives what is durable now, within a few seconds. See `Archivist.flush`. */
  flush(): Promise<void> {
    return this.#archivist.flush();
  }

  /**
   * The Parquet files with the events that were received in [from, to), the newest flushed first where `to` reaches them.
   * Call `release` when they have been read.
   */
  async eventFiles(
    from: EpochMs,
    to: EpochMs,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<EventFiles> {
    const newest = this.#catalog.content.files.reduce((time, { timeTo }) => Math.max(time, timeTo), 0);
    if (to > newest) await this.flush();
    return this.#reader.open(from, to, signal);
  }

  /**
   * No file has a message of the thing any more when it resolves, here or in the cold tier; `skips` must say that its records are to
   * be left out from now on. Rejects where that has to wait: to be asked again. Null: it was done before.
   */
  forget(request: ForgetRequest): Promise<ForgottenEvents | null> {
    return this.#keeper.forget(request);
  }

  /** All files here are read and compared, now. */
  scrub(): Promise<void> {
    return this.#keeper.scrub();
  }

  /** Does now what it does once a minute. */
  async tidy(): Promise<void> {
    await this.#keeper.tidy();
    await this.#keeper.moved();
  }

  progress(): ArchiveProgress {
    const { files, offset } = this.#catalog.content;
    const cold = files.filter(({ tier }) => tier === "cold");
    const warm = files.filter(({ tier }) => tier === "warm");
    const days = files.map(({ day }) => day).toSorted();
    const damaged = files.filter((file) => file.damaged !== null).length;
    return {
      offset,
      files: files.length,
      rows: files.reduce((sum, { rows }) => sum + rows, 0),
      warmBytes: warm.reduce((sum, { bytes }) => sum + bytes, 0),
      coldFiles: cold.length,
      coldBytes: cold.reduce((sum, { bytes }) => sum + bytes, 0),
      cachedBytes: this.#cold?.cachedBytes ?? 0,
      damagedFiles: damaged,
      days: days.length === 0 ? null : [days[0]!, days.at(-1)!],
      scrubbedAt: this.#keeper.scrubbedAt,
      problem: this.#problem(damaged),
      counters: { ...this.#counters },
    };
  }

  #problem(damaged: number): string | null {
    return (
      this.#archivist.problem ??
      this.#cold?.problem ??
      this.#keeper.problem ??
      (damaged === 0 ? null : `${damaged} of its files ${damaged === 1 ? "is" : "are"} damaged`)
    );
  }
}
