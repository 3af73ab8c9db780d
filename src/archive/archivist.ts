/**
 * The loop behind the log: in steps of some MiB or minutes, its messages become files of events, one per day of reception.
 * The order is: file, sync, its name, catalog with the offset. Killed anywhere, the next start goes on from the catalog's
 * offset and removes what no catalog names, so that no message is left out and none is there twice.
 */
import { reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Limits, Logger, Millis, Scheduler } from "../base/mod.ts";
import type { ArchivedFile, Catalog } from "./catalog.ts";
import type { ArchiveCounters } from "./counters.ts";
import type { WarmFiles } from "./files.ts";
import type { ArchiveFolder, ArchiveSource, EventFormat, EventStep, SkipRecord } from "./ports.ts";
import { reach } from "./reach.ts";

export interface ArchivistOptions {
  readonly source: ArchiveSource;
  readonly format: EventFormat;
  readonly folder: ArchiveFolder;
  readonly catalog: Catalog;
  readonly files: WarmFiles;
  readonly counters: ArchiveCounters;
  readonly limits: Limits["archive"];
  /** Whether the record in `bytes[from, to)` is of a forgotten thing. */
  readonly skips: SkipRecord;
  /** A step is taken after so long where there are too few messages for one. */
  readonly stepPeriod: Millis;
  /** Whether somebody has more urgent work in this process. */
  readonly busy: () => boolean;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** After each step, and where the archivist's state has changed. */
  readonly onChange: () => void;
}

/** Between two looks at whether the others are still busy. */
const YIELD_DELAY: Millis = 250;
/** Reads that end early in a row before the missing records are given up as lost to damage. */
const GAP_TRIES = 3;

interface Waiting {
  readonly below: number;
  readonly go: () => void;
}

export class Archivist {
  readonly #options: ArchivistOptions;
  /** Who waits for a flush; bounded by the questions that may wait at once. */
  readonly #waiting = new Set<Waiting>();
  #durable = 0;
  #closing = false;
  #wakeUp: (() => void) | null = null;
  #lastStepAt: Millis;
  /** `lastStepAt` is of a step, and not of the start. */
  #stepped = false;
  #failuresInRow = 0;
  #retryAt: Millis = 0;
  #shortReads = 0;
  #problem: string | null = null;
  #attempting: Promise<void> = Promise.resolve();

  constructor(options: ArchivistOptions) {
    this.#options = options;
    this.#lastStepAt = options.clock.monotonic();
  }

  /** Every message below is in files; `null` before the first step. */
  get offset(): number | null {
    return this.#options.catalog.content.offset;
  }

  /** Durable messages that are not archived yet. */
  get lag(): number {
    return Math.max(0, this.#durable - (this.offset ?? 0));
  }

  /** Why it does not get on; `null` where it does. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Everything below `offset` is on disk in the log. */
  durable(offset: number): void {
    this.#durable = Math.max(this.#durable, offset);
    this.#wake();
  }

  /**
   * Archives what is durable now. Resolves when that is done, after `flushTimeout`, or after a failure: `offset` says how
   * far it came. Asked again within `flushPeriodMin` it leaves things as they are, so that readers cannot make a file each.
   */
  async flush(): Promise<void> {
    const { clock, limits, scheduler } = this.#options;
    const below = this.#durable;
    if (this.#closing || this.#due() === Infinity) return;
    const recently = this.#stepped && clock.monotonic() - this.#lastStepAt < limits.flushPeriodMin;
    if (this.#waiting.size === 0 && recently) return;
    let cancel: Cancel = () => {};
    let waiting: Waiting | null = null;
    await new Promise<void>((resolve) => {
      waiting = { below, go: resolve };
      this.#waiting.add(waiting);
      cancel = scheduler.after(limits.flushTimeout, resolve);
      this.#wake();
    });
    if (waiting !== null) this.#waiting.delete(waiting);
    cancel();
  }

  /** Runs until `close`. Never rejects: what fails is tried again, and the log keeps what is not archived. */
  async run(): Promise<void> {
    while (!this.#closing) {
      const delay = this.#due();
      if (delay > 0) await this.#sleep(delay);
      else if (this.#shallYield()) await this.#sleep(YIELD_DELAY);
      else await (this.#attempting = this.#attempt());
    }
    this.#letGo(Infinity);
  }

  /** Resolves when the step that runs now, if any, has ended. */
  async settled(): Promise<void> {
    await this.#attempting;
  }

  close(): void {
    this.#closing = true;
    this.#wake();
  }

  #shallYield(): boolean {
    const { busy, clock, limits } = this.#options;
    return this.#waiting.size === 0 && busy() && clock.monotonic() - this.#lastStepAt < limits.yieldMax;
  }

  /** Milliseconds until the next step is due; infinite where there is nothing to archive. */
  #due(): Millis {
    const { clock, limits, stepPeriod } = this.#options;
    const waiting = Math.abs(this.#durable - (this.offset ?? 0)); // a log that ends before our offset is another one
    if (this.#durable === 0 || waiting === 0) return Infinity;
    const now = clock.monotonic();
    const retry = this.#retryAt - now;
    if (retry > 0) return retry;
    if (waiting >= limits.stepRowsMax || this.#waiting.size > 0) return 0;
    return Math.max(0, this.#lastStepAt + stepPeriod - now);
  }

  async #attempt(): Promise<void> {
    const { clock, limits, logger, counters, onChange } = this.#options;
    try {
      await this.#step(this.#durable);
      this.#failuresInRow = 0;
      this.#problem = null;
      this.#letGo(this.offset ?? 0);
    } catch (error) {
      counters.failures++;
      const delay = Math.min(limits.retryDelayMax, limits.retryDelayMin * 2 ** Math.min(this.#failuresInRow++, 20));
      this.#retryAt = clock.monotonic() + delay;
      const reason = reasonOf(error).split("\n")[0]!;
      if (this.#problem !== reason)
        logger.error("The event archive does not get on; the log keeps the messages", { reason, delay });
      this.#problem = reason;
      this.#letGo(Infinity);
    }
    onChange();
  }

  async #step(below: number): Promise<void> {
    const { format, folder, limits, clock } = this.#options;
    const free = await folder.freeBytes();
    if (free < limits.diskFreeBytesMin) {
      throw new Error(`the disk has ${Math.floor(free / 1_048_576)} MiB left; the archive leaves them to the log`);
    }
    const { log, from } = await this.#place(below);
    const step = await format.begin();
    try {
      const end = await this.#read(step, from, below);
      if (this.#closing || end === from) return;
      const made: ArchivedFile[] = [];
      for (const day of step.days) {
        made.push(await this.#options.files.make({ day, log, from, below: end }, (path) => step.write(day, path)));
      }
      await this.#enter(step, made, end);
      this.#lastStepAt = clock.monotonic();
      this.#stepped = true;
    } finally {
      await step.discard();
    }
  }

  /** Where to go on: the catalog's offset, or the beginning of a log that is not the one it knows. */
  async #place(below: number): Promise<{ readonly log: number; readonly from: number }> {
    const { source, catalog, logger } = this.#options;
    const [identity, first] = await Promise.all([source.identity(), source.first()]);
    const next = reach(catalog.content, { identity, first, below });
    if (next.kind === "another log") {
      const { offset } = catalog.content;
      logger.error("The log is another one than before; its messages are archived beside those of the old one", {
        archivedTo: offset,
        firstOfNew: first,
      });
      await catalog.change((content) => ({ ...content, identity, log: content.log + 1, offset: next.from }));
    } else if (next.kind === "known" && identity !== catalog.content.identity) {
      await catalog.change((content) => ({ ...content, identity }));
    }
    return { log: catalog.content.log, from: next.from };
  }

  /** Fills the step; the offset below which everything is in it. */
  async #read(step: EventStep, from: number, below: number): Promise<number> {
    const { source, limits, clock, skips } = this.#options;
    let position = from;
    let full = false;
    let sliceEnd = clock.monotonic() + limits.sliceMax;
    for await (const batch of source.readBatches(from, below)) {
      if (batch.baseOffset > position) position = this.#skipped(position, Math.min(batch.baseOffset, below));
      batch.locate((offset, bytes, start, end) => {
        if (full || offset < position || offset >= below) return;
        position = offset + 1;
        if (skips(offset, bytes, start, end)) return;
        step.take(offset, bytes, start, end);
        full =
          step.rows >= limits.stepRowsMax ||
          step.bytes >= limits.stepBytesMax ||
          step.days.length >= limits.stepDaysMax;
      });
      if (full || this.#closing) return position;
      if (clock.monotonic() >= sliceEnd) {
        await this.#breathe();
        sliceEnd = clock.monotonic() + limits.sliceMax;
      }
    }
    return this.#ended(position, below);
  }

  /** The log gave no more, though there should be: its reader may be a moment behind, or records are lost. */
  #ended(position: number, below: number): number {
    if (position >= below || this.#options.source.leftOut(position, below) === below - position) {
      this.#shortReads = 0;
      return below;
    }
    if (++this.#shortReads < GAP_TRIES) {
      this.#retryAt = this.#options.clock.monotonic() + this.#options.limits.retryDelayMin;
      return position;
    }
    this.#shortReads = 0;
    return this.#skipped(position, below);
  }

  #skipped(from: number, below: number): number {
    const { source, counters, logger } = this.#options;
    const lost = below - from - source.leftOut(from, below);
    counters.gapRecords += lost;
    if (lost > 0) logger.error("Records of the log are missing, so they are not archived", { from, below });
    return below;
  }

  async #enter(step: EventStep, made: readonly ArchivedFile[], offset: number): Promise<void> {
    const { catalog, counters } = this.#options;
    await catalog.change((content) => ({ ...content, offset, files: [...content.files, ...made] }));
    counters.steps++;
    counters.messages += step.rows;
    counters.bytesTaken += step.bytes;
    counters.unreadable += step.unreadable;
    for (const { bytes } of made) counters.bytesWritten += bytes;
  }

  #letGo(below: number): void {
    for (const waiting of this.#waiting) if (waiting.below <= below) waiting.go();
  }

  /** Lets the event loop turn. */
  #breathe(): Promise<void> {
    return new Promise((resolve) => this.#options.scheduler.defer(resolve));
  }

  async #sleep(delay: Millis): Promise<void> {
    if (this.#closing) return;
    let cancel: Cancel = () => {};
    await new Promise<void>((resolve) => {
      if (Number.isFinite(delay)) cancel = this.#options.scheduler.after(delay, resolve);
      this.#wakeUp = resolve;
    });
    this.#wakeUp = null;
    cancel();
  }

  #wake(): void {
    this.#wakeUp?.();
  }
}
