/** Ticks on the boundaries of a period: every whole second, not "a second after the last one was done". */
import type { Cancel, Clock, EpochMs, Millis, Scheduler } from "../base/mod.ts";

export interface TickerOptions {
  readonly period: Millis;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** `at`: the boundary, in wall time; strictly ascending as long as the wall clock is not set back. */
  readonly tick: (at: EpochMs) => void;
  /** Boundaries that went by unnoticed: the process was suspended, starved, or the clock was set forward. */
  readonly skipped: (count: number) => void;
}

/** A timer may fire this much before its boundary by the wall clock, and means it all the same. */
const EARLY = 20;

export function startTicker(options: TickerOptions): Cancel {
  const { period, clock, scheduler } = options;
  const early = Math.min(EARLY, period / 4);
  let last = Math.floor(clock.now() / period);
  let cancel: Cancel = () => {};
  const wait = (): void => {
    const now = clock.now();
    const next = Math.max(Math.floor((now + early) / period) + 1, 1) * period;
    cancel = scheduler.after(next - now, fire);
  };
  const fire = (): void => {
    const index = Math.floor((clock.now() + early) / period);
    const passed = index - last;
    last = index;
    wait();
    // The clock was set back: this boundary may have had its reading already, the next one is counted from here.
    if (passed <= 0) return;
    if (passed > 1) options.skipped(passed - 1);
    options.tick(index * period);
  };
  wait();
  return () => cancel();
}
