/** What the rules keep on disk. `adapters/sqlite/rules-store.ts` does it with SQLite. All calls are synchronous. */
import type { EpochMs } from "../base/mod.ts";
import type { Alert, RuleDocument } from "./model.ts";

/** One request that is to be made. */
export interface Delivery {
  /** `webhook-id`: the same for every attempt, and for the same event after a replay. */
  readonly id: string;
  /** Kind and URL; limits, order and backoff are per target. */
  readonly target: string;
  readonly kind: "webhook" | "slack";
  /** The rule whose deliveries go when it is deleted; null for notifications of alerts. */
  readonly rule: string | null;
  /** Who published the message behind it, and whom it speaks of. */
  readonly things: readonly string[];
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly secret: string | null;
  readonly body: Uint8Array;
  /** Log offset of the message behind it. */
  readonly offset: number;
  readonly createdAt: EpochMs;
}

export interface SavedDelivery extends Delivery {
  /** Attempts that failed so far. */
  readonly attempts: number;
  readonly nextAttemptAt: EpochMs;
  readonly lastError: string | null;
}

export interface DeadLetter extends Delivery {
  readonly attempts: number;
  readonly lastError: string;
  readonly diedAt: EpochMs;
}

/** Identifies a delivery: the same event may go to several targets. */
export type DeliveryKey = string;
export const keyOf = (delivery: { readonly id: string; readonly target: string }): DeliveryKey =>
  `${delivery.id} ${delivery.target}`;

export interface StoredAlert {
  readonly alert: Alert;
  /** Last reading that this state reflects; a replayed one is recognised by it. */
  readonly lastOffset: number;
  /** Since when WHERE has been false; null while it is true. */
  readonly clearSince: EpochMs | null;
}

/** Saved in one transaction, so that a crash leaves alerts, deliveries and the checkpoint in step. */
export interface SaveBatch {
  readonly checkpoint: number;
  /** New or with another attempt counted. */
  readonly deliveries: readonly SavedDelivery[];
  /** Delivered ones that were saved before. */
  readonly done: readonly DeliveryKey[];
  /** Given up: leave the waiting ones. Only the newest `deadLettersMax` are kept. */
  readonly dead: readonly DeadLetter[];
  /** New or changed; of the resolved ones only the newest `alertsHistoryMax` are kept. */
  readonly alerts: readonly StoredAlert[];
}

export interface StoredState {
  readonly rules: readonly RuleDocument[];
  /** Offset of the next message to handle; null where nothing was ever saved. */
  readonly checkpoint: number | null;
  readonly alerts: readonly StoredAlert[];
  /** Targets that have deliveries waiting. */
  readonly targets: readonly { readonly target: string; readonly kind: "webhook" | "slack" }[];
  readonly waiting: number;
  /** Highest offset of any saved delivery: above it a replay need not look for doubles. */
  readonly savedOffsetMax: number;
  /** When the newest delivery that waits was made; null where none waits. */
  readonly newestCreatedAt: EpochMs | null;
}

export interface ForgottenState {
  readonly alerts: number;
  readonly deliveries: number;
  readonly deadLetters: number;
}

export interface RulesStore {
  load(): StoredState;
  putRule(rule: RuleDocument): void;
  /** Also drops the rule's waiting deliveries; returns how many. */
  deleteRule(ruleName: string): number;
  /**
   * Returns how many deliveries wait now. Without `durable` a power cut may lose the newest saves, but only as a whole and
   * in order: the checkpoint goes back with them, and the log is read again from there. So nothing is lost, and the
   * regular save need not wait for the disk.
   */
  save(batch: SaveBatch, durable: boolean): number;
  /** Waiting deliveries of one target whose time has come, in the order of their time, then of their offset. */
  due(target: string, now: EpochMs, limit: number): SavedDelivery[];
  /** When the next one of this target is due; null where none waits. */
  nextDue(target: string): EpochMs | null;
  /** Removes what is kept of a thing: alerts, and what waits or was given up. */
  forgetThing(thing: string): ForgottenState;
  /** Whether the delivery waits or was given up. */
  has(key: DeliveryKey): boolean;
  /** Makes dead letters of all that were created before; returns how many. */
  expire(createdBefore: EpochMs, now: EpochMs, reason: string): number;
  /** Newest first. */
  deadLetters(limit: number): DeadLetter[];
  /** Puts a dead letter back to the waiting ones; null where there is none. */
  revive(key: DeliveryKey, now: EpochMs): SavedDelivery | null;
}
