/** What the rules keep on disk. `adapters/sqlite/rules-store.ts` does it with SQLite. All calls are synchronous. */
import type { EpochMs, JsonObject } from "../base/mod.ts";
import type { AlertRow, StoredAlert } from "./alerts/store.ts";
import type {
  DeadLetter,
  DeadLetterQuery,
  DeadReceiver,
  DeliveryKey,
  KeptLetter,
  SavedDelivery,
} from "./delivery/delivery.ts";
import type { Receiver } from "./delivery/sender.ts";
import type { RuleDocument } from "./model.ts";
import type { OwedMessages } from "./asking/asking.ts";
import type { StateSnapshot } from "./windows/snapshot.ts";
import type { RefusedState, SavedWindows } from "./windows/windowed-rules.ts";

/** Saved in one transaction, so that a crash leaves alerts, deliveries and the checkpoint in step. */
export interface SaveBatch {
  readonly checkpoint: number;
  /** Of the deliveries and dead letters below, those that the store does not have. */
  readonly receivers: readonly Receiver[];
  /** New or with another attempt counted. */
  readonly deliveries: readonly SavedDelivery[];
  /** Delivered ones that were saved before. */
  readonly done: readonly DeliveryKey[];
  /** Given up: leave the waiting ones. Only the newest `deadLettersMax` are kept. */
  readonly dead: readonly DeadLetter[];
  /** New or changed; of the resolved ones that were told of only the newest `alertsHistoryMax` are kept. */
  readonly alerts: readonly StoredAlert[];
  readonly alertRows: readonly AlertRow[];
  /** State of rules with windows: what changed of it. */
  readonly windows: readonly SavedWindows[];
  /** What was due in windows until then, by the log's time, was told and is delivered or saved. Null: nothing was. */
  readonly toldUntil: EpochMs | null;
  /** Rules that are behind with asking: what changed of it. */
  readonly owed: readonly OwedMessages[];
}

export interface StoredState {
  readonly rules: readonly RuleDocument[];
  /** Offset of the next message to handle; null where nothing was ever saved. */
  readonly checkpoint: number | null;
  readonly alerts: readonly StoredAlert[];
  readonly alertRows: readonly AlertRow[];
  readonly windows: readonly SavedWindows[];
  readonly toldUntil: EpochMs | null;
  readonly owed: readonly OwedMessages[];
  /** Those that have deliveries waiting. */
  readonly receivers: readonly Receiver[];
  readonly waiting: number;
  /** Highest offset of any saved delivery: above it a replay need not look for doubles. */
  readonly savedOffsetMax: number;
  /** When the newest delivery that waits was made; null where none waits. */
  readonly newestCreatedAt: EpochMs | null;
}

/** A row that the store does not take while it takes others: too large, or broken. */
export interface RefusedRow {
  readonly rule: string | null;
  readonly reason: string;
}

export interface Saved {
  /** How many deliveries wait now. */
  readonly waiting: number;
  /** Rules whose state was left as it was before. All else is on disk. */
  readonly refused: readonly RefusedState[];
  /** Deliveries, dead letters and alerts that are lost with the process, for they never will be on disk. */
  readonly lost: readonly RefusedRow[];
}

export interface ForgottenState {
  readonly alerts: number;
  readonly deliveries: number;
  readonly deadLetters: number;
}

/** Of a kind that the rules know nothing of. */
export interface StoredDocument {
  readonly kind: string;
  readonly name: string;
  /** Null: it is removed. */
  readonly document: JsonObject | null;
}

/** Secrets of rules and receivers are sealed on disk. */
export interface RulesStore {
  load(): StoredState;
  putRule(rule: RuleDocument): void;
  /** In one transaction. With a rule go its waiting deliveries; returns how many, of each rule that is deleted. */
  change(change: StoredChange): number[];
  documents(): StoredDocument[];
  /**
   * Puts pages of a rule's state beside those that count; they count once `save` names them as staged, and are replaced by
   * pages of the same number that are staged later. Not waited for, and in the order of the saves.
   */
  stage(rule: string, pages: StateSnapshot["pages"]): void;
  /**
   * What is wrong with one rule's rows is told, and costs the others nothing; throws where nothing can be saved. Without
   * `durable` a power cut may lose the newest saves, but only as a whole and in order: the checkpoint goes back with them,
   * and the log is read again from there. So nothing is lost, and the regular save need not wait for the disk.
   */
  save(batch: SaveBatch, durable: boolean): Saved;
  /** Waiting deliveries of one receiver whose time has come, in the order of their time, then of their offset. */
  due(receiver: string, now: EpochMs, limit: number): SavedDelivery[];
  /** When the next one of this receiver is due; null where none waits. */
  nextDue(receiver: string): EpochMs | null;
  /** How many deliveries of this receiver wait. */
  waitingFor(receiver: string): number;
  /** Waiting deliveries that were created before, the oldest first. */
  older(createdBefore: EpochMs, limit: number): SavedDelivery[];
  /** Gives what waits or was given up of a rule (null: of alerts) another receiver; returns how many of them wait. */
  changeReceiver(rule: string | null, from: string, to: Receiver): number;
  /** Removes what is kept of a thing: alerts, what waits or was given up, and all pages that do not count. */
  forgetThing(thing: string): ForgottenState;
  /** Whether the delivery waits or was given up. */
  has(key: DeliveryKey): boolean;
  /** Whether another delivery of the same rule and message was given up before. */
  hasDied(rule: string, event: string): boolean;
  /** Newest first. */
  deadLetters(query: DeadLetterQuery): KeptLetter[];
  /** Receivers that have dead letters, and how many; those with the newest first. */
  deadReceivers(): DeadReceiver[];
  /** Null where there is no such letter. */
  editDeadLetter(number: number, change: LetterChange): KeptLetter | null;
  /** Puts dead letters back to the waiting ones, from the beginning; the newest first. */
  revive(query: DeadLetterQuery, now: EpochMs): readonly Revived[];
  /** Returns how many there were. */
  dropDeadLetters(query: DeadLetterQuery): number;
}

export interface StoredChange {
  readonly rules: readonly RuleDocument[];
  readonly deletes: readonly string[];
  readonly documents: readonly StoredDocument[];
}

export interface Revived {
  readonly receiver: Receiver;
  readonly count: number;
}

export type LetterChange = Partial<Pick<DeadLetter, "body" | "fields">>;
