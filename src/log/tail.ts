/** The end of a segment that was being written when the last run ended. */
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  readBatchHeader,
  sameLog,
  viewOf,
} from "./format.ts";
import type { LogId } from "./format.ts";
import type { FoundSegment } from "./folder.ts";
import { QUARANTINE, isShortage } from "./ports.ts";
import type { LogFile } from "./ports.ts";
import type { RecoveryOptions } from "./recover.ts";
import { SegmentScanner } from "./scan.ts";
import { newSegment } from "./segments.ts";
import type { Segment } from "./segments.ts";

const COPY_BYTES = 1024 * 1024;

export interface Walked {
  readonly found: FoundSegment;
  readonly segment: Segment;
  readonly file: LogFile;
  /** Behind the last whole batch, and its first offset after it. */
  readonly position: number;
  readonly end: number;
  /** Where the batches begin that the last sync carried. */
  readonly lastGroup: number;
  /** Behind the last byte that is not padding. */
  readonly size: number;
  /** When its last whole batch was closed; 0 where there is none. */
  readonly lastTime: EpochMs;
}

/** Reads a segment to its end. Damage with whole batches behind it is told and stays where it is. */
export async function walk(options: RecoveryOptions, found: FoundSegment, logId: LogId): Promise<Walked> {
  const { directory, crc32, logger } = options;
  const file = await directory.open(found.name, "append");
  const segment = newSegment(found, found.header);
  let position = SEGMENT_HEADER_BYTES;
  const start = { position, expected: found.baseOffset };
  const scanner = new SegmentScanner(file, { crc32, logId, ...start, upper: Infinity, skimBelow: 0 });
  let end = found.baseOffset;
  let lastGroup = position;
  let lastDurable = -1;
  let lastTime = 0;
  let step = await scanner.next();
  for (; step.kind !== "end"; step = await scanner.next()) {
    if (step.kind === "batch") {
      const { baseOffset, count, bodyBytes, durableOffset, time } = step.header;
      segment.index.note(baseOffset, step.position);
      if (durableOffset !== lastDurable) lastGroup = step.position; // constant within what one sync carried
      lastDurable = durableOffset;
      position = step.position + BATCH_HEADER_BYTES + bodyBytes;
      end = baseOffset + count;
      lastTime = time;
    } else if (step.below !== null) {
      logger.error("a part of the log is damaged; what follows it is kept", {
        segment: found.name,
        reason: step.reason,
        position: step.position,
        bytes: step.end - step.position,
        fromOffset: step.from,
        belowOffset: step.below,
      });
    }
  }
  return { found, segment, file, position, end, lastGroup, size: step.position, lastTime };
}

/**
 * The first offset that no batch in the damaged end can have had. A consumer may have seen those that were there, so
 * they are never given out again: it would take the new records for the old ones.
 */
export async function firstUnused(options: RecoveryOptions, walked: Walked, logId: LogId): Promise<number> {
  const { file, size } = walked;
  const bytes = new Uint8Array(BATCH_HEADER_BYTES);
  const view = viewOf(bytes);
  let unused = walked.end;
  let at = walked.position;
  while (at < size) {
    const there = await file.read(bytes, at);
    const header = there < bytes.length ? null : readBatchHeader(bytes, view, 0, options.crc32);
    if (header === null || !sameLog(header.logId, logId) || header.baseOffset < unused) {
      return unused + Math.max(0, Math.floor((size - at - BATCH_HEADER_BYTES) / RECORD_HEADER_BYTES));
    }
    unused = header.baseOffset + header.count;
    at += BATCH_HEADER_BYTES + header.bodyBytes;
  }
  return unused;
}

/** Keeps the damaged end in quarantine; the file is not touched. */
export async function putAsideEnd(options: RecoveryOptions, walked: Walked): Promise<void> {
  const { directory, logger, cutBytes, clock } = options;
  const { found, file, position, size } = walked;
  if (size <= position) return;
  const stem = `${QUARANTINE}${found.name.slice(0, 20)}-${position}-${clock.now()}`;
  const taken = new Set(await directory.list());
  let kept = `${stem}.cut`;
  for (let n = 2; taken.has(kept); n++) kept = `${stem}-${n}.cut`;
  try {
    const copy = await directory.open(kept, "create");
    try {
      await copyRange(file, copy, position, size);
      await copy.sync();
    } finally {
      await copy.close();
    }
    await directory.sync();
  } catch (error) {
    if (!isShortage(error)) throw error;
    await directory.remove(kept).catch(() => {});
    const reason = `its damaged end cannot be put aside first (${reasonOf(error)}); free some disk space`;
    throw new TidewireError("LOG_FOLDER_UNUSABLE", { reason }, { cause: error });
  }
  const bytes = size - position;
  cutBytes.value += bytes;
  const fields = { segment: found.name, position, bytes, kept };
  logger.warn("the end of the log was only half written; it was cut off and put aside", fields);
}

async function copyRange(from: LogFile, to: LogFile, position: number, size: number): Promise<void> {
  const buffer = new Uint8Array(Math.min(COPY_BYTES, size - position));
  for (let at = position; at < size;) {
    const read = await from.read(buffer.subarray(0, Math.min(buffer.length, size - at)), at);
    if (read === 0) return;
    await to.write(buffer.subarray(0, read), at - position);
    at += read;
  }
}

/**
 * Cuts the damaged end off, and writes the last group over itself before it is synced. Where the last run ended with a
 * failed sync, the system may hold pages that it believes to be on disk and that are not; a sync alone would do nothing.
 */
export async function secure(walked: Walked): Promise<void> {
  const { file, lastGroup: from, position: to } = walked;
  if ((await file.size()) > to) await file.truncate(to);
  const buffer = new Uint8Array(Math.min(COPY_BYTES, to - from));
  for (let at = from; at < to;) {
    const part = buffer.subarray(0, Math.min(buffer.length, to - at));
    const read = await file.read(part, at);
    if (read === 0) break;
    await file.write(part.subarray(0, read), at);
    at += read;
  }
  await file.sync();
  walked.segment.bytes = to;
}
