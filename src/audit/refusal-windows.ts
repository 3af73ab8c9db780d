/** A flood of refusals of one source is a few entries and a number. */
import { minutes } from "../base/mod.ts";
import type { Clock } from "../base/mod.ts";

const WINDOW = minutes(1);

interface Window {
  readonly since: number;
  taken: number;
  leftOut: number;
}

export class RefusalWindows {
  readonly #clock: Clock;
  readonly #limits: { readonly refusalsPerMinuteMax: number; readonly refusalSourcesMax: number };
  /** `refusalSourcesMax` at most; the rest is one source. */
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock, limits: { readonly refusalsPerMinuteMax: number; readonly refusalSourcesMax: number }) {
    this.#clock = clock;
    this.#limits = limits;
  }

  takes(given: string): boolean {
    const isFull = this.#windows.size >= this.#limits.refusalSourcesMax && !this.#windows.has(given);
    const source = isFull ? "others" : given;
    const window = this.#windows.get(source) ?? { since: this.#clock.monotonic(), taken: 0, leftOut: 0 };
    this.#windows.set(source, window);
    if (window.taken < this.#limits.refusalsPerMinuteMax) {
      window.taken++;
      return true;
    }
    window.leftOut++;
    return false;
  }

  /** Ends the windows that are over; what was left out in them. */
  turn(): readonly { readonly source: string; readonly count: number }[] {
    const now = this.#clock.monotonic();
    const told: { source: string; count: number }[] = [];
    for (const [source, { since, leftOut }] of this.#windows) {
      if (now - since < WINDOW) continue;
      this.#windows.delete(source);
      if (leftOut > 0) told.push({ source, count: leftOut });
    }
    return told;
  }
}
