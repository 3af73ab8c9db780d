/** The durable log: appends are gathered in memory, written and synced in groups, and handed to consumers once on disk. */
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Cancel, EpochMs, Limits, Metrics } from "../base/mod.ts";
import { BATCH_HEADER_BYTES, RECORD_HEADER_BYTES, identityOf } from "./format.ts";
import type { LogId } from "./format.ts";
import { BatchPool } from "./batch.ts";
import type { BatchBuffer, LogBatch } from "./batch.ts";
import { Consumer } from "./consumer.ts";
import type { ConsumerSource } from "./consumer.ts";
import { Consumers } from "./consumers.ts";
import { GapReporter } from "./damage.ts";
import { whenGathered } from "./gathering.ts";
import { makeLogMetrics } from "./metrics.ts";
import type { LogMetrics } from "./metrics.ts";
import type { LogOptions } from "./ports.ts";
import { RecentBatches } from "./recent.ts";
import { recover } from "./recover.ts";
import type { Recovered } from "./recover.ts";
import { RecordReader } from "./record-reader.ts";
import { applyRetention } from "./retention.ts";
import type { SegmentTable } from "./segments.ts";
import { SettledClock } from "./settled-clock.ts";
import { SpaceWatch } from "./space.ts";
import type { LogConsumer, LogStatus } from "./status.ts";
import { streamBatches } from "./stream.ts";
import type { StreamSource } from "./stream.ts";
import { offsetAtTime } from "./time-index.ts";
import { SegmentWriter } from "./writer.ts";

/**
 * Buffers kept for the next burst: a group, what is gathered meanwhile, and what consumers still read. A larger backlog's are given
 * back to memory; with 8, a flood made V8 collect all of its heap once a second (bench/README.md).
 */
const POOLED_BATCHES = 32;

interface FlushWaiter {
  readonly below: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Log {
  readonly #options: LogOptions;
  readonly #limits: Limits["log"];
  readonly #metrics: LogMetrics;
  readonly #logId: LogId;
  readonly #table: SegmentTable;
  readonly #writer: SegmentWriter;
  readonly #space: SpaceWatch;
  readonly #age: SettledClock;
  readonly #pool: BatchPool;
  readonly #recent: RecentBatches;
  readonly #source: StreamSource;
  readonly #records: RecordReader;
  #next: number;
  #durable: number;
  /** Being filled. */
  #active: BatchBuffer;
  /** Filled, waiting for the group before them. */
  #sealed: BatchBuffer[] = [];
  /** Being written and synced. */
  #inflight: readonly BatchBuffer[] = [];
  #writing: Promise<void> | null = null;
  #scheduled = false;
  /** Somebody waits for something that is not being written yet. */
  #wanted = false;
  /** Ends the patience of records that nobody waits for. */
  #patience: Cancel | null = null;
  /** Length of the reserved record, or -1. */
  #reserved = -1;
  #pendingBytes = 0;
  /** Why appends are refused for ever: a failure, or `close`. */
  #refusal: TidewireError | null = null;
  /** A write or sync failed: what is not durable by now never will be. */
  #failed = false;
  #listeners: readonly ((durable: number) => void)[] = [];
  #failureListeners: readonly ((error: TidewireError) => void)[] = [];
  readonly #consumers: Consumers;
  #waiters: FlushWaiter[] = [];

  private constructor(options: LogOptions, recovered: Recovered, metrics: LogMetrics) {
    const { directory, crc32, logger, limits } = options;
    this.#options = options;
    this.#limits = limits;
    this.#metrics = metrics;
    this.#logId = recovered.logId;
    this.#table = recovered.table;
    this.#next = recovered.next;
    this.#durable = recovered.next;
    this.#writer = new SegmentWriter(options, recovered);
    this.#space = new SpaceWatch(options);
    this.#age = new SettledClock(options.clock, limits, recovered.newestAt);
    this.#pool = new BatchPool(limits.batchBytesMax, POOLED_BATCHES);
    this.#recent = new RecentBatches(this.#pool, limits.recentBytesMax);
    this.#active = this.#pool.take(0);
    this.#consumers = new Consumers(options.metrics, options.clock);
    const gaps = new GapReporter(logger, options.metrics);
    this.#source = {
      directory,
      crc32,
      logId: recovered.logId,
      table: recovered.table,
      refresh: () => Promise.resolve(), // the table is the writer's own
      gap: (gap) => gaps.report(gap),
    };
    this.#records = new RecordReader(this.#source);
    this.#observe(options.metrics);
  }

  /**
   * Opens the log in `directory`, or makes one; cuts off what a crash left half written.
   * Throws LOG_FOLDER_UNUSABLE or LOG_NEWER where a person has to decide; then nothing was changed.
   */
  static async open(options: LogOptions): Promise<Log> {
    const metrics = makeLogMetrics(options.metrics);
    const { nextAtLeast = 0 } = options;
    const recovered = await recover({ ...options, nextAtLeast, cutBytes: metrics.cutBytes });
    const log = new Log(options, recovered, metrics);
    await log.#space.measure();
    return log;
  }

  /** Of this log and no other, as `LogReader.identity` says it. */
  get identity(): string {
    return identityOf(this.#logId);
  }

  /** The offset that the next append gets. */
  get next(): number {
    return this.#next;
  }

  /** Every offset below this is on disk. */
  get durable(): number {
    return this.#durable;
  }

  /** The oldest offset kept. */
  get first(): number {
    return this.#table.oldest?.baseOffset ?? this.#next;
  }

  /** Where the reserved record is to be written; another one after each call of `reserve`. */
  get buffer(): Uint8Array {
    return this.#active.bytes;
  }

  /** Those of `buffer`. */
  get words(): DataView {
    return this.#active.view;
  }

  /**
   * Room for one record of `length` bytes: write it into `buffer` (ask for it after this call) at the index returned,
   * then call `commit`, without waiting in between. A second `reserve` forgets the first.
   * Throws LOG_FULL (try again later), LOG_FAILED (for ever), LOG_RECORD_TOO_LARGE.
   */
  reserve(length: number): number {
    const need = RECORD_HEADER_BYTES + length;
    if (this.#refusal !== null || this.#space.short || length > this.#limits.recordBytesMax) this.#refuse(length);
    if (this.#pendingBytes + need > this.#limits.pendingBytesMax) this.#refuse(length);
    if (this.#active.used + need > this.#active.bytes.length) this.#seal(length);
    this.#reserved = length;
    return this.#active.used + RECORD_HEADER_BYTES;
  }

  /** The reserved record is complete; returns its offset. It is durable once `durable` is above that. */
  commit(): number {
    const offset = this.#take();
    this.#wanted = true;
    if (!this.#scheduled && this.#writing === null) this.#schedule();
    return offset;
  }

  /** As `commit`, and nobody waits for it: it goes to the disk with what others wait for, or after `patience`. */
  commitPatiently(): number {
    const offset = this.#take();
    if (this.#sealed.length > 0) this.hurry(offset);
    else if (!this.#wanted) {
      this.#patience ??= this.#options.scheduler.after(this.#limits.patience, () => this.hurry(this.#next - 1));
    }
    return offset;
  }

  /** Somebody waits for the record at `offset`, however it was committed. */
  hurry(offset: number): void {
    const waiting = this.#sealed[0] ?? this.#active;
    if (this.#wanted || waiting.count === 0 || offset < waiting.baseOffset) return;
    this.#wanted = true;
    if (!this.#scheduled && this.#writing === null) this.#schedule();
  }

  #take(): number {
    const length = this.#reserved;
    if (length < 0) throw new TidewireError("INTERNAL", { reason: "log.commit without log.reserve" });
    this.#reserved = -1;
    const batch = this.#active;
    const offset = this.#next++;
    if (batch.count === 0) batch.baseOffset = offset;
    batch.view.setUint32(batch.used, length, true);
    batch.used += RECORD_HEADER_BYTES + length;
    batch.count++;
    this.#pendingBytes += RECORD_HEADER_BYTES + length;
    return offset;
  }

  /** Appends a copy of `record`. Throws as `reserve` does. */
  append(record: Uint8Array): number {
    const at = this.reserve(record.length);
    this.#active.bytes.set(record, at);
    return this.commit();
  }

  /** `listener` is told the new `durable` after each sync. */
  onDurable(listener: (durable: number) => void): Cancel {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** `listener` is told once, when the log fails; nothing that was not durable by then will be acknowledged. */
  onFailed(listener: (error: TidewireError) => void): Cancel {
    this.#failureListeners = [...this.#failureListeners, listener];
    return () => {
      this.#failureListeners = this.#failureListeners.filter((other) => other !== listener);
    };
  }

  /**
   * Hands every durable batch from offset `from` on to `handler`, once and in order, waiting for its promise. Where it
   * throws, it gets the same batch again after a delay. Throws LOG_OFFSET_AHEAD where the log does not reach `from`.
   */
  consume(from: number, handler: (batch: LogBatch) => void | Promise<void>, name = "consumer"): LogConsumer {
    if (from > this.#next) {
      throw new TidewireError("LOG_OFFSET_AHEAD", { consumer: name, offset: from, next: this.#next });
    }
    const source: ConsumerSource = {
      durable: () => this.#durable,
      recentFrom: () => this.#recent.from,
      hold: (offset) => this.#hold(offset),
      release: (batch) => this.#pool.release(batch),
      stream: (lower, below) => streamBatches(this.#source, lower, below),
    };
    const { scheduler, logger } = this.#options;
    const failures = this.#metrics.consumerFailures;
    const consumer = new Consumer(source, { name, from, handler, scheduler, logger, failures, limits: this.#limits });
    return this.#consumers.add(name, consumer, () => {
      if (this.#consumers.size === 0) this.#recent.clear();
    });
  }

  /** All kept records of [from, below) in order, in batches trimmed to the range; of what is durable now by default. */
  readBatches(from: number, below = this.#durable): AsyncIterable<LogBatch> {
    return streamBatches(this.#source, from, Math.min(below, this.#durable));
  }

  /**
   * The first offset whose batch was closed at `time` or later: no record that was received at `time` or later lies below.
   * Where there is none yet, `durable`. Reads a few headers, whatever the log's size.
   */
  async offsetAt(time: EpochMs): Promise<number> {
    const { durable } = this; // of before the reading: what was written and not yet synced may still be lost
    return Math.min((await offsetAtTime(this.#source, time)) ?? durable, durable);
  }

  /** A copy of one record, durable or not yet; `null` where it is removed, damaged, or was never there. */
  async read(offset: number): Promise<Uint8Array | null> {
    if (offset >= this.#next || offset < this.first) return null;
    if (offset < this.#durable) return this.#recent.find(offset)?.record(offset) ?? this.#records.read(offset);
    for (const batch of [...this.#inflight, ...this.#sealed, this.#active]) {
      if (offset >= batch.baseOffset && offset < batch.below) return batch.record(offset);
    }
    return null;
  }

  /**
   * Removes the oldest segments that are older than `retentionAge` or beyond `retentionBytes`; whole ones only, never
   * one that holds an offset of `keepFrom` or above.
   */
  async retain(keepFrom: number): Promise<void> {
    const { directory, logger } = this.#options;
    const options = { directory, logger, clock: this.#age, limits: this.#limits, table: this.#table };
    const removed = await applyRetention(options, Math.min(keepFrom, this.#durable));
    this.#metrics.removedSegments.value += removed;
    if (removed > 0) await this.#records.forget();
  }

  /** Resolves when everything appended so far is durable; rejects with LOG_FAILED. */
  flush(): Promise<void> {
    if (this.#failed && this.#refusal !== null) return Promise.reject(this.#refusal);
    if (this.#durable >= this.#next) return Promise.resolve();
    this.hurry(this.#next - 1);
    return new Promise((resolve, reject) => this.#waiters.push({ below: this.#next, resolve, reject }));
  }

  /** Takes no more appends, makes what it took durable, ends its consumers, closes its files. */
  async close(): Promise<void> {
    const flushed = this.flush().catch(() => {}); // a failure was told already
    this.#refusal ??= new TidewireError("LOG_FAILED", { reason: "it was closed" });
    this.#writer.stopWaiting();
    await flushed;
    this.#space.stop();
    await this.#consumers.close();
    await this.#writing;
    await this.#records.forget();
    await this.#writer.close().catch((error: unknown) => {
      this.#options.logger.warn("the log's file could not be closed", { reason: reasonOf(error) });
    });
  }

  status(): LogStatus {
    const full = this.#space.short || this.#pendingBytes >= this.#limits.pendingBytesMax;
    return {
      state: this.#refusal === null ? (full ? "full" : "ok") : "failed",
      reason: this.#refusal?.message ?? (full ? this.#fullReason() : null),
      first: this.first,
      durable: this.#durable,
      next: this.#next,
      pendingBytes: this.#pendingBytes,
      segments: this.#table.all.length,
      bytes: this.#table.bytes,
      freeBytes: this.#space.free,
      consumers: this.#consumers.status(),
    };
  }

  /** Ends the batch that is being filled; the next one has room for a record of `length` bytes. */
  #seal(length: number): void {
    this.#reserved = -1; // its place was in the buffer that is left
    if (this.#active.count > 0) this.#sealed.push(this.#active);
    else this.#pool.release(this.#active);
    this.#active = this.#pool.take(length);
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#options.scheduler.defer(() => this.#gather());
  }

  /** Until it calls back, it is scheduled. */
  #gather(): void {
    this.#scheduled = true;
    const gathered = (): number => (this.#wanted ? this.#pendingBytes : 0);
    whenGathered(this.#options, gathered, () => {
      this.#scheduled = false;
      this.#writeNext();
    });
  }

  /** Starts writing what has gathered, up to one group, if somebody waits for any of it. */
  #writeNext(): void {
    const group = this.#failed || !this.#wanted ? [] : this.#takeGroup();
    this.#writing = group.length === 0 ? null : this.#write(group);
  }

  #takeGroup(): readonly BatchBuffer[] {
    const { groupBytesMax } = this.#limits;
    let bytes = 0;
    let taken = 0;
    const fits = (batch: BatchBuffer): boolean => taken === 0 || bytes + batch.used <= groupBytesMax;
    while (taken < this.#sealed.length && fits(this.#sealed[taken]!)) {
      bytes += this.#sealed[taken++]!.used;
    }
    const all = taken === this.#sealed.length;
    if (all && this.#active.count > 0 && fits(this.#active)) {
      this.#seal(0);
      taken++;
    }
    if (taken === this.#sealed.length && this.#active.count === 0) this.#waitForNobody();
    return this.#sealed.splice(0, taken);
  }

  #waitForNobody(): void {
    this.#wanted = false;
    this.#patience?.();
    this.#patience = null;
  }

  async #write(group: readonly BatchBuffer[]): Promise<void> {
    const { clock, crc32 } = this.#options;
    this.#inflight = group;
    const startedAt = clock.monotonic();
    const close = { time: clock.now(), logId: this.#logId, durable: this.#durable };
    const next = group.at(-1)!.below;
    try {
      for (const batch of group) batch.close(close, crc32);
      await this.#writer.write(group, next);
    } catch (error) {
      this.#fail(error);
      return;
    }
    const metrics = this.#metrics;
    metrics.syncs.value++;
    metrics.syncSeconds.value += (clock.monotonic() - startedAt) / 1000;
    let bytes = 0;
    for (const batch of group) {
      metrics.records.value += batch.count;
      this.#pendingBytes -= batch.used - BATCH_HEADER_BYTES;
      bytes += batch.used;
    }
    metrics.bytes.value += bytes;
    this.#durable = next;
    this.#inflight = [];
    this.#space.wrote(bytes);
    this.#gather(); // the disk first, where there is enough for it: it works while the listeners do
    this.#publish(group, next);
  }

  /** Tells everyone that waits for it what has become durable. */
  #publish(group: readonly BatchBuffer[], durable: number): void {
    for (const batch of group) {
      if (this.#consumers.size > 0) this.#recent.add(batch);
      else this.#pool.release(batch);
    }
    for (const listener of this.#listeners) this.#tell(() => listener(durable));
    this.#consumers.wake();
    if (this.#waiters.length === 0) return;
    const done = this.#waiters.filter((waiter) => waiter.below <= durable);
    this.#waiters = this.#waiters.filter((waiter) => waiter.below > durable);
    for (const waiter of done) waiter.resolve();
  }

  /** After a failed write or sync nobody knows what is on disk: nothing more is written, nothing more acknowledged. */
  #fail(error: unknown): void {
    const refusal = new TidewireError("LOG_FAILED", { reason: reasonOf(error) }, { cause: error });
    this.#refusal = refusal;
    this.#failed = true;
    this.#writing = null;
    this.#waitForNobody();
    const lost = { durable: this.#durable, notDurable: this.#next - this.#durable };
    this.#options.logger.error("the log cannot be written", { reason: reasonOf(error), ...lost });
    this.#inflight = [];
    this.#sealed = [];
    this.#active = this.#pool.take(0);
    this.#pendingBytes = 0;
    for (const waiter of this.#waiters) waiter.reject(refusal);
    this.#waiters = [];
    for (const listener of this.#failureListeners) this.#tell(() => listener(refusal));
  }

  /** One listener's mistake is not the others'. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.logger.error("a listener of the log failed", { reason: reasonOf(error) });
    }
  }

  #hold(offset: number): BatchBuffer | null {
    const batch = this.#recent.find(offset);
    if (batch !== null) batch.holders++;
    return batch;
  }

  #refuse(length: number): never {
    const { recordBytesMax } = this.#limits;
    if (this.#refusal !== null) {
      this.#metrics.refusedFailed.value++;
      throw this.#refusal;
    }
    if (length > recordBytesMax) {
      this.#metrics.refusedTooLarge.value++;
      throw new TidewireError("LOG_RECORD_TOO_LARGE", { bytes: length, limit: recordBytesMax });
    }
    if (this.#space.short) this.#metrics.refusedDisk.value++;
    else this.#metrics.refusedBacklog.value++;
    throw new TidewireError("LOG_FULL", { reason: this.#fullReason() });
  }

  #fullReason(): string {
    if (this.#space.short) return `the disk has only ${Math.floor(this.#space.free / 1_048_576)} MiB left`;
    return `${this.#pendingBytes} bytes wait to be written`;
  }

  #observe(metrics: Metrics): void {
    const gauge = (name: string, help: string, read: () => number): void =>
      metrics.observe({ name: `tidewire_log_${name}`, help }, read);
    gauge("size_bytes", "Bytes in the kept segments.", () => this.#table.bytes);
    gauge("segments", "Kept segments.", () => this.#table.all.length);
    gauge("pending_bytes", "Bytes appended and not yet durable.", () => this.#pendingBytes);
    gauge("free_disk_bytes", "Free disk space as last measured.", () => this.#space.free);
    gauge("next_offset", "The offset that the next record gets.", () => this.#next);
    gauge("durable_offset", "Every offset below this is on disk.", () => this.#durable);
    gauge("failed", "1 after a failed write or sync, until a restart.", () => (this.#failed ? 1 : 0));
    gauge("full", "1 while appends are refused for want of space.", () => (this.#space.short ? 1 : 0));
  }
}
