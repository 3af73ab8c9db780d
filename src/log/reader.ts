/** Reading a log that another process writes. */
import type { EpochMs, Logger, Metrics } from "../base/mod.ts";
import type { LogBatch } from "./batch.ts";
import { GapReporter } from "./damage.ts";
import type { Gap } from "./damage.ts";
import { inspectFolder } from "./folder.ts";
import { SEGMENT_HEADER_BYTES, identityOf } from "./format.ts";
import type { LogId } from "./format.ts";
import { segmentOffset } from "./format.ts";
import type { Crc32, LogDirectory } from "./ports.ts";
import { SegmentScanner } from "./scan.ts";
import { newSegment, SegmentTable } from "./segments.ts";
import type { Segment } from "./segments.ts";
import { openSegment, streamBatches } from "./stream.ts";
import type { StreamSource } from "./stream.ts";
import { offsetAtTime } from "./time-index.ts";

export interface LogReaderOptions {
  readonly directory: LogDirectory;
  readonly crc32: Crc32;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Told of each range that `readBatches` had to skip, beside the logger. */
  readonly onGap?: (gap: Gap) => void;
}

export class LogReader {
  readonly #options: LogReaderOptions;
  readonly #table = new SegmentTable([]);
  readonly #gaps: GapReporter;
  #logId: LogId | null = null;

  private constructor(options: LogReaderOptions) {
    this.#options = options;
    this.#gaps = new GapReporter(options.logger, options.metrics);
  }

  /** Throws LOG_FOLDER_UNUSABLE and LOG_NEWER as `Log.open` does. An empty folder is fine: the writer may come later. */
  static async open(options: LogReaderOptions): Promise<LogReader> {
    const reader = new LogReader(options);
    await reader.#refresh();
    return reader;
  }

  /** The oldest offset kept, as far as this reader has seen; 0 in an empty folder. */
  get first(): number {
    return this.#table.oldest?.baseOffset ?? 0;
  }

  /** Of this log and no other; null in an empty folder. */
  async identity(): Promise<string | null> {
    if (this.#logId === null) await this.#refresh();
    return this.#logId === null ? null : identityOf(this.#logId);
  }

  /**
   * All kept records of [from, below) in order, in batches; the first and last batch are trimmed to the range.
   * `below` must not exceed the writer's `durable`: what lies above may still be lost. Segments that are added or
   * removed meanwhile are taken as they are. What is damaged or removed is skipped, logged and counted.
   */
  async *readBatches(from: number, below: number): AsyncGenerator<LogBatch> {
    if (from >= below) return;
    if (this.#logId === null) await this.#refresh();
    yield* streamBatches(this.#source(), from, below);
  }

  /**
   * How many of the offsets in [from, below) no reader is owed: given out, lost in a crash before they were durable, and
   * never used again (or lost with the end of the log, which its start has told). To be asked about a range that
   * `readBatches` has passed.
   */
  leftOut(from: number, below: number): number {
    return this.#table.leftOut(from, below);
  }

  /**
   * The first offset whose batch was closed at `time` or later: no record that was received at `time` or later lies below.
   * Where there is none yet, the log's `end`. Reads a few headers, whatever the log's size.
   */
  async offsetAt(time: EpochMs): Promise<number> {
    await this.#refresh();
    return (await offsetAtTime(this.#source(), time)) ?? this.end();
  }

  /**
   * Behind the last whole batch that is on disk: how far `readBatches` may go for who is not told by the writer. What was
   * written and not yet synced is synced first, because whoever reads it may rely on it.
   */
  async end(): Promise<number> {
    const newest = (await this.#directoryNewest()) ?? -1;
    if (newest > (this.#table.newest?.baseOffset ?? -1)) await this.#refresh();
    for (;;) {
      const segment = this.#table.newest;
      if (segment === undefined) return 0;
      const file = await openSegment(this.#source(), segment);
      if (file === null) continue;
      try {
        const { crc32 } = this.#options;
        const { position, offset } = segment.index.floor(Infinity);
        const from = { position, expected: offset, upper: Infinity, skimBelow: 0 };
        const scanner = new SegmentScanner(file, { crc32, logId: this.#logId ?? [0, 0], ...from });
        let end = offset;
        for (let step = await scanner.next(); step.kind !== "end"; step = await scanner.next()) {
          if (step.kind !== "batch") continue;
          segment.index.note(step.header.baseOffset, step.position);
          end = scanner.expected;
        }
        await file.sync();
        return end;
      } finally {
        await file.close();
      }
    }
  }

  async #directoryNewest(): Promise<number | undefined> {
    const offsets = (await this.#options.directory.list()).map(segmentOffset).filter((offset) => offset !== null);
    return offsets.sort((a, b) => a - b).at(-1);
  }

  #source(): StreamSource {
    const { directory, crc32 } = this.#options;
    return {
      directory,
      crc32,
      logId: this.#logId ?? [0, 0],
      table: this.#table,
      refresh: () => this.#refresh(),
      gap: (gap) => {
        this.#gaps.report(gap);
        this.#options.onGap?.(gap);
      },
    };
  }

  async #refresh(): Promise<void> {
    const folder = await inspectFolder(this.#options.directory, this.#options.crc32);
    this.#logId = folder.logId;
    const known = new Map(this.#table.all.map((segment) => [segment.name, segment]));
    const segments: Segment[] = [];
    for (const found of folder.segments) {
      // One that is being made at this moment, or was when the power went: there is nothing in it yet.
      if (found.header === null && found.bytes <= SEGMENT_HEADER_BYTES) continue;
      const fresh = newSegment(found, found.header);
      const kept = known.get(found.name);
      // A restart of the writer may have begun an empty segment anew.
      segments.push(kept?.previousEnd === fresh.previousEnd ? kept : fresh);
    }
    this.#table.replace(segments);
  }
}
