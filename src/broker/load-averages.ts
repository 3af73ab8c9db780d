/**
 * Per minute, averaged over 1, 5 and 15 minutes with exponential decay, as Mosquitto computes its `$SYS/broker/load` (and as
 * Unix computes its load): with each look, what came since the last one counts 1 - e^(-t/T).
 */
import type { Millis } from "../base/mod.ts";

const MINUTE: Millis = 60_000;
const SPANS = [
  ["1min", MINUTE],
  ["5min", 5 * MINUTE],
  ["15min", 15 * MINUTE],
] as const;

type Totals = Readonly<Record<string, number>>;

export class LoadAverages {
  #at: Millis;
  #totals: Totals;
  /** By `<name>/<span>`. */
  readonly #averages = new Map<string, number>();

  constructor(now: Millis, totals: Totals) {
    this.#at = now;
    this.#totals = totals;
    for (const name of Object.keys(totals)) for (const [span] of SPANS) this.#averages.set(`${name}/${span}`, 0);
  }

  advance(now: Millis, totals: Totals): void {
    const passed = now - this.#at;
    if (passed <= 0) return;
    for (const [name, total] of Object.entries(totals)) {
      const perMinute = (total - (this.#totals[name] ?? 0)) * (MINUTE / passed);
      for (const [span, length] of SPANS) {
        const key = `${name}/${span}`;
        const before = this.#averages.get(key) ?? 0;
        this.#averages.set(key, perMinute + Math.exp(-passed / length) * (before - perMinute));
      }
    }
    this.#at = now;
    this.#totals = totals;
  }

  values(): Iterable<readonly [name: string, perMinute: number]> {
    return this.#averages;
  }
}
