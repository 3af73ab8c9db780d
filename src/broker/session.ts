/** What the broker keeps for a client, longer than any one connection (MQTT 5.0 section 4.1). */
import type { EpochMs, Millis, QoS } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import type { Will } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { ThingScope } from "./fairness.ts";
import type { IdentifierSet } from "./identifier-set.ts";
import type { PendingNote } from "./notes.ts";
import { Outbox } from "./outbox.ts";
import type { Authorizer } from "./ports.ts";
import { SubscriptionSet } from "./subscription-set.ts";

export interface Subscription {
  readonly kind: "session";
  readonly session: Session;
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0 where the client gave none. */
  readonly identifier: number;
  /** The journal's offset when it was made: after a crash, older messages are not for it. */
  readonly since: number;
}

/** A service inside the platform. */
export interface LocalSubscription {
  readonly kind: "local";
  readonly filter: string;
  readonly handler: (message: Message) => void;
}

/** The retained messages of a subscription, as far as they were not sent. */
export interface RetainedWanted {
  readonly subscription: Subscription;
  /** Of messages from this offset on, the subscription has got its own copy, as they came. */
  readonly before: number;
  /** All topics up to here are done; null: none is. */
  after: string | null;
}

/** A Will that was accepted, with the right to publish it [MQTT-3.1.2-7]. */
export interface StandingWill {
  readonly will: Will;
  readonly thing: string | null;
  /** Null after a restart. */
  readonly authorizer: Authorizer | null;
  /** Of an earlier run's authorizer; null: it had none, nobody in particular may always. */
  readonly owner: string | null;
}

export class Session {
  /** What it is found by [MQTT-3.1.3-2]. */
  readonly clientId: string;
  connection: Connection | null = null;
  /** Whose it is; null where it stands for no thing. */
  scope: ThingScope | null = null;
  /** Seconds that the session outlives its connection; 0: not at all. */
  expirySeconds = 0;
  /** Monotonic time at which it ends; null while connected. */
  expiresAt: Millis | null = null;
  /** Wall clock time of the same, so that another process can tell how long ago it was. */
  disconnectedAt: EpochMs | null = null;
  readonly subscriptions = new SubscriptionSet();
  /** What it is owed: unacknowledged until its PUBACK has come [MQTT-4.3.2-3]. */
  readonly outbox = new Outbox();
  /** The client's identifiers of QoS 2 messages that we have and it has not released; null until the first. */
  received: IdentifierSet | null = null;
  /** What this turn has to say to the log about QoS 2. */
  note: PendingNote | null = null;
  /** The journal's offset when it began: older records speak of an earlier session of the same client. */
  since = 0;
  /** Subscriptions that were not sent all their retained messages, one after the other, by filter. Not saved. */
  retainedWanted: Map<string, RetainedWanted> | null = null;
  /** Retained messages are being looked up. */
  lookingUp = false;
  /** Its outbox may hold answers of services, which end with the connection. */
  hasAnswers = false;
  /** A read from the journal is under way; deliveries wait for it, to keep their order. */
  reading = false;
  /** The will of a client that is gone, waiting for its delay. */
  will: StandingWill | null = null;
  /** Monotonic time at which `will` is published. */
  willAt: Millis | null = null;
  /** Where the log holds its will, once that was published; -1 where none was. */
  willOffset = -1;
  /** Grows with each connection of this client id; presence events carry it. */
  versionNumber = 0;
  /** When the earlier of `expiresAt` and `willAt` is, and its place among all of them (`Deadlines`). */
  dueAt: Millis = 0;
  duePlace = -1;
  /** What this absent session adds to `Core.queuedAbsent` and `Core.queuedBytesAbsent`. */
  queuedCounted = 0;
  queuedBytesCounted = 0;
  /** Places in its queue may mean something else to a start, so no note speaks of them any more. */
  placesUnsure = false;
  /** It has left a group while its queue held something, and may owe what came by it. */
  leftGroup = false;
  /** Over; nothing may be delivered to it or saved for it. */
  ended = false;
  /** What the state store holds of the outbox: entries from `savedHead` up to `savedTail`. */
  savedHead = 0;
  savedTail = 0;
  /** The state store holds this session. */
  saved = false;

  constructor(clientId: string) {
    this.clientId = clientId;
  }

  /** Something waits that could be sent as soon as the client takes it. */
  get owes(): boolean {
    return this.outbox.waiting > 0 || this.retainedWanted !== null;
  }

  get persistent(): boolean {
    return this.expirySeconds > 0;
  }
}

/** A session as the state store keeps it. Times are wall clock, because the process that reads them is another one. */
export interface SavedSession {
  readonly clientId: string;
  readonly expirySeconds: number;
  /** When the client was last there; null while it is connected. */
  readonly disconnectedAt: EpochMs | null;
  readonly versionNumber: number;
  readonly since: number;
  /** Whose it is; null for no thing's, and in a file of an earlier version. */
  readonly thing: string | null;
  readonly leftGroup: boolean;
  /** `owner`: of its authorizer; null also in a file of an earlier version. */
  readonly will: { readonly will: Will; readonly thing: string | null; readonly owner: string | null } | null;
}

export interface SavedSubscription {
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly identifier: number;
  readonly since: number;
}

/** Consecutive entries of an outbox. */
export interface OutboxChunk {
  readonly first: number;
  /** Two numbers per entry: offset, and what `Outbox` packs into its bits. */
  readonly slots: Float64Array;
  readonly identifiers: readonly (readonly [sequence: number, identifiers: readonly number[]])[];
}

export interface StoredOutbox {
  /** Entries below this are finished. */
  readonly head: number;
  /** Where the store's entries end. */
  readonly tail: number;
  /** Entries below this were sent at least once. */
  readonly sentBefore: number;
  /** Of the entries from `head` up to `tail`; -1: a file of an earlier version does not say. */
  readonly bytes: number;
  /** Every record below this offset is reflected in it; may be above that of all (`Progress.appliedOffset`). */
  readonly applied: number;
}

export interface SavedOutbox extends StoredOutbox {
  readonly clientId: string;
  /** What the store does not have yet. */
  readonly chunks: readonly OutboxChunk[];
}

/** QoS 2 of one session, both ways, as it was when every record below `Progress.appliedOffset` had been accepted. */
export interface SavedExchanges {
  readonly clientId: string;
  /** From the client: identifiers that it has not released. */
  readonly received: readonly number[];
  /** To the client: places in the outbox and their packet identifiers, in turns. */
  readonly sent: readonly number[];
  /** PUBREC has come, PUBCOMP has not; in the order of the PUBRECs. */
  readonly released: readonly number[];
  /** Places in the outbox that are finished although an older one is not. */
  readonly done: readonly number[];
}

/** A session as it is loaded: all but what it is owed. */
export interface StoredSession extends SavedSession {
  readonly subscriptions: readonly SavedSubscription[];
  readonly outbox: StoredOutbox | null;
  readonly exchanges: SavedExchanges | null;
}

export interface SavedRetained {
  readonly topic: string;
  /** One MQTT 5.0 PUBLISH; null deletes. */
  readonly frame: Uint8Array | null;
  readonly offset: number;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
  readonly expiresAt: EpochMs | null;
}
