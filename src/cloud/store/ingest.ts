/**
 * The loop of the store process: log → rows → commit, from the offset that the last commit holds. Points,
 * de-duplication state and offset are one transaction, so whatever dies in between, every message is stored exactly once.
 */
import { seconds } from "../../base/mod.ts";
import type { Cancel, Clock, Limits, Logger, Millis, Scheduler } from "../../base/mod.ts";
import { sourcesOf } from "../../telemetry/mod.ts";
import type { PointBatch, Retired, SequenceBook, TelemetryStore } from "../../telemetry/mod.ts";
import type { MessageSink } from "./message-sink.ts";
import type { RecordSource, TelemetryRules } from "./ports.ts";

export interface IngestOptions {
  readonly source: RecordSource;
  readonly store: TelemetryStore;
  readonly sink: MessageSink;
  readonly sequences: SequenceBook;
  readonly limits: Limits["telemetry"];
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** After each commit, before the next; the batch is valid during the call. */
  readonly onCommit: (offset: number, points: PointBatch) => void;
}

/** Messages that no rule wants move the offset too; saving that is not urgent, they may be read again. */
const QUIET_COMMIT_DELAY: Millis = seconds(5);
/** The disk may be busy or full; the log keeps what is not read. */
const READ_RETRY_DELAY: Millis = seconds(1);
/** Reads that end early in a row before the missing records are given up as lost to damage. */
const GAP_TRIES = 3;

interface Forgetting {
  readonly thing: string;
  /** Null: it is of another log. */
  readonly below: number | null;
  readonly done: (retired: Retired | null) => void;
}

export class Ingest {
  readonly #options: IngestOptions;
  #position: number;
  #committed: number;
  #durable = 0;
  /** Whether store and log were brought together. */
  #placed = false;
  #realigned: string | null = null;
  #ruled = false;
  #closing = false;
  #shortReads = 0;
  #gapRecords = 0;
  /** Bounded by the book of those that are being forgotten. */
  readonly #forgetting: Forgetting[] = [];
  #lastCommitAt: Millis;
  #wakeUp: (() => void) | null = null;

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#position = options.store.offset ?? 0;
    this.#committed = this.#position;
    this.#lastCommitAt = options.clock.monotonic() - options.limits.commitDelay;
  }

  /** Everything below is stored. */
  get committed(): number {
    return this.#committed;
  }

  /** Durable records that are not read yet. */
  get backlog(): number {
    return Math.max(0, this.#durable - this.#position);
  }

  /** Everything below is where it stays: the log may forget it. */
  get forgettable(): number {
    return this.#placed ? Math.min(this.#options.store.forgettable, this.#committed) : 0;
  }

  /** Why the store's offset was set anew; null where it was right. */
  get realigned(): string | null {
    return this.#realigned;
  }

  /** Records that could not be had from the log: damaged, or removed before they were read. */
  get gapRecords(): number {
    return this.#gapRecords;
  }

  /** Nothing is read before the rules are known: what they miss would be missed for good. */
  setRules(rules: TelemetryRules): void {
    this.#options.sink.setRules(rules);
    this.#ruled = true;
    this.#wake();
  }

  /** Everything below `offset` is on disk in the log. */
  durable(offset: number): void {
    this.#durable = Math.max(this.#durable, offset);
    this.#wake();
  }

  /** Runs until `close`; what was read is then committed. Rejects where a commit fails: the store is unusable then. */
  async run(): Promise<void> {
    while (!this.#closing) {
      if (this.#ruled && this.#durable > 0 && !this.#placed) await this.#place();
      else if (this.#mayForget() && this.#forgetting.length > 0) await this.#retire(this.#forgetting.shift()!);
      else if (this.#ruled && this.#position < this.#durable) await this.#readOn(this.#durable);
      else if (this.#due() <= 0) await this.#commit();
      else await this.#sleep(this.#due());
    }
    if (this.#position > this.#committed) await this.#commit();
  }

  /** Nothing at `below` or above may have been read yet, or it was told before. `done` gets null where it was done before. */
  forget(thing: string, below: number | null, done: (retired: Retired | null) => void): void {
    this.#forgetting.push({ thing, below, done });
    this.#wake();
  }

  close(): void {
    this.#closing = true;
    this.#wake();
  }

  async #readOn(below: number): Promise<void> {
    const { source, sink, logger, limits } = this.#options;
    try {
      for await (const batch of source.readBatches(this.#position, below)) {
        const end = Math.min(batch.baseOffset + batch.count, below);
        this.#skipTo(Math.min(batch.baseOffset, below));
        batch.locate((offset, bytes, from, to) => {
          if (offset < this.#position || offset >= below) return;
          this.#position = offset + 1; // first: whatever happens to one record, it is not taken twice
          sink.take(offset, bytes, from, to);
        });
        this.#position = Math.max(this.#position, end);
        if (sink.batch.rows >= limits.commitRowsMax || this.#due() <= 0) await this.#commit();
        if (this.#closing || this.#forgetting.length > 0) return;
      }
    } catch (error) {
      if (error instanceof CommitFailed) throw error;
      logger.error("The log cannot be read; trying again", { position: this.#position, error });
      await this.#sleep(READ_RETRY_DELAY, "all of it");
      return;
    }
    if (source.leftOut(this.#position, below) === below - this.#position) this.#position = below;
    if (this.#position >= below) this.#shortReads = 0;
    else if (++this.#shortReads < GAP_TRIES) await this.#sleep(limits.commitDelay, "all of it");
    else this.#skipTo(below);
  }

  /** An empty store begins where the log does, and so does one that knows another log: its points stay. */
  async #place(): Promise<void> {
    const { source, store, logger } = this.#options;
    try {
      const log = await source.identity();
      if (log === null) throw new Error("the log has no segment yet");
      const first = Math.min(await source.first(), this.#durable);
      const known = store.offset;
      if (known === null) await this.#follow(log, first);
      else if (store.log !== null && store.log !== log) {
        this.#realigned = `it goes on with another log (${log}) than it knew (${store.log})`;
        await this.#follow(log, first);
      } else if (known > this.#durable) {
        this.#realigned = `it has the log up to ${known}, and the log ends at ${this.#durable}`;
        await this.#follow(log, this.#durable);
      } else if (store.log === null) await store.follow(log, known);
      this.#placed = true;
      if (this.#realigned !== null)
        logger.error("The telemetry store and the log do not go together", { reason: this.#realigned });
    } catch (error) {
      if (error instanceof CommitFailed) throw error;
      logger.error("The log cannot be read; trying again", { position: this.#position, error });
      await this.#sleep(READ_RETRY_DELAY, "all of it");
    }
  }

  async #follow(log: string, offset: number): Promise<void> {
    try {
      await this.#options.store.follow(log, offset);
    } catch (error) {
      throw new CommitFailed("the store cannot go on with the log", { cause: error });
    }
    this.#position = offset;
    this.#committed = offset;
  }

  /** Before the store knows where it stands in the log; an empty log has nothing to say about that. */
  #mayForget(): boolean {
    return this.#placed || (this.#ruled && this.#durable === 0);
  }

  /** First what was read before is committed: it is of the old series. A commit above `below` comes after this, always. */
  async #retire({ thing, below, done }: Forgetting): Promise<void> {
    const { store, sequences, sink } = this.#options;
    if (this.#placed && below !== null && this.#committed > below) return done(null);
    for (const source of sourcesOf(thing)) sequences.forget(source);
    if (this.#position > this.#committed || sequences.changed) await this.#commit();
    try {
      const retired = await store.retire(thing);
      sink.unlearn();
      done(retired);
    } catch (error) {
      throw new CommitFailed("a thing cannot be forgotten", { cause: error });
    }
  }

  #skipTo(offset: number): void {
    if (offset <= this.#position) return;
    const { source, logger } = this.#options;
    const gap = { from: this.#position, below: offset };
    const lost = offset - this.#position - source.leftOut(gap.from, gap.below);
    this.#gapRecords += lost;
    if (lost > 0) logger.error("Records of the log are missing, so they are not stored", gap);
    this.#position = offset;
    this.#shortReads = 0;
  }

  /** Milliseconds until the next commit is due; infinite where there is nothing to commit. */
  #due(): Millis {
    if (this.#position === this.#committed) return Number.POSITIVE_INFINITY;
    const { sink, sequences, limits, clock } = this.#options;
    const quiet = sink.batch.rows === 0 && !sequences.changed;
    return this.#lastCommitAt + (quiet ? QUIET_COMMIT_DELAY : limits.commitDelay) - clock.monotonic();
  }

  async #commit(): Promise<void> {
    const { store, sink, sequences, clock, onCommit } = this.#options;
    const offset = this.#position;
    this.#lastCommitAt = clock.monotonic();
    try {
      await store.commit({ points: sink.batch, sequences: sequences.takeChanged(), offset });
    } catch (error) {
      throw new CommitFailed("the commit failed", { cause: error });
    }
    this.#committed = offset;
    onCommit(offset, sink.batch);
    sink.batch.clear();
  }

  /** Until something changes, or `delay` has passed; `all of it`: only the latter, or `close`. */
  async #sleep(delay: Millis, until: "woken" | "all of it" = "woken"): Promise<void> {
    if (this.#closing) return;
    let cancel: Cancel = () => {};
    await new Promise<void>((resolve) => {
      if (Number.isFinite(delay)) cancel = this.#options.scheduler.after(delay, resolve);
      this.#wakeUp = () => {
        if (until === "woken" || this.#closing) resolve();
      };
    });
    this.#wakeUp = null;
    cancel();
  }

  #wake(): void {
    this.#wakeUp?.();
  }
}

/** The store's file is as the last commit left it, the state in memory is not: only a restart helps. */
export class CommitFailed extends Error {}
