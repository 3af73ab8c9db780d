/** How much each of many may ask for, whoever they are: a claim, a CA, an address. One thief must not take all of it. */
import type { Clock } from "../../base/mod.ts";

export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
  /** How many are remembered; the one that was quiet for longest goes first. */
  readonly watchedMax: number;
}

interface Bucket {
  left: number;
  at: number;
}

export class RequestRates {
  readonly #clock: Clock;
  readonly #limit: RateLimit;
  /** `watchedMax` bounds them. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, limit: RateLimit) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Takes one request; false where this one has asked for too much lately. */
  take(key: string): boolean {
    const { perSecond, burst, watchedMax } = this.#limit;
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(key) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > watchedMax) {
      const [quietest] = this.#buckets.keys();
      this.#buckets.delete(quietest!);
    }
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}
