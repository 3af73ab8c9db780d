/** Saved state of a rule: a header, and pages of keys, each with its checksum. It may go on in another process. */
import type { EpochMs } from "../../base/mod.ts";
import type { KeyTable } from "./key-table.ts";
import { StateReader, StateUnreadable, StateWriter } from "./state-codec.ts";

const VERSION = 2;
/** Version 1 did not say how many keys its pages have. */
const PAGE_KEYS_BEFORE = 256;

export interface StateSnapshot {
  readonly header: Uint8Array;
  /** Pages by number; one without keys is empty, and kept, so that it replaces what was there. */
  readonly pages: readonly (readonly [page: number, body: Uint8Array])[];
}

/** Whoever keeps something per key. */
export interface KeyColumn {
  write(key: number, writer: StateWriter): void;
  read(key: number, reader: StateReader): void;
}

export interface StateParts {
  readonly keys: KeyTable;
  readonly columns: readonly KeyColumn[];
}

interface Counts {
  late: number;
  crowded: number;
  keyless: number;
  evicted: number;
}

/** Where in the log the state is. */
export interface StatePlace {
  readonly definition: string;
  /** Offset of the next message. */
  readonly position: number;
  /** Behind the last message that was for it. */
  readonly handled: number;
  readonly now: EpochMs;
}

export function writeHeader(
  { definition, position, handled, now }: StatePlace,
  { keys }: StateParts,
  counts: Readonly<Counts>,
): Uint8Array {
  const writer = new StateWriter();
  writer.u32(VERSION);
  writer.u32(keys.pageKeys);
  writer.text(definition);
  writer.f64(position);
  writer.f64(handled);
  writer.f64(now);
  writer.f64(keys.bornNext);
  writer.u32(keys.size);
  for (const count of [counts.late, counts.crowded, counts.keyless, counts.evicted]) writer.f64(count);
  return writer.take();
}

/** `kept`: of keys that changed since, what they were; null for one that was nobody's. */
export function writePage(
  page: number,
  parts: StateParts,
  kept: ReadonlyMap<number, Uint8Array | null> = NOTHING_KEPT,
): Uint8Array {
  const writer = new StateWriter();
  const own: number[] = [];
  for (const key of parts.keys.keysOf(page)) {
    const before = kept.get(key);
    if (before === undefined ? parts.keys.isTaken(key) : before !== null) own.push(key);
  }
  writer.u32(own.length);
  for (const key of own) {
    writer.u32(key - page * parts.keys.pageKeys);
    const before = kept.get(key);
    if (before === undefined || before === null) writeKey(key, parts, writer);
    else writer.raw(before);
  }
  return writer.take();
}

const NOTHING_KEPT: ReadonlyMap<number, Uint8Array | null> = new Map();

export function writeKey(key: number, { keys, columns }: StateParts, writer: StateWriter): void {
  keys.write(key, writer);
  for (const column of columns) column.write(key, writer);
}

export interface StateHeader extends StatePlace {
  /** Keys that a page has room for. */
  readonly pageKeys: number;
  readonly bornNext: number;
  readonly keys: number;
  readonly counts: Counts;
}

/** What the header says, for those who must know from where the log is needed. Throws `StateUnreadable`. */
export function readHeader(header: Uint8Array): StateHeader {
  const reader = new StateReader(header);
  const version = reader.u32();
  if (version !== 1 && version !== VERSION) throw new StateUnreadable(`it has version ${version}, not ${VERSION}`);
  return {
    pageKeys: version === 1 ? PAGE_KEYS_BEFORE : reader.u32(),
    definition: reader.text(),
    position: reader.f64(),
    handled: reader.f64(),
    now: reader.f64(),
    bornNext: reader.f64(),
    keys: reader.u32(),
    counts: { late: reader.f64(), crowded: reader.f64(), keyless: reader.f64(), evicted: reader.f64() },
  };
}

/** Fills empty parts. Throws `StateUnreadable`, and leaves them half filled then. */
export function readState(
  { header, pages }: StateSnapshot,
  definition: string,
  { keys, columns }: StateParts,
): StatePlace & { readonly counts: Counts } {
  const head = readHeader(header);
  if (head.definition !== definition) throw new StateUnreadable("it is that of another statement");
  for (const [page, body] of pages.toSorted(([a], [b]) => a - b)) {
    const reader = new StateReader(body);
    const count = reader.u32();
    for (let i = 0; i < count; i++) {
      const key = page * head.pageKeys + reader.u32();
      keys.read(key, reader);
      for (const column of columns) column.read(key, reader);
    }
    if (!reader.ended) throw new StateUnreadable(`page ${page} is longer than its keys`);
  }
  if (keys.size !== head.keys) throw new StateUnreadable(`it has ${keys.size} keys, not ${head.keys}`);
  keys.restored(head.bornNext);
  return head;
}
