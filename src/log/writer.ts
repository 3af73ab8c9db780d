/** Writes groups of batches into the newest segment, syncs them, and has the next segment ready before it is needed. */
import { reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Limits, Logger, Scheduler } from "../base/mod.ts";
import type { BatchBuffer } from "./batch.ts";
import type { LogId } from "./format.ts";
import { isShortage } from "./ports.ts";
import type { Crc32, LogDirectory } from "./ports.ts";
import { createSegment } from "./create.ts";
import type { OpenSegment } from "./create.ts";
import type { Recovered } from "./recover.ts";
import type { Segment, SegmentTable } from "./segments.ts";

export interface WriterOptions {
  readonly directory: LogDirectory;
  readonly crc32: Crc32;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly limits: Limits["log"];
}

export class SegmentWriter {
  readonly #options: WriterOptions;
  readonly #logId: LogId;
  readonly #table: SegmentTable;
  #current: OpenSegment;
  #position: number;
  /** The segment that takes the next group, where the last group filled the current one. */
  #following: Promise<OpenSegment> | null = null;
  #stopped = false;
  #wake: (() => void) | null = null;

  constructor(options: WriterOptions, recovered: Recovered) {
    this.#options = options;
    this.#logId = recovered.logId;
    this.#table = recovered.table;
    this.#current = { segment: recovered.table.newest!, file: recovered.file };
    this.#position = recovered.position;
  }

  /**
   * Resolves when the batches are durable. One call at a time; after a rejection none at all. `next`: the first offset
   * after them. They must not exceed `groupBytesMax`, so that no segment exceeds `segmentBytesMax`.
   */
  async write(batches: readonly BatchBuffer[], next: number): Promise<void> {
    if (this.#following !== null) await this.#rotate(this.#following);
    const { segment, file } = this.#current;
    const bytes = batches.reduce((sum, batch) => sum + batch.used, 0);
    if (this.#isLastGroup(segment, bytes)) this.#following = this.#prepare(next, segment.baseOffset);
    const parts = batches.map((batch) => batch.bytes.subarray(0, batch.used));
    await file.writeDurably(parts, this.#position);
    for (const batch of batches) {
      segment.index.note(batch.baseOffset, this.#position);
      this.#position += batch.used;
    }
    segment.bytes = this.#position;
  }

  /** A shortage that holds up the next segment is no longer waited for. */
  stopWaiting(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Nothing may be being written. */
  async close(): Promise<void> {
    this.stopWaiting();
    const following = await this.#following?.catch(() => null);
    await following?.file.close();
    await this.#current.file.close();
  }

  #isLastGroup(segment: Segment, bytes: number): boolean {
    const { limits, clock } = this.#options;
    if (this.#position + bytes > limits.segmentBytesMax - limits.groupBytesMax) return true;
    const age = clock.now() - segment.createdAt;
    return age > limits.segmentAgeMax || age < 0; // begun by a clock that was set back since: its age would never come
  }

  async #rotate(following: Promise<OpenSegment>): Promise<void> {
    const before = this.#current;
    this.#current = await following;
    this.#following = null;
    this.#position = this.#current.segment.bytes;
    this.#table.add(this.#current.segment);
    await before.file.close();
  }

  /** Runs beside the write of the group before; where disk space or handles are short, it waits for them. */
  #prepare(baseOffset: number, previousOffset: number): Promise<OpenSegment> {
    const making = this.#make(baseOffset, previousOffset);
    making.catch(() => {}); // met by the write that needs it
    return making;
  }

  async #make(baseOffset: number, previousOffset: number): Promise<OpenSegment> {
    const { logger, limits } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const place = { baseOffset, previousOffset, previousEnd: baseOffset };
        return await createSegment(this.#options, { logId: this.#logId, ...place });
      } catch (error) {
        if (!isShortage(error) || this.#stopped) throw error;
        if (attempt === 1)
          logger.error("the next log segment cannot be made yet; the log waits", { reason: reasonOf(error) });
      }
      await this.#pause(limits.diskCheckPeriod);
    }
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel: Cancel = this.#options.scheduler.after(delay, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
