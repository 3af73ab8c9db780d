/** The port of a telemetry store; DuckDB is the embedded one. A view of the log: it may be deleted at any time. */
import type { FieldName } from "./latest-book.ts";
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

export interface TelemetryStore {
  /** The next log offset to read; null in an empty store. */
  readonly offset: number | null;
  readonly rows: number;
  /** Numbers for the batch come from here; the store saves new series with the commit. */
  readonly series: SeriesBook;
  /** Saved de-duplication states, in the order of last use. */
  loadSequences(): Promise<readonly SequenceRow[]>;
  /** One at a time. After a throw the store is not to be used any more: what is on disk is the last commit. */
  commit(commit: Commit): Promise<void>;
  query(query: SeriesQuery, signal?: AbortSignal): Promise<SeriesResult>;
  latest(thing: string): LatestValues;
  headline(things: readonly string[], wanted: readonly FieldName[], otherwise: number): Map<string, LatestValue[]>;
  close(): Promise<void>;
}
