/** What is to be sent, what waits, and what was given up, as plain values. */
import type { EpochMs } from "../../base/mod.ts";
import type { Parcel } from "./sender.ts";

/** One event for one receiver. Nothing in it depends on the message any more. */
export interface Delivery extends Parcel {
  /** Key of a `Receiver`. */
  readonly receiver: string;
  /** The rule whose deliveries go when it is deleted; null for notifications of alerts. */
  readonly rule: string | null;
  /** Who published the message behind it, and whom it speaks of. */
  readonly things: readonly string[];
  /** Log offset of the message behind it. */
  readonly offset: number;
  /** For the rule's error action; null where it has none, and for what an error action sends itself. */
  readonly origin: Origin | null;
}

/** The message behind a delivery, as the error action tells it. */
export interface Origin {
  /** The message's part of the id: the same for all actions of a rule. */
  readonly event: string;
  /** Kind of the action and what may be shown of its receiver. */
  readonly action: string;
  readonly resource: string;
  readonly topic: string;
  readonly clientId: string;
  readonly payload: Uint8Array;
}

export interface SavedDelivery extends Delivery {
  /** Attempts that failed so far. */
  readonly attempts: number;
  readonly nextAttemptAt: EpochMs;
  readonly lastError: string | null;
}

/** One that was never attempted. */
export function fresh(delivery: Delivery): SavedDelivery {
  return { ...delivery, attempts: 0, nextAttemptAt: delivery.createdAt, lastError: null };
}

export interface DeadLetter extends Delivery {
  readonly attempts: number;
  readonly lastError: string;
  readonly diedAt: EpochMs;
}

/** A dead letter as the store has it. */
export interface KeptLetter extends DeadLetter {
  /** Grows with every burial; names it for people. */
  readonly number: number;
  readonly carrier: string;
  /** What may be shown of its receiver. */
  readonly label: string;
}

/** What one receiver did not take. */
export interface DeadReceiver {
  readonly receiver: string;
  readonly carrier: string;
  readonly label: string;
  readonly count: number;
  /** Number of the newest letter. */
  readonly newest: number;
}

export interface DeadLetterQuery {
  readonly number?: number;
  readonly rule?: string;
  /** Key of a receiver. */
  readonly receiver?: string;
  /** Only those with a lower number: the next page. */
  readonly before?: number;
  readonly limit: number;
}

/** Identifies a delivery: the same event may go to several receivers. */
export type DeliveryKey = string;
export const keyOf = (delivery: { readonly id: string; readonly receiver: string }): DeliveryKey =>
  `${delivery.id} ${delivery.receiver}`;

/** What it takes in memory. */
export function bytesOf({ body, origin }: Delivery): number {
  return body.length + (origin?.payload.length ?? 0);
}
