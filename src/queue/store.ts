/** The port behind the outbox: where readings and counters are kept. One writer; every call is synchronous. */
import type { Bytes, EpochMs } from "../base/mod.ts";

/** One reading that waits to be delivered. */
export interface Reading {
  /** 1, 2, 3 … within one outbox; never used twice. */
  readonly sequence: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** 0 is dropped first when space runs out, 9 last. */
  readonly priority: number;
  readonly acceptedAt: EpochMs;
  /** Not worth delivering from then on; null: never. */
  readonly expiresAt: EpochMs | null;
}

/** What there is to know about a stored reading without reading its payload. */
export interface StoredSize {
  readonly sequence: number;
  readonly priority: number;
  readonly size: Bytes;
}

/** Kept in the same transaction as the readings, so that they can never disagree. */
export interface OutboxState {
  /** Random, made once per file. */
  readonly outbox: string;
  readonly lastSequence: number;
  readonly count: number;
  /** Sum of `sizeOf` over all readings. */
  readonly bytes: Bytes;
  /** Totals since the file was made. */
  readonly dropped: number;
  readonly expired: number;
  readonly refused: number;
}

/** A reading that the platform will not have. */
export interface Burial {
  readonly sequence: number;
  /** MQTT 5.0 reason code. */
  readonly reasonCode: number;
  readonly at: EpochMs;
}

export interface Change {
  readonly state: OutboxState;
  readonly put: readonly Reading[];
  readonly remove: readonly number[];
  readonly bury: readonly Burial[];
  /** Dead letters beyond this number are deleted, oldest first. */
  readonly deadLettersMax: number;
}

export interface DeadLetter extends Burial {
  readonly topic: string;
  readonly payload: Uint8Array;
}

export interface QueueStore {
  /** Null where the store is new: the first `commit` gives it its identity. */
  load(): OutboxState | null;
  /** All or nothing, and on disk when it returns. Throws `QueueStoreError`, and then nothing has changed. */
  commit(change: Change): void;
  /** Readings with a sequence above `after`, ascending; stops at `count`, or once `bytes` are reached. */
  read(after: number, count: number, bytes: Bytes): Reading[];
  find(sequence: number): Reading | null;
  /** The first `count` in the order in which they are given up: lowest priority first, then oldest. */
  expendable(count: number): StoredSize[];
  /** Readings that expired at or before `now`, at most `count`. */
  expired(now: EpochMs, count: number): StoredSize[];
  /** Ascending by sequence. */
  deadLetters(count: number): DeadLetter[];
  /** Moves dead letters with these reason codes back among the readings, under their old numbers. */
  exhume(reasonCodes: readonly number[]): { readonly count: number; readonly bytes: Bytes };
}

export class QueueStoreError extends Error {
  /** `full`: no space; room made by deleting may help. `failed`: anything else. */
  readonly kind: "full" | "failed";

  constructor(kind: "full" | "failed", reason: string, options?: { cause?: unknown }) {
    super(reason, options);
    this.name = "QueueStoreError";
    this.kind = kind;
  }
}

/** What one reading counts against the limit: its row costs about 64 bytes besides topic and payload. */
export function sizeOf(reading: Pick<Reading, "topic" | "payload">): Bytes {
  return 64 + reading.topic.length + reading.payload.length;
}
