/** How much each claim certificate may ask for: a shared secret of a whole batch, so one thief must not take all of it. */
import { LIMITS } from "../../base/mod.ts";
import type { Clock } from "../../base/mod.ts";

interface Bucket {
  left: number;
  at: number;
}

export class ClaimRates {
  readonly #clock: Clock;
  /** By claim; `claimsWatchedMax` bounds them, the one that was quiet for longest goes first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes one request; false where the claim has asked for too much lately. */
  take(claimId: string): boolean {
    const { requestsPerSecondMax, requestsBurstMax, claimsWatchedMax } = LIMITS.provisioning;
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(claimId) ?? { left: requestsBurstMax, at: now };
    bucket.left = Math.min(requestsBurstMax, bucket.left + ((now - bucket.at) / 1000) * requestsPerSecondMax);
    bucket.at = now;
    this.#buckets.delete(claimId);
    this.#buckets.set(claimId, bucket);
    if (this.#buckets.size > claimsWatchedMax) {
      const [quietest] = this.#buckets.keys();
      this.#buckets.delete(quietest!);
    }
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}
