/** What the broker needs from the outside; `cloud/` connects it. */
import type { Message } from "../base/mod.ts";
import type { ConnectPacket, PublishView } from "../wire/mqtt/types.ts";
import type { Cancel } from "../base/mod.ts";

/** The other end of one connection: a TLS, TCP or WebSocket stream, or a simulated one. */
export interface Transport {
  readonly remoteAddress: string;
  /** Sends bytes. The transport owns them until it calls `Connection.written`. Never called again before that. */
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
  /** SHA-256 of the certificate's DER, 64 hex digits; null on a listener without client certificates. */
  readonly certificateId: string | null;
}

/** Decides about CONNECT, and hands out what the connection may do. */
export interface Gatekeeper {
  admit(peer: Peer, connect: ConnectPacket): Admission;
}

export type Admission =
  | { readonly admitted: true; readonly thing: string | null; readonly authorizer: Authorizer }
  /** `reasonCode`: MQTT 5.0 CONNACK reason; the broker maps it for 3.1.1. */
  | { readonly admitted: false; readonly reasonCode: number; readonly reason: string };

/** One connection's compiled policy. The broker caches verdicts per topic and drops them when `revision` changes. */
export interface Authorizer {
  readonly revision: number;
  publish(topic: string, retain: boolean): boolean;
  subscribe(filter: string): boolean;
  /** Asked per delivery, so that a revoked right ends a live subscription. */
  receive(topic: string): boolean;
}

/** The publishing connection, as far as the log needs it; encoded once per connection. */
export interface Publisher {
  readonly clientId: string;
  readonly thing: string | null;
}

/** The durable log, as the broker sees it. Offsets are consecutive integers from 0. */
export interface Journal {
  /**
   * Takes one accepted PUBLISH; copies what it keeps. Returns its offset; it is durable once `durable` is above that.
   * Throws `TidewireError` LOG_FULL or LOG_FAILED where it cannot be taken; the broker answers Quota exceeded (0x97) or
   * Server unavailable, and never acknowledges.
   */
  append(topic: string, view: PublishView, publisher: Publisher): number;
  /** Takes a message that has no packet: a will, or one that a service publishes. */
  appendMessage(message: Message): number;
  /** Every offset below this is on disk. */
  readonly durable: number;
  /** Told after each sync, with the new `durable`. */
  onDurable(listener: (durable: number) => void): Cancel;
  /** Reads back a kept message; null where retention has removed it. */
  read(offset: number): Promise<Message | null>;
  /** All kept messages from `from` up to `durable`, in order; for bringing the broker's state up to date at start. */
  replay(from: number): AsyncIterable<{ readonly offset: number; readonly message: Message }>;
}
