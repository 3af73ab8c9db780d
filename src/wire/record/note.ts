/** Notes: what a session has to remember of its deliveries. The layout is in `layout.ts`. */
import type { Message } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import {
  FINISHED_BYTES,
  IDENTIFIER_BYTES,
  KIND,
  PART,
  PART_ENTRIES_MAX,
  SENT_BEFORE_BYTES,
  SENT_BYTES,
  TOPIC_AT,
} from "./layout.ts";
import { readText, textBytes, writeText, writeU16 } from "./properties.ts";
import { anyKind, ends, fieldEnd, readRecord, recordHead, u16 } from "./read.ts";
import { writeFixed } from "./write.ts";

export interface SessionNote {
  readonly clientId: string;
  /** The client's packet identifiers that it has released: the next message under one of them is another one. */
  readonly released: readonly number[];
  /** Our packet identifiers whose message the client has, and is not sent again. */
  readonly received: readonly number[];
  /**
   * Our packet identifiers, the offsets of the messages that they stand for from now on, and their origins, in turns: of the
   * copies of one message that a client is owed, the origin tells which, in 31 bits that only the broker understands.
   */
  readonly sent: readonly number[];
  /** How far the client has come; null where the note does not say. */
  readonly finished: Finished | null;
}

/** Of all that the session had been owed by then. */
export interface Finished {
  /** What stood before this place of its queue was finished. */
  readonly place: number;
  /** What came by its own subscriptions and lies below this offset was finished. */
  readonly offset: number;
}

/** Numbers per entry of `SessionNote.sent`. */
export const SENT_STRIDE = 3;
/** Of notes that were written before there were origins. */
export const ORIGIN_UNKNOWN = -1;

/** Whatever a record is. `packetId`: 0 where it was not kept. */
export type Logged =
  | { readonly kind: "message"; readonly message: Message; readonly packetId: number }
  | { readonly kind: "note"; readonly note: SessionNote };

/** Kind and number of entries. */
const PART_HEAD_BYTES = 3;

/** Exact number of bytes that `writeNote` writes. Throws `RecordError` ("unfit") where no note could say it. */
export function noteBytes({ clientId, released, received, sent, finished }: SessionNote): number {
  const identifiers = partBytes(released.length, IDENTIFIER_BYTES) + partBytes(received.length, IDENTIFIER_BYTES);
  const sentBytes = partBytes(sent.length / SENT_STRIDE, SENT_BYTES);
  const finishedBytes = partBytes(finished === null ? 0 : 1, FINISHED_BYTES);
  return TOPIC_AT + textBytes(clientId, "client identifier") + identifiers + sentBytes + finishedBytes;
}

function partBytes(entries: number, entryBytes: number): number {
  if (entries > PART_ENTRIES_MAX) throw new RecordError("unfit", "a note has more entries than there are identifiers");
  return entries === 0 ? 0 : PART_HEAD_BYTES + entries * entryBytes;
}

/** Writes a note at `at`, where `noteBytes` are free; returns the position after it. */
export function writeNote(target: Uint8Array, at: number, note: SessionNote, writtenAt: number): number {
  const { clientId, released, received, sent, finished } = note;
  at = writeFixed(target, at, KIND.note, 0, writtenAt);
  at = writeText(target, at, clientId);
  at = writeIdentifiers(target, at, PART.released, released);
  at = writeIdentifiers(target, at, PART.received, received);
  if (sent.length > 0) at = writePartHead(target, at, PART.sent, sent.length / SENT_STRIDE);
  for (let i = 0; i < sent.length; i += SENT_STRIDE) {
    at = writeU16(target, at, sent[i]!);
    at = writeU64(target, at, sent[i + 1]!);
    at = writeU32(target, at, sent[i + 2]!);
  }
  if (finished === null) return at;
  at = writePartHead(target, at, PART.finished, 1);
  return writeU64(target, writeU64(target, at, finished.place), finished.offset);
}

function writeIdentifiers(target: Uint8Array, at: number, part: number, identifiers: readonly number[]): number {
  if (identifiers.length === 0) return at;
  at = writePartHead(target, at, part, identifiers.length);
  for (const identifier of identifiers) at = writeU16(target, at, identifier);
  return at;
}

function writePartHead(target: Uint8Array, at: number, part: number, entries: number): number {
  target[at] = part;
  return writeU16(target, at + 1, entries);
}

function writeU64(target: Uint8Array, at: number, value: number): number {
  return writeU32(target, writeU32(target, at, Math.floor(value / 0x1_0000_0000)), value >>> 0);
}

function writeU32(target: Uint8Array, at: number, value: number): number {
  return writeU16(target, writeU16(target, at, value >>> 16), value & 0xffff);
}

/** A record, whatever it is. A message's payload is a view into `bytes`. Throws `RecordError`. */
export function readLogged(bytes: Uint8Array): Logged {
  if (anyKind(bytes) >> 4 === KIND.note) return { kind: "note", note: readNote(bytes) };
  return { kind: "message", message: readRecord(bytes), packetId: recordHead(bytes).packetId };
}

function readNote(bytes: Uint8Array): SessionNote {
  if ((bytes[0]! & 0x0f) !== 0) throw new RecordError("newer", "a note has flags that this Tidewire does not know");
  const clientIdEnd = fieldEnd(bytes, TOPIC_AT, "client identifier");
  const clientId = readText(bytes, TOPIC_AT + 2, clientIdEnd);
  const released: number[] = [];
  const received: number[] = [];
  const sent: number[] = [];
  let finished: Finished | null = null;
  let at = clientIdEnd;
  let before = 0;
  while (at < bytes.length) {
    const part = bytes[at]!;
    if (part > PART.finished) throw new RecordError("newer", `a note has a part of kind ${part}`);
    if (part <= before) throw new RecordError("malformed", "the parts of a note are out of order");
    if (part === PART.finished) {
      finished = readFinished(bytes, at);
      at += PART_HEAD_BYTES + FINISHED_BYTES;
    } else if (part >= PART.sentBefore) at = readSent(bytes, at, part, sent);
    else at = readIdentifiers(bytes, at, part === PART.released ? released : received);
    before = part;
  }
  if (before === 0) throw new RecordError("malformed", "a note says nothing");
  return { clientId, released, received, sent, finished };
}

/** `at`: where the part begins; returns where the next one does. */
function readIdentifiers(bytes: Uint8Array, at: number, into: number[]): number {
  const end = partEnd(bytes, at, IDENTIFIER_BYTES);
  for (at += PART_HEAD_BYTES; at < end; at += IDENTIFIER_BYTES) into.push(identifierAt(bytes, at));
  return end;
}

function readSent(bytes: Uint8Array, at: number, part: number, into: number[]): number {
  const entryBytes = part === PART.sent ? SENT_BYTES : SENT_BEFORE_BYTES;
  const end = partEnd(bytes, at, entryBytes);
  for (at += PART_HEAD_BYTES; at < end; at += entryBytes) {
    const origin = part === PART.sent ? u32(bytes, at + 10) | 0 : ORIGIN_UNKNOWN;
    into.push(identifierAt(bytes, at), u64(bytes, at + 2), origin);
  }
  return end;
}

function readFinished(bytes: Uint8Array, at: number): Finished {
  partEnd(bytes, at, FINISHED_BYTES);
  if (u16(bytes, at + 1) !== 1) throw new RecordError("malformed", "a note says twice how far its client has come");
  return { place: u64(bytes, at + PART_HEAD_BYTES), offset: u64(bytes, at + PART_HEAD_BYTES + 8) };
}

function partEnd(bytes: Uint8Array, at: number, entryBytes: number): number {
  if (at + PART_HEAD_BYTES > bytes.length) throw ends("part");
  const entries = u16(bytes, at + 1);
  if (entries === 0) throw new RecordError("malformed", "a part of a note is empty");
  const end = at + PART_HEAD_BYTES + entries * entryBytes;
  if (end > bytes.length) throw ends("part");
  return end;
}

function u64(bytes: Uint8Array, at: number): number {
  const value = u32(bytes, at) * 0x1_0000_0000 + u32(bytes, at + 4);
  if (value > Number.MAX_SAFE_INTEGER) throw new RecordError("malformed", "a note's offset is too large");
  return value;
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2);
}

function identifierAt(bytes: Uint8Array, at: number): number {
  const identifier = u16(bytes, at);
  if (identifier === 0) throw new RecordError("malformed", "a note's packet identifier is 0");
  return identifier;
}
