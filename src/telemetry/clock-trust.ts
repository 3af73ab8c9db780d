/** Whether a wall clock is to be believed where points would be removed by it. Pure. */
import { days } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";

/** Off for longer than that, or ahead by more than that, and the clock must prove itself. */
const ABSENCE_MAX: Millis = days(31);
const JUMP_MAX: Millis = days(1);
/** How long it must then run without another jump. */
const PATIENCE: Millis = days(1);

/**
 * A wall clock that jumps ten years ahead must not remove ten years of points. It is believed while it goes on from
 * where it was last believed, at the pace of the monotonic one.
 */
export class ClockTrust {
  #last: { readonly now: EpochMs; readonly monotonic: Millis } | null = null;
  #doubtedAt: Millis | null = null;

  trusts(trustedAt: EpochMs | null, now: EpochMs, monotonic: Millis): boolean {
    const last = this.#last;
    const jumped =
      last === null
        ? trustedAt !== null && now - trustedAt > ABSENCE_MAX
        : now - last.now - (monotonic - last.monotonic) > JUMP_MAX;
    this.#last = { now, monotonic };
    if (jumped) this.#doubtedAt = monotonic;
    if (this.#doubtedAt !== null && monotonic - this.#doubtedAt < PATIENCE) return false;
    this.#doubtedAt = null;
    return true;
  }
}
