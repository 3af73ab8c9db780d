/** Once an hour: removes points that are older than they are kept, and measures what is left. */
import { hours, reasonOf } from "../../base/mod.ts";
import type { Cancel, Clock, EpochMs, Logger, Millis, Scheduler } from "../../base/mod.ts";
import { ClockTrust } from "../../telemetry/mod.ts";

export interface KeeperOptions {
  /** How long points are kept, by their own time; null: for ever. */
  readonly keep: Millis | null;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly store: KeptStore;
}

export interface KeptStore {
  /** When the clock was last believed; null: never. */
  trustedAt(): Promise<EpochMs | null>;
  trust(now: EpochMs): Promise<void>;
  /** How many parts were removed. */
  forgetBefore(time: EpochMs): Promise<number>;
  measure(): Promise<void>;
}

const PERIOD: Millis = hours(1);

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #trust = new ClockTrust();
  readonly #cancel: Cancel;
  #running: Promise<void> | null = null;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#cancel = options.scheduler.every(PERIOD, () => this.#start());
    this.#start();
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#cancel();
    await this.#running;
  }

  #start(): void {
    this.#running ??= this.#work().finally(() => (this.#running = null));
  }

  /** Never rejects: what fails is tried again in an hour. */
  async #work(): Promise<void> {
    const { keep, store, logger } = this.#options;
    try {
      if (keep !== null) await this.#retain(keep);
      await store.measure();
    } catch (error) {
      logger.warn("Old telemetry could not be removed or measured; it is tried again in an hour", {
        reason: reasonOf(error),
      });
    }
  }

  async #retain(keep: Millis): Promise<void> {
    const { clock, logger, store } = this.#options;
    const now = clock.now();
    if (!this.#trust.trusts(await store.trustedAt(), now, clock.monotonic())) {
      logger.warn("The clock has jumped; nothing is removed until it has run on for a day", { now });
      return;
    }
    const partitions = await store.forgetBefore(now - keep);
    await store.trust(now);
    if (partitions > 0) logger.info("Old telemetry was removed", { partitions });
  }
}
