/**
 * The properties that travel with a message, as MQTT 5.0 writes them (section 3.3.2.3). A record holds only these six; the
 * log's format must not change when the network's codec does, so the record has a codec of its own.
 */
import { copyBytes, decodeUtf8, encodeUtf8Into, utf8Fault, utf8Length } from "../../base/mod.ts";
import type { MessageProperties } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";

const ID = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  topicAlias: 0x23,
  userProperty: 0x26,
} as const;

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Position after the property at `at` of a PUBLISH whose properties the network's codec has checked. */
function nextProperty(bytes: Uint8Array, at: number): number {
  switch (bytes[at++]!) {
    case ID.payloadFormat:
      return at + 1;
    case ID.messageExpiry:
      return at + 4;
    case ID.topicAlias:
      return at + 2;
    case ID.subscriptionIdentifier:
      while (bytes[at]! >= 0x80) at++;
      return at + 1;
    case ID.userProperty:
      at += 2 + u16(bytes, at);
      return at + 2 + u16(bytes, at);
    default:
      return at + 2 + u16(bytes, at);
  }
}

/** Topic alias and subscription identifiers belong to one connection, not to the message. */
function travels(id: number): boolean {
  return id !== ID.topicAlias && id !== ID.subscriptionIdentifier;
}

/** Bytes that `copyProperties` writes. */
export function keptBytes(bytes: Uint8Array, from: number, to: number): number {
  let kept = 0;
  for (let at = from; at < to;) {
    const next = nextProperty(bytes, at);
    if (travels(bytes[at]!)) kept += next - at;
    at = next;
  }
  return kept;
}

/** Copies what travels with the message; returns the position after it. */
export function copyProperties(target: Uint8Array, at: number, bytes: Uint8Array, from: number, to: number): number {
  while (from < to) {
    const next = nextProperty(bytes, from);
    if (travels(bytes[from]!)) at = copyBytes(target, at, bytes, from, next);
    from = next;
  }
  return at;
}

/** Bytes that `writeProperties` writes. Throws `RecordError` where a value breaks MQTT's limits. */
export function propertiesBytes(properties: MessageProperties | null): number {
  if (properties === null) return 0;
  const { payloadFormat, messageExpirySeconds, contentType, responseTopic, correlationData } = properties;
  let bytes = payloadFormat === undefined ? 0 : 2;
  if (messageExpirySeconds !== undefined) {
    if (!(messageExpirySeconds >= 0 && messageExpirySeconds <= 0xffff_ffff)) {
      throw new RecordError("unfit", "the message expiry is no number of seconds that MQTT can say");
    }
    bytes += 5;
  }
  if (contentType !== undefined) bytes += 1 + textBytes(contentType, "content type");
  if (responseTopic !== undefined) bytes += 1 + textBytes(responseTopic, "response topic");
  if (correlationData !== undefined) bytes += 3 + fit(correlationData.length, "correlation data");
  for (const [name, value] of properties.userProperties ?? []) {
    bytes += 1 + textBytes(name, "user property's name") + textBytes(value, "user property's value");
  }
  return bytes;
}

/** Length bytes and text; throws `RecordError` where the text is longer than they can say. */
export function textBytes(text: string, field: string): number {
  return 2 + fit(utf8Length(text), field);
}

function fit(bytes: number, field: string): number {
  if (bytes > 0xffff) throw new RecordError("unfit", `the ${field} is longer than 65535 bytes`);
  return bytes;
}

/** Returns the position after them. */
export function writeProperties(target: Uint8Array, at: number, properties: MessageProperties | null): number {
  if (properties === null) return at;
  const { payloadFormat, messageExpirySeconds, contentType, responseTopic, correlationData } = properties;
  if (payloadFormat !== undefined) {
    target[at++] = ID.payloadFormat;
    target[at++] = payloadFormat;
  }
  if (messageExpirySeconds !== undefined) {
    target[at++] = ID.messageExpiry;
    at = writeU16(target, at, Math.floor(messageExpirySeconds / 0x1_0000));
    at = writeU16(target, at, messageExpirySeconds & 0xffff);
  }
  if (contentType !== undefined) at = writeTextProperty(target, at, ID.contentType, contentType);
  if (responseTopic !== undefined) at = writeTextProperty(target, at, ID.responseTopic, responseTopic);
  if (correlationData !== undefined) {
    target[at++] = ID.correlationData;
    at = writeU16(target, at, correlationData.length);
    at = copyBytes(target, at, correlationData, 0, correlationData.length);
  }
  for (const [name, value] of properties.userProperties ?? []) {
    at = writeTextProperty(target, at, ID.userProperty, name);
    at = writeText(target, at, value);
  }
  return at;
}

function writeTextProperty(target: Uint8Array, at: number, id: number, text: string): number {
  target[at++] = id;
  return writeText(target, at, text);
}

/** Two length bytes, then UTF-8. */
export function writeText(target: Uint8Array, at: number, text: string): number {
  const end = encodeUtf8Into(text, target, at + 2);
  writeU16(target, at, end - at - 2);
  return end;
}

export function writeU16(target: Uint8Array, at: number, value: number): number {
  target[at] = value >> 8;
  target[at + 1] = value;
  return at + 2;
}

/** Reads and checks the properties in `[at, end)`; `null` where there are none. */
export function readProperties(bytes: Uint8Array, at: number, end: number): MessageProperties | null {
  if (at === end) return null;
  const properties: { -readonly [K in keyof MessageProperties]: MessageProperties[K] } = {};
  const userProperties: (readonly [string, string])[] = [];
  while (at < end) {
    const id = bytes[at++]!;
    const next = checkedEnd(bytes, at, end, id);
    switch (id) {
      case ID.payloadFormat:
        properties.payloadFormat = bytes[at] === 1 ? 1 : 0;
        break;
      case ID.messageExpiry:
        properties.messageExpirySeconds = u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2);
        break;
      case ID.contentType:
        properties.contentType = readText(bytes, at + 2, next);
        break;
      case ID.responseTopic:
        properties.responseTopic = readText(bytes, at + 2, next);
        break;
      case ID.correlationData:
        properties.correlationData = bytes.slice(at + 2, next);
        break;
      default: {
        const valueEnd = checkedEnd(bytes, next, end, id);
        userProperties.push([readText(bytes, at + 2, next), readText(bytes, next + 2, valueEnd)]);
        at = valueEnd;
        continue;
      }
    }
    at = next;
  }
  if (userProperties.length > 0) properties.userProperties = userProperties;
  return properties;
}

/** Position after the value, or after the name of a user property. */
function checkedEnd(bytes: Uint8Array, at: number, end: number, id: number): number {
  let next: number;
  if (id === ID.payloadFormat) next = at + 1;
  else if (id === ID.messageExpiry) next = at + 4;
  else if (travelsAsText(id)) next = at + 2 > end ? end + 1 : at + 2 + u16(bytes, at);
  else throw new RecordError("malformed", `a record has the property 0x${id.toString(16)}`);
  if (next > end) throw new RecordError("malformed", "a record's properties end within one");
  if (id === ID.payloadFormat && bytes[at]! > 1) throw new RecordError("malformed", "a record's payload format is odd");
  return next;
}

function travelsAsText(id: number): boolean {
  return id === ID.contentType || id === ID.responseTopic || id === ID.correlationData || id === ID.userProperty;
}

/** Text that a record holds; throws where it is not UTF-8. */
export function readText(bytes: Uint8Array, from: number, to: number): string {
  if (utf8Fault(bytes, from, to) === "ill-formed") throw new RecordError("malformed", "a record's text is not UTF-8");
  return decodeUtf8(bytes, from, to);
}
