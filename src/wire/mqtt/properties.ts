/** Properties of MQTT 5.0 (section 2.2.2): one table of what may stand where, a check without allocation, and a reader. */
import type { MessageProperties } from "../../base/mod.ts";
import { decodeUtf8 } from "../../base/mod.ts";
import { VARINT_BYTES_MAX, checkText } from "./cursor.ts";
import type { Cursor } from "./cursor.ts";
import { PacketError, malformed, protocolError } from "./fault.ts";
import { REASON } from "./reason.ts";

/** Property identifiers, table 2-4. */
export const ID = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiry: 0x11,
  assignedClientId: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelay: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifiersAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;

/** Where properties stand; one bit each. */
export const PLACE = {
  connect: 1,
  connack: 2,
  publish: 4,
  will: 8,
  acknowledge: 16,
  subscribe: 32,
  suback: 64,
  unsubscribe: 128,
  disconnect: 256,
  auth: 512,
} as const;

const EVERYWHERE = 1023;

/** What the bytes after an identifier are. */
const TYPE = { flag: 1, u16: 2, u32: 3, varint: 4, text: 5, binary: 6, pair: 7 } as const;

const ID_MAX = 0x2a;
const typeOf = new Uint8Array(ID_MAX + 1);
const placesOf = new Uint16Array(ID_MAX + 1);
/** One bit per property, for "more than once". */
const bitOf = new Int32Array(ID_MAX + 1);
const nameOf: string[] = [];

const TABLE: readonly (readonly [name: keyof typeof ID, type: keyof typeof TYPE, places: number])[] = [
  ["payloadFormat", "flag", PLACE.publish | PLACE.will],
  ["messageExpiry", "u32", PLACE.publish | PLACE.will],
  ["contentType", "text", PLACE.publish | PLACE.will],
  ["responseTopic", "text", PLACE.publish | PLACE.will],
  ["correlationData", "binary", PLACE.publish | PLACE.will],
  ["subscriptionIdentifier", "varint", PLACE.publish | PLACE.subscribe],
  ["sessionExpiry", "u32", PLACE.connect | PLACE.connack | PLACE.disconnect],
  ["assignedClientId", "text", PLACE.connack],
  ["serverKeepAlive", "u16", PLACE.connack],
  ["authenticationMethod", "text", PLACE.connect | PLACE.connack | PLACE.auth],
  ["authenticationData", "binary", PLACE.connect | PLACE.connack | PLACE.auth],
  ["requestProblemInformation", "flag", PLACE.connect],
  ["willDelay", "u32", PLACE.will],
  ["requestResponseInformation", "flag", PLACE.connect],
  ["responseInformation", "text", PLACE.connack],
  ["serverReference", "text", PLACE.connack | PLACE.disconnect],
  ["reasonString", "text", PLACE.connack | PLACE.acknowledge | PLACE.suback | PLACE.disconnect | PLACE.auth],
  ["receiveMaximum", "u16", PLACE.connect | PLACE.connack],
  ["topicAliasMaximum", "u16", PLACE.connect | PLACE.connack],
  ["topicAlias", "u16", PLACE.publish],
  ["maximumQos", "flag", PLACE.connack],
  ["retainAvailable", "flag", PLACE.connack],
  ["userProperty", "pair", EVERYWHERE],
  ["maximumPacketSize", "u32", PLACE.connect | PLACE.connack],
  ["wildcardSubscriptionAvailable", "flag", PLACE.connack],
  ["subscriptionIdentifiersAvailable", "flag", PLACE.connack],
  ["sharedSubscriptionAvailable", "flag", PLACE.connack],
];

for (const [index, [name, type, places]] of TABLE.entries()) {
  const id = ID[name];
  typeOf[id] = TYPE[type];
  placesOf[id] = places;
  bitOf[id] = 1 << index;
  nameOf[id] = name;
}

/** Whether `checkProperties` has met this property. */
export function hasProperty(seen: number, id: number): boolean {
  return (seen & bitOf[id]!) !== 0;
}

/**
 * Checks the property bytes `[at, end)` of a packet: known and allowed here, at most once, whole, in range. Returns which it
 * met (`hasProperty`). Allocates nothing.
 */
export function checkProperties(
  bytes: Uint8Array,
  at: number,
  end: number,
  place: number,
  userPropertiesMax: number,
): number {
  let seen = 0;
  let userProperties = 0;
  while (at < end) {
    const id = bytes[at++]!;
    const type = id <= ID_MAX ? typeOf[id]! : 0;
    if (type === 0) throw malformed(`0x${id.toString(16)} is no property identifier`);
    // Section 2.2.2.2: an identifier that is not valid for its packet type makes the packet malformed.
    if ((placesOf[id]! & place) === 0) throw malformed(`the property ${nameOf[id]} does not belong in this packet`);
    if (type === TYPE.pair) {
      if (++userProperties > userPropertiesMax) throw tooManyUserProperties(userPropertiesMax);
    } else {
      const bit = bitOf[id]!;
      const repeatable = id === ID.subscriptionIdentifier && place === PLACE.publish;
      if ((seen & bit) !== 0 && !repeatable) throw protocolError(`the property ${nameOf[id]} stands there twice`);
      seen |= bit;
    }
    at = checkValue(bytes, at, end, id, type);
  }
  return seen;
}

function tooManyUserProperties(max: number): PacketError {
  return new PacketError(REASON.quotaExceeded, `more than ${max} user properties`, "userPropertiesMax");
}

/** Returns the position after the value. */
function checkValue(bytes: Uint8Array, at: number, end: number, id: number, type: number): number {
  switch (type) {
    case TYPE.flag:
      if (at + 1 > end) throw cut(id);
      if (bytes[at]! > 1) throw protocolError(`the property ${nameOf[id]} is neither 0 nor 1`);
      return at + 1;
    case TYPE.u16:
      if (at + 2 > end) throw cut(id);
      if ((bytes[at]! | bytes[at + 1]!) === 0) refuseZero(id);
      return at + 2;
    case TYPE.u32:
      if (at + 4 > end) throw cut(id);
      if ((bytes[at]! | bytes[at + 1]! | bytes[at + 2]! | bytes[at + 3]!) === 0) refuseZero(id);
      return at + 4;
    case TYPE.varint:
      return checkVarint(bytes, at, end, id);
    case TYPE.binary:
      return checkBinary(bytes, at, end, id);
    case TYPE.pair:
      return checkString(bytes, checkString(bytes, at, end, id), end, id); // [MQTT-1.5.7-1]
    default:
      return checkString(bytes, at, end, id);
  }
}

function cut(id: number): PacketError {
  return malformed(`the properties end within ${nameOf[id]}`);
}

function refuseZero(id: number): void {
  if (id === ID.topicAlias) throw new PacketError(REASON.topicAliasInvalid, "the topic alias is 0"); // [MQTT-3.3.2-8]
  // Sections 3.1.2.11.3, 3.1.2.11.4, 3.2.2.3.3 and 3.2.2.3.6.
  if (id === ID.receiveMaximum || id === ID.maximumPacketSize) throw protocolError(`the property ${nameOf[id]} is 0`);
}

function checkVarint(bytes: Uint8Array, at: number, end: number, id: number): number {
  const from = at;
  for (;;) {
    if (at >= end) throw cut(id);
    if (bytes[at++]! < 0x80) break;
    if (at - from === VARINT_BYTES_MAX) throw malformed(`the property ${nameOf[id]} is longer than 4 bytes`);
  }
  if (bytes[at - 1] === 0) {
    if (at - from > 1) throw malformed(`the property ${nameOf[id]} is encoded in more bytes than it needs`); // [MQTT-1.5.5-1]
    throw protocolError(`the property ${nameOf[id]} is 0`); // section 3.8.2.1.2
  }
  return at;
}

function checkBinary(bytes: Uint8Array, at: number, end: number, id: number): number {
  if (at + 2 > end) throw cut(id);
  const to = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
  if (to > end) throw cut(id);
  return to;
}

function checkString(bytes: Uint8Array, at: number, end: number, id: number): number {
  const to = checkBinary(bytes, at, end, id);
  checkText(bytes, at + 2, to, nameOf[id]!); // [MQTT-3.3.2-13], [MQTT-3.3.2-19]
  if (id === ID.responseTopic) checkResponseTopic(bytes, at + 2, to);
  return to;
}

/** [MQTT-3.3.2-14]: a response topic has no wildcards; [MQTT-4.7.3-1]: nor is it empty. */
function checkResponseTopic(bytes: Uint8Array, at: number, end: number): void {
  if (at === end) throw protocolError("the response topic is empty");
  for (; at < end; at++) {
    const c = bytes[at];
    if (c === 0x2b || c === 0x23) throw protocolError("the response topic contains a wildcard");
  }
}

/** Position after the property whose identifier stands at `at`; the bytes have passed `checkProperties`. */
export function propertyEnd(bytes: Uint8Array, at: number): number {
  const type = typeOf[bytes[at++]!]!;
  switch (type) {
    case TYPE.flag:
      return at + 1;
    case TYPE.u16:
      return at + 2;
    case TYPE.u32:
      return at + 4;
    case TYPE.varint:
      while (bytes[at]! >= 0x80) at++;
      return at + 1;
    case TYPE.pair:
      at += 2 + u16(bytes, at);
      return at + 2 + u16(bytes, at);
    default:
      return at + 2 + u16(bytes, at);
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** The u16 value of a property that `checkProperties` has met in `[at, end)`. */
export function u16Property(bytes: Uint8Array, at: number, end: number, id: number): number {
  while (at < end) {
    if (bytes[at] === id) return u16(bytes, at + 1);
    at = propertyEnd(bytes, at);
  }
  return 0;
}

/** Checked properties by identifier; for the packets that are not hot. */
export class PropertyBag {
  readonly #values = new Map<number, number | string | Uint8Array>();
  readonly #pairs: (readonly [string, string])[] = [];
  readonly #subscriptionIdentifiers: number[] = [];

  /** Reads the property length and the properties that it counts. */
  static read(cursor: Cursor, place: number, userPropertiesMax: number): PropertyBag {
    const length = cursor.varint("property length");
    if (length > cursor.left) throw malformed("the property length reaches beyond the packet");
    const from = cursor.at;
    cursor.at += length;
    checkProperties(cursor.bytes, from, cursor.at, place, userPropertiesMax);
    return new PropertyBag(cursor.bytes, from, cursor.at);
  }

  /** The bytes have passed `checkProperties`. */
  constructor(bytes: Uint8Array, at: number, end: number) {
    while (at < end) {
      const next = propertyEnd(bytes, at);
      this.#add(bytes, bytes[at]!, at + 1, next);
      at = next;
    }
  }

  #add(bytes: Uint8Array, id: number, at: number, end: number): void {
    switch (typeOf[id]!) {
      case TYPE.flag:
        this.#values.set(id, bytes[at]!);
        break;
      case TYPE.u16:
        this.#values.set(id, u16(bytes, at));
        break;
      case TYPE.u32:
        this.#values.set(id, u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2));
        break;
      case TYPE.varint:
        this.#subscriptionIdentifiers.push(varintAt(bytes, at));
        break;
      case TYPE.binary:
        this.#values.set(id, bytes.slice(at + 2, end));
        break;
      case TYPE.pair: {
        const middle = at + 2 + u16(bytes, at);
        this.#pairs.push([decodeUtf8(bytes, at + 2, middle), decodeUtf8(bytes, middle + 2, end)]);
        break;
      }
      default:
        this.#values.set(id, decodeUtf8(bytes, at + 2, end));
    }
  }

  number(id: number): number | undefined {
    const value = this.#values.get(id);
    return typeof value === "number" ? value : undefined;
  }

  text(id: number): string | undefined {
    const value = this.#values.get(id);
    return typeof value === "string" ? value : undefined;
  }

  binary(id: number): Uint8Array | undefined {
    const value = this.#values.get(id);
    return value instanceof Uint8Array ? value : undefined;
  }

  get userProperties(): readonly (readonly [string, string])[] {
    return this.#pairs;
  }

  get subscriptionIdentifiers(): readonly number[] {
    return this.#subscriptionIdentifiers;
  }

  /** What travels with the message; `null` where nothing does. */
  message(): MessageProperties | null {
    const payloadFormat = this.number(ID.payloadFormat);
    const messageExpirySeconds = this.number(ID.messageExpiry);
    const contentType = this.text(ID.contentType);
    const responseTopic = this.text(ID.responseTopic);
    const correlationData = this.binary(ID.correlationData);
    const properties: MessageProperties = {
      ...(payloadFormat === undefined ? {} : { payloadFormat: payloadFormat === 1 ? 1 : 0 }),
      ...(messageExpirySeconds === undefined ? {} : { messageExpirySeconds }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(responseTopic === undefined ? {} : { responseTopic }),
      ...(correlationData === undefined ? {} : { correlationData }),
      ...(this.#pairs.length === 0 ? {} : { userProperties: this.#pairs }),
    };
    return Object.keys(properties).length === 0 ? null : properties;
  }
}

function varintAt(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}
