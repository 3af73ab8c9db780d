import type { Counter, Metrics } from "../base/mod.ts";

export class DeliveryCounters {
  readonly delivered: Counter;
  readonly failed: Counter;
  readonly saved: Counter;
  readonly dead: Counter;
  readonly #dropped: Readonly<Record<"too-large" | "store-full", Counter>>;

  constructor(metrics: Metrics, read: { waiting: () => number; inflight: () => number }) {
    const attempts = { name: "tidewire_delivery_attempts_total", help: "Requests to webhooks and Slack, by outcome" };
    this.delivered = metrics.counter({ ...attempts, labels: { outcome: "delivered" } });
    this.failed = metrics.counter({ ...attempts, labels: { outcome: "failed" } });
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
    };
    metrics.observe({ name: "tidewire_deliveries_waiting", help: "Deliveries that wait in the store" }, read.waiting);
    metrics.observe({ name: "tidewire_deliveries_inflight", help: "Requests on the way" }, read.inflight);
  }

  dropped(reason: "too-large" | "store-full"): Counter {
    return this.#dropped[reason];
  }
}
