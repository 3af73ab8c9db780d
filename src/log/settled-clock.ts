/**
 * The time by which the log calls a segment old. A wall clock that is suddenly far ahead (a battery that ran out, a typing
 * mistake, a bad time server) would make everything old at once; so a leap ahead counts only once it has lasted. A clock
 * that is set back makes things younger, removes nothing, and is believed at once.
 */
import type { Clock, EpochMs, Limits } from "../base/mod.ts";

export class SettledClock {
  readonly #clock: Clock;
  readonly #limits: Limits["log"];
  /** What the wall clock said when it was last believed, and the monotonic time of that moment. */
  #wall: EpochMs;
  #at: number;
  /** Monotonic time since which it has been ahead; `null` while it is believed. */
  #aheadSince: number | null = null;

  /** `newest`: the latest time that the log itself knows; 0 where it knows none. */
  constructor(clock: Clock, limits: Limits["log"], newest: EpochMs) {
    this.#clock = clock;
    this.#limits = limits;
    this.#wall = newest === 0 ? clock.now() : Math.min(newest, clock.now());
    this.#at = clock.monotonic();
  }

  now(): EpochMs {
    const wall = this.#clock.now();
    const at = this.#clock.monotonic();
    const expected = this.#wall + (at - this.#at);
    if (wall - expected > this.#limits.clockAheadMax) {
      this.#aheadSince ??= at;
      if (at - this.#aheadSince < this.#limits.clockAheadTrustedAfter) return expected;
    }
    this.#aheadSince = null;
    this.#wall = wall;
    this.#at = at;
    return wall;
  }
}
