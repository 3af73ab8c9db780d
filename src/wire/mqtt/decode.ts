/** The packets that are neither hot nor CONNECT: sections 3.4 to 3.15. */
import type { QoS } from "../../base/mod.ts";
import type { Cursor } from "./cursor.ts";
import { PacketError, malformed, protocolError } from "./fault.ts";
import { ID, PLACE, PropertyBag } from "./properties.ts";
import { REASON, reasonAllowed } from "./reason.ts";
import type {
  AcknowledgeKind,
  AuthPacket,
  DisconnectPacket,
  ProtocolVersion,
  ReaderLimits,
  Role,
  SubackPacket,
  SubscribePacket,
  SubscribeRequest,
  UnsubscribePacket,
} from "./types.ts";

/** [MQTT-2.2.1-3], [MQTT-2.2.1-4]; [MQTT311-2.3.1-1]. */
export function decodePacketId(cursor: Cursor): number {
  const packetId = cursor.u16("packet identifier");
  if (packetId === 0) throw protocolError("the packet identifier is 0");
  return packetId;
}

export interface Acknowledgement {
  readonly packetId: number;
  readonly reasonCode: number;
  readonly reasonString: string | undefined;
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP. In 5.0 a reason code and properties may follow the packet identifier (3.4.2). */
export function decodeAcknowledge(
  cursor: Cursor,
  kind: AcknowledgeKind,
  version: ProtocolVersion,
  limits: ReaderLimits,
): Acknowledgement {
  const packetId = decodePacketId(cursor);
  let reasonCode: number = REASON.success;
  let reasonString: string | undefined;
  if (version === 5 && cursor.left > 0) {
    reasonCode = cursor.u8("reason code");
    // [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]
    if (!reasonAllowed(kind, reasonCode)) throw protocolError(`${kind} does not know the reason code ${reasonCode}`);
    if (cursor.left > 0) {
      const bag = PropertyBag.read(cursor, PLACE.acknowledge, limits.userPropertiesMax);
      reasonString = bag.text(ID.reasonString);
    }
  }
  cursor.done(kind);
  return { packetId, reasonCode, reasonString };
}

export function decodeSubscribe(cursor: Cursor, version: ProtocolVersion, limits: ReaderLimits): SubscribePacket {
  const packetId = decodePacketId(cursor);
  const bag = version === 5 ? PropertyBag.read(cursor, PLACE.subscribe, limits.userPropertiesMax) : null;
  const requests: SubscribeRequest[] = [];
  // [MQTT-3.8.3-2], [MQTT311-3.8.3-3]
  if (cursor.left === 0) throw protocolError("SUBSCRIBE without a topic filter");
  while (cursor.left > 0) {
    refuseMoreFilters(requests.length, limits);
    const filter = cursor.text("topic filter"); // [MQTT-3.8.3-1]
    requests.push(decodeSubscribeOptions(filter, cursor.u8("subscription options"), version));
  }
  return { packetId, requests, subscriptionIdentifier: bag?.subscriptionIdentifiers[0] ?? 0 };
}

function refuseMoreFilters(count: number, limits: ReaderLimits): void {
  if (count < limits.filtersPerSubscribeMax) return;
  const detail = `more than ${limits.filtersPerSubscribeMax} topic filters in one packet`;
  throw new PacketError(REASON.quotaExceeded, detail, "filtersPerSubscribeMax");
}

function decodeSubscribeOptions(filter: string, options: number, version: ProtocolVersion): SubscribeRequest {
  const reserved = version === 5 ? 0xc0 : 0xfc;
  // [MQTT-3.8.3-5], [MQTT311-3.8.3-4]
  if ((options & reserved) !== 0) throw malformed("a reserved subscription option is set");
  const qos = options & 3;
  if (qos === 3) throw version === 5 ? protocolError("a subscription asks for QoS 3") : malformed("QoS 3 is asked for");
  const noLocal = (options & 4) !== 0;
  const retainHandling = options >> 4;
  if (retainHandling === 3) throw protocolError("a subscription's retain handling is 3"); // section 3.8.3.1
  // [MQTT-3.8.3-4]
  if (noLocal && filter.startsWith("$share/")) throw protocolError("a shared subscription asks for No Local");
  return {
    filter,
    qos: qos as QoS,
    noLocal,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}

export function decodeUnsubscribe(cursor: Cursor, version: ProtocolVersion, limits: ReaderLimits): UnsubscribePacket {
  const packetId = decodePacketId(cursor);
  if (version === 5) PropertyBag.read(cursor, PLACE.unsubscribe, limits.userPropertiesMax);
  const filters: string[] = [];
  if (cursor.left === 0) throw protocolError("UNSUBSCRIBE without a topic filter"); // [MQTT-3.10.3-2]
  while (cursor.left > 0) {
    refuseMoreFilters(filters.length, limits);
    filters.push(cursor.text("topic filter")); // [MQTT-3.10.3-1]
  }
  return { packetId, filters };
}

const V3_GRANTS: readonly number[] = [0, 1, 2, 0x80];

export function decodeSuback(
  cursor: Cursor,
  kind: "suback" | "unsuback",
  version: ProtocolVersion,
  limits: ReaderLimits,
): SubackPacket {
  const packetId = decodePacketId(cursor);
  if (version === 4 && kind === "unsuback") {
    cursor.done(kind); // 3.1.1 section 3.11.3: no payload
    return { packetId, reasonCodes: [] };
  }
  const bag = version === 5 ? PropertyBag.read(cursor, PLACE.suback, limits.userPropertiesMax) : null;
  const reasonCodes: number[] = [];
  if (cursor.left === 0) throw malformed(`${kind} without a reason code`);
  while (cursor.left > 0) {
    const code = cursor.u8("reason code");
    // [MQTT-3.9.3-2], [MQTT-3.11.3-2]
    const known = version === 5 ? reasonAllowed(kind, code) : V3_GRANTS.includes(code);
    if (!known) throw protocolError(`${kind} does not know the reason code ${code}`);
    reasonCodes.push(code);
  }
  const reasonString = bag?.text(ID.reasonString);
  return reasonString === undefined ? { packetId, reasonCodes } : { packetId, reasonCodes, reasonString };
}

/** Section 3.14.2: reason code and properties may be left out from the end. */
export function decodeDisconnect(
  cursor: Cursor,
  role: Role,
  version: ProtocolVersion,
  limits: ReaderLimits,
): DisconnectPacket {
  const packet: DisconnectPacket = { reasonCode: REASON.success, sessionExpirySeconds: null, reasonString: null };
  if (version === 4 || cursor.left === 0) {
    cursor.done("DISCONNECT");
    return packet;
  }
  const reasonCode = cursor.u8("reason code");
  // [MQTT-3.14.2-1]
  if (!reasonAllowed("disconnect", reasonCode)) throw protocolError(`DISCONNECT does not know the code ${reasonCode}`);
  if (cursor.left === 0) return { ...packet, reasonCode };
  const bag = PropertyBag.read(cursor, PLACE.disconnect, limits.userPropertiesMax);
  cursor.done("DISCONNECT");
  const sessionExpirySeconds = bag.number(ID.sessionExpiry) ?? null;
  if (role === "client" && sessionExpirySeconds !== null) {
    throw protocolError("the server's DISCONNECT carries a session expiry"); // [MQTT-3.14.2-2]
  }
  const serverReference = bag.text(ID.serverReference);
  return {
    reasonCode,
    sessionExpirySeconds,
    reasonString: bag.text(ID.reasonString) ?? null,
    ...(serverReference === undefined ? {} : { serverReference }),
  };
}

/** Section 3.15.2. */
export function decodeAuth(cursor: Cursor, limits: ReaderLimits): AuthPacket {
  if (cursor.left === 0) return { reasonCode: REASON.success, authenticationMethod: null, authenticationData: null };
  const reasonCode = cursor.u8("reason code");
  // [MQTT-3.15.2-1]
  if (!reasonAllowed("auth", reasonCode)) throw protocolError(`AUTH does not know the reason code ${reasonCode}`);
  const bag = PropertyBag.read(cursor, PLACE.auth, limits.userPropertiesMax);
  cursor.done("AUTH");
  const authenticationMethod = bag.text(ID.authenticationMethod) ?? null;
  if (authenticationMethod === null) throw protocolError("AUTH without an authentication method"); // section 3.15.2.2.2
  const reasonString = bag.text(ID.reasonString);
  return {
    reasonCode,
    authenticationMethod,
    authenticationData: bag.binary(ID.authenticationData) ?? null,
    ...(reasonString === undefined ? {} : { reasonString }),
  };
}
