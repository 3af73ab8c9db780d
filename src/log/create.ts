/** Making a segment. */
import type { Clock } from "../base/mod.ts";
import { SEGMENT_HEADER_BYTES, encodeSegmentHeader, segmentName } from "./format.ts";
import type { SegmentHeader } from "./format.ts";
import type { Crc32, LogDirectory, LogFile } from "./ports.ts";
import { newSegment } from "./segments.ts";
import type { Segment } from "./segments.ts";

export interface CreateOptions {
  readonly directory: LogDirectory;
  readonly crc32: Crc32;
  readonly clock: Clock;
}

export interface OpenSegment {
  readonly segment: Segment;
  readonly file: LogFile;
}

/** Makes a segment that is on disk, name and header, when this resolves. Where it rejects there is none. */
export async function createSegment(
  options: CreateOptions,
  place: Omit<SegmentHeader, "createdAt">,
): Promise<OpenSegment> {
  const { directory } = options;
  const name = segmentName(place.baseOffset);
  const file = await directory.open(name, "create");
  try {
    return { segment: await beginSegment(options, file, place), file };
  } catch (error) {
    await file.close().catch(ignore);
    await directory.remove(name).catch(ignore); // so that another attempt can make it
    throw error;
  }
}

/** Writes the header into a file that holds nothing else. */
export async function beginSegment(
  options: CreateOptions,
  file: LogFile,
  place: Omit<SegmentHeader, "createdAt">,
): Promise<Segment> {
  const { directory, crc32, clock } = options;
  const header = { ...place, createdAt: clock.now() };
  await file.write(encodeSegmentHeader(header, crc32), 0);
  await file.sync();
  await directory.sync();
  const found = { name: segmentName(place.baseOffset), baseOffset: place.baseOffset, bytes: SEGMENT_HEADER_BYTES };
  return newSegment(found, header);
}

function ignore(): void {}
