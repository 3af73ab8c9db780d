/** One source: asks its reader at every boundary of its period and puts the answer into the outbox. */
import type { Cancel, Clock, EpochMs, Logger, Millis, Scheduler } from "../base/mod.ts";
import { isTidewireError, reasonOf } from "../base/mod.ts";
import type { Outbox } from "../queue/mod.ts";
import { startTicker } from "./ticker.ts";

export interface SourceOptions {
  readonly type: string;
  readonly topic: string;
  readonly every: Millis;
  /** A JSON object without `ts`. */
  readonly read: () => object;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SourceStatus {
  readonly type: string;
  readonly topic: string;
  readonly readings: number;
  /** Boundaries at which nothing could be read because the process did not run. */
  readonly skipped: number;
  readonly failures: number;
  readonly lastReadingAt: EpochMs | null;
}

const utf8 = new TextEncoder();

export class Source {
  readonly #options: SourceOptions;
  #readings = 0;
  #skipped = 0;
  #failures = 0;
  #failing = false;
  #lastReadingAt: EpochMs | null = null;

  constructor(options: SourceOptions) {
    this.#options = options;
  }

  /** `beforeEach` runs before each reading. */
  start(scheduler: Scheduler, beforeEach: () => void): Cancel {
    const { every, clock } = this.#options;
    return startTicker({
      period: every,
      clock,
      scheduler,
      tick: (at) => {
        beforeEach();
        this.#tick(at);
      },
      skipped: (count) => {
        this.#skipped += count;
      },
    });
  }

  status(): SourceStatus {
    const { type, topic } = this.#options;
    return {
      type,
      topic,
      readings: this.#readings,
      skipped: this.#skipped,
      failures: this.#failures,
      lastReadingAt: this.#lastReadingAt,
    };
  }

  /** A source that fails costs its own reading and one line in the log, never the agent. */
  #tick(at: EpochMs): void {
    const { read, outbox, topic, logger, type } = this.#options;
    try {
      outbox.put(topic, utf8.encode(JSON.stringify({ ts: at, ...read() })));
      this.#readings++;
      this.#lastReadingAt = at;
      this.#failing = false;
    } catch (error) {
      this.#failures++;
      if (this.#failing) return;
      this.#failing = true;
      const fix = isTidewireError(error)
        ? error.fix
        : "Look at the reason; the source is asked again at its next time.";
      logger.error("a source cannot be read", { source: type, reason: reasonOf(error), fix });
    }
  }
}
