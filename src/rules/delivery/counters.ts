import type { Counter, Metrics } from "../../base/mod.ts";
import { Latencies } from "./latencies.ts";

/** `unstorable`: the store does not take its row. */
export type DropReason = "too-large" | "store-full" | "unstorable";
/** Of one delivery in one attempt. `refused`: for good. */
export type AttemptOutcome = "delivered" | "failed" | "refused";

export class DeliveryCounters {
  readonly saved: Counter;
  readonly dead: Counter;
  readonly #metrics: Metrics;
  /** Bounded by the carriers there are. */
  readonly #attempts = new Map<string, Readonly<Record<AttemptOutcome, Counter>>>();
  readonly #latencies = new Map<string, Latencies>();
  readonly #dropped: Readonly<Record<DropReason, Counter>>;

  constructor(metrics: Metrics, read: { waiting: () => number; inflight: () => number }) {
    this.#metrics = metrics;
    this.saved = metrics.counter({
      name: "tidewire_deliveries_saved_total",
      help: "Deliveries that went to the store before their first attempt",
    });
    this.dead = metrics.counter({
      name: "tidewire_deliveries_dead_total",
      help: "Deliveries that were given up and kept as dead letters",
    });
    const dropped = { name: "tidewire_deliveries_dropped_total", help: "Deliveries that were dropped at a limit" };
    this.#dropped = {
      "too-large": metrics.counter({ ...dropped, labels: { reason: "too-large" } }),
      "store-full": metrics.counter({ ...dropped, labels: { reason: "store-full" } }),
      unstorable: metrics.counter({ ...dropped, labels: { reason: "unstorable" } }),
    };
    metrics.observe({ name: "tidewire_deliveries_waiting", help: "Deliveries that wait in the store" }, read.waiting);
    metrics.observe({ name: "tidewire_deliveries_inflight", help: "Batches on the way" }, read.inflight);
  }

  attempt(kind: string, outcome: AttemptOutcome): Counter {
    let counters = this.#attempts.get(kind);
    if (counters === undefined) {
      const counter = (of: AttemptOutcome): Counter =>
        this.#metrics.counter({
          name: "tidewire_delivery_attempts_total",
          help: "Attempts to deliver, by kind of receiver and outcome",
          labels: { kind, outcome: of },
        });
      counters = { delivered: counter("delivered"), failed: counter("failed"), refused: counter("refused") };
      this.#attempts.set(kind, counters);
    }
    return counters[outcome];
  }

  /** `queued`: until the first attempt, of those that are made from memory; `answered`: of attempts that went well. */
  latency(kind: string, stage: "queued" | "answered"): Latencies {
    const key = `${stage} ${kind}`;
    let latencies = this.#latencies.get(key);
    if (latencies === undefined) {
      latencies = new Latencies(this.#metrics, {
        name: "tidewire_delivery_stage_seconds",
        help: "How long deliveries wait in memory for their first attempt, and how long the receiver takes for those that went well",
        labels: { kind, stage },
      });
      this.#latencies.set(key, latencies);
    }
    return latencies;
  }

  dropped(reason: DropReason): Counter {
    return this.#dropped[reason];
  }
}
