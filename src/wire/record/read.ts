/** Records to messages. The layout is in `layout.ts`. */
import type { Message, QoS } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import { FLAG, TOPIC_AT, VERSION } from "./layout.ts";
import type { RecordHead } from "./layout.ts";
import { readProperties, readText } from "./properties.ts";

/** Makes text of UTF-8 bytes; throws `RecordError` where they are none. */
type TextReader = (bytes: Uint8Array, from: number, to: number) => string;

/**
 * Finds the fields of a record; checks all lengths, and that every property is one a record may hold only when they are read.
 * Throws `RecordError`: "newer" where a newer Tidewire wrote it, "malformed" otherwise.
 */
export function recordHead(bytes: Uint8Array): RecordHead {
  const first = checkVersion(bytes);
  const qos = first & FLAG.qos;
  if (qos === 3) throw new RecordError("malformed", "a record's QoS is 3");
  const topicEnd = fieldEnd(bytes, TOPIC_AT, "topic");
  if (topicEnd === TOPIC_AT + 2) throw new RecordError("malformed", "a record's topic is empty");
  const clientIdEnd = fieldEnd(bytes, topicEnd, "client identifier");
  const hasThing = (first & FLAG.thing) !== 0;
  const thingEnd = hasThing ? fieldEnd(bytes, clientIdEnd, "thing name") : 0;
  let at = hasThing ? thingEnd : clientIdEnd;
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
    receivedAt: u16(bytes, 1) * 0x1_0000_0000 + u16(bytes, 3) * 0x1_0000 + u16(bytes, 5),
    topicStart: TOPIC_AT + 2,
    topicEnd,
    clientIdStart: topicEnd + 2,
    clientIdEnd,
    thingStart: hasThing ? clientIdEnd + 2 : 0,
    thingEnd,
    propertiesStart: at,
    propertiesEnd: at + length,
    payloadStart: at + length,
  };
}

function checkVersion(bytes: Uint8Array): number {
  if (bytes.length < TOPIC_AT + 2) throw ends("head");
  const first = bytes[0]!;
  const version = first >> 4;
  if (version > VERSION) {
    throw new RecordError("newer", `a record has format ${version}; this Tidewire knows formats up to ${VERSION}`);
  }
  if (version !== VERSION) throw new RecordError("malformed", "a record has no format version");
  return first;
}

/** `at`: where the two length bytes stand. */
function fieldEnd(bytes: Uint8Array, at: number, field: string): number {
  if (at + 2 > bytes.length) throw ends(field);
  const end = at + 2 + u16(bytes, at);
  if (end > bytes.length) throw ends(field);
  return end;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function ends(field: string): RecordError {
  return new RecordError("malformed", `a record ends within its ${field}`);
}

/**
 * The message in a record. Its payload is a view into `bytes`, not a copy: copy it where it is kept longer than they are.
 * Throws `RecordError` on anything malformed or of a newer format.
 */
export function readRecord(bytes: Uint8Array): Message {
  return messageOf(bytes, readText);
}

function messageOf(bytes: Uint8Array, text: TextReader): Message {
  const head = recordHead(bytes);
  return {
    topic: text(bytes, head.topicStart, head.topicEnd),
    payload: bytes.subarray(head.payloadStart),
    qos: head.qos,
    retain: head.retain,
    clientId: text(bytes, head.clientIdStart, head.clientIdEnd),
    thing: head.thingEnd === 0 ? null : text(bytes, head.thingStart, head.thingEnd),
    receivedAt: head.receivedAt,
    properties: readProperties(bytes, head.propertiesStart, head.propertiesEnd),
  };
}

/** Only the topic, for consumers that filter first. Checks no more than it needs. */
export function recordTopic(bytes: Uint8Array): string {
  checkVersion(bytes);
  return readText(bytes, TOPIC_AT + 2, fieldEnd(bytes, TOPIC_AT, "topic"));
}
