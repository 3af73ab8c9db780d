/**
 * The messages of some topics, for a consumer that reads the log from end to end: of a topic that it does not want, it decodes nothing;
 * of one publisher's messages on one topic, it decodes the names once.
 */
import type { Message, QoS } from "../../base/mod.ts";
import { recordTopics } from "./filter.ts";
import { FLAG } from "./layout.ts";
import { readProperties } from "./properties.ts";
import { readRecord } from "./read.ts";
import { propertiesAt, senderOf, writtenAt } from "./sender.ts";

/**
 * The message in `bytes[from, to)`, whose payload is a view into them; null where its topic is not wanted, or it is a note. Throws
 * `RecordError` where it cannot be read.
 */
export type RecordReader = (bytes: Uint8Array, from: number, to: number) => Message | null;

/** What a topic's last message had in common with the next one, perhaps. */
interface TopicSender {
  readonly topic: string;
  sender: Uint8Array | null;
  clientId: string;
  thing: string | null;
}

/** For the whole table of topics; nobody is sent from it. */
const UNREADABLE: TopicSender = { topic: "", sender: null, clientId: "", thing: null };

/** `wants`: as with `recordFilter`. */
export function recordReader(wants: (topic: string) => boolean): RecordReader {
  const senderBefore = (topic: string): TopicSender | null =>
    wants(topic) ? { topic, sender: null, clientId: "", thing: null } : null;
  const senders = recordTopics(senderBefore, { note: null, unreadable: UNREADABLE });
  return (bytes, from, to) => {
    const before = senders(bytes, from, to);
    if (before === null) return null;
    return (before.sender === null ? null : readLike(before, bytes, from, to)) ?? readAnew(before, bytes, from, to);
  };
}

/** Null where it has another sender, or is not as simple as nearly all are. */
function readLike(before: TopicSender, bytes: Uint8Array, from: number, to: number): Message | null {
  const at = propertiesAt(bytes, from, to, before.sender!);
  if (at < 0) return null;
  const payloadStart = at + 1 + bytes[at]!;
  if (bytes[at]! >= 0x80 || payloadStart > to) return null;
  return {
    topic: before.topic,
    payload: bytes.subarray(payloadStart, to),
    qos: (bytes[from]! & FLAG.qos) as QoS,
    retain: (bytes[from]! & FLAG.retain) !== 0,
    clientId: before.clientId,
    thing: before.thing,
    receivedAt: writtenAt(bytes, from),
    properties: readProperties(bytes, at + 1, payloadStart),
  };
}

function readAnew(before: TopicSender, bytes: Uint8Array, from: number, to: number): Message {
  const record = bytes.subarray(from, to);
  const message = readRecord(record);
  if (before === UNREADABLE) return message;
  before.sender = senderOf(record);
  before.clientId = message.clientId;
  before.thing = message.thing;
  return message;
}
