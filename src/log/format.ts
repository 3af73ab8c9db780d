/**
 * The bytes of a segment: a header, then batches. Little-endian throughout. `docs/internals/log-format.md` explains the
 * why; `format.cases.ts` holds golden bytes.
 */
import type { Crc32 } from "./ports.ts";

export const FORMAT_VERSION = 1;

export const SEGMENT_HEADER_BYTES = 64;
export const BATCH_HEADER_BYTES = 56;
/** Each record is preceded by its length. */
export const RECORD_HEADER_BYTES = 4;

/** "TWLOGSEG" */
const SEGMENT_MAGIC = Uint8Array.of(0x54, 0x57, 0x4c, 0x4f, 0x47, 0x53, 0x45, 0x47);
/** "TWLB" */
export const BATCH_MAGIC = Uint8Array.of(0x54, 0x57, 0x4c, 0x42);

const SEGMENT_CRC_AT = 60;
const BATCH_CRC_AT = 52;

/** Eight bytes, random, the same in all segments and batches of one log: no payload can pass for a batch of it. */
export type LogId = readonly [low: number, high: number];

export interface SegmentHeader {
  readonly logId: LogId;
  readonly baseOffset: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Base offset of the segment before; -1 where this was the first. Tells that one in between is missing. */
  readonly previousOffset: number;
  /** Where the segment before ended. Offsets from there to `baseOffset` were left out on purpose, by a recovery. */
  readonly previousEnd: number;
}

export interface BatchHeader {
  readonly logId: LogId;
  readonly baseOffset: number;
  readonly count: number;
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Every offset below this was durable when the batch was written. */
  readonly durableOffset: number;
}

export type SegmentHeaderResult =
  | { readonly kind: "valid"; readonly header: SegmentHeader }
  | { readonly kind: "newer"; readonly version: number }
  | { readonly kind: "damaged" };

export function segmentName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, "0")}.seg`;
}

/** The base offset that a file's name says, or `null` where it is not a segment's name. */
export function segmentOffset(name: string): number | null {
  if (!/^[0-9]{20}\.seg$/.test(name)) return null;
  const offset = Number(name.slice(0, 20));
  return Number.isSafeInteger(offset) ? offset : null;
}

export function encodeSegmentHeader(header: SegmentHeader, crc32: Crc32): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  bytes.set(SEGMENT_MAGIC, 0);
  view.setUint16(8, FORMAT_VERSION, true);
  view.setUint16(10, SEGMENT_HEADER_BYTES, true);
  view.setUint32(16, header.logId[0], true);
  view.setUint32(20, header.logId[1], true);
  setOffset(view, 24, header.baseOffset);
  setOffset(view, 32, header.createdAt);
  setOffset(view, 40, header.previousOffset + 1); // stored one higher, so that "none" is 0
  setOffset(view, 48, header.previousEnd);
  view.setUint32(SEGMENT_CRC_AT, crc32(bytes.subarray(0, SEGMENT_CRC_AT)), true);
  return bytes;
}

export function decodeSegmentHeader(bytes: Uint8Array, crc32: Crc32): SegmentHeaderResult {
  if (bytes.length < SEGMENT_HEADER_BYTES) return { kind: "damaged" };
  for (let i = 0; i < SEGMENT_MAGIC.length; i++) if (bytes[i] !== SEGMENT_MAGIC[i]) return { kind: "damaged" };
  const view = viewOf(bytes);
  if (view.getUint32(SEGMENT_CRC_AT, true) !== crc32(bytes.subarray(0, SEGMENT_CRC_AT))) return { kind: "damaged" };
  const version = view.getUint16(8, true);
  if (version !== FORMAT_VERSION) return { kind: "newer", version };
  return {
    kind: "valid",
    header: {
      logId: [view.getUint32(16, true), view.getUint32(20, true)],
      baseOffset: getOffset(view, 24),
      createdAt: getOffset(view, 32),
      previousOffset: getOffset(view, 40) - 1,
      previousEnd: getOffset(view, 48),
    },
  };
}

/** Writes the header over the first bytes of `view`, whose body already stands behind it. */
export function writeBatchHeader(view: DataView, bytes: Uint8Array, header: BatchHeader, crc32: Crc32): void {
  bytes.set(BATCH_MAGIC, 0);
  view.setUint32(4, header.bodyBytes, true);
  view.setUint32(8, header.count, true);
  view.setUint32(12, header.bodyCrc, true);
  setOffset(view, 16, header.baseOffset);
  setOffset(view, 24, header.time);
  view.setUint32(32, header.logId[0], true);
  view.setUint32(36, header.logId[1], true);
  setOffset(view, 40, header.durableOffset);
  view.setUint32(48, 0, true); // reserved
  view.setUint32(BATCH_CRC_AT, crc32(bytes.subarray(0, BATCH_CRC_AT)), true);
}

/** The batch header at `at`, or `null` where there is none that is whole. */
export function readBatchHeader(bytes: Uint8Array, view: DataView, at: number, crc32: Crc32): BatchHeader | null {
  if (at + BATCH_HEADER_BYTES > bytes.length) return null;
  if (bytes[at] !== 0x54 || bytes[at + 1] !== 0x57 || bytes[at + 2] !== 0x4c || bytes[at + 3] !== 0x42) return null;
  if (view.getUint32(at + BATCH_CRC_AT, true) !== crc32(bytes.subarray(at, at + BATCH_CRC_AT))) return null;
  const count = view.getUint32(at + 8, true);
  const bodyBytes = view.getUint32(at + 4, true);
  if (count === 0 || count * RECORD_HEADER_BYTES > bodyBytes) return null;
  return {
    bodyBytes,
    count,
    bodyCrc: view.getUint32(at + 12, true),
    baseOffset: getOffset(view, at + 16),
    time: getOffset(view, at + 24),
    logId: [view.getUint32(at + 32, true), view.getUint32(at + 36, true)],
    durableOffset: getOffset(view, at + 40),
  };
}

/** Whether the lengths of `count` records fill the body exactly; a checksum cannot tell a writer's mistake. */
export function bodyIsWhole(view: DataView, from: number, to: number, count: number): boolean {
  let at = from;
  for (let i = 0; i < count; i++) {
    if (at + RECORD_HEADER_BYTES > to) return false;
    at += RECORD_HEADER_BYTES + view.getUint32(at, true);
  }
  return at === to;
}

/** As text: in hexadecimal. */
export function identityOf(id: LogId): string {
  return id.map((half) => half.toString(16).padStart(8, "0")).join("");
}

export function sameLog(a: LogId, b: LogId): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** 64-bit fields hold integers up to 2^53. */
function setOffset(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 0x1_0000_0000, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

function getOffset(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
