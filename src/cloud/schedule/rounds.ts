/** Work that is looked at again and again, one at a time: where it fails it is tried again, later and later, and each reason is told once. */
import { reasonOf } from "../../base/mod.ts";
import type { Cancel, Clock, Counter, LogFields, Logger, Millis, Scheduler } from "../../base/mod.ts";

export interface RoundsOptions {
  readonly period: Millis;
  readonly retryDelayMin: Millis;
  readonly retryDelayMax: Millis;
  /** Looks whether something is due, and does it. Rejects where that fails. */
  readonly work: (signal: AbortSignal) => Promise<void>;
  /** What is said of a failure, beside its reason. */
  readonly failed: string;
  readonly fields: LogFields;
  readonly failures: Counter;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

export class Rounds {
  readonly #o: RoundsOptions;
  readonly #abort = new AbortController();
  #failuresInRow = 0;
  #retryAt: Millis = 0;
  #failure: string | null = null;
  #running: Promise<void> | null = null;
  #cancel: Cancel = () => {};

  constructor(options: RoundsOptions) {
    this.#o = options;
  }

  /** Of the last attempt; null where it did not fail. */
  get failure(): string | null {
    return this.#failure;
  }

  start(): void {
    this.#look();
    this.#cancel = this.#o.scheduler.every(this.#o.period, () => this.#look());
  }

  /** What runs is ended; the next start takes it up anew. */
  async close(): Promise<void> {
    this.#cancel();
    this.#abort.abort(new Error("the platform stops"));
    await this.#running;
  }

  #look(): void {
    this.#running ??= this.#attempt().finally(() => (this.#running = null));
  }

  /** Never rejects. */
  async #attempt(): Promise<void> {
    const { work, clock, logger, failures, failed, fields, retryDelayMin, retryDelayMax } = this.#o;
    if (clock.monotonic() < this.#retryAt) return;
    try {
      await work(this.#abort.signal);
      this.#failuresInRow = 0;
      this.#failure = null;
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      const reason = reasonOf(error);
      failures.value++;
      const delay = Math.min(retryDelayMax, retryDelayMin * 2 ** Math.min(this.#failuresInRow++, 20));
      this.#retryAt = clock.monotonic() + delay;
      if (this.#failure !== reason) logger.error(failed, { ...fields, reason, delay });
      this.#failure = reason;
    }
  }
}
