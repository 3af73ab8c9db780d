/** The port to receivers. The room decides order, batches, time-outs and retries; a sender only carries. */
import type { EpochMs, JsonObject, Millis } from "../../base/mod.ts";

export type Verdict =
  /** `pause`: the receiver asked for this long without further parcels. `reference`: what it calls the message, for who will replace it. */
  | { readonly type: "done"; readonly pause?: Millis; readonly reference?: string }
  /** The receiver will never take it. */
  | { readonly type: "dead"; readonly reason: string }
  /** `target`: the receiver is in trouble, all its deliveries wait. `delivery`: perhaps only this one is at fault. */
  | {
      readonly type: "retry";
      readonly scope: "target" | "delivery";
      readonly reason: string;
      /** What the receiver asked for; null where it said nothing. */
      readonly retryAfter: Millis | null;
    };

export interface Parcel {
  /** The idempotency key: the same for every attempt, and for the same event after a replay. */
  readonly id: string;
  readonly body: Uint8Array;
  readonly fields: Readonly<Record<string, string>>;
  readonly createdAt: EpochMs;
  /** Of a notification, known only when it is sent; a receiver's kind that knows nothing of it leaves it alone. */
  readonly about?: Conversing;
}

export interface Conversing {
  /** Reference of the message that this one takes the place of; null: it is a new one. */
  readonly replaces: string | null;
  /** Reference of the message that it answers. */
  readonly answers: string | null;
  /** PNG. */
  readonly picture: Uint8Array | null;
}

/** Carries deliveries of one receiver; one verdict each, in order. Never rejects. Connects when it first has something to send. */
export interface Sender {
  send(batch: readonly Parcel[], timeout: Millis): Promise<readonly Verdict[]>;
  /** What is on the way may fail. */
  close(): Promise<void>;
}

/** Whom deliveries are for. */
export interface Receiver {
  /** Carrier and a keyed hash of the settings: tells receivers apart, tells nothing about them. */
  readonly key: string;
  /** A `Carrier`'s name. */
  readonly carrier: string;
  /** May be shown and logged. */
  readonly label: string;
  /** Holds secrets: sealed on disk, never shown or logged. */
  readonly settings: JsonObject;
}

export interface Senders {
  open(receiver: Receiver): Sender;
}

export const DONE: Verdict = { type: "done" };

export function dead(reason: string): Verdict {
  return { type: "dead", reason };
}

/** The receiver is in trouble. */
export function targetFails(reason: string, retryAfter: Millis | null = null): Verdict {
  return { type: "retry", scope: "target", reason, retryAfter };
}

export function deliveryFails(reason: string, retryAfter: Millis | null = null): Verdict {
  return { type: "retry", scope: "delivery", reason, retryAfter };
}

/** One answer for all of a batch. */
export function forAll(batch: readonly Parcel[], verdict: Verdict): Verdict[] {
  return batch.map(() => verdict);
}
