/** Records to messages. The layout is in `layout.ts`. */
import type { Message, MessageProperties, QoS } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import { FLAG, IDENTIFIER_BYTES, KIND, KIND_MAX, TOPIC_AT } from "./layout.ts";
import type { RecordHead } from "./layout.ts";
import { readProperties, readText } from "./properties.ts";

/**
 * Finds the fields of a record. Checks all lengths, but neither text nor properties, which `readRecord` does.
 * Throws `RecordError`: "newer" where a newer Tidewire wrote it, "malformed" otherwise.
 */
export function recordHead(bytes: Uint8Array): RecordHead {
  const first = checkKind(bytes);
  const qos = first & FLAG.qos;
  if (qos === 3) throw new RecordError("malformed", "a record's QoS is 3");
  const topicEnd = fieldEnd(bytes, TOPIC_AT, "topic");
  if (topicEnd === TOPIC_AT + 2) throw new RecordError("malformed", "a record's topic is empty");
  const clientIdEnd = fieldEnd(bytes, topicEnd, "client identifier");
  const hasThing = (first & FLAG.thing) !== 0;
  const thingEnd = hasThing ? fieldEnd(bytes, clientIdEnd, "thing name") : 0;
  let at = hasThing ? thingEnd : clientIdEnd;
  let packetId = 0;
  if (first >> 4 === KIND.identified) {
    if (at + IDENTIFIER_BYTES > bytes.length) throw ends("packet identifier");
    packetId = u16(bytes, at);
    if (packetId === 0) throw new RecordError("malformed", "a record's packet identifier is 0");
    at += IDENTIFIER_BYTES;
  }
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= bytes.length) throw ends("property length");
    const byte = bytes[at++]!;
    if (shift > 21 || (byte === 0 && shift > 0))
      throw new RecordError("malformed", "a record's property length is odd");
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (at + length > bytes.length) throw ends("properties");
  return {
    qos: qos as QoS,
    retain: (first & FLAG.retain) !== 0,
    receivedAt: timeOf(bytes),
    topicStart: TOPIC_AT + 2,
    topicEnd,
    clientIdStart: topicEnd + 2,
    clientIdEnd,
    thingStart: hasThing ? clientIdEnd + 2 : 0,
    thingEnd,
    packetId,
    propertiesStart: at,
    propertiesEnd: at + length,
    payloadStart: at + length,
  };
}

function checkKind(bytes: Uint8Array): number {
  const first = anyKind(bytes);
  if (first >> 4 === KIND.note) throw new RecordError("note", "a record is a session's note, not a message");
  return first;
}

/** The first byte of a record that this program knows. */
export function anyKind(bytes: Uint8Array): number {
  if (bytes.length < TOPIC_AT + 2) throw ends("head");
  const first = bytes[0]!;
  const kind = first >> 4;
  if (kind > KIND_MAX) {
    throw new RecordError("newer", `a record is of kind ${kind}; this Tidewire knows kinds up to ${KIND_MAX}`);
  }
  if (kind === 0) throw new RecordError("malformed", "a record says of no kind that it is");
  return first;
}

export function timeOf(bytes: Uint8Array, from = 0): number {
  return u16(bytes, from + 1) * 0x1_0000_0000 + u16(bytes, from + 3) * 0x1_0000 + u16(bytes, from + 5);
}

/** When a record was written, whatever it is. Throws `RecordError` where that is not known. */
export function recordTime(bytes: Uint8Array): number {
  anyKind(bytes);
  return timeOf(bytes);
}

/** `at`: where the two length bytes stand. */
export function fieldEnd(bytes: Uint8Array, at: number, field: string): number {
  if (at + 2 > bytes.length) throw ends(field);
  const end = at + 2 + u16(bytes, at);
  if (end > bytes.length) throw ends(field);
  return end;
}

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function ends(field: string): RecordError {
  return new RecordError("malformed", `a record ends within its ${field}`);
}

/**
 * The message in a record. Its payload is a view into `bytes`, not a copy: copy it where it is kept longer than they are.
 * Throws `RecordError` on anything malformed or of a newer format.
 */
export function readRecord(bytes: Uint8Array): Message {
  const head = recordHead(bytes);
  return {
    topic: readText(bytes, head.topicStart, head.topicEnd),
    payload: bytes.subarray(head.payloadStart),
    qos: head.qos,
    retain: head.retain,
    clientId: readText(bytes, head.clientIdStart, head.clientIdEnd),
    thing: head.thingEnd === 0 ? null : readText(bytes, head.thingStart, head.thingEnd),
    receivedAt: head.receivedAt,
    properties: readProperties(bytes, head.propertiesStart, head.propertiesEnd),
  };
}

/** Only the properties, for those who take the rest from its bytes. `head`: of the same bytes. */
export function recordProperties(bytes: Uint8Array, head: RecordHead): MessageProperties | null {
  return readProperties(bytes, head.propertiesStart, head.propertiesEnd);
}

/** Only the topic, for consumers that filter first. Checks no more than it needs. */
export function recordTopic(bytes: Uint8Array): string {
  checkKind(bytes);
  return readText(bytes, TOPIC_AT + 2, fieldEnd(bytes, TOPIC_AT, "topic"));
}
