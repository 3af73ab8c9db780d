/** The store process's counters as the platform's metrics; they go on where a restarted process begins anew. */
import type { Counter, Metrics } from "../../base/mod.ts";
import { LEVELS } from "../../telemetry/mod.ts";
import type { StoreExtent } from "../../telemetry/mod.ts";
import type { StoreCounters } from "./protocol.ts";

export interface StoreGauges {
  readonly lag: () => number;
  readonly rows: () => number;
  readonly series: () => number;
  readonly up: () => number;
  readonly extent: () => StoreExtent;
}

export class StoreMetrics {
  readonly restarts: Counter;
  readonly queries: Counter;
  readonly queriesFailed: Counter;
  readonly #counters: Readonly<Record<keyof StoreCounters, Counter>>;
  #last: StoreCounters | null = null;

  constructor(metrics: Metrics, gauges: StoreGauges) {
    const counter = (name: string, help: string): Counter => metrics.counter({ name: `tidewire_store_${name}`, help });
    const refused = (reason: string): Counter =>
      metrics.counter({
        name: "tidewire_store_refused_total",
        help: "What devices sent and the store did not take, by reason.",
        labels: { reason },
      });
    this.restarts = counter("restarts_total", "Times the store process was started again.");
    this.queries = counter("queries_total", "Questions asked of the store.");
    this.queriesFailed = counter("queries_failed_total", "Questions that got no answer.");
    this.#counters = {
      messages: counter("messages_total", "Messages that a telemetry rule took."),
      points: counter("points_total", "Points taken for storing."),
      commits: counter("commits_total", "Transactions committed."),
      duplicates: counter("duplicates_total", "Resent messages that were recognised and dropped."),
      gapRecords: counter("gap_records_total", "Records of the log that could not be had."),
      notJson: refused("not-json"),
      fieldsDropped: refused("field-limit"),
      seriesRefused: refused("series-limit"),
      unreadable: refused("unreadable-record"),
    };
    const observe = (name: string, help: string, read: () => number): void =>
      metrics.observe({ name: `tidewire_store_${name}`, help }, read);
    observe("lag_records", "Durable records of the log that are not stored yet.", gauges.lag);
    observe("rows", "Points in the store.", gauges.rows);
    observe("series", "Series in the store.", gauges.series);
    observe("up", "1 while the store process answers.", gauges.up);
    observeExtent(metrics, gauges.extent);
  }

  /** A new process counts from 0. */
  started(): void {
    this.#last = null;
  }

  take(counters: StoreCounters): void {
    for (const key of Object.keys(this.#counters) as (keyof StoreCounters)[]) {
      this.#counters[key].value += counters[key] - (this.#last?.[key] ?? 0);
    }
    this.#last = counters;
  }
}

/** What lies where; as of the last commit. */
function observeExtent(metrics: Metrics, extent: () => StoreExtent): void {
  const observe = (name: string, help: string, read: () => number, labels?: Readonly<Record<string, string>>): void =>
    metrics.observe({ name: `tidewire_store_${name}`, help, ...(labels === undefined ? {} : { labels }) }, read);
  for (const level of LEVELS) {
    const labels = { level };
    observe("file_rows", "Points, or rollups of points, in files.", () => extent().levels[level].rows, labels);
    observe("file_bytes", "Bytes of telemetry files.", () => extent().levels[level].bytes, labels);
    observe("files", "Telemetry files.", () => extent().levels[level].files, labels);
  }
  observe(
    "generations",
    "Parts of the telemetry that are in the database, not in files yet.",
    () => extent().generations,
  );
  observe("quarantined_files", "Telemetry files that are damaged or gone.", () => extent().quarantined);
  observe("compactions", "Generations brought into files since the store process started.", () => extent().compactions);
  observe("compaction_seconds", "Time that took.", () => extent().compactionTime / 1000);
  observe("compacted_at_seconds", "When the last one was, as Unix time.", () => (extent().compactedAt ?? 0) / 1000);
  observe("compaction_waiting", "1 while compaction waits, for a full disk for example.", () =>
    extent().waiting === null ? 0 : 1,
  );
}
