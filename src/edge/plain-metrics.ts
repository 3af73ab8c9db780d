import type { Counter, Gauge, MetricDefinition, Metrics } from "../base/mod.ts";

/** Counters that nobody scrapes: the agent reports about itself through its own readings. */
export class PlainMetrics implements Metrics {
  counter(_definition: MetricDefinition): Counter {
    return { value: 0 };
  }

  gauge(_definition: MetricDefinition): Gauge {
    return { value: 0 };
  }

  observe(_definition: MetricDefinition, _read: () => number): void {}
}
