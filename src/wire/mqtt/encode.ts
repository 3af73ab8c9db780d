/** The bodies of the packets that are not hot. Properties that have the specification's default are left out. */
import type { MessageProperties } from "../../base/mod.ts";
import { RECEIVE_MAXIMUM_DEFAULT, UNLIMITED } from "./decode-connect.ts";
import { malformed } from "./fault.ts";
import type { Output } from "./output.ts";
import { ID } from "./properties.ts";
import { REASON, connackV3 } from "./reason.ts";
import type {
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  ProtocolVersion,
  SubackPacket,
  SubscribePacket,
  UnsubscribePacket,
  Will,
} from "./types.ts";

type Pairs = readonly (readonly [string, string])[];

function flag(out: Output, id: number, value: boolean | undefined): void {
  if (value === undefined) return;
  out.u8(id);
  out.u8(value ? 1 : 0);
}

function u16(out: Output, id: number, value: number | undefined): void {
  if (value === undefined) return;
  out.u8(id);
  out.u16(value);
}

function u32(out: Output, id: number, value: number | undefined): void {
  if (value === undefined) return;
  out.u8(id);
  out.u32(value);
}

function text(out: Output, id: number, value: string | null | undefined): void {
  if (value === undefined || value === null) return;
  out.u8(id);
  out.text(value);
}

function binary(out: Output, id: number, value: Uint8Array | null | undefined): void {
  if (value === undefined || value === null) return;
  out.u8(id);
  out.binary(value);
}

/** In the order in which they came [MQTT-3.1.3-10]. */
function pairs(out: Output, values: Pairs | undefined): void {
  if (values === undefined) return;
  for (const [name, value] of values) {
    out.u8(ID.userProperty);
    out.text(name);
    out.text(value);
  }
}

/** The properties that travel with a message, without their length. */
export function encodeMessageProperties(out: Output, properties: MessageProperties | null): void {
  if (properties === null) return;
  flag(out, ID.payloadFormat, properties.payloadFormat === undefined ? undefined : properties.payloadFormat === 1);
  u32(out, ID.messageExpiry, properties.messageExpirySeconds);
  text(out, ID.contentType, properties.contentType);
  text(out, ID.responseTopic, properties.responseTopic);
  binary(out, ID.correlationData, properties.correlationData);
  pairs(out, properties.userProperties);
}

export function encodeSubscriptionIdentifiers(out: Output, identifiers: readonly number[] | undefined): void {
  if (identifiers === undefined) return;
  for (const identifier of identifiers) {
    out.u8(ID.subscriptionIdentifier);
    out.varint(identifier);
  }
}

export function encodeConnect(out: Output, packet: ConnectPacket): void {
  const { version, will } = packet;
  if (version === 4 && packet.password !== null && packet.username === null) {
    throw malformed("MQTT 3.1.1 has no password without a user name"); // [MQTT311-3.1.2-22]
  }
  out.text("MQTT");
  out.u8(version);
  out.u8(
    (packet.username === null ? 0 : 128) |
      (packet.password === null ? 0 : 64) |
      (will === null ? 0 : 4 | (will.qos << 3) | (will.retain ? 32 : 0)) |
      (packet.cleanStart ? 2 : 0),
  );
  out.u16(packet.keepAliveSeconds);
  if (version === 5) encodeConnectProperties(out, packet);
  out.text(packet.clientId);
  if (will !== null) encodeWill(out, will, version);
  if (packet.username !== null) out.text(packet.username);
  if (packet.password !== null) out.binary(packet.password);
}

function encodeConnectProperties(out: Output, packet: ConnectPacket): void {
  const from = out.openLength();
  u32(out, ID.sessionExpiry, unless(0, packet.sessionExpirySeconds));
  u16(out, ID.receiveMaximum, unless(RECEIVE_MAXIMUM_DEFAULT, packet.receiveMaximum));
  u32(out, ID.maximumPacketSize, unless(UNLIMITED, packet.maximumPacketSize));
  u16(out, ID.topicAliasMaximum, unless(0, packet.topicAliasMaximum));
  flag(out, ID.requestResponseInformation, unless(false, packet.requestResponseInformation));
  flag(out, ID.requestProblemInformation, unless(true, packet.requestProblemInformation));
  pairs(out, packet.userProperties);
  text(out, ID.authenticationMethod, packet.authenticationMethod);
  binary(out, ID.authenticationData, packet.authenticationData);
  out.closeLength(from);
}

function unless<T>(standard: T, value: T): T | undefined {
  return value === standard ? undefined : value;
}

function encodeWill(out: Output, will: Will, version: ProtocolVersion): void {
  if (version === 5) {
    const from = out.openLength();
    u32(out, ID.willDelay, unless(0, will.delaySeconds));
    encodeMessageProperties(out, will.properties);
    out.closeLength(from);
  }
  out.text(will.topic);
  out.binary(will.payload);
}

/** The broker gives no user properties, so they make no CONNACK too large [MQTT-3.2.2-20]. */
export function encodeConnack(out: Output, packet: ConnackPacket, version: ProtocolVersion): void {
  // [MQTT-3.2.2-6], [MQTT311-3.2.2-4]: a refusal has no session
  out.u8(packet.sessionPresent && packet.reasonCode === REASON.success ? 1 : 0);
  if (version === 4) {
    out.u8(connackV3(packet.reasonCode));
    return;
  }
  out.u8(packet.reasonCode);
  const from = out.openLength();
  u32(out, ID.sessionExpiry, packet.sessionExpirySeconds);
  u16(out, ID.receiveMaximum, packet.receiveMaximum);
  flag(out, ID.maximumQos, packet.maximumQos === undefined ? undefined : packet.maximumQos === 1);
  flag(out, ID.retainAvailable, packet.retainAvailable);
  u32(out, ID.maximumPacketSize, packet.maximumPacketSize);
  text(out, ID.assignedClientId, packet.assignedClientId);
  u16(out, ID.topicAliasMaximum, packet.topicAliasMaximum);
  text(out, ID.reasonString, packet.reasonString);
  flag(out, ID.wildcardSubscriptionAvailable, packet.wildcardSubscriptionAvailable);
  flag(out, ID.subscriptionIdentifiersAvailable, packet.subscriptionIdentifiersAvailable);
  flag(out, ID.sharedSubscriptionAvailable, packet.sharedSubscriptionAvailable);
  u16(out, ID.serverKeepAlive, packet.serverKeepAliveSeconds);
  pairs(out, packet.userProperties);
  text(out, ID.responseInformation, packet.responseInformation);
  text(out, ID.serverReference, packet.serverReference);
  text(out, ID.authenticationMethod, packet.authenticationMethod);
  binary(out, ID.authenticationData, packet.authenticationData);
  out.closeLength(from);
}

/**
 * The part of an acknowledgement that follows the packet identifier in MQTT 5.0. User properties are never sent, so they make
 * no packet too large [MQTT-3.4.2-3].
 */
export function encodeAcknowledgeReason(out: Output, reasonCode: number, reasonString: string | undefined): void {
  if (reasonCode === REASON.success && reasonString === undefined) return;
  out.u8(reasonCode);
  if (reasonString === undefined) return; // section 3.4.2.2.1: fewer than 4 bytes need no property length
  const from = out.openLength();
  text(out, ID.reasonString, reasonString);
  out.closeLength(from);
}

export function encodeSubscribe(out: Output, packet: SubscribePacket, version: ProtocolVersion): void {
  out.u16(packet.packetId);
  if (version === 5) {
    const from = out.openLength();
    const identifier = packet.subscriptionIdentifier;
    encodeSubscriptionIdentifiers(out, identifier === 0 ? undefined : [identifier]);
    out.closeLength(from);
  }
  for (const request of packet.requests) {
    out.text(request.filter);
    const options = (request.noLocal ? 4 : 0) | (request.retainAsPublished ? 8 : 0) | (request.retainHandling << 4);
    out.u8(request.qos | (version === 5 ? options : 0)); // [MQTT311-3.8.3-4]: the rest is reserved
  }
}

/** Under the identifier of the request [MQTT-2.2.1-6]. In 3.1.1 every refusal is 0x80 [MQTT311-3.9.3-2]. */
export function encodeSuback(out: Output, packet: SubackPacket, version: ProtocolVersion): void {
  out.u16(packet.packetId);
  if (version === 5) encodeReasonString(out, packet.reasonString);
  for (const code of packet.reasonCodes) out.u8(version === 4 && code >= 0x80 ? 0x80 : code);
}

/** In 3.1.1 nothing follows the packet identifier (section 3.11.3 there). */
export function encodeUnsuback(out: Output, packet: SubackPacket, version: ProtocolVersion): void {
  out.u16(packet.packetId);
  if (version === 4) return;
  encodeReasonString(out, packet.reasonString);
  for (const code of packet.reasonCodes) out.u8(code);
}

/**
 * Whoever gives a reason leaves it out where the packet would be too large with it [MQTT-3.9.2-1], [MQTT-3.11.2-1]. User
 * properties are never sent [MQTT-3.9.2-2], [MQTT-3.11.2-2].
 */
function encodeReasonString(out: Output, reasonString: string | undefined): void {
  const from = out.openLength();
  text(out, ID.reasonString, reasonString);
  out.closeLength(from);
}

export function encodeUnsubscribe(out: Output, packet: UnsubscribePacket, version: ProtocolVersion): void {
  out.u16(packet.packetId);
  if (version === 5) out.u8(0);
  for (const filter of packet.filters) out.text(filter);
}

/** What a DISCONNECT needs; the rest of `DisconnectPacket` may be left out. */
export type DisconnectFields = Partial<DisconnectPacket> & { readonly reasonCode: number };

/** User properties are never sent, so they make no packet too large [MQTT-3.14.2-4]. */
export function encodeDisconnect(out: Output, packet: DisconnectFields, version: ProtocolVersion): void {
  if (version === 4) return;
  const { reasonCode, sessionExpirySeconds = null, reasonString = null, serverReference } = packet;
  const bare = sessionExpirySeconds === null && reasonString === null && serverReference === undefined;
  if (bare && reasonCode === REASON.normalDisconnection) return;
  out.u8(reasonCode);
  if (bare) return;
  const from = out.openLength();
  u32(out, ID.sessionExpiry, sessionExpirySeconds ?? undefined);
  text(out, ID.reasonString, reasonString);
  text(out, ID.serverReference, serverReference);
  out.closeLength(from);
}

export function encodeAuth(out: Output, packet: AuthPacket): void {
  const { reasonCode, authenticationMethod, authenticationData, reasonString } = packet;
  if (reasonCode === REASON.success && authenticationMethod === null && reasonString === undefined) return;
  out.u8(reasonCode);
  const from = out.openLength();
  text(out, ID.authenticationMethod, authenticationMethod);
  binary(out, ID.authenticationData, authenticationData);
  text(out, ID.reasonString, reasonString);
  out.closeLength(from);
}
