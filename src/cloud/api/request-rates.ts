/** How many requests somebody may make in a minute. */
import { LIMITS, TidewireError, minutes } from "../../base/mod.ts";
import type { Clock } from "../../base/mod.ts";

const WINDOW = minutes(1);

/** Windows of a minute, from the first request of each. */
export class RequestRates {
  readonly #clock: Clock;
  readonly #max: number;
  /** By who asks; at most `rateKeysMax`, of which the oldest window goes first. */
  readonly #windows = new Map<string, { count: number; readonly endsAt: number }>();

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  /** Throws TOO_MANY_REQUESTS. */
  count(who: string): void {
    const now = this.#clock.now();
    let window = this.#windows.get(who);
    // Where the clock was set back, a window must not last for hours.
    if (window === undefined || now >= window.endsAt || window.endsAt > now + WINDOW) {
      this.#windows.delete(who);
      window = { count: 0, endsAt: now + WINDOW };
      this.#windows.set(who, window);
      if (this.#windows.size > LIMITS.http.rateKeysMax) this.#dropOldest();
    }
    window.count++;
    if (window.count <= this.#max) return;
    throw new TidewireError("TOO_MANY_REQUESTS", { retryAfter: `${Math.ceil((window.endsAt - now) / 1000)} s` });
  }

  #dropOldest(): void {
    for (const oldest of this.#windows.keys()) {
      this.#windows.delete(oldest);
      return;
    }
  }
}
