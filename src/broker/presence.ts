/** Who is connected, and why somebody no longer is: AWS IoT's life-cycle events. */
import type { EpochMs } from "../base/mod.ts";
import type { Connection } from "./connection.ts";

/** AWS IoT's names (`DisconnectReasonValue`). */
export type DisconnectCause =
  | "CLIENT_INITIATED_DISCONNECT"
  | "CONNECTION_LOST"
  | "MQTT_KEEP_ALIVE_TIMEOUT"
  | "DUPLICATE_CLIENTID"
  | "CLIENT_ERROR"
  | "FORBIDDEN_ACCESS"
  | "AUTH_ERROR"
  | "SERVER_INITIATED_DISCONNECT"
  | "API_INITIATED_DISCONNECT"
  | "SERVER_ERROR"
  | "THROTTLED";

export interface PresenceEvent {
  readonly type: "connected" | "disconnected";
  readonly clientId: string;
  readonly thing: string | null;
  readonly certificateId: string | null;
  /** Who it is: the certificate's id, or what the admission said; null: nobody in particular. */
  readonly principal: string | null;
  readonly at: EpochMs;
  readonly remoteAddress: string;
  /** Null on `connected`. */
  readonly reason: DisconnectCause | null;
  /** The same on both events of one connection, and on no other. */
  readonly sessionIdentifier: string;
  /** Grows by one with each connection of the client id; tells late events from new ones. */
  readonly versionNumber: number;
}

/** A client has subscribed or unsubscribed. */
export interface SubscriptionEvent {
  readonly type: "subscribed" | "unsubscribed";
  readonly clientId: string;
  readonly certificateId: string | null;
  readonly at: EpochMs;
  readonly sessionIdentifier: string;
  /** Those of the packet that took effect. */
  readonly filters: readonly string[];
}

export interface ConnectionInfo {
  readonly clientId: string;
  readonly thing: string | null;
  readonly certificateId: string | null;
  /** As in `PresenceEvent`. */
  readonly principal: string | null;
  readonly remoteAddress: string;
  readonly connectedAt: EpochMs;
  readonly protocolVersion: 4 | 5;
  readonly keepAliveSeconds: number;
  readonly cleanStart: boolean;
  readonly subscriptions: number;
  /** QoS 1 deliveries that wait for an acknowledgement, or to be sent. */
  readonly owed: number;
}

/** As it is now. */
export function infoOf(connection: Connection): ConnectionInfo {
  const { publisher, peer, session } = connection;
  return {
    clientId: publisher.clientId,
    thing: publisher.thing,
    certificateId: peer.certificateId,
    principal: connection.principal,
    remoteAddress: peer.remoteAddress,
    connectedAt: connection.connectedAt,
    protocolVersion: connection.version,
    keepAliveSeconds: connection.keepAliveSeconds,
    cleanStart: connection.cleanStart,
    subscriptions: session?.subscriptions.size ?? 0,
    owed: session?.outbox.size ?? 0,
  };
}
