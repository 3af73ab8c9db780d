/** Batches: as they are handed to consumers, and as they are filled by the writer. */
import type { EpochMs } from "../base/mod.ts";
import { BATCH_HEADER_BYTES, RECORD_HEADER_BYTES, viewOf, writeBatchHeader } from "./format.ts";
import type { LogId } from "./format.ts";
import type { Crc32 } from "./ports.ts";

/**
 * Some records that became durable together. It and the bytes that it hands out are valid until the handler that was
 * given it returns, or its promise settles, or the next batch is asked for: copy what is kept longer.
 */
export interface LogBatch {
  readonly baseOffset: number;
  readonly count: number;
  /** When the batch was closed. */
  readonly time: EpochMs;
  /** Calls `visit` for each record in order. `bytes` is a view, not a copy. */
  forEach(visit: (offset: number, bytes: Uint8Array) => void): void;
  /** HOT: the same without a view per record: it lies in `bytes[from, to)`. */
  locate(visit: (offset: number, bytes: Uint8Array, from: number, to: number) => void): void;
}

export class BatchView implements LogBatch {
  readonly baseOffset: number;
  readonly count: number;
  readonly time: EpochMs;
  readonly #bytes: Uint8Array;
  readonly #start: number;

  /** `start`: index of the first record's length in `bytes`. Only offsets in [from, below) are shown. */
  constructor(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    batch: { readonly baseOffset: number; readonly count: number; readonly time: EpochMs },
    range: { readonly from: number; readonly below: number },
  ) {
    this.#bytes = bytes;
    this.time = batch.time;
    this.baseOffset = Math.max(batch.baseOffset, range.from);
    this.count = Math.min(batch.baseOffset + batch.count, range.below) - this.baseOffset;
    this.#start = recordIndex(view, start, this.baseOffset - batch.baseOffset);
  }

  forEach(visit: (offset: number, bytes: Uint8Array) => void): void {
    this.locate((offset, bytes, from, to) => visit(offset, bytes.subarray(from, to)));
  }

  locate(visit: (offset: number, bytes: Uint8Array, from: number, to: number) => void): void {
    const bytes = this.#bytes;
    let at = this.#start;
    for (let i = 0; i < this.count; i++) {
      const from = at + RECORD_HEADER_BYTES;
      // Byte by byte: this loop is seldom entered, and seldom optimized so far that a call of the view goes away.
      at = from + (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
      visit(this.baseOffset + i, bytes, from, at);
    }
  }
}

/** A copy of record number `ordinal` of a body that begins at `start`. */
export function copyRecord(bytes: Uint8Array, view: DataView, start: number, ordinal: number): Uint8Array {
  const at = recordIndex(view, start, ordinal);
  const from = at + RECORD_HEADER_BYTES;
  return bytes.slice(from, from + view.getUint32(at, true));
}

function recordIndex(view: DataView, start: number, ordinal: number): number {
  let at = start;
  for (let i = 0; i < ordinal; i++) at += RECORD_HEADER_BYTES + view.getUint32(at, true);
  return at;
}

/** A batch that is being filled, written, or kept for consumers. The fields are touched per record: plain, no accessors. */
export class BatchBuffer {
  /** Of a copy: its home's, for ten thousand copies are kept, and views of their own would be most of what V8 has to move for them. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Index of its header in `bytes`. */
  readonly start: number;
  /** Bytes in use from there on, the header's included. */
  used: number = BATCH_HEADER_BYTES;
  count = 0;
  baseOffset = 0;
  time: EpochMs = 0;
  /** Who still reads it: the writer, the recent ones, consumers; and copies that lie in it. */
  holders = 0;
  /** Where it is a copy: the buffer that it lies in, with others. */
  readonly home: BatchBuffer | null;

  constructor(bytes: Uint8Array, home: BatchBuffer | null = null) {
    this.bytes = bytes;
    this.view = home === null ? viewOf(bytes) : home.view;
    this.start = home === null ? 0 : home.used;
    this.home = home;
  }

  /** A copy behind what is in `home`, which has room for it. */
  copyInto(home: BatchBuffer): BatchBuffer {
    const copy = new BatchBuffer(home.bytes, home);
    copy.bytes.set(this.bytes.subarray(0, this.used), copy.start);
    copy.used = this.used;
    copy.count = this.count;
    copy.baseOffset = this.baseOffset;
    copy.time = this.time;
    home.used += this.used;
    return copy;
  }

  /** Of the memory that it lies in. */
  get bytesTaken(): number {
    return this.home === null ? this.bytes.length : this.used;
  }

  get below(): number {
    return this.baseOffset + this.count;
  }

  clear(): void {
    this.used = BATCH_HEADER_BYTES;
    this.count = 0;
  }

  /** Closes it: fills in the header. */
  close(close: { readonly time: EpochMs; readonly logId: LogId; readonly durable: number }, crc32: Crc32): void {
    this.time = close.time;
    writeBatchHeader(
      this.view,
      this.bytes,
      {
        logId: close.logId,
        baseOffset: this.baseOffset,
        count: this.count,
        bodyBytes: this.used - BATCH_HEADER_BYTES,
        bodyCrc: crc32(this.bytes.subarray(BATCH_HEADER_BYTES, this.used)),
        time: close.time,
        durableOffset: close.durable,
      },
      crc32,
    );
  }

  show(from: number): LogBatch {
    return new BatchView(this.bytes, this.view, this.start + BATCH_HEADER_BYTES, this, { from, below: Infinity });
  }

  record(offset: number): Uint8Array {
    return copyRecord(this.bytes, this.view, this.start + BATCH_HEADER_BYTES, offset - this.baseOffset);
  }
}

/**
 * Buffers of one size that are used again and again. Keeps a few; more than that is a backlog's, and is given back to
 * memory. Allocated for each sync, or in sizes that follow the load, they would outlive the young generation, and V8 would
 * collect all of its heap for them once a second.
 */
export class BatchPool {
  readonly #size: number;
  readonly #keep: number;
  readonly #free: BatchBuffer[] = [];
  /** What copies are put into; null before the first. */
  #home: BatchBuffer | null = null;

  constructor(size: number, keep: number) {
    this.#size = size;
    this.#keep = keep;
  }

  /** A clear buffer with room for a record of `length` bytes; one of its own where it is larger than a batch. */
  take(length: number): BatchBuffer {
    const need = BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + length;
    return need > this.#size ? lent(new BatchBuffer(new Uint8Array(need))) : this.#lend();
  }

  /** `batch`, or in its place a copy beside others, where it leaves half of its buffer empty. Takes over the caller's hold. */
  compact(batch: BatchBuffer): BatchBuffer {
    if (batch.used > this.#size / 2) return batch;
    const copy = lent(batch.copyInto(this.#homeFor(batch.used)));
    copy.home!.holders++;
    this.release(batch);
    return copy;
  }

  release(buffer: BatchBuffer): void {
    if (--buffer.holders !== 0) return;
    if (buffer.home !== null) this.release(buffer.home);
    else if (buffer.bytes.length === this.#size && this.#free.length < this.#keep) {
      buffer.clear();
      this.#free.push(buffer);
    }
  }

  #homeFor(bytes: number): BatchBuffer {
    if (this.#home !== null && this.#home.used + bytes <= this.#size) return this.#home;
    if (this.#home !== null) this.release(this.#home);
    this.#home = this.#lend();
    this.#home.used = 0; // copies bring their own headers
    return this.#home;
  }

  #lend(): BatchBuffer {
    return lent(this.#free.pop() ?? new BatchBuffer(new Uint8Array(this.#size)));
  }
}

function lent(buffer: BatchBuffer): BatchBuffer {
  buffer.holders = 1;
  return buffer;
}
