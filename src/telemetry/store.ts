/** The port of a telemetry store; DuckDB with Parquet files is the embedded one. */
import type { EpochMs, Millis } from "../base/mod.ts";
import type { FieldName } from "./latest-book.ts";
import type { Level } from "./levels.ts";
import type { PointBatch } from "./point-batch.ts";
import type { LatestValue, LatestValues, SeriesQuery, SeriesResult } from "./query.ts";
import type { SequenceRow } from "./sequence-book.ts";
import type { SeriesBook } from "./series-book.ts";

/** What belongs together: all of it is on disk afterwards, or nothing. */
export interface Commit {
  readonly points: PointBatch;
  readonly sequences: readonly SequenceRow[];
  /** The next log offset to read. */
  readonly offset: number;
}

export interface LevelExtent {
  readonly rows: number;
  readonly bytes: number;
  readonly files: number;
}

export interface StoreExtent {
  readonly levels: Readonly<Record<Level, LevelExtent>>;
  /** Parts that are not in files yet. */
  readonly generations: number;
  /** Files that are damaged or gone: answers that needed them are incomplete. */
  readonly quarantined: number;
  readonly compactions: number;
  /** All of them together. */
  readonly compactionTime: Millis;
  readonly compactedAt: EpochMs | null;
  /** Why compaction waits; null where it does not. */
  readonly waiting: string | null;
}

const NO_LEVEL: LevelExtent = { rows: 0, bytes: 0, files: 0 };

/** Of a store that has nothing but memory. */
export const NO_EXTENT: StoreExtent = {
  levels: { raw: NO_LEVEL, "1m": NO_LEVEL, "1h": NO_LEVEL, "1d": NO_LEVEL },
  generations: 0,
  quarantined: 0,
  compactions: 0,
  compactionTime: 0,
  compactedAt: null,
  waiting: null,
};

export interface Retired {
  readonly series: number;
  readonly points: number;
}

export interface TelemetryStore {
  /** The next log offset to read; null in an empty store. */
  readonly offset: number | null;
  /** Everything below is in the store of record: the log may forget it. */
  readonly forgettable: number;
  /** Identity of the log that `offset` counts in; null where none was told yet. */
  readonly log: string | null;
  readonly rows: number;
  /** Numbers for the batch come from here; the store saves new series with the commit. */
  readonly series: SeriesBook;
  /** Saved de-duplication states, in the order of last use. */
  loadSequences(): Promise<readonly SequenceRow[]>;
  /**
   * `offset` counts in this log from now on, and is this one: the log is another than before, or has lost its end.
   * Points and de-duplication states stay. Not during a commit.
   */
  follow(log: string, offset: number): Promise<void>;
  /** One at a time. After a throw the store is not to be used any more: what is on disk is the last commit. */
  commit(commit: Commit): Promise<void>;
  /**
   * Forgets a thing: when this resolves, nobody finds its series, latest values or points any more, and what comes of it later
   * is new. Removing them from the disk goes on behind it, also after a restart, see `erased`. Not during a commit.
   */
  retire(thing: string): Promise<Retired>;
  /** Resolves once nothing of the retired things is left in the store of record. */
  erased(): Promise<void>;
  query(query: SeriesQuery, signal?: AbortSignal): Promise<SeriesResult>;
  latest(thing: string): LatestValues;
  headline(things: readonly string[], wanted: readonly FieldName[], otherwise: number): Map<string, LatestValue[]>;
  /** How much is where, for metrics. */
  extent(): StoreExtent;
  close(): Promise<void>;
}
