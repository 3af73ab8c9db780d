/** Reading a range of offsets out of the segments, in order, around damage, rotation and retention. */
import type { LogId } from "./format.ts";
import { BatchView } from "./batch.ts";
import type { LogBatch } from "./batch.ts";
import type { Gap } from "./damage.ts";
import { isMissing } from "./ports.ts";
import type { Crc32, LogDirectory, LogFile } from "./ports.ts";
import { SegmentScanner } from "./scan.ts";
import type { Segment, SegmentTable } from "./segments.ts";

export interface StreamSource {
  readonly directory: LogDirectory;
  readonly crc32: Crc32;
  readonly logId: LogId;
  readonly table: SegmentTable;
  /** Brings the table up to date with the folder; called when a segment is not where the table says. */
  refresh(): Promise<void>;
  gap(gap: Gap): void;
}

/** All kept records in [from, below) as batches. Everything below `below` must be durable. */
export async function* streamBatches(source: StreamSource, from: number, below: number): AsyncGenerator<LogBatch> {
  let expected = from;
  while (expected < below) {
    const segment = source.table.at(expected);
    if (segment === undefined) {
      source.gap({ segment: "", reason: "segment missing", position: 0, end: 0, from: expected, below });
      return;
    }
    if (segment.baseOffset > expected) {
      const until = Math.min(segment.baseOffset, below);
      const reason = "removed by retention";
      source.gap({ segment: segment.name, reason, position: 0, end: 0, from: expected, below: until });
      expected = until;
      continue;
    }
    const file = await openSegment(source, segment);
    if (file === null) continue;
    try {
      expected = yield* streamSegment(source, segment, file, expected, below);
    } finally {
      await file.close();
    }
  }
}

/** Begins at the last place known before `offset`; batches that end before it are not checked. */
export function scannerAt(source: StreamSource, segment: Segment, file: LogFile, offset: number): SegmentScanner {
  const point = segment.index.floor(offset);
  const { crc32, logId } = source;
  const upper = source.table.upper(segment);
  return new SegmentScanner(file, {
    crc32,
    logId,
    position: point.position,
    expected: point.offset,
    upper,
    skimBelow: offset,
  });
}

/** Opens a segment; `null` where it is gone, and then the table knows. */
export async function openSegment(source: StreamSource, segment: Segment): Promise<LogFile | null> {
  try {
    return await source.directory.open(segment.name, "read");
  } catch (error) {
    if (!isMissing(error)) throw error;
    source.table.drop(segment);
    await source.refresh();
    return null;
  }
}

/** Yields what `segment` has of [from, below); returns the first offset that is left to read elsewhere. */
async function* streamSegment(
  source: StreamSource,
  segment: Segment,
  file: LogFile,
  from: number,
  below: number,
): AsyncGenerator<LogBatch, number> {
  const scanner = scannerAt(source, segment, file, from);
  let expected = from;
  const skip = (gap: Pick<Gap, "reason" | "position" | "end">, until: number): void => {
    const next = Math.min(until, below);
    if (next <= expected) return;
    source.gap({ segment: segment.name, ...gap, from: expected, below: next });
    expected = next;
  };
  while (expected < below) {
    const step = await scanner.next();
    if (step.kind === "batch") {
      const { baseOffset, count } = step.header;
      segment.index.note(baseOffset, step.position);
      if (baseOffset >= below) return below;
      if (baseOffset + count <= expected) continue;
      yield new BatchView(scanner.bytes, scanner.view, scanner.bodyIndex(step), step.header, { from: expected, below });
      expected = Math.min(baseOffset + count, below);
    } else if (step.kind === "damage") {
      skip(step, step.below ?? (await endOf(source, segment)).told);
    } else {
      const { told, upper } = await endOf(source, segment);
      skip({ reason: "offsets missing", position: step.position, end: step.position }, told);
      return Math.min(Math.max(expected, upper), below);
    }
  }
  return expected;
}

/** Where a segment's offsets end: `told` is what it held, from there to `upper` was left out on purpose. */
async function endOf(
  source: StreamSource,
  segment: Segment,
): Promise<{ readonly told: number; readonly upper: number }> {
  if (source.table.after(segment) === undefined) await source.refresh(); // a newer one may have come meanwhile
  const next = source.table.after(segment);
  return { told: next?.previousEnd ?? Infinity, upper: next?.baseOffset ?? Infinity };
}
