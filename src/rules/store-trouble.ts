/** The store does not do what is asked of it, whatever it is: said once, and once when it does again. */
import { reasonOf } from "../base/mod.ts";
import type { Clock, Logger, Millis, Random } from "../base/mod.ts";
import { backoff } from "./delivery/backoff.ts";

export interface StoreTroubleOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly random: Pick<Random, "next">;
  readonly logger: Logger;
  readonly limits: { readonly savePeriod: Millis; readonly saveRetryMax: Millis };
  readonly begins: string;
  readonly ends: string;
}

export class StoreTrouble {
  readonly #o: StoreTroubleOptions;
  #failures = 0;
  #retryAt: Millis = -Infinity;
  #reason: string | null = null;

  constructor(options: StoreTroubleOptions) {
    this.#o = options;
  }

  /** Null: there is none. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Who can wait does not ask the store now. */
  get rests(): boolean {
    return this.#reason !== null && this.#o.clock.monotonic() < this.#retryAt;
  }

  failed(error: unknown): void {
    const { clock, random, logger, limits, begins } = this.#o;
    const range = { retryDelayMin: limits.savePeriod, retryDelayMax: limits.saveRetryMax };
    this.#retryAt = clock.monotonic() + backoff(++this.#failures, random, range);
    const reason = reasonOf(error);
    if (this.#reason !== reason) logger.error(begins, { reason });
    this.#reason = reason;
  }

  worked(): void {
    if (this.#reason === null) return;
    this.#failures = 0;
    this.#reason = null;
    this.#o.logger.info(this.#o.ends);
  }
}
