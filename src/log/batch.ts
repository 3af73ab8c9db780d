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
  readonly #view: DataView;
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
    this.#view = view;
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
      at = from + this.#view.getUint32(at, true);
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
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes in use, the header's included. */
  used: number = BATCH_HEADER_BYTES;
  count = 0;
  baseOffset = 0;
  time: EpochMs = 0;
  /** Who still reads it: the writer, the recent ones, consumers. */
  holders = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = viewOf(this.bytes);
  }

  /** A copy that takes no more memory than it needs. */
  compact(): BatchBuffer {
    const copy = new BatchBuffer(this.used);
    copy.bytes.set(this.bytes.subarray(0, this.used));
    const { used, count, baseOffset, time } = this;
    return Object.assign(copy, { used, count, baseOffset, time, holders: 1 });
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
    return new BatchView(this.bytes, this.view, BATCH_HEADER_BYTES, this, { from, below: Infinity });
  }

  record(offset: number): Uint8Array {
    return copyRecord(this.bytes, this.view, BATCH_HEADER_BYTES, offset - this.baseOffset);
  }
}

/** Buffers that are used again and again. Keeps a few; more than that is a backlog's, and is given back to memory. */
export class BatchPool {
  readonly #size: number;
  readonly #keep: number;
  readonly #free: BatchBuffer[] = [];

  constructor(size: number, keep: number) {
    this.#size = size;
    this.#keep = keep;
  }

  /** A clear buffer with room for a record of `length` bytes; one of its own where it is larger than a batch. */
  take(length: number): BatchBuffer {
    const need = BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + length;
    const buffer = need > this.#size ? new BatchBuffer(need) : (this.#free.pop() ?? new BatchBuffer(this.#size));
    buffer.holders = 1;
    return buffer;
  }

  release(buffer: BatchBuffer): void {
    if (--buffer.holders !== 0) return;
    if (buffer.bytes.length !== this.#size || this.#free.length >= this.#keep) return;
    buffer.clear();
    this.#free.push(buffer);
  }
}
