/**
 * What the records of one publisher on one topic have in common, as bytes: a consumer that has understood one of them finds
 * what differs in the next without decoding any text.
 */
import type { EpochMs } from "../../base/mod.ts";
import { FLAG, IDENTIFIER_BYTES, KIND, TOPIC_AT } from "./layout.ts";
import { fieldEnd, timeOf, u16 } from "./read.ts";

/** Client identifier and thing name with their lengths, behind a byte that says whether there is a thing. A copy. */
export function senderOf(record: Uint8Array): Uint8Array {
  const thing = record[0]! & FLAG.thing;
  const start = fieldEnd(record, TOPIC_AT, "topic");
  const clientIdEnd = fieldEnd(record, start, "client identifier");
  const end = thing === 0 ? clientIdEnd : fieldEnd(record, clientIdEnd, "thing name");
  const sender = new Uint8Array(1 + end - start);
  sender[0] = thing;
  sender.set(record.subarray(start, end), 1);
  return sender;
}

/**
 * HOT. Where the property length of the message record in `bytes[from, to)` stands; -1 where another has sent it, or the
 * record is odd. Its topic was looked at before, so it is whole.
 */
export function propertiesAt(bytes: Uint8Array, from: number, to: number, sender: Uint8Array): number {
  if ((bytes[from]! & FLAG.thing) !== sender[0] || (bytes[from]! & FLAG.qos) === 3) return -1;
  let at = from + TOPIC_AT + 2 + u16(bytes, from + TOPIC_AT);
  if (at + sender.length > to) return -1;
  for (let i = 1; i < sender.length; i++, at++) if (bytes[at] !== sender[i]) return -1;
  if (bytes[from]! >> 4 === KIND.identified) {
    if (u16(bytes, at) === 0) return -1;
    at += IDENTIFIER_BYTES;
  }
  return at < to ? at : -1;
}

/** When the record at `from` was written. */
export function writtenAt(bytes: Uint8Array, from: number): EpochMs {
  return timeOf(bytes, from);
}
