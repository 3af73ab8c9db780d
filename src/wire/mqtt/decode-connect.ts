/** CONNECT and CONNACK, sections 3.1 and 3.2. */
import { topicNameFault } from "../../base/mod.ts";
import type { QoS } from "../../base/mod.ts";
import type { Cursor } from "./cursor.ts";
import { PacketError, malformed, protocolError, topicRefused } from "./fault.ts";
import { ID, PLACE, PropertyBag } from "./properties.ts";
import { REASON, reasonAllowed } from "./reason.ts";
import type { ConnackPacket, ConnectPacket, ProtocolVersion, ReaderLimits, Will } from "./types.ts";

export const RECEIVE_MAXIMUM_DEFAULT = 65_535;
/** "No limit" (sections 3.1.2.11.4, 3.2.2.3.6), and "the session does not end" (section 3.1.2.11.2). */
export const UNLIMITED = 0xffff_ffff;

const FLAG = { reserved: 1, cleanStart: 2, will: 4, willRetain: 32, password: 64, username: 128 } as const;

/** Protocol name and level. Throws Unsupported Protocol Version (0x84) on anything but MQTT 3.1.1 and 5.0. */
export function decodeProtocol(cursor: Cursor): ProtocolVersion {
  const name = cursor.text("protocol name");
  const level = cursor.u8("protocol level");
  // [MQTT-3.1.2-1], [MQTT-3.1.2-2]: whoever speaks another protocol may be told so.
  if (name !== "MQTT") {
    const what = name === "MQIsdp" ? `MQTT 3.1 (protocol level ${level})` : "a protocol whose name is not MQTT";
    throw new PacketError(
      REASON.unsupportedProtocolVersion,
      `the client speaks ${what}; 3.1.1 and 5.0 are spoken here`,
    );
  }
  if (level === 4 || level === 5) return level;
  throw new PacketError(
    REASON.unsupportedProtocolVersion,
    `the client asks for protocol level ${level}; 4 (3.1.1) and 5 (5.0) are spoken here`,
  );
}

/**
 * What follows the protocol level: the fields that the flags announce, no others, in this order [MQTT-3.1.3-1],
 * [MQTT311-3.1.3-1].
 */
export function decodeConnect(cursor: Cursor, version: ProtocolVersion, limits: ReaderLimits): ConnectPacket {
  const flags = decodeConnectFlags(cursor, version);
  const keepAliveSeconds = cursor.u16("keep alive");
  const bag = version === 5 ? PropertyBag.read(cursor, PLACE.connect, limits.userPropertiesMax) : null;
  const authenticationMethod = bag?.text(ID.authenticationMethod) ?? null;
  const authenticationData = bag?.binary(ID.authenticationData) ?? null;
  if (authenticationData !== null && authenticationMethod === null) {
    throw protocolError("authentication data without an authentication method"); // section 3.1.2.11.10
  }
  const clientId = decodeClientId(cursor, limits.clientIdBytesMax); // [MQTT-3.1.3-3], [MQTT311-3.1.3-3]
  const will = (flags & FLAG.will) === 0 ? null : decodeWill(cursor, version, flags, limits);
  const username = (flags & FLAG.username) === 0 ? null : cursor.text("user name"); // [MQTT-3.1.2-17], [MQTT-3.1.3-12]
  const password = (flags & FLAG.password) === 0 ? null : cursor.binary("password"); // [MQTT-3.1.2-19]
  cursor.done("CONNECT"); // [MQTT-3.1.2-16], [MQTT-3.1.2-18]
  const cleanStart = (flags & FLAG.cleanStart) !== 0;
  return {
    version,
    cleanStart,
    keepAliveSeconds,
    clientId,
    username,
    password,
    will,
    // A persistent session of 3.1.1 has no end of its own; the server's limit gives it one.
    sessionExpirySeconds: bag === null ? (cleanStart ? 0 : UNLIMITED) : (bag.number(ID.sessionExpiry) ?? 0),
    receiveMaximum: bag?.number(ID.receiveMaximum) ?? RECEIVE_MAXIMUM_DEFAULT,
    maximumPacketSize: bag?.number(ID.maximumPacketSize) ?? UNLIMITED,
    topicAliasMaximum: bag?.number(ID.topicAliasMaximum) ?? 0,
    requestResponseInformation: bag?.number(ID.requestResponseInformation) === 1,
    requestProblemInformation: bag?.number(ID.requestProblemInformation) !== 0,
    userProperties: bag?.userProperties ?? [],
    authenticationMethod,
    authenticationData,
  };
}

function decodeConnectFlags(cursor: Cursor, version: ProtocolVersion): number {
  const flags = cursor.u8("connect flags");
  if ((flags & FLAG.reserved) !== 0) throw malformed("the reserved connect flag is set"); // [MQTT-3.1.2-3]
  const willQos = (flags >> 3) & 3;
  if ((flags & FLAG.will) === 0) {
    if (willQos !== 0) throw malformed("a will QoS without a will"); // [MQTT-3.1.2-11], [MQTT311-3.1.2-13]
    if ((flags & FLAG.willRetain) !== 0) throw malformed("will retain without a will"); // [MQTT-3.1.2-13], [MQTT311-3.1.2-15]
  } else if (willQos === 3) throw malformed("the will's QoS is 3"); // [MQTT-3.1.2-12], [MQTT311-3.1.2-14]
  if (version === 4 && (flags & FLAG.password) !== 0 && (flags & FLAG.username) === 0) {
    throw malformed("a password without a user name"); // [MQTT311-3.1.2-22]; 5.0 allows it
  }
  return flags;
}

/** Any text up to the limit [MQTT-3.1.3-5]. */
function decodeClientId(cursor: Cursor, bytesMax: number): string {
  const from = cursor.at;
  const clientId = cursor.text("client identifier"); // [MQTT-3.1.3-4]
  if (cursor.at - from - 2 > bytesMax) {
    const detail = `the client identifier is longer than ${bytesMax} bytes`;
    throw new PacketError(REASON.clientIdentifierNotValid, detail, "clientIdBytesMax");
  }
  return clientId;
}

function decodeWill(cursor: Cursor, version: ProtocolVersion, flags: number, limits: ReaderLimits): Will {
  const bag = version === 5 ? PropertyBag.read(cursor, PLACE.will, limits.userPropertiesMax) : null;
  const topic = cursor.text("will topic"); // [MQTT-3.1.2-9], [MQTT-3.1.3-11]
  const fault = topicNameFault(topic, limits);
  if (fault !== null) throw topicRefused("the will topic", fault);
  return {
    topic,
    payload: cursor.binary("will payload"),
    qos: ((flags >> 3) & 3) as QoS,
    retain: (flags & FLAG.willRetain) !== 0,
    delaySeconds: bag?.number(ID.willDelay) ?? 0,
    properties: bag?.message() ?? null,
  };
}

export function decodeConnack(cursor: Cursor, version: ProtocolVersion, limits: ReaderLimits): ConnackPacket {
  const flags = cursor.u8("connect acknowledge flags");
  if (flags > 1) throw malformed("a reserved connect acknowledge flag is set"); // [MQTT-3.2.2-1]
  const reasonCode = cursor.u8("reason code");
  const sessionPresent = flags === 1;
  const known = version === 5 ? reasonAllowed("connack", reasonCode) : reasonCode <= 5;
  if (!known) throw protocolError(`CONNACK does not know the reason code ${reasonCode}`); // [MQTT-3.2.2-8]
  // [MQTT-3.2.2-6], [MQTT311-3.2.2-4]
  if (sessionPresent && reasonCode !== 0) throw protocolError("CONNACK refuses, but with a session present");
  if (version === 4) {
    cursor.done("CONNACK");
    return { sessionPresent, reasonCode };
  }
  const bag = PropertyBag.read(cursor, PLACE.connack, limits.userPropertiesMax);
  cursor.done("CONNACK");
  return { sessionPresent, reasonCode, ...connackProperties(bag) };
}

function connackProperties(bag: PropertyBag): Partial<ConnackPacket> {
  const maximumQos = bag.number(ID.maximumQos);
  return defined({
    sessionExpirySeconds: bag.number(ID.sessionExpiry),
    receiveMaximum: bag.number(ID.receiveMaximum),
    maximumQos: maximumQos === undefined ? undefined : maximumQos === 0 ? 0 : 1,
    retainAvailable: flag(bag, ID.retainAvailable),
    maximumPacketSize: bag.number(ID.maximumPacketSize),
    assignedClientId: bag.text(ID.assignedClientId),
    topicAliasMaximum: bag.number(ID.topicAliasMaximum),
    reasonString: bag.text(ID.reasonString),
    wildcardSubscriptionAvailable: flag(bag, ID.wildcardSubscriptionAvailable),
    subscriptionIdentifiersAvailable: flag(bag, ID.subscriptionIdentifiersAvailable),
    sharedSubscriptionAvailable: flag(bag, ID.sharedSubscriptionAvailable),
    serverKeepAliveSeconds: bag.number(ID.serverKeepAlive),
    userProperties: bag.userProperties.length === 0 ? undefined : bag.userProperties,
    responseInformation: bag.text(ID.responseInformation),
    serverReference: bag.text(ID.serverReference),
    authenticationMethod: bag.text(ID.authenticationMethod),
    authenticationData: bag.binary(ID.authenticationData),
  });
}

function flag(bag: PropertyBag, id: number): boolean | undefined {
  const value = bag.number(id);
  return value === undefined ? undefined : value === 1;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The same without the keys whose value is undefined. */
function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
