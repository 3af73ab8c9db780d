/**
 * What `Log.open` does with what the last run left. The rules stand in docs/internals/log-format.md; in short: only the
 * end of the last segment is ever changed, what is cut there is put aside first, and no offset is given out twice.
 */
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Clock, Counter, Logger, Random } from "../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  encodeSegmentHeader,
  readBatchHeader,
  sameLog,
  segmentName,
  viewOf,
} from "./format.ts";
import type { LogId } from "./format.ts";
import { inspectFolder } from "./folder.ts";
import type { FoundSegment, Folder } from "./folder.ts";
import { QUARANTINE, isShortage } from "./ports.ts";
import type { Crc32, LogDirectory, LogFile } from "./ports.ts";
import { SegmentScanner } from "./scan.ts";
import { SegmentTable, newSegment } from "./segments.ts";
import type { Segment } from "./segments.ts";

const COPY_BYTES = 1024 * 1024;

export interface RecoveryOptions {
  readonly directory: LogDirectory;
  readonly crc32: Crc32;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Bytes put aside. */
  readonly cutBytes: Counter;
  /** The log gives out no offset below this. */
  readonly nextAtLeast: number;
}

export interface Recovered {
  readonly logId: LogId;
  readonly table: SegmentTable;
  /** The newest segment, open for appending, and where in it. */
  readonly file: LogFile;
  readonly position: number;
  readonly next: number;
  /** Whether `next` leaves out offsets on purpose. */
  readonly skipped: boolean;
}

interface Tail {
  readonly segment: Segment;
  readonly file: LogFile;
  readonly position: number;
  /** First offset after the last whole batch. */
  readonly end: number;
  /** First offset that was certainly never given out. */
  readonly unused: number;
}

export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { directory, crc32, random } = options;
  const folder = await inspectFolder(directory, crc32);
  tellFolder(options, folder);
  const logId = folder.logId ?? newLogId(random);
  const found = [...folder.segments];
  let floor = options.nextAtLeast;
  let tail: Tail | null = null;
  while (tail === null && found.length > 0) {
    const last = found.pop()!;
    const walked = await walk(options, last, logId);
    // One without records is put away, so that the end of the one before it is looked at, too; the last one stays.
    if (walked.end > last.baseOffset || (found.length === 0 && last.header !== null)) {
      tail = await makeTail(options, walked, logId);
    } else {
      floor = Math.max(floor, await firstUnused(options, walked, logId));
      await walked.file.close();
      await putAway(options, last);
    }
  }
  const before = found.map((one) => newSegment(one.name, one.baseOffset, one.header?.createdAt ?? 0, one.bytes));
  if (tail === null) {
    const first = await createSegment(options, { logId, baseOffset: floor, previousOffset: -1 });
    const position = SEGMENT_HEADER_BYTES;
    const table = new SegmentTable([first.segment]);
    return { logId, table, file: first.file, position, next: floor, skipped: false };
  }
  await directory.sync();
  const next = Math.max(tail.unused, floor);
  const { segment, file, position } = tail;
  return { logId, table: new SegmentTable([...before, segment]), file, position, next, skipped: next > tail.end };
}

/** Makes a segment that is on disk, name and header, when this resolves. */
export async function createSegment(
  options: { readonly directory: LogDirectory; readonly crc32: Crc32; readonly clock: Clock },
  header: { readonly logId: LogId; readonly baseOffset: number; readonly previousOffset: number },
): Promise<{ readonly segment: Segment; readonly file: LogFile }> {
  const { directory, crc32, clock } = options;
  const name = segmentName(header.baseOffset);
  const createdAt = clock.now();
  const file = await directory.open(name, "create");
  try {
    await file.write(encodeSegmentHeader({ ...header, createdAt }, crc32), 0);
    await file.sync();
    await directory.sync();
  } catch (error) {
    await file.close().catch(ignore);
    await directory.remove(name).catch(ignore); // so that another attempt can make it
    throw error;
  }
  return { segment: newSegment(name, header.baseOffset, createdAt, SEGMENT_HEADER_BYTES), file };
}

function ignore(): void {}

function newLogId(random: Random): LogId {
  const view = viewOf(random.bytes(8));
  return [view.getUint32(0, true), view.getUint32(4, true)];
}

function tellFolder(options: RecoveryOptions, folder: Folder): void {
  const { logger } = options;
  if (folder.foreign.length > 0) {
    logger.warn("the log folder holds files that are not the log's; they are left alone", { files: folder.foreign });
  }
  for (const [before, after] of folder.missing) {
    logger.error("a segment of the log is missing; what it held cannot be read", { between: before, and: after });
  }
  // The last one may have been in the making when the power went; that is not damage.
  for (const segment of folder.segments.slice(0, -1)) {
    if (segment.header === null) {
      logger.error("the header of a log segment is damaged; its batches are read all the same", {
        segment: segment.name,
      });
    }
  }
}

interface Walked {
  readonly found: FoundSegment;
  readonly segment: Segment;
  readonly file: LogFile;
  /** Behind the last whole batch, and its first offset after it. */
  readonly position: number;
  readonly end: number;
  /** Where the batches begin that the last sync carried. */
  readonly lastGroup: number;
  readonly size: number;
}

/** Reads a segment to its end. Damage with whole batches behind it is told and stays where it is. */
async function walk(options: RecoveryOptions, found: FoundSegment, logId: LogId): Promise<Walked> {
  const { directory, crc32, clock, logger } = options;
  const file = await directory.open(found.name, "append");
  const size = await file.size();
  const segment = newSegment(found.name, found.baseOffset, found.header?.createdAt ?? clock.now(), size);
  let position = SEGMENT_HEADER_BYTES;
  const start = { position, expected: found.baseOffset };
  const scanner = new SegmentScanner(file, { crc32, logId, ...start, upper: Infinity, skimBelow: 0 });
  let end = found.baseOffset;
  let lastGroup = position;
  let lastDurable = -1;
  for (let step = await scanner.next(); step.kind !== "end"; step = await scanner.next()) {
    if (step.kind === "batch") {
      const { baseOffset, count, bodyBytes, durableOffset } = step.header;
      segment.index.note(baseOffset, step.position);
      if (durableOffset !== lastDurable) lastGroup = step.position; // constant within what one sync carried
      lastDurable = durableOffset;
      position = step.position + BATCH_HEADER_BYTES + bodyBytes;
      end = baseOffset + count;
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
  return { found, segment, file, position, end, lastGroup, size };
}

/** Cuts off what is half written, and makes sure that the rest is on disk. */
async function makeTail(options: RecoveryOptions, walked: Walked, logId: LogId): Promise<Tail> {
  const { found, segment, file, position, end, lastGroup, size } = walked;
  if (found.header === null) {
    const fields = { segment: found.name };
    options.logger.error("the header of a log segment is damaged; its batches are read all the same", fields);
  }
  const unused = await firstUnused(options, walked, logId);
  if (size > position) await cutOff(options, file, { name: found.name, position, size });
  await writeAgain(file, lastGroup, position);
  segment.bytes = position;
  return { segment, file, position, end, unused };
}

/**
 * The first offset that no batch in the damaged end can have had. A consumer may have seen those that were there, so
 * they are never given out again: it would take the new records for the old ones.
 */
async function firstUnused(options: RecoveryOptions, walked: Walked, logId: LogId): Promise<number> {
  const { file, size } = walked;
  const bytes = new Uint8Array(BATCH_HEADER_BYTES);
  const view = viewOf(bytes);
  let unused = walked.end;
  let at = walked.position;
  while (at < size) {
    const there = await file.read(bytes, at);
    const header = there < bytes.length ? null : readBatchHeader(bytes, view, 0, options.crc32);
    if (header === null || !sameLog(header.logId, logId) || header.baseOffset < unused) {
      return unused + Math.floor((size - at) / RECORD_HEADER_BYTES);
    }
    unused = header.baseOffset + header.count;
    at += BATCH_HEADER_BYTES + header.bodyBytes;
  }
  return unused;
}

/** Keeps the bytes of [position, size) in quarantine, then shortens the file. */
async function cutOff(
  options: RecoveryOptions,
  file: LogFile,
  cut: { readonly name: string; readonly position: number; readonly size: number },
): Promise<void> {
  const { directory, logger, cutBytes, clock } = options;
  const stem = `${QUARANTINE}${cut.name.slice(0, 20)}-${cut.position}-${clock.now()}`;
  const taken = new Set(await directory.list());
  let kept = `${stem}.cut`;
  for (let n = 2; taken.has(kept); n++) kept = `${stem}-${n}.cut`;
  try {
    const copy = await directory.open(kept, "create");
    try {
      await copyRange(file, copy, cut.position, cut.size);
      await copy.sync();
    } finally {
      await copy.close();
    }
    await directory.sync();
  } catch (error) {
    if (!isShortage(error)) throw error;
    await directory.remove(kept).catch(ignore);
    const reason = `its damaged end cannot be put aside first (${reasonOf(error)}); free some disk space`;
    throw new TidewireError("LOG_FOLDER_UNUSABLE", { reason }, { cause: error });
  }
  await file.truncate(cut.position);
  await file.sync();
  const bytes = cut.size - cut.position;
  cutBytes.value += bytes;
  const fields = { segment: cut.name, position: cut.position, bytes, kept };
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
 * Writes the last group over itself before it is synced. Where the last run ended with a failed sync, the system may
 * hold pages that it believes to be on disk and that are not; a sync alone would then do nothing.
 */
async function writeAgain(file: LogFile, from: number, to: number): Promise<void> {
  const buffer = new Uint8Array(Math.min(COPY_BYTES, to - from));
  for (let at = from; at < to;) {
    const part = buffer.subarray(0, Math.min(buffer.length, to - at));
    const read = await file.read(part, at);
    if (read === 0) break;
    await file.write(part.subarray(0, read), at);
    at += read;
  }
  await file.sync();
}

/** Takes a segment without records out of the way. Nothing is in one that ends with its header. */
async function putAway(options: RecoveryOptions, found: FoundSegment): Promise<void> {
  const { directory, logger, cutBytes, clock } = options;
  if (found.bytes <= SEGMENT_HEADER_BYTES) {
    await directory.remove(found.name);
    logger.info("an empty log segment was removed", { segment: found.name });
  } else {
    const kept = `${QUARANTINE}${found.name.slice(0, 20)}-0-${clock.now()}.seg`;
    await directory.rename(found.name, kept);
    cutBytes.value += found.bytes;
    const fields = { segment: found.name, bytes: found.bytes, kept };
    logger.error("a log segment without one whole batch was put aside", fields);
  }
  await directory.sync();
}
