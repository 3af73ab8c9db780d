/** Where packets are written: buffers lent by a pool, and an output that gathers in as many of them as it needs. */
import { copyBytes, encodeUtf8Into, utf8Length, wordsOf } from "../../base/mod.ts";
import { VARINT_MAX } from "./cursor.ts";
import { PacketError } from "./fault.ts";
import { REASON } from "./reason.ts";

const POOLED_BYTES = 16 * 1024;
const POOLED_BUFFERS = 64;
const NOTHING = new Uint8Array(0);
const NO_WORDS = wordsOf(NOTHING);

/** What a pool knows of memory that it lends. It hangs on the memory, for whoever gives that back has only a part of it. */
interface Lease {
  readonly pool: BufferPool;
  readonly bytes: Uint8Array;
  isLent: boolean;
}

interface PooledMemory extends ArrayBuffer {
  lease?: Lease;
}

/**
 * Output buffers that many writers share, so that a connection with nothing to say holds none. Takes back only what it has
 * lent, and that once: a buffer given back twice would mix two connections' bytes.
 */
export class BufferPool {
  readonly bufferBytes: number;
  readonly smallBytes: number;
  readonly #keepMax: number;
  readonly #free: Lease[] = [];
  readonly #freeSmall: Lease[] = [];

  /** `smallBytes`: who has little to say is lent so much at first; as much memory as `keepMax` buffers is kept of those, too. */
  constructor(
    options: { readonly bufferBytes?: number; readonly smallBytes?: number; readonly keepMax?: number } = {},
  ) {
    this.bufferBytes = options.bufferBytes ?? POOLED_BYTES;
    this.smallBytes = options.smallBytes ?? 0;
    this.#keepMax = options.keepMax ?? POOLED_BUFFERS;
  }

  lend(): Uint8Array {
    return lent(this.#free.pop() ?? leaseOf(this, this.bufferBytes));
  }

  /** Of at least `bytes`, which `bufferBytes` are not less than. */
  lendFor(bytes: number): Uint8Array {
    if (bytes > this.smallBytes) return this.lend();
    return lent(this.#freeSmall.pop() ?? leaseOf(this, this.smallBytes));
  }

  /** Takes a lent buffer, or any part of it. Anything else is left to the garbage collector. */
  giveBack(bytes: Uint8Array): void {
    const { lease } = bytes.buffer as PooledMemory;
    if (lease === undefined || lease.pool !== this || !lease.isLent) return;
    lease.isLent = false;
    const small = lease.bytes.length < this.bufferBytes;
    const free = small ? this.#freeSmall : this.#free;
    const keepMax = small ? this.#keepMax * (this.bufferBytes / this.smallBytes) : this.#keepMax;
    if (free.length < keepMax) free.push(lease);
  }
}

function leaseOf(pool: BufferPool, length: number): Lease {
  const memory: PooledMemory = new ArrayBuffer(length);
  return (memory.lease = { pool, bytes: new Uint8Array(memory), isLent: false });
}

function lent(lease: Lease): Uint8Array {
  lease.isLent = true;
  return lease.bytes;
}

/**
 * Bytes that are being put together, in blocks of the pool's size: a block that is full is closed before a packet begins,
 * so that much output is neither copied as it grows nor allocated anew each time. A packet lies in one block. The first
 * block is small at first: ten thousand connections with one packet each are not to take a gigabyte.
 */
export class Output {
  readonly #pool: BufferPool;
  /** Closed blocks, oldest first; null before the first. */
  #closed: Uint8Array[] | null = null;
  /** Bytes in closed blocks. */
  closedBytes = 0;
  /** The open block. Valid up to `length`; replaced when it grows, when a packet begins, and after `take`. */
  buffer: Uint8Array = NOTHING;
  length = 0;
  #words: DataView = NO_WORDS;
  /** Whose words they are. */
  #wordsOf: Uint8Array = NOTHING;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** A packet of at least `count` bytes begins: it is not to be torn by the end of a block. */
  begin(count: number): void {
    if (this.length + count <= this.buffer.length) return;
    const { bufferBytes } = this.#pool;
    const grows = this.buffer.length < bufferBytes && this.length + count <= bufferBytes;
    if (this.length > 0 && !grows) {
      (this.#closed ??= []).push(this.buffer.subarray(0, this.length));
      this.closedBytes += this.length;
      this.buffer = NOTHING;
      this.length = 0;
    }
    this.need(count);
  }

  /** The oldest block with something in it; empty where there is nothing. */
  takeBlock(): Uint8Array {
    const block = this.#closed?.shift(); // few: what one connection may have waiting
    if (block !== undefined) {
      this.closedBytes -= block.length;
      return block;
    }
    const taken = this.buffer.subarray(0, this.length);
    this.buffer = NOTHING;
    this.length = 0;
    return taken;
  }

  /** All of it in one piece. */
  take(): Uint8Array {
    if (this.closedBytes === 0) return this.takeBlock();
    const all = new Uint8Array(this.closedBytes + this.length);
    for (let at = 0; at < all.length;) {
      const block = this.takeBlock();
      at = copyBytes(all, at, block, 0, block.length);
      this.giveBack(block);
    }
    return all;
  }

  giveBack(bytes: Uint8Array): void {
    this.#pool.giveBack(bytes);
  }

  /** The open block's bytes; made where something is copied. */
  get words(): DataView {
    if (this.#wordsOf !== this.buffer) {
      this.#wordsOf = this.buffer;
      this.#words = wordsOf(this.buffer);
    }
    return this.#words;
  }

  /** Makes room for `count` more bytes. */
  need(count: number): void {
    if (this.length + count > this.buffer.length) this.#grow(this.length + count);
  }

  #grow(wanted: number): void {
    const old = this.buffer;
    const lend = old.length < this.#pool.bufferBytes && wanted <= this.#pool.bufferBytes;
    this.buffer = lend ? this.#pool.lendFor(wanted) : new Uint8Array(Math.max(wanted, 2 * old.length));
    copyBytes(this.buffer, 0, old, 0, this.length);
    if (old !== NOTHING) this.#pool.giveBack(old);
  }

  u8(value: number): void {
    this.need(1);
    this.buffer[this.length++] = value;
  }

  u16(value: number): void {
    this.need(2);
    this.buffer[this.length++] = value >> 8;
    this.buffer[this.length++] = value;
  }

  u32(value: number): void {
    this.u16(Math.floor(value / 0x1_0000));
    this.u16(value & 0xffff);
  }

  varint(value: number): void {
    this.need(4);
    this.length = writeVarint(this.buffer, this.length, value);
  }

  text(value: string): void {
    const bytes = utf8Length(value);
    if (bytes > 0xffff) throw tooLong("a text");
    this.u16(bytes);
    this.need(bytes);
    this.length = encodeUtf8Into(value, this.buffer, this.length);
  }

  binary(value: Uint8Array): void {
    if (value.length > 0xffff) throw tooLong("binary data");
    this.u16(value.length);
    this.raw(value, 0, value.length);
  }

  raw(source: Uint8Array, from: number, to: number): void {
    this.need(to - from);
    this.length = copyBytes(this.buffer, this.length, source, from, to);
  }

  /**
   * Leaves one byte for a length; `closeLength` fills it with what was written since, and makes more room if that is much.
   * Properties that are not there are a length of 0 [MQTT-2.2.2-1].
   */
  openLength(): number {
    this.u8(0);
    return this.length;
  }

  closeLength(from: number): void {
    const count = this.length - from;
    if (count > VARINT_MAX) throw tooLong("a packet");
    const extra = varintBytes(count) - 1;
    if (extra > 0) {
      this.need(extra);
      this.buffer.copyWithin(from + extra, from, this.length);
      this.length += extra;
    }
    writeVarint(this.buffer, from - 1, count);
  }
}

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

/** Returns the position after it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    target[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  target[at++] = value;
  return at;
}

/** What is to be sent does not fit MQTT; the caller's limits should have refused it before. */
export function tooLong(what: string): PacketError {
  return new PacketError(REASON.packetTooLarge, `${what} is longer than MQTT's length field can say`);
}
