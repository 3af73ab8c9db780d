/** SQLite's write-ahead log, read from outside: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
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
  const round = roundOf(bytes);
  if (round === null) return { ...NOTHING, lostBytes: bytes.length };
  const frames: WalFrame[] = [];
  const end = readFrames(bytes, HEADER_BYTES, round, frames);
  return { frames, pages: round.pages, lostBytes: lostBehind(bytes, end, round.pageBytes) };
}

/** What the header says, and what the frames up to the last commit add up to. */
interface Round {
  readonly header: Buffer;
  readonly big: boolean;
  readonly pageBytes: number;
  first: number;
  second: number;
  /** As in `WalContent`. */
  pages: number;
}

/** Null where the header is not whole. */
function roundOf(bytes: Buffer): Round | null {
  const magic = bytes.readUInt32BE(0);
  const big = magic === MAGIC_BIG;
  const sums = new Sums(bytes, big);
  sums.add(bytes, 0, 24);
  const { first, second } = sums;
  if (magic !== MAGIC_LITTLE && !big) return null;
  if (first !== bytes.readUInt32BE(24) || second !== bytes.readUInt32BE(28)) return null;
  const header = Buffer.from(bytes.subarray(0, HEADER_BYTES));
  return { header, big, pageBytes: bytes.readUInt32BE(8), first, second, pages: 0 };
}

/** Adds the frames of whole commits in `bytes` from `at` on, and what they add up to; returns where they end. */
function readFrames(bytes: Buffer, at: number, round: Round, frames: WalFrame[]): number {
  const { pageBytes } = round;
  const sums = new Sums(bytes, round.big);
  [sums.first, sums.second] = [round.first, round.second];
  let committed = frames.length;
  let end = at;
  for (; at + FRAME_HEADER_BYTES + pageBytes <= bytes.length; at += FRAME_HEADER_BYTES + pageBytes) {
    if (!isOfRound(round.header, bytes, at)) break;
    sums.add(bytes, at, 8);
    sums.add(bytes, at + FRAME_HEADER_BYTES, pageBytes);
    if (sums.first !== bytes.readUInt32BE(at + 16) || sums.second !== bytes.readUInt32BE(at + 20)) break;
    const from = at + FRAME_HEADER_BYTES;
    frames.push({ page: bytes.readUInt32BE(at), crc: crc32(bytes.subarray(from, from + pageBytes)) });
    const pagesAfterCommit = bytes.readUInt32BE(at + 4);
    if (pagesAfterCommit === 0) continue;
    committed = frames.length;
    [round.first, round.second, round.pages] = [sums.first, sums.second, pagesAfterCommit];
    end = from + pageBytes;
  }
  frames.length = committed;
  return end;
}

/** A frame of an earlier round, which this one has not yet written over, has other salts. */
function isOfRound(header: Buffer, bytes: Buffer, at: number): boolean {
  return header.compare(bytes, at + 8, at + 16, 16, 24) === 0;
}

/** The same as `readWal`, a piece at a time while the log grows: what a commit has brought costs less than all that a checkpoint writes. */
export class WalTail {
  readonly #path: string;
  #round: Round | null = null;
  /** Where the last commit that was read ends. */
  #end = HEADER_BYTES;
  /** As many as there are pages in the log, which is checkpointed before it is long. */
  #frames: WalFrame[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** Bytes of the file that were read: a log that is begun anew while as much of it is there is noticed by the next `advance`. */
  get end(): number {
    return this.#round === null ? 0 : this.#end;
  }

  /** Reads on; returns all since the log was begun. Frames behind the last commit are read again: a roll-back writes over them. */
  advance(): Pick<WalContent, "frames" | "pages"> {
    if (!existsSync(this.#path)) return this.#forget();
    const handle = openSync(this.#path, "r");
    try {
      const header = readAll(handle, 0, HEADER_BYTES);
      if (header.length < HEADER_BYTES) return this.#forget();
      if (this.#round?.header.equals(header) !== true) {
        const nothing = this.#forget();
        this.#round = roundOf(header);
        if (this.#round === null) return nothing;
      }
      const size = fstatSync(handle).size;
      const bytes = readAll(handle, this.#end, Math.max(0, size - this.#end));
      this.#end += readFrames(bytes, 0, this.#round, this.#frames);
      return { frames: this.#frames, pages: this.#round.pages };
    } finally {
      closeSync(handle);
    }
  }

  #forget(): Pick<WalContent, "frames" | "pages"> {
    this.#round = null;
    this.#end = HEADER_BYTES;
    this.#frames = [];
    return { frames: [], pages: 0 };
  }
}

/** What there is of it. In memory of its own, so that words in it are where the machine reads them fast. */
function readAll(handle: number, from: number, length: number): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(length));
  let done = 0;
  for (let read = -1; done < length && read !== 0; done += read) {
    read = readSync(handle, bytes, done, length - done, from + done);
  }
  return bytes.subarray(0, done);
}

/** How far frames of this log reach behind `end`, whole or not. */
function lostBehind(bytes: Buffer, end: number, pageBytes: number): number {
  let last = end;
  for (let at = end; at + 16 <= bytes.length; at += FRAME_HEADER_BYTES + pageBytes) {
    if (isOfRound(bytes, bytes, at)) last = Math.min(bytes.length, at + FRAME_HEADER_BYTES + pageBytes);
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
