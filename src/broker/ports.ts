/** What the broker needs from the outside; `cloud/` connects it. */
import type { Cancel, EpochMs, Message } from "../base/mod.ts";
import type { ConnectPacket, PublishView } from "../wire/mqtt/mod.ts";
import type { EncodedPublisher, Logged, SessionNote } from "../wire/record/mod.ts";
import type {
  OutboxChunk,
  SavedExchanges,
  SavedOutbox,
  SavedRetained,
  SavedSession,
  SavedSubscription,
  StoredSession,
} from "./session.ts";

/** The other end of one connection: a TLS, TCP or WebSocket stream, or a simulated one; ordered and lossless [MQTT-4.2.0-1]. */
export interface Transport {
  readonly remoteAddress: string;
  /**
   * Sends bytes, which stay as they are until the transport calls `Connection.written`, and which it must not change: others may
   * be sending the same. Never called again before that.
   */
  write(bytes: Uint8Array): void;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Stops and resumes reading: the peer feels it as TCP back-pressure. */
  pause(): void;
  resume(): void;
}

/** Who the transport already proved to be, before CONNECT. */
export interface Peer {
  readonly remoteAddress: string;
  /** SHA-256 of the certificate's DER, 64 hex digits; null where none came. */
  readonly certificateId: string | null;
  /** The server's name as the client asked for it in its TLS handshake. */
  readonly serverName?: string;
  /** It came through a listener that was opened for anybody. */
  readonly anonymous?: boolean;
  /** It came through a listener where CONNECT's password says who it is: a password, or a token (JWT). */
  readonly login?: "password" | "jwt";
  /** Who it proved to be by something else than a certificate, e.g. `key/ID` by a signed WebSocket request. */
  readonly principal?: string;
}

/** Decides about CONNECT, and hands out what the connection may do. */
export interface Gatekeeper {
  /** May answer later: the connection is not read from meanwhile. A promise that rejects refuses the client. */
  admit(peer: Peer, connect: ConnectPacket): Admission | Promise<Admission>;
  /**
   * Begins an exchange of the method that CONNECT names (MQTT 5.0 section 4.12), also for a client that is connected and
   * authenticates anew; null where the method is not known. Without this function none is.
   */
  authenticate?(peer: Peer, connect: ConnectPacket): AuthenticationExchange | null;
  /** Whether whose will was kept over a restart, by its `Authorizer.owner`, may still publish it. Without this function all may. */
  mayPublishKept?(owner: string, topic: string, retain: boolean): boolean;
}

/** One run of an authentication method. Who is gone in the middle of it does not come back to it. */
export interface AuthenticationExchange {
  /** Takes what the client sent, first with CONNECT; `data` is its own. May answer later, as `admit`. */
  step(data: Uint8Array | null): AuthenticationStep | Promise<AuthenticationStep>;
}

export type AuthenticationStep =
  /** The client is asked on with `data`. */
  | { readonly kind: "continue"; readonly data: Uint8Array | null }
  /** `principal` is who the client proved to be: another one cannot take over a live connection. */
  | {
      readonly kind: "authenticated";
      readonly principal: string;
      readonly data: Uint8Array | null;
      readonly admission: Admission;
    }
  /** `reasonCode`: MQTT 5.0 CONNACK reason. */
  | { readonly kind: "failed"; readonly reasonCode: number; readonly reason: string };

export type Admission =
  | {
      readonly admitted: true;
      readonly thing: string | null;
      readonly authorizer: Authorizer;
      /** Who it is, where no certificate says it: `password/THING`, `jwt/SUBJECT` … */
      readonly principal?: string;
      /** From then on it may not be here; the broker ends it. */
      readonly expiresAt?: EpochMs;
    }
  /**
   * `reasonCode`: MQTT 5.0 CONNACK reason; the broker maps it for 3.1.1. `why`: what only the log is told.
   */
  | { readonly admitted: false; readonly reasonCode: number; readonly reason: string; readonly why?: string };

/** One connection's compiled policy. The broker caches verdicts per topic and drops them when `revision` changes. */
export interface Authorizer {
  readonly revision: number;
  publish(topic: string, retain: boolean): boolean;
  subscribe(filter: string): boolean;
  /** Asked per delivery, so that a revoked right ends a live subscription. */
  receive(topic: string): boolean;
  /** Whether it would still be let in, as it asked when it connected. Absent: always. */
  mayStay?(): boolean;
  /** What is kept with a will, so that the right to it can be asked about after a restart: `Gatekeeper.mayPublishKept`. */
  readonly owner?: string;
}

/** The publishing connection, as far as the log needs it; encoded once per connection. */
export interface Publisher {
  readonly clientId: string;
  readonly thing: string | null;
  /** Both as they stand in a record; always there when the broker calls. */
  readonly encoded?: EncodedPublisher;
  /** What it publishes comes from inside the platform: it says nothing about whether its thing is there. */
  readonly isInside?: boolean;
}

/** The durable log, as the broker sees it. Offsets are consecutive integers from 0. */
export interface Journal {
  /**
   * Takes one accepted PUBLISH; copies what it keeps. Returns its offset; it is durable once `durable` is above that.
   * Throws `TidewireError` LOG_FULL or LOG_FAILED where it cannot be taken; the broker answers Quota exceeded (0x97) or
   * Server unavailable, and never acknowledges.
   *
   * HOT. `view` always holds its topic: the broker has resolved aliases. `publisher` is the same object for all publishes of one connection. `receivedAt` is what
   * subscribers are told by, too, where the message expires. `identified`: the packet identifier is kept with the message.
   */
  append(topic: string, view: PublishView, publisher: Publisher, receivedAt: EpochMs, identified: boolean): number;
  /**
   * Takes a message that has no packet: a will, or one that a service publishes. `patient`: nobody waits until it is on
   * disk, so it may wait for what somebody does wait for; a moment, or until `hurry`.
   */
  appendMessage(message: Message, patient?: boolean): number;
  /** Somebody waits for what has this offset. */
  hurry(offset: number): void;
  /** Takes what a session has to remember of its deliveries; it has an offset as messages have. */
  appendNote(note: SessionNote): number;
  /** Every offset below this is on disk. */
  readonly durable: number;
  /** Told after each sync, with the new `durable`. */
  onDurable(listener: (durable: number) => void): Cancel;
  /** Reads back a kept message; null where retention has removed it, or the offset is a note's. */
  read(offset: number): Promise<Message | null>;
  /** All kept messages and notes from `from` up to `durable`, in order; for bringing the broker's state up to date at start. */
  replay(from: number): AsyncIterable<Replayed>;
}

export type Replayed = { readonly offset: number } & Logged;

/**
 * Sessions on disk: a view of the journal that is a moment behind it. Whatever was reported saved survives a crash; every
 * call is one transaction, and calls take effect in the order in which they are made.
 */
export interface StateStore {
  load(): Promise<SavedState>;
  /** Entries of a session's outbox, in order, from the one that `from` is in; no more than `max` need, or one chunk. */
  queued(clientId: string, from: number, max: number): Promise<readonly OutboxChunk[]>;
  /** Must be on disk when it resolves, power cut included: a CONNACK or SUBACK waits for it. */
  saveSessions(changes: readonly SessionChange[]): Promise<void>;
  /** May lose the latest calls in a power cut, all of a call or nothing: the journal is replayed from `appliedOffset`. */
  saveProgress(progress: Progress): Promise<void>;
  readonly retained: RetainedStore;
}

/**
 * Retained messages on disk; nowhere else is there a list of them. What changes them may lose its latest calls in a power
 * cut, like `saveProgress`. No call takes longer than some hundred messages do.
 */
export interface RetainedStore {
  /** Makes the changes, of different topics each, as far as `room` goes; saving the same again changes nothing. */
  save(changes: readonly SavedRetained[], room: RetainedTotals): Promise<RetainedSaved>;
  /**
   * Those that the filter matches, in the order of `compareTopics`, behind the topic `after`: at most `max`, fewer where
   * they are large or lie far apart.
   */
  page(filter: string, after: string | null, max: number): Promise<RetainedPage>;
  /** The one that the journal has, or had, at this offset; null where another took its place. */
  at(offset: number): Promise<SavedRetained | null>;
  /** Removes at most `max` of those that expired by then. */
  expire(now: EpochMs, max: number): Promise<RetainedTotals & { readonly removed: number }>;
  /** Removes those from this offset on: the journal lost them. */
  forgetFrom(offset: number): Promise<RetainedTotals>;
}

export interface RetainedTotals {
  readonly messages: number;
  /** Of their packets. */
  readonly bytes: number;
}

export interface RetainedSaved extends RetainedTotals {
  /** Those for which there was no room; what their topics had before is gone too, because it is true no longer. */
  readonly refused: readonly SavedRetained[];
}

export interface RetainedPage {
  readonly found: readonly SavedRetained[];
  /** Every topic up to here has been looked at; null: there are no more. */
  readonly upTo: string | null;
}

export interface SessionChange {
  readonly clientId: string;
  /** What is stored under this client id, its subscriptions and its outbox, belongs to an earlier session and goes first. */
  readonly reset: boolean;
  /** Null: the session is over; `reset` is true then. */
  readonly session: SavedSession | null;
  /** Subscriptions that were made or changed, and those that ended (null), by filter. */
  readonly subscriptions: readonly (readonly [filter: string, subscription: SavedSubscription | null])[];
}

export interface Progress {
  /** Every message below this offset is reflected in what was saved. */
  readonly appliedOffset: number;
  readonly outboxes: readonly SavedOutbox[];
  /** Those that changed, each as a whole. */
  readonly exchanges: readonly SavedExchanges[];
}

export interface SavedState {
  readonly appliedOffset: number;
  /** Some at a time, so that nobody holds them all twice. */
  readonly sessions: AsyncIterable<readonly StoredSession[]>;
}
