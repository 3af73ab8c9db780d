/** Messages to records. The layout is in `layout.ts`. */
import { copyBytes, copyWords, wordsOf } from "../../base/mod.ts";
import type { Message, QoS } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import { FLAG, IDENTIFIER_BYTES, KIND, PROPERTIES_BYTES_MAX, TIME_MAX, TOPIC_AT } from "./layout.ts";
import {
  copyProperties,
  keptBytes,
  propertiesBytes,
  textBytes,
  writeProperties,
  writeText,
  writeU16,
} from "./properties.ts";

/** What a record takes from a received PUBLISH; `PublishView` of `wire/mqtt` is one. Its properties are checked already. */
export interface PublishedBytes {
  readonly buffer: Uint8Array;
  /** The same bytes. */
  readonly words: DataView;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly packetId: number;
  /** Its length stands in the two bytes ahead of it. */
  readonly topicStart: number;
  readonly topicEnd: number;
  readonly propertiesStart: number;
  readonly propertiesEnd: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

/** Who publishes, as it stands in every record of one connection. */
export interface EncodedPublisher {
  readonly words: DataView;
  readonly length: number;
  readonly hasThing: boolean;
}

/** Once per connection. Throws `RecordError` ("unfit") where a name is longer than 65535 bytes. */
export function encodePublisher(publisher: {
  readonly clientId: string;
  readonly thing: string | null;
}): EncodedPublisher {
  const { clientId, thing } = publisher;
  const bytes = new Uint8Array(publisherBytes(clientId, thing));
  const at = writeText(bytes, 0, clientId);
  if (thing !== null) writeText(bytes, at, thing);
  return { words: wordsOf(bytes), length: bytes.length, hasThing: thing !== null };
}

function publisherBytes(clientId: string, thing: string | null): number {
  return textBytes(clientId, "client identifier") + (thing === null ? 0 : textBytes(thing, "thing name"));
}

/** HOT: exact number of bytes that `writeRecord` writes. */
export function recordBytes(view: PublishedBytes, publisher: EncodedPublisher, identified: boolean): number {
  const { propertiesStart, propertiesEnd } = view;
  const properties = propertiesStart === propertiesEnd ? 0 : keptBytes(view.buffer, propertiesStart, propertiesEnd);
  const payload = view.payloadEnd - view.payloadStart;
  const topic = 2 + view.topicEnd - view.topicStart;
  const head = TOPIC_AT + topic + publisher.length + (identified ? IDENTIFIER_BYTES : 0);
  return head + varintBytes(properties) + properties + payload;
}

/**
 * HOT: writes a received PUBLISH at `at`, where `recordBytes` are free; returns the position after it. `words` are those of `target`;
 * `identified`: with the packet identifier that it came with.
 */
export function writeRecord(
  target: Uint8Array,
  words: DataView,
  at: number,
  view: PublishedBytes,
  publisher: EncodedPublisher,
  receivedAt: number,
  identified: boolean,
): number {
  const { buffer, propertiesStart, propertiesEnd } = view;
  const flags = view.qos | (view.retain ? FLAG.retain : 0) | (publisher.hasThing ? FLAG.thing : 0);
  at = writeFixed(target, at, identified ? KIND.identified : KIND.message, flags, receivedAt);
  at = copyWords(words, at, view.words, view.topicStart - 2, view.topicEnd);
  at = copyWords(words, at, publisher.words, 0, publisher.length);
  if (identified) at = writeU16(target, at, view.packetId);
  if (propertiesStart === propertiesEnd) target[at++] = 0;
  else {
    const kept = keptBytes(buffer, propertiesStart, propertiesEnd);
    at = writeVarint(target, at, kept);
    if (kept === propertiesEnd - propertiesStart) at = copyWords(words, at, view.words, propertiesStart, propertiesEnd);
    else at = copyProperties(target, at, buffer, propertiesStart, propertiesEnd);
  }
  return copyWords(words, at, view.words, view.payloadStart, view.payloadEnd);
}

/** What arrives together has its time in common. */
const latest = { time: 0, high: 0, low: 0 };

function splitTime(time: number): void {
  if (!(time >= 0 && time <= TIME_MAX)) {
    throw new RecordError("unfit", "the time of a record lies before 1970 or beyond the year 10889");
  }
  latest.time = time;
  latest.high = Math.floor(time / 0x1_0000_0000);
  latest.low = time >>> 0;
}

/** What all records begin with. */
export function writeFixed(target: Uint8Array, at: number, kind: number, flags: number, receivedAt: number): number {
  if (receivedAt !== latest.time) splitTime(receivedAt);
  const { high, low } = latest;
  target[at] = (kind << 4) | flags;
  target[at + 1] = high >> 8;
  target[at + 2] = high;
  target[at + 3] = low >>> 24;
  target[at + 4] = low >>> 16;
  target[at + 5] = low >>> 8;
  target[at + 6] = low;
  return at + TOPIC_AT;
}

/** Exact number of bytes that `writeMessageRecord` writes. Throws `RecordError` ("unfit") where MQTT could not say it. */
export function messageRecordBytes(message: Message): number {
  if (message.topic.length === 0) throw new RecordError("unfit", "the topic is empty");
  const properties = propertiesBytes(message.properties);
  if (properties > PROPERTIES_BYTES_MAX) throw new RecordError("unfit", "the properties are too long");
  const head = TOPIC_AT + textBytes(message.topic, "topic") + publisherBytes(message.clientId, message.thing);
  return head + varintBytes(properties) + properties + message.payload.length;
}

/** Writes a message at `at`, where `messageRecordBytes` are free; returns the position after it. */
export function writeMessageRecord(target: Uint8Array, at: number, message: Message): number {
  const { qos, retain, clientId, thing, payload, properties } = message;
  const flags = qos | (retain ? FLAG.retain : 0) | (thing === null ? 0 : FLAG.thing);
  at = writeFixed(target, at, KIND.message, flags, message.receivedAt);
  at = writeText(target, at, message.topic);
  at = writeText(target, at, clientId);
  if (thing !== null) at = writeText(target, at, thing);
  at = writeVarint(target, at, propertiesBytes(properties));
  at = writeProperties(target, at, properties);
  return copyBytes(target, at, payload, 0, payload.length);
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

function writeVarint(target: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    target[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  target[at++] = value;
  return at;
}
