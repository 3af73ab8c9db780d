/** The event archive's counters as the platform's metrics; they go on where a restarted process begins anew. */
import type { ArchiveCounters } from "../../archive/mod.ts";
import type { Counter, Metrics } from "../../base/mod.ts";
import type { ArchiveStatus } from "./client.ts";

export class ArchiveMetrics {
  readonly #counters: Readonly<Record<keyof ArchiveCounters, Counter>>;
  #last: ArchiveCounters | null = null;

  constructor(metrics: Metrics, status: () => ArchiveStatus | null) {
    const counter = (name: string, help: string): Counter =>
      metrics.counter({ name: `tidewire_archive_${name}`, help });
    this.#counters = {
      steps: counter("steps_total", "Times that messages of the log were written to the event archive."),
      messages: counter("messages_total", "Messages archived."),
      bytesTaken: counter("taken_bytes_total", "Bytes of the log's records that were archived."),
      bytesWritten: counter("written_bytes_total", "Bytes of the files that were written for them, without merges."),
      unreadable: counter("unreadable_total", "Records that this version cannot read, so they are not archived."),
      gapRecords: counter("gap_records_total", "Records of the log that could not be had, so they are not archived."),
      failures: counter("failures_total", "Steps that failed; each is tried again."),
      merges: counter("merges_total", "Times that small files became one."),
      damaged: counter("damaged_files_total", "Files that were found damaged or missing; they are not served."),
      moved: counter("moved_files_total", "Files moved to the cold tier."),
      movesFailed: counter("moves_failed_total", "Attempts to move a file to the cold tier that failed."),
      fetched: counter("fetched_files_total", "Files fetched from the cold tier for a query."),
      evicted: counter("evicted_files_total", "Fetched files that made room for others."),
      expired: counter("expired_files_total", "Files removed because they were too old, or too large in sum."),
    };
    const observe = (name: string, help: string, read: (status: ArchiveStatus) => number): void =>
      metrics.observe({ name: `tidewire_archive_${name}`, help }, () => {
        const now = status();
        return now === null ? 0 : read(now);
      });
    observe("lag_records", "Durable messages that are not archived yet.", ({ lag }) => lag);
    observe("files", "Files of events, in all tiers.", ({ files }) => files);
    observe("rows", "Messages in them.", ({ rows }) => rows);
    observe("warm_bytes", "Bytes of the files on this machine.", ({ warmBytes }) => warmBytes);
    observe("cold_bytes", "Bytes of the files in the cold tier.", ({ coldBytes }) => coldBytes);
    observe("cache_bytes", "Bytes of files that were fetched from the cold tier.", ({ cachedBytes }) => cachedBytes);
    observe("damaged_files", "Files that are damaged now.", ({ damagedFiles }) => damagedFiles);
  }

  /** A new process counts from 0. */
  started(): void {
    this.#last = null;
  }

  take(counters: ArchiveCounters): void {
    for (const key of Object.keys(this.#counters) as (keyof ArchiveCounters)[]) {
      this.#counters[key].value += counters[key] - (this.#last?.[key] ?? 0);
    }
    this.#last = counters;
  }
}
