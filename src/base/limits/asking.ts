/** Limits of users' queries: part of `limits.ts`. */
import { kib, mib, minutes, seconds } from "../units.ts";

export const ASKING_LIMITS = {
  /** A statement; a page of SQL has 4 KiB. */
  sqlBytesMax: kib(64),
  parametersMax: 100,
  /** Queries at once, each in a process of its own: one per core of a small machine. */
  queriesRunningMax: 2,
  /** Queries that wait for one of those; a dashboard of six charts fits. */
  queriesWaitingMax: 8,
  /** How long one waits before it is refused. */
  queryWaitMax: seconds(10),
  queryTimeout: seconds(10),
  /** What an asker may raise it to: an export of a year over a slow line. */
  queryTimeoutMax: minutes(30),
  /** DuckDB's memory of one query, beside some 60 MiB for its process; what needs more goes to files. */
  queryMemoryBytesMax: mib(256),
  /** Those files. */
  querySpillBytesMax: mib(2048),
  /** Rows of a JSON answer, which is made in memory; an asker may raise it. */
  rowsMax: 10_000,
  rowsMaxMax: 100_000,
  jsonBytesMax: mib(32),
  /** CSV, NDJSON and Parquet are streamed: bounded by time and by this. */
  streamBytesMax: mib(8192),
  columnsMax: 1_000,
  /** A process that nobody asks anything ends after this. */
  idleMax: seconds(60),
} as const;
