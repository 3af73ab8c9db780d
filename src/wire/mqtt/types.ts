/** MQTT control packets as values. Section numbers are those of MQTT 5.0 unless they say 3.1.1. */
import type { MessageProperties, QoS } from "../../base/mod.ts";
import type { BufferPool } from "./output.ts";

/** Protocol level byte of CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type ProtocolVersion = 4 | 5;

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly delaySeconds: number;
  readonly properties: MessageProperties | null;
}

/** Section 3.1. */
export interface ConnectPacket {
  readonly version: ProtocolVersion;
  /** Clean Start; Clean Session in 3.1.1. */
  readonly cleanStart: boolean;
  readonly keepAliveSeconds: number;
  readonly clientId: string;
  readonly username: string | null;
  readonly password: Uint8Array | null;
  readonly will: Will | null;
  /** Properties with the specification's defaults filled in; 3.1.1: expiry 0 if clean, 0xffffffff if not. */
  readonly sessionExpirySeconds: number;
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  readonly requestResponseInformation: boolean;
  readonly requestProblemInformation: boolean;
  readonly userProperties: readonly (readonly [string, string])[];
  readonly authenticationMethod: string | null;
  readonly authenticationData: Uint8Array | null;
}

/**
 * Section 3.2. In 3.1.1 only the first two fields travel; there a decoded `reasonCode` is its return code, 0 to 5, and an
 * encoded one is mapped (`connackV3`). Absent fields are left to the specification's default.
 */
export interface ConnackPacket {
  readonly sessionPresent: boolean;
  readonly reasonCode: number;
  readonly sessionExpirySeconds?: number;
  readonly receiveMaximum?: number;
  readonly maximumQos?: 0 | 1;
  readonly retainAvailable?: boolean;
  readonly maximumPacketSize?: number;
  readonly assignedClientId?: string;
  readonly topicAliasMaximum?: number;
  readonly reasonString?: string;
  readonly wildcardSubscriptionAvailable?: boolean;
  readonly subscriptionIdentifiersAvailable?: boolean;
  readonly sharedSubscriptionAvailable?: boolean;
  readonly serverKeepAliveSeconds?: number;
  readonly userProperties?: readonly (readonly [string, string])[];
  readonly responseInformation?: string;
  readonly serverReference?: string;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Uint8Array;
}

/**
 * A PUBLISH as it lies in the received bytes (section 3.3): offsets, no copies. ONE view is reused for every packet, so
 * it and `buffer` are valid only during the call that hands it out.
 */
export interface PublishView {
  /** Holds the whole packet, from `start` to `end`. */
  readonly buffer: Uint8Array;
  /** The same bytes. */
  readonly words: DataView;
  readonly start: number;
  readonly end: number;
  readonly version: ProtocolVersion;
  readonly dup: boolean;
  readonly qos: QoS;
  readonly retain: boolean;
  /** 0 where QoS is 0. */
  readonly packetId: number;
  readonly topicStart: number;
  readonly topicEnd: number;
  /** The property bytes without their length; equal where there are none, as always in 3.1.1. Already validated. */
  readonly propertiesStart: number;
  readonly propertiesEnd: number;
  /** 0 where the packet carries none. */
  readonly topicAlias: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

export interface SubscribeRequest {
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

/** Section 3.8. */
export interface SubscribePacket {
  readonly packetId: number;
  readonly requests: readonly SubscribeRequest[];
  /** 0 where the packet carries none. */
  readonly subscriptionIdentifier: number;
}

/** Section 3.10. */
export interface UnsubscribePacket {
  readonly packetId: number;
  readonly filters: readonly string[];
}

/** Sections 3.9 and 3.11; one reason code per request, in order. UNSUBACK of 3.1.1 has none. */
export interface SubackPacket {
  readonly packetId: number;
  readonly reasonCodes: readonly number[];
  readonly reasonString?: string;
}

/** Section 3.14. */
export interface DisconnectPacket {
  readonly reasonCode: number;
  readonly sessionExpirySeconds: number | null;
  readonly reasonString: string | null;
  readonly serverReference?: string;
}

/** Section 3.15. */
export interface AuthPacket {
  readonly reasonCode: number;
  readonly authenticationMethod: string | null;
  readonly authenticationData: Uint8Array | null;
  readonly reasonString?: string;
}

export type AcknowledgeKind = "puback" | "pubrec" | "pubrel" | "pubcomp";

/** Receives decoded packets in order. A throw from a handler stops the reader and leaves `push`. */
export interface PacketHandler {
  connect(packet: ConnectPacket): void;
  connack(packet: ConnackPacket): void;
  publish(view: PublishView): void;
  /** `reasonString` is there where an MQTT 5.0 peer sent one. */
  acknowledge(kind: AcknowledgeKind, packetId: number, reasonCode: number, reasonString?: string): void;
  subscribe(packet: SubscribePacket): void;
  suback(packet: SubackPacket): void;
  unsubscribe(packet: UnsubscribePacket): void;
  unsuback(packet: SubackPacket): void;
  pingreq(): void;
  pingresp(): void;
  disconnect(packet: DisconnectPacket): void;
  auth(packet: AuthPacket): void;
}

/** What a reader refuses; the values of `LIMITS.mqtt` fit. */
export interface ReaderLimits {
  /** Whole packet, fixed header included; refused from the fixed header, before the body is kept. */
  readonly connectBytesMax: number;
  readonly packetBytesMax: number;
  readonly topicBytesMax: number;
  readonly topicLevelsMax: number;
  readonly userPropertiesMax: number;
  /** Also for UNSUBSCRIBE. */
  readonly filtersPerSubscribeMax: number;
  readonly clientIdBytesMax: number;
}

/** Whose packets a reader takes: a server's come from clients, a client's from a server. */
export type Role = "server" | "client";

export interface ReaderOptions {
  /** Which end of the connection the reader serves. */
  readonly role: Role;
  /** What the client has put into its CONNECT. A server learns it from there. */
  readonly version?: ProtocolVersion;
  readonly limits: ReaderLimits;
  /** Lends memory for what comes while the reader is paused. */
  readonly pool?: BufferPool;
}
