/** SQLite's write-ahead log, read from outside: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
import { crc32 } from "node:zlib";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC_LITTLE = 0x377f0682;
const MAGIC_BIG = 0x377f0683;
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

export interface WalFrame {
  /** From 1. */
  readonly page: number;
  /** CRC-32 of the page's content. */
  readonly crc: number;
}

export interface WalContent {
  /** Those of committed transactions, in order: what SQLite reads, and what a checkpoint may write. */
  readonly frames: readonly WalFrame[];
  /** Pages of the database as of the last commit; 0 without one. */
  readonly pages: number;
  /** Bytes behind the last commit that belong to this log, and that SQLite will not read; 0 in all good cases. */
  readonly lostBytes: number;
}

const NOTHING: WalContent = { frames: [], pages: 0, lostBytes: 0 };

/** Of `-shm`, which all connections to a database share: how far its write-ahead log is committed, and which round of it that is. */
export interface WalIndex {
  readonly frames: number;
  readonly salts: Buffer;
}

/** Null where it is just being written, or there is none. https://www.sqlite.org/walformat.html, 2.2, The WAL-Index File Format. */
export function readWalIndex(bytes: Buffer): WalIndex | null {
  const [first, second] = [bytes.subarray(0, 48), bytes.subarray(48, 96)];
  if (second.length < 48 || !first.equals(second)) return null;
  const frames = LITTLE_ENDIAN ? first.readUInt32LE(16) : first.readUInt32BE(16);
  return { frames, salts: first.subarray(32, 40) };
}

/** Which round of the log the file's header says that it is. */
export function saltsOf(wal: Buffer): Buffer {
  return wal.subarray(16, 24);
}

export function readWal(bytes: Buffer): WalContent {
  if (bytes.length <= HEADER_BYTES) return NOTHING;
  const magic = bytes.readUInt32BE(0);
  const sums = new Sums(bytes, magic === MAGIC_BIG);
  sums.add(bytes, 0, 24);
  const whole =
    (magic === MAGIC_LITTLE || magic === MAGIC_BIG) &&
    sums.first === bytes.readUInt32BE(24) &&
    sums.second === bytes.readUInt32BE(28);
  if (!whole) return { ...NOTHING, lostBytes: bytes.length };
  const pageBytes = bytes.readUInt32BE(8);
  const frames: WalFrame[] = [];
  let committed = 0;
  let pages = 0;
  let end = HEADER_BYTES;
  let at = HEADER_BYTES;
  for (; at + FRAME_HEADER_BYTES + pageBytes <= bytes.length; at += FRAME_HEADER_BYTES + pageBytes) {
    if (!isOfThisLog(bytes, at)) break;
    sums.add(bytes, at, 8);
    sums.add(bytes, at + FRAME_HEADER_BYTES, pageBytes);
    if (sums.first !== bytes.readUInt32BE(at + 16) || sums.second !== bytes.readUInt32BE(at + 20)) break;
    const from = at + FRAME_HEADER_BYTES;
    frames.push({ page: bytes.readUInt32BE(at), crc: crc32(bytes.subarray(from, from + pageBytes)) });
    const pagesAfterCommit = bytes.readUInt32BE(at + 4);
    if (pagesAfterCommit === 0) continue;
    committed = frames.length;
    pages = pagesAfterCommit;
    end = from + pageBytes;
  }
  frames.length = committed;
  return { frames, pages, lostBytes: lostBehind(bytes, end, pageBytes) };
}

/** A frame of an earlier round, which this one has not yet written over, has other salts. */
function isOfThisLog(bytes: Buffer, at: number): boolean {
  return bytes.compare(bytes, 16, 24, at + 8, at + 16) === 0;
}

/** How far frames of this log reach behind `end`, whole or not. */
function lostBehind(bytes: Buffer, end: number, pageBytes: number): number {
  let last = end;
  for (let at = end; at + 16 <= bytes.length; at += FRAME_HEADER_BYTES + pageBytes) {
    if (isOfThisLog(bytes, at)) last = Math.min(bytes.length, at + FRAME_HEADER_BYTES + pageBytes);
  }
  return last - end;
}

/**
 * The checksum of the format: two sums over pairs of 32-bit words, each going into the other. In the machine's own order of
 * bytes, which SQLite uses, words are read straight from memory: ten times as fast, and a checkpoint waits for it.
 */
class Sums {
  readonly #big: boolean;
  readonly #words: Uint32Array | null;
  readonly #start: number;
  first = 0;
  second = 0;

  constructor(bytes: Buffer, big: boolean) {
    this.#big = big;
    this.#start = bytes.byteOffset;
    const native = !big && LITTLE_ENDIAN && bytes.byteOffset % 4 === 0;
    this.#words = native ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2) : null;
  }

  /** `from` and `length` are multiples of 8, as everything in the format is. */
  add(bytes: Buffer, from: number, length: number): void {
    const words = this.#words;
    if (words === null) return this.#addSlowly(bytes, from, length);
    let first = this.first | 0;
    let second = this.second | 0;
    for (let at = from >>> 2; at < (from + length) >>> 2; at += 2) {
      first = (first + words[at]! + second) | 0;
      second = (second + words[at + 1]! + first) | 0;
    }
    this.first = first >>> 0;
    this.second = second >>> 0;
  }

  #addSlowly(bytes: Buffer, from: number, length: number): void {
    const view = new DataView(bytes.buffer, this.#start + from, length);
    let [first, second] = [this.first, this.second];
    for (let at = 0; at < length; at += 8) {
      first = (first + view.getUint32(at, !this.#big) + second) >>> 0;
      second = (second + view.getUint32(at + 4, !this.#big) + first) >>> 0;
    }
    this.first = first;
    this.second = second;
  }
}
