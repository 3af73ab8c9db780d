/** What the platform and the store process say to each other, over Node's IPC channel. */
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import type { ArchiveProgress, ArchiveSettings } from "../../archive/mod.ts";
import type { PostgresServerAddress } from "../../adapters/postgres/mod.ts";
import type { EpochMs, Limits, LogFields } from "../../base/mod.ts";
import type { ErrorCode, ErrorDetails } from "../../base/mod.ts";
import type { TimeRange, UserRelation, UserSnapshot } from "../../adapters/duckdb/mod.ts";
import type {
  DiskRoom,
  FieldName,
  LatestValue,
  LatestValues,
  Retention,
  SeriesQuery,
  SeriesResult,
  StoreExtent,
} from "../../telemetry/mod.ts";
import type { SqlVersion } from "../../sql/mod.ts";
import type { LivePoints } from "./live.ts";
import type { SinkCounters } from "./message-sink.ts";

/** A rule with a `telemetry` action, as plain data. */
export interface StoreRule {
  readonly ruleName: string;
  readonly sql: string;
  readonly version?: SqlVersion;
  readonly measurement?: string;
  readonly fromOffset: number;
}

export type Question =
  | { readonly kind: "query"; readonly query: SeriesQuery }
  /** The answer as a Parquet file. */
  | { readonly kind: "parquet"; readonly query: SeriesQuery }
  | { readonly kind: "latest"; readonly thing: string }
  | {
      readonly kind: "headline";
      readonly things: readonly string[];
      readonly wanted: readonly FieldName[];
      readonly otherwise: number;
    }
  | { readonly kind: "things" }
  /** Archive what is durable now. */
  | { readonly kind: "archive" }
  /** Files of these relations, put into the folder for a process that answers a user's query. */
  | {
      readonly kind: "snapshot";
      readonly folder: string;
      readonly relations: readonly UserRelation[];
      readonly range: TimeRange;
    };

export type ParquetAnswer = { readonly bytes: Uint8Array } & Pick<SeriesResult, "truncated" | "incomplete" | "level">;

/** What each kind of question is answered with. */
export interface Answers {
  query: SeriesResult;
  parquet: ParquetAnswer;
  latest: LatestValues;
  headline: ReadonlyMap<string, readonly LatestValue[]>;
  things: readonly string[];
  /** Every message below is archived; `null` where nothing is. */
  archive: number | null;

  snapshot: UserSnapshot;
}

/** How long and how much. */
export interface Keeping {
  readonly retention: Retention;
  readonly room: DiskRoom;
}

export interface OpenOrder {
  readonly type: "open";
  readonly databasePath: string;
  /** Points go to this server, not into the file. */
  readonly postgres: PostgresServerAddress | null;
  readonly logFolder: string;
  readonly limits: Limits;
  /** `null`: there is no event archive. */
  readonly archive: ArchiveOrder | null;
  /** Why the present file is not to be trusted; it is then moved aside and rebuilt. */
  readonly distrust: string | null;
  readonly keeping: Keeping;
  readonly forgotten: readonly ForgetOrder[];
}

/** Where the event archive lies. No credentials: the process reads them itself. */
export interface ArchiveOrder {
  readonly folder: string;
  readonly settings: ArchiveSettings;
  readonly cold: ColdPlace | null;
}

/** A thing to be forgotten, or one whose records are still in the log. */
export interface ForgetOrder {
  readonly id: number;
  readonly thing: string;
  /** Of the log that is open now: what lies below is forgotten. Null: offsets of this log say nothing of it. */
  readonly below: number | null;
  readonly requestedAt: EpochMs;
  /** What is not done yet, as far as the platform knows. */
  readonly wanted: readonly ErasedPart[];
}

export type ErasedPart = "telemetry" | "archive";

/** News of a part: first what is removed from every answer, and once nothing of it lies anywhere any more, `done`. */
export interface Erased {
  readonly id: number;
  readonly part: ErasedPart;
  /** Null where that was counted before. */
  readonly removed: Readonly<Record<string, number>> | null;
  readonly done: boolean;
  /** Why it waits; null where it does not. */
  readonly waiting: string | null;
}

export type ToStore =
  | OpenOrder
  | { readonly type: "forget things"; readonly things: readonly ForgetOrder[] }
  | { readonly type: "rules"; readonly rules: readonly StoreRule[] }
  | { readonly type: "durable"; readonly offset: number }
  | { readonly type: "watch"; readonly thing: string }
  | { readonly type: "unwatch"; readonly thing: string }
  | { readonly type: "ask"; readonly id: number; readonly question: Question }
  /** The asker has given up. */
  | { readonly type: "forget"; readonly id: number }
  | { readonly type: "close" };

export interface StoreCounters extends SinkCounters {
  commits: number;
  /** Records that could not be had from the log. */
  gapRecords: number;
}

/** A commit, or the state at the start. */
export interface StoreProgress {
  /** Everything below is stored. */
  readonly offset: number;
  /** Everything below is where it stays: the log may forget it. */
  readonly forgettable: number;
  /** Why the store's offset was set anew; null where it was right. */
  readonly realigned: string | null;
  readonly extent: StoreExtent;
  readonly rows: number;
  readonly series: number;
  readonly things: number;
  readonly counters: StoreCounters;
}

export type FromStore =
  /** `rebuilt`: why the file had to be made anew; null where it was not. */
  | { readonly type: "ready"; readonly progress: StoreProgress; readonly rebuilt: string | null }
  /** Why the database server is waited for; null: it is back. */
  | { readonly type: "waiting"; readonly reason: string | null }
  | { readonly type: "committed"; readonly progress: StoreProgress }
  | { readonly type: "archived"; readonly progress: ArchiveProgress }
  | ({ readonly type: "erased" } & Erased)
  /** Nothing was committed, but something has changed: files, what the log may forget. */
  | { readonly type: "progress"; readonly progress: StoreProgress }
  | { readonly type: "watching"; readonly thing: string; readonly at: EpochMs }
  | ({ readonly type: "points" } & LivePoints)
  /** Points were committed that are not sent: query again. */
  | { readonly type: "skipped"; readonly thing: string; readonly at: EpochMs }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | { readonly type: "refused"; readonly id: number; readonly code: ErrorCode; readonly details: ErrorDetails }
  | {
      readonly type: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly message: string;
      readonly fields: LogFields;
    }
  /**
   * It will exit now. `environment`: another file would fare no better. `useless`: the file is damaged and must be
   * made anew.
   */
  | { readonly type: "fatal"; readonly reason: string; readonly cause: "environment" | "useless" | "unknown" };
