/** One certificate follows another: what is remembered of it, and when the older one may go. */
import type { Cancel, EpochMs, Millis } from "../base/mod.ts";

export interface Succession {
  /** Certificate ids. */
  readonly predecessor: string;
  readonly successor: string;
  readonly issuedAt: EpochMs;
  /** Since then the device has used the successor only; null before its first use. */
  readonly confirmedAt: EpochMs | null;
}

/** Changes are on disk when the call returns. Other platforms may write to the same tables. */
export interface SuccessionStore {
  /** Told soon after another platform has changed something; what it throws is tried again when the database is back. */
  onNews(listener: () => void): Cancel;
  /** As that of `ProvisioningStore`. */
  atomically<T>(work: () => T): T;
  /** All that are not over: a few per hundred devices, since each is over days after it began. */
  load(): readonly Succession[];
  /** What follows this certificate, the oldest first. */
  ofPredecessor(certificateId: string): readonly Succession[];
  /** Inserts, or replaces the one of this successor. */
  save(succession: Succession): void;
  remove(successor: string): void;
  /** Until when an expired certificate may be renewed although its grace is over; null where nobody has allowed it. */
  allowance(certificateId: string): EpochMs | null;
  allow(certificateId: string, until: EpochMs): void;
  removeAllowances(before: EpochMs): void;
}

export interface SuccessionTimes {
  /** After its expiry a certificate may still be renewed for so long. */
  readonly renewalGrace: Millis;
  /** The predecessor is deactivated so long after the successor was first used … */
  readonly retireAfter: Millis;
  /** … and deleted so long after that. */
  readonly deleteAfter: Millis;
}

export type PredecessorFate = "keep" | "deactivate" | "delete";

export function fateOf({ confirmedAt }: Succession, times: SuccessionTimes, now: EpochMs): PredecessorFate {
  if (confirmedAt === null) return "keep";
  const over = now - confirmedAt - times.retireAfter;
  return over < 0 ? "keep" : over < times.deleteAfter ? "deactivate" : "delete";
}
