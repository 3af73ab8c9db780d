/** What lies in the log's folder: its segments, and what does not belong there. */
import { TidewireError } from "../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  FORMAT_VERSION,
  SEGMENT_HEADER_BYTES,
  decodeSegmentHeader,
  readBatchHeader,
  sameLog,
  segmentOffset,
  viewOf,
} from "./format.ts";
import type { LogId, SegmentHeader } from "./format.ts";
import { QUARANTINE, isMissing } from "./ports.ts";
import type { Crc32, LogDirectory } from "./ports.ts";

export interface FoundSegment {
  readonly name: string;
  readonly baseOffset: number;
  readonly bytes: number;
  /** `null` where it is damaged, or not yet written. */
  readonly header: SegmentHeader | null;
}

export interface Folder {
  /** By offset, oldest first. */
  readonly segments: readonly FoundSegment[];
  /** `null` where no segment says it. */
  readonly logId: LogId | null;
  /** Files that are none of the log's. */
  readonly foreign: readonly string[];
  /** Pairs of neighbours between which a segment is missing. */
  readonly missing: readonly (readonly [before: string, after: string])[];
}

/** Looks at every segment's header. Throws where a person has to decide what is right. */
export async function inspectFolder(directory: LogDirectory, crc32: Crc32): Promise<Folder> {
  const names = [...(await directory.list())].sort();
  const segments: FoundSegment[] = [];
  const foreign: string[] = [];
  let logId: LogId | null = null;
  for (const name of names) {
    const baseOffset = segmentOffset(name);
    if (baseOffset === null) {
      if (!name.startsWith(QUARANTINE)) foreign.push(name);
      continue;
    }
    const found = await inspectSegment(directory, name, baseOffset, crc32).catch(unlessMissing);
    if (found === null) continue;
    segments.push(found.segment);
    if (found.logId === null) continue;
    if (logId !== null && !sameLog(logId, found.logId)) {
      throw new TidewireError("LOG_FOLDER_UNUSABLE", {
        reason: `it holds segments of two different logs; ${name} is not of the same as the segments before it`,
      });
    }
    logId = found.logId;
  }
  return { segments, logId, foreign, missing: missingBetween(segments) };
}

/** Retention of a running writer may remove a segment between its listing and its opening. */
function unlessMissing(error: unknown): null {
  if (isMissing(error)) return null;
  throw error;
}

async function inspectSegment(
  directory: LogDirectory,
  name: string,
  baseOffset: number,
  crc32: Crc32,
): Promise<{ readonly segment: FoundSegment; readonly logId: LogId | null }> {
  const start = new Uint8Array(SEGMENT_HEADER_BYTES + BATCH_HEADER_BYTES);
  const file = await directory.open(name, "read");
  let bytes: number;
  let there: number;
  try {
    bytes = await file.size();
    there = await file.read(start, 0);
  } finally {
    await file.close();
  }
  const read = start.subarray(0, there);
  const result = decodeSegmentHeader(read.subarray(0, SEGMENT_HEADER_BYTES), crc32);
  if (result.kind === "newer") {
    throw new TidewireError("LOG_NEWER", { segment: name, version: result.version, known: FORMAT_VERSION });
  }
  if (result.kind === "damaged") {
    // The first batch says to which log it belongs; its place is known, so no record can stand in for it.
    const batch = readBatchHeader(read, viewOf(read), SEGMENT_HEADER_BYTES, crc32);
    return { segment: { name, baseOffset, bytes, header: null }, logId: batch?.logId ?? null };
  }
  const { header } = result;
  if (header.baseOffset !== baseOffset) {
    throw new TidewireError("LOG_FOLDER_UNUSABLE", {
      reason: `${name} was renamed; it is the segment that begins at offset ${header.baseOffset}`,
    });
  }
  return { segment: { name, baseOffset, bytes, header }, logId: header.logId };
}

function missingBetween(segments: readonly FoundSegment[]): (readonly [string, string])[] {
  const missing: (readonly [string, string])[] = [];
  for (let i = 1; i < segments.length; i++) {
    const [before, after] = [segments[i - 1]!, segments[i]!];
    if (after.header !== null && after.header.previousOffset !== before.baseOffset) {
      missing.push([before.name, after.name]);
    }
  }
  return missing;
}
