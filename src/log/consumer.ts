/** One consumer in the log's own process: each durable batch once, in order, from memory or from the files. */
import { reasonOf } from "../base/mod.ts";
import type { Cancel, Counter, EpochMs, Limits, Logger, Scheduler } from "../base/mod.ts";
import type { BatchBuffer, LogBatch } from "./batch.ts";
import type { ConsumerLag } from "./metrics.ts";

/** What a consumer sees of the log. */
export interface ConsumerSource {
  durable(): number;
  /** The batch in memory that holds `offset`, held for the caller; `null` where it is only in the files. */
  hold(offset: number): BatchBuffer | null;
  release(batch: BatchBuffer): void;
  /** First offset that is in memory. */
  recentFrom(): number;
  stream(from: number, below: number): AsyncGenerator<LogBatch>;
}

export interface ConsumerOptions {
  /** For the log's lines. */
  readonly name: string;
  readonly from: number;
  readonly handler: (batch: LogBatch) => void | Promise<void>;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly failures: Counter;
  readonly limits: Limits["log"];
}

export class Consumer {
  readonly #source: ConsumerSource;
  readonly #options: ConsumerOptions;
  #position: number;
  /** When the batch was closed that is handled, or was last. */
  #batchTime: EpochMs | null = null;
  #closed = false;
  #wake: (() => void) | null = null;
  /** Ends the wait after a failure; new batches do not. */
  #retryNow: (() => void) | null = null;
  readonly #done: Promise<void>;

  constructor(source: ConsumerSource, options: ConsumerOptions) {
    this.#source = source;
    this.#options = options;
    this.#position = options.from;
    this.#done = this.#run();
  }

  get position(): number {
    return this.#position;
  }

  lag(now: EpochMs): ConsumerLag {
    const records = Math.max(0, this.#source.durable() - this.#position);
    const since = records === 0 ? null : this.#batchTime;
    return { records, age: since === null ? 0 : Math.max(0, now - since) };
  }

  /** There is something new, or no reason to wait any longer. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Resolves when the handler is not running and will not be called again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.wake();
    this.#retryNow?.();
    await this.#done;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // never calls the handler from within `consume`
    let failures = 0;
    while (!this.#closed) {
      if (this.#position >= this.#source.durable()) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      try {
        await this.#advance();
        failures = 0;
      } catch (error) {
        await this.#failed(error, failures++);
      }
    }
  }

  async #advance(): Promise<void> {
    const source = this.#source;
    const batch = source.hold(this.#position);
    if (batch === null) return this.#advanceInFiles();
    try {
      const below = batch.below;
      this.#batchTime = batch.time;
      const handled = this.#options.handler(batch.show(this.#position));
      if (handled !== undefined) await handled;
      this.#position = below;
    } finally {
      source.release(batch);
    }
  }

  async #advanceInFiles(): Promise<void> {
    const source = this.#source;
    const recentFrom = source.recentFrom();
    const below = recentFrom > this.#position ? Math.min(source.durable(), recentFrom) : source.durable();
    for await (const batch of source.stream(this.#position, below)) {
      if (this.#closed) return;
      this.#batchTime = batch.time;
      const handled = this.#options.handler(batch);
      if (handled !== undefined) await handled;
      this.#position = batch.baseOffset + batch.count;
    }
    this.#position = Math.max(this.#position, below); // what could not be served was reported
  }

  async #failed(error: unknown, failures: number): Promise<void> {
    const { limits, logger, scheduler } = this.#options;
    this.#options.failures.value++;
    const delay = Math.min(limits.consumerRetryDelayMax, limits.consumerRetryDelayMin * 2 ** Math.min(failures, 20));
    const fields = { consumer: this.#options.name, offset: this.#position, reason: reasonOf(error), retryInMs: delay };
    logger.error("a consumer of the log failed; it gets the same batch again", fields);
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const cancel: Cancel = scheduler.after(delay, resolve);
      this.#retryNow = () => {
        cancel();
        resolve();
      };
    });
    this.#retryNow = null;
  }
}
