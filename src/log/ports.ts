/** What the log needs, a file system above all. `adapters/files` serves that with real files, `sim/disk.ts` with simulated ones. */
import type { Clock, Limits, Logger, Metrics, Random, Scheduler } from "../base/mod.ts";

export interface LogOptions {
  /** The log's alone, and of one process at a time. */
  readonly directory: LogDirectory;
  readonly crc32: Crc32;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** For the identity of a new log. */
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: Limits["log"];
  /**
   * The highest offset that any consumer stands at. No offset below it is given out again, even where the log has lost
   * its end (a disk that lies about syncs, a folder that was removed). Default 0.
   */
  readonly nextAtLeast?: number;
}

/**
 * One folder that belongs to the log alone. A file name is `<name>` or `quarantine/<name>`; nothing is nested deeper.
 * Every call may reject; an `Error` that says why by `code` uses the POSIX names (`ENOSPC`, `ENOENT`, `EIO` …).
 */
export interface LogDirectory {
  /** The names of all files, those in quarantine with their prefix. */
  list(): Promise<readonly string[]>;
  /** `create` makes a new file, for reading and writing, and fails with `EEXIST` where there is one. */
  open(name: string, mode: "read" | "append" | "create"): Promise<LogFile>;
  remove(name: string): Promise<void>;
  /** Fails with `EEXIST` where `to` exists. */
  rename(from: string, to: string): Promise<void>;
  /** Makes creations, removals and renames durable (fsync of the folders themselves). */
  sync(): Promise<void>;
  /** What this user may still write on the disk that holds the folder. */
  freeBytes(): Promise<number>;
}

export interface LogFile {
  /** Writes all of `bytes`, or rejects. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /**
   * Writes all of `parts`, one behind the other, and syncs them: in one call of the system where it has one. Fewer than
   * `PADDING_BYTES_MAX` bytes of `PADDING` may follow them in the file until it is closed: a disk takes whole blocks.
   */
  writeDurably(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** fdatasync: content and length are durable afterwards. */
  sync(): Promise<void>;
  /** Reads until `into` is full or the file ends; the number of bytes read. */
  read(into: Uint8Array, position: number): Promise<number>;
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** Stands behind the last batch where a write had to be longer than its batches. Not 0, which lost blocks read as. */
export const PADDING = 0x50;
export const PADDING_BYTES_MAX = 4096;

/** `writeDurably` where the system has no call for it. */
export async function writeThenSync(
  file: Pick<LogFile, "write" | "sync">,
  parts: readonly Uint8Array[],
  position: number,
): Promise<void> {
  for (const part of parts) {
    await file.write(part, position);
    position += part.length;
  }
  await file.sync();
}

export const QUARANTINE = "quarantine/";

/** CRC-32 (ISO-HDLC, as in zlib): `crc32(b, crc32(a))` is that of a followed by b. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

/** Whether a call failed for want of something that may come back: space, quota, file handles. */
export function isShortage(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOSPC" || code === "EDQUOT" || code === "EMFILE" || code === "ENFILE";
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
