/** What the archive needs of the log, of files and of whoever writes Parquet. */
import type { Bytes, EpochMs, ForgottenMessages } from "../base/mod.ts";

/** Records of the log as they were written together. */
export interface ArchivedBatch {
  readonly baseOffset: number;
  readonly count: number;
  /** Each record lies in `bytes[from, to)`, which are valid only during the call. */
  locate(take: (offset: number, bytes: Uint8Array, from: number, to: number) => void): void;
}

/** The log, read-only. */
export interface ArchiveSource {
  /** Offset of the oldest kept record. */
  first(): Promise<number>;
  /** Which log it is; `null` while there is none. */
  identity(): Promise<string | null>;
  /** All readable records in [from, below), in order; the first batch may begin before `from`. */
  readBatches(from: number, below: number): AsyncIterable<ArchivedBatch>;
  /** How many of the offsets in [from, below), which were read, the log left out on purpose. */
  leftOut(from: number, below: number): number;
}

/** Whether the record of this offset, in `bytes[from, to)`, is left out. Called for every record. */
export type SkipRecord = (offset: number, bytes: Uint8Array, from: number, to: number) => boolean;

/** What a file of events holds. */
export interface EventFileFacts {
  readonly rows: number;
  /** Oldest and newest message. */
  readonly timeFrom: EpochMs;
  readonly timeTo: EpochMs;
}

/** Messages on their way into files, one file per day of reception. */
export interface EventStep {
  readonly rows: number;
  /** Of their records in the log. */
  readonly bytes: Bytes;
  /** Days (`2026-11-22`) that its messages are of. */
  readonly days: readonly string[];
  /** Records that this program cannot read; they are left out. */
  readonly unreadable: number;
  /** HOT: takes the record in `bytes[from, to)`, or leaves it out where it is no message. Synchronous; copies what it keeps. */
  take(offset: number, bytes: Uint8Array, from: number, to: number): void;
  /** Writes the messages of one day to `path`. */
  write(day: string, path: string): Promise<EventFileFacts>;
  /** Frees what it holds; also after a failure. */
  discard(): Promise<void>;
}

/** Whoever knows Parquet. Paths are the file system's. */
export interface EventFormat {
  begin(): Promise<EventStep>;
  /** One file from several, which are in the order of their offsets. */
  merge(sources: readonly string[], path: string): Promise<EventFileFacts>;
  /** How many messages of a file are those of a forgotten thing. */
  count(path: string, what: ForgottenMessages): Promise<number>;
  /** The file without them, in its order. */
  without(source: string, what: ForgottenMessages, path: string): Promise<EventFileFacts>;
  /** Reads the whole file. Rejects where it is no file of events. */
  inspect(path: string): Promise<EventFileFacts>;
}

export interface Digest {
  readonly bytes: Bytes;
  /** In lower-case hexadecimal. */
  readonly sha256: string;
}

/** The archive's folder. Names are relative, with `/`: `day=2026-11-22/0-1000.parquet`. */
export interface ArchiveFolder {
  /** All files, those of sub-folders too. */
  list(): Promise<readonly { readonly name: string; readonly bytes: Bytes }[]>;
  /** Where `name` lies, for those who open files themselves; its folder is made. */
  place(name: string): Promise<string>;
  /** What the file's bytes are, read from the disk; `null` where it is missing. */
  digest(name: string, signal?: AbortSignal): Promise<Digest | null>;
  /** Makes a file's content durable, and then its new name. Replaces what has that name. */
  publish(from: string, to: string): Promise<void>;
  /** Bytes [from, below). */
  read(name: string, from: number, below: number): Promise<Uint8Array>;
  /** Writes what comes; durable only after `publish`. */
  write(name: string, content: AsyncIterable<Uint8Array>): Promise<Digest>;
  /** One that is not there is removed already. */
  remove(name: string): Promise<void>;
  /** What this user may still write on the disk that holds it. */
  freeBytes(): Promise<Bytes>;
}
