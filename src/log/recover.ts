/**
 * What `Log.open` does with what the last run left. The rules stand in docs/internals/log-format.md; in short: only the
 * end is ever changed, what is cut there is put aside first, and no offset that anyone may know is given out again.
 */
import type { Clock, Counter, EpochMs, Logger, Random } from "../base/mod.ts";
import { SEGMENT_HEADER_BYTES, viewOf } from "./format.ts";
import type { LogId } from "./format.ts";
import { beginSegment, createSegment } from "./create.ts";
import type { OpenSegment } from "./create.ts";
import { inspectFolder } from "./folder.ts";
import type { Folder, FoundSegment } from "./folder.ts";
import { QUARANTINE } from "./ports.ts";
import type { Crc32, LogDirectory, LogFile } from "./ports.ts";
import { SegmentTable, newSegment } from "./segments.ts";
import { firstUnused, putAsideEnd, secure, walk } from "./tail.ts";
import type { Walked } from "./tail.ts";

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
  /** When its newest record was written; 0 where it has none. */
  readonly newestAt: EpochMs;
}

export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { directory, crc32, random } = options;
  const folder = await inspectFolder(directory, crc32);
  tellFolder(options, folder);
  const logId = folder.logId ?? newLogId(random);
  const older = [...folder.segments];
  /** Newer than the last segment with records: made ahead, or lost their first batch. */
  const bare: Walked[] = [];
  let tail: Walked | null = null;
  try {
    while (tail === null && older.length > 0) {
      const walked = await walk(options, older.pop()!, logId);
      if (walked.end > walked.found.baseOffset) tail = walked;
      else bare.push(walked);
    }
    if (tail?.found.header === null && bare.length === 0) tellHeader(options, tail.found);
    const next = await nextOffset(options, { tail, bare, logId });
    const before = older.map((found) => newSegment(found, found.header));
    const ended = { logId, tail, bare, next };
    const newestAt = tail?.lastTime ?? 0;
    if (tail !== null && bare.length === 0 && next === tail.end) {
      await putAsideEnd(options, tail);
      await secure(tail);
      await directory.sync(); // for a folder that was just copied here, from a backup
      const { segment, file, position } = tail;
      return { logId, table: new SegmentTable([...before, segment]), file, position, next, newestAt };
    }
    const { segment, file } = await beginAnew(options, ended);
    const kept = tail === null ? before : [...before, tail.segment];
    return { logId, table: new SegmentTable([...kept, segment]), file, position: SEGMENT_HEADER_BYTES, next, newestAt };
  } catch (error) {
    await Promise.allSettled([...bare, ...(tail === null ? [] : [tail])].map(({ file }) => file.close()));
    throw error;
  }
}

interface Ended {
  readonly logId: LogId;
  readonly tail: Walked | null;
  readonly bare: readonly Walked[];
  readonly next: number;
}

/** The first offset that nobody can have been given. */
async function nextOffset(options: RecoveryOptions, ended: Omit<Ended, "next">): Promise<number> {
  let next = 0;
  for (const walked of [...ended.bare, ...(ended.tail === null ? [] : [ended.tail])]) {
    next = Math.max(next, await firstUnused(options, walked, ended.logId));
  }
  if (next < options.nextAtLeast) {
    const fields = { endsAt: next, goesOnAt: options.nextAtLeast };
    options.logger.error("the log has lost its end: a consumer was further than it is", fields);
  }
  return Math.max(next, options.nextAtLeast);
}

/**
 * Goes on in a segment of its own that begins at `next`. Its name keeps `next` for the case that this recovery is cut
 * short, so it must be on disk before anything is removed that tells which offsets were in use.
 */
async function beginAnew(options: RecoveryOptions, ended: Ended): Promise<OpenSegment> {
  const { directory } = options;
  const { logId, tail, bare, next } = ended;
  if (tail !== null) await putAsideEnd(options, tail);
  if (tail !== null && tail.end < next) {
    const fields = { endsAt: tail.end, goesOnAt: next };
    options.logger.warn(
      "the log leaves out offsets that were not yet durable, or are lost with what was cut off",
      fields,
    );
  }
  const previousOffset = tail?.found.baseOffset ?? -1;
  const place = { logId, baseOffset: next, previousOffset, previousEnd: tail?.end ?? next };
  const again = bare.find(({ found }) => found.baseOffset === next);
  const opened = again === undefined ? await createSegment(options, place) : await reuse(options, again, place);
  if (tail !== null) {
    await secure(tail).catch(async (error: unknown) => {
      await opened.file.close();
      throw error;
    });
    await tail.file.close();
  }
  for (const walked of bare) {
    if (walked === again) continue;
    await walked.file.close();
    await putAway(options, walked);
  }
  await directory.sync();
  return opened;
}

async function reuse(
  options: RecoveryOptions,
  bare: Walked,
  place: Parameters<typeof beginSegment>[2],
): Promise<OpenSegment> {
  if (bare.size > SEGMENT_HEADER_BYTES) {
    await putAsideEnd(options, bare);
    await bare.file.truncate(SEGMENT_HEADER_BYTES);
  }
  return { segment: await beginSegment(options, bare.file, place), file: bare.file };
}

/** Takes a segment without records out of the way. Nothing is in one that ends with its header. */
async function putAway(options: RecoveryOptions, { found, size }: Walked): Promise<void> {
  const { directory, logger, cutBytes, clock } = options;
  if (size <= SEGMENT_HEADER_BYTES) {
    await directory.remove(found.name);
    logger.info("an empty log segment was removed", { segment: found.name });
    return;
  }
  const kept = `${QUARANTINE}${found.name.slice(0, 20)}-0-${clock.now()}.seg`;
  await directory.rename(found.name, kept);
  cutBytes.value += size;
  logger.error("a log segment without one whole batch was put aside", { segment: found.name, bytes: size, kept });
}

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
  for (const segment of folder.segments.slice(0, -1)) if (segment.header === null) tellHeader(options, segment);
}

function tellHeader(options: RecoveryOptions, segment: FoundSegment): void {
  const fields = { segment: segment.name };
  options.logger.error("the header of a log segment is damaged; its batches are read all the same", fields);
}
