/** What the outbox counts. */
import type { Counter, Metrics } from "../base/mod.ts";

export interface OutboxCounters {
  readonly accepted: Counter;
  /** Given up because the outbox, or the disk, was full. */
  readonly droppedFull: Counter;
  /** Given up in memory, because the disk took nothing for too long. */
  readonly droppedUnsaved: Counter;
  readonly expired: Counter;
}

export function outboxCounters(metrics: Metrics): OutboxCounters {
  const dropped = (reason: string): Counter =>
    metrics.counter({
      name: "tidewire_outbox_dropped_total",
      help: "Readings given up for want of space.",
      labels: { reason },
    });
  return {
    accepted: metrics.counter({ name: "tidewire_outbox_accepted_total", help: "Readings taken into the outbox." }),
    droppedFull: dropped("full"),
    droppedUnsaved: dropped("unsaved"),
    expired: metrics.counter({
      name: "tidewire_outbox_expired_total",
      help: "Readings that were not delivered before they expired.",
    }),
  };
}
