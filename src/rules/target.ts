/** One receiver: what waits for it in memory, how many requests it may have on the way, and whether it is in trouble. */
import type { Cancel, Millis, Random } from "../base/mod.ts";
import { backoff } from "./backoff.ts";
import type { RulesLimits } from "./model.ts";
import type { DeliveryKey, SavedDelivery } from "./store.ts";

/** A delivery in memory. */
export interface Pending {
  delivery: SavedDelivery;
  readonly key: DeliveryKey;
  /** The store has it too; so it must be taken out there when it is done. */
  stored: boolean;
  /** Its event is saved together with it: an alert. */
  readonly notice: boolean;
  /** Its thing is forgotten: it is not tried again, and not kept. */
  forgotten?: boolean;
}

/** Requests that a receiver may have on the way before it has shown that it answers. */
const WINDOW_START = 4;
/** Failures in a row of single deliveries after which the receiver itself is held to be in trouble. */
const FAILURES_TOLERATED = 2;

export class Target {
  readonly key: string;
  /** Waits for its first attempt, in order. */
  readonly queue: Pending[] = [];
  /** Read from the store, due now, in order. */
  page: SavedDelivery[] = [];
  /** On the way or queued, and in the store: not to be read from there again. */
  readonly owned = new Set<DeliveryKey>();
  readonly inflight = new Set<Pending>();
  /** From when on the store may have something due for it, monotonic; Infinity where it has nothing. */
  backlogAt: Millis = Infinity;
  /** Monotonic; until then nothing is sent. */
  blockedUntil: Millis = 0;
  /** Rounds of failure since the last success. */
  failures = 0;
  wake: { readonly at: Millis; readonly cancel: Cancel } | null = null;
  readonly #windowMax: number;
  #window: number;
  #failedAt: Millis = -1;

  constructor(key: string, kind: "webhook" | "slack", limits: RulesLimits) {
    this.key = key;
    // Slack allows about one message a second and channel; more at once only earns a 429.
    this.#windowMax = kind === "slack" ? 1 : limits.deliveriesPerTargetMax;
    this.#window = Math.min(WINDOW_START, this.#windowMax);
  }

  get idle(): boolean {
    return this.queue.length === 0 && this.inflight.size === 0 && this.page.length === 0 && this.backlogAt === Infinity;
  }

  /** Whether another request may start; `othersFree`: the requests that all targets together may still start. */
  mayStart(othersFree: number): boolean {
    return this.inflight.size < this.#window && (othersFree > 0 || this.inflight.size === 0);
  }

  /** Whether a new delivery must wait behind those in the store. */
  mustQueueInStore(now: Millis): boolean {
    return now < this.blockedUntil || this.page.length > 0 || this.backlogAt <= now;
  }

  succeeded(): void {
    this.failures = 0;
    this.blockedUntil = 0;
    if (this.#window < this.#windowMax) this.#window++;
  }

  /**
   * Counts a failure and holds the target back where it is to blame. Requests that were on the way together fail
   * together: they count once. Returns how long it is blocked from now, 0 where it is not.
   */
  failed(
    startedAt: Millis,
    now: Millis,
    scope: "target" | "delivery",
    retryAfter: Millis | null,
    context: Context,
  ): Millis {
    if (startedAt >= this.#failedAt) {
      this.failures++;
      this.#failedAt = now;
      const toBlame = scope === "target" ? this.failures : this.failures - FAILURES_TOLERATED;
      if (toBlame > 0) {
        this.blockedUntil = now + backoff(toBlame, context.random, context.limits);
        this.#window = 1;
      }
    }
    if (scope === "target" && retryAfter !== null) {
      const wait = Math.min(Math.max(retryAfter, context.limits.retryDelayMin), context.limits.retryAfterMax);
      this.blockedUntil = Math.max(this.blockedUntil, now + wait);
    }
    return Math.max(0, this.blockedUntil - now);
  }
}

interface Context {
  readonly random: Random;
  readonly limits: RulesLimits;
}
