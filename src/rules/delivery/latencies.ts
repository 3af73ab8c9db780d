/** How long things take, as a Prometheus histogram: numbers that the hot path adds to, put together when somebody reads them. */
import type { MetricDefinition, Metrics, Millis } from "../../base/mod.ts";

const BOUNDS: readonly Millis[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

export class Latencies {
  /** Of each bound, and of what is above them all; not yet summed up. */
  readonly #counts = new Float64Array(BOUNDS.length + 1);
  #sum: Millis = 0;

  /** `name`: in seconds, as Prometheus wants it. */
  constructor(metrics: Metrics, { name, help, labels = {} }: MetricDefinition) {
    for (const [i, le] of [...BOUNDS.map((bound) => String(bound / 1_000)), "+Inf"].entries()) {
      metrics.observe({ name: `${name}_bucket`, help, labels: { ...labels, le } }, () => this.#upTo(i));
    }
    metrics.observe({ name: `${name}_count`, help, labels }, () => this.#upTo(BOUNDS.length));
    metrics.observe({ name: `${name}_sum`, help, labels }, () => this.#sum / 1_000);
  }

  /** A clock that was set back makes it shorter than nothing, which counts as nothing. */
  add(latency: Millis, count = 1): void {
    let i = 0;
    while (i < BOUNDS.length && latency > BOUNDS[i]!) i++;
    this.#counts[i]! += count;
    this.#sum += Math.max(0, latency) * count;
  }

  #upTo(last: number): number {
    return this.#counts.subarray(0, last + 1).reduce((sum, count) => sum + count, 0);
  }
}
