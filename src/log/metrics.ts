/** What the log counts. Made once per log. */
import type { Counter, Metrics, Millis } from "../base/mod.ts";

export interface LogMetrics {
  readonly records: Counter;
  readonly bytes: Counter;
  readonly syncs: Counter;
  readonly syncSeconds: Counter;
  readonly cutBytes: Counter;
  readonly removedSegments: Counter;
  readonly consumerFailures: Counter;
  readonly refusedBacklog: Counter;
  readonly refusedDisk: Counter;
  readonly refusedFailed: Counter;
  readonly refusedTooLarge: Counter;
}

export function makeLogMetrics(metrics: Metrics): LogMetrics {
  const counter = (name: string, help: string): Counter =>
    metrics.counter({ name: `tidewire_log_${name}_total`, help });
  const refused = (reason: string): Counter =>
    metrics.counter({ name: "tidewire_log_refused_total", help: "Records that the log refused.", labels: { reason } });
  return {
    records: counter("records", "Records that became durable."),
    bytes: counter("bytes", "Bytes written to segments, headers included."),
    syncs: counter("syncs", "Syncs of a segment; each makes all that was gathered durable."),
    syncSeconds: counter("sync_seconds", "Time spent writing and syncing, per tidewire_log_syncs_total."),
    cutBytes: counter("cut_bytes", "Bytes put aside at start because they were only half written."),
    removedSegments: counter("removed_segments", "Segments that retention removed."),
    consumerFailures: counter("consumer_failures", "Batches that a consumer's handler failed on and is given again."),
    refusedBacklog: refused("backlog"),
    refusedDisk: refused("disk"),
    refusedFailed: refused("failed"),
    refusedTooLarge: refused("too-large"),
  };
}

export interface ConsumerLag {
  /** On disk, and not handled. */
  readonly records: number;
  /** Of the oldest of them; 0 where there is none. */
  readonly age: Millis;
}

/** `lags`: of all consumers of this name now. */
export function observeConsumer(metrics: Metrics, consumer: string, lags: () => readonly ConsumerLag[]): void {
  const labels = { consumer };
  const most = (of: (lag: ConsumerLag) => number): number => Math.max(0, ...lags().map(of));
  const records = {
    name: "tidewire_log_consumer_behind_records",
    help: "Durable records that it has not handled.",
    labels,
  };
  metrics.observe(records, () => most((lag) => lag.records));
  const seconds = { name: "tidewire_log_consumer_behind_seconds", help: "Age of the oldest of them.", labels };
  metrics.observe(seconds, () => most((lag) => lag.age) / 1000);
}
