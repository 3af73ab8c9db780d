/** Telling of what cannot be served: one line in the log and one count per range, wherever it was met. */
import type { Counter, Logger, Metrics } from "../base/mod.ts";
import type { DamageReason } from "./scan.ts";

export interface Gap {
  readonly segment: string;
  readonly reason: DamageReason | "segment missing" | "removed by retention";
  /** The damaged bytes in the segment's file. */
  readonly position: number;
  readonly end: number;
  /** The offsets [from, below) are not served. */
  readonly from: number;
  readonly below: number;
}

export class GapReporter {
  readonly #logger: Logger;
  readonly #gaps: Counter;
  readonly #offsets: Counter;

  constructor(logger: Logger, metrics: Metrics) {
    this.#logger = logger;
    this.#gaps = metrics.counter({
      name: "tidewire_log_gaps_total",
      help: "Ranges of the log that a consumer had to skip because they are damaged or missing.",
    });
    this.#offsets = metrics.counter({
      name: "tidewire_log_gap_offsets_total",
      help: "Offsets in the ranges of the log that a consumer had to skip.",
    });
  }

  /** Tells of one gap that a reader skipped. */
  report(gap: Gap): void {
    this.#gaps.value++;
    this.#offsets.value += gap.below - gap.from;
    const { segment, reason, position, end, from, below } = gap;
    const fields = { segment, reason, position, bytes: end - position, fromOffset: from, belowOffset: below };
    if (reason === "removed by retention")
      this.#logger.warn("a reader of the log came too late for some records", fields);
    else this.#logger.error("a part of the log cannot be read and was skipped", fields);
  }
}
