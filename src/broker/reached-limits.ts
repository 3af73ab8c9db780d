/** Counts how often each limit was reached. All are there from the start, so that an alert can be set on any of them. */
import type { Counter, Metrics } from "../base/mod.ts";
import { COUNTED_LIMITS } from "./limit-effects.ts";
import type { LimitName } from "./limit-effects.ts";

export const LIMIT_REACHED: { readonly name: string; readonly help: string } = {
  name: "tidewire_mqtt_limit_reached_total",
  help: "How often a limit was reached; docs/reference/limits.md says what happens then",
};

export class ReachedLimits {
  readonly #counters = new Map<LimitName, Counter>();

  constructor(metrics: Metrics) {
    for (const limit of COUNTED_LIMITS) {
      this.#counters.set(limit, metrics.counter({ ...LIMIT_REACHED, labels: { limit } }));
    }
  }

  count(limit: LimitName): void {
    const counter = this.#counters.get(limit);
    if (counter !== undefined) counter.value++;
  }
}
