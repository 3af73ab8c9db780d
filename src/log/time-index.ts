/**
 * From a time to an offset. The index is what stands on disk anyway: segment headers say when each was begun, batch headers
 * when each was closed; a segment is bisected through a dozen of them, so that nothing is held in memory per batch.
 */
import type { EpochMs } from "../base/mod.ts";
import { SEGMENT_HEADER_BYTES } from "./format.ts";
import type { LogFile } from "./ports.ts";
import { SegmentScanner } from "./scan.ts";
import type { BatchStep } from "./scan.ts";
import type { Segment } from "./segments.ts";
import { openSegment } from "./stream.ts";
import type { StreamSource } from "./stream.ts";

/** Closer than this, headers are walked one by one: what one read brings. */
const WALK_BYTES = 64 * 1024;

/**
 * The first offset whose batch was closed at `time` or later, or `null` where all are older: every record that was
 * received at `time` or later stands at it or behind it. Where the clock was set back there are several such places; the
 * segment is the first one that was ended at `time` or later.
 */
export async function offsetAtTime(source: StreamSource, time: EpochMs): Promise<number | null> {
  let segment = source.table.oldest;
  while (segment !== undefined) {
    const next = source.table.after(segment);
    // The next one is begun while the last batches of this one are written, so they are no younger than it.
    const older = next !== undefined && next.createdAt > 0 && next.createdAt < time;
    if (!older) {
      const file = await openSegment(source, segment);
      if (file !== null) {
        try {
          const found = await bisect(source, segment, file, time);
          if (found !== null) return found;
        } finally {
          await file.close();
        }
      }
    }
    segment = source.table.after(segment);
  }
  return null;
}

/**
 * Any header that is found says the truth about its offset and its time, even one within a record that is a copy of an
 * earlier batch of this log; so none of them can mislead.
 */
async function bisect(source: StreamSource, segment: Segment, file: LogFile, time: EpochMs): Promise<number | null> {
  const upper = source.table.upper(segment);
  const { crc32, logId } = source;
  const start = { position: SEGMENT_HEADER_BYTES, expected: segment.baseOffset };
  const scanner = new SegmentScanner(file, { crc32, logId, ...start, upper, skimBelow: Infinity });
  const within = (step: BatchStep | null): BatchStep | null =>
    step === null || step.header.baseOffset >= upper ? null : step;
  /** Batches that begin before `low` are older; the one at `high`, if any, is not. */
  let low = SEGMENT_HEADER_BYTES;
  let high = await file.size();
  let found: number | null = null;
  while (high - low > WALK_BYTES) {
    const middle = Math.floor((low + high) / 2);
    const step = within(await scanner.headerFrom(middle));
    if (step === null || step.position >= high) high = middle;
    else if (step.header.time >= time) {
      found = step.header.baseOffset;
      high = middle;
    } else low = step.position + 1;
  }
  for (let step = within(await scanner.headerFrom(low)); step !== null;) {
    if (step.header.time >= time) return Math.min(step.header.baseOffset, found ?? Infinity);
    if (step.position >= high) break;
    step = within(await scanner.headerFrom(step.position + 1));
  }
  return found;
}
