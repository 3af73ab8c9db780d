/**
 * Large writes past the page cache (`O_DIRECT`): copying into pages that the system must first find costs two to six times the
 * processor time of all else that a durable write takes (bench/README.md). Blocks are written whole, from aligned memory.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { PADDING } from "../../log/mod.ts";

/** Positions, lengths and addresses are multiples of it: no disk's block is larger, and one that is refuses. */
const BLOCK = 4096;
/** Below this a copy into the page cache is cheaper than a write of whole blocks. */
const BYTES_MIN = 64 * 1024;
/** A group of batches has 4 MiB at most. */
const BYTES_MAX = 5 * 1024 * 1024;
/** Memory comes from an allocator whose addresses are multiples of it. */
const ADDRESS_STEP = 16;

const { O_RDWR, O_DIRECT, O_DSYNC } = constants;

/** Of one folder: its files share a buffer, as one of them is written at a time. */
export class DirectWrites {
  #usable = process.platform === "linux";
  #busy = false;
  /** Begins at an aligned address; none before the first large write. */
  #blocks: Uint8Array = new Uint8Array();
  /** The last write: its last block is still in `#blocks`. */
  #last: { readonly file: DirectFile; readonly end: number; readonly from: number } | null = null;

  file(path: string, cached: FileHandle): DirectFile {
    return new DirectFile(this, path, cached);
  }

  /** Whether all of `parts` is on disk; `false` where it must be written in the other way. At most one block of padding follows. */
  async write(file: DirectFile, parts: readonly Uint8Array[], position: number, bytes: number): Promise<boolean> {
    if (!this.#usable || this.#busy || bytes < BYTES_MIN || bytes > BYTES_MAX) return false;
    this.#busy = true;
    try {
      return await this.#write(file, parts, position, bytes);
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.#usable = false; // a file system without it, or with larger blocks
      return false;
    } finally {
      this.#busy = false;
    }
  }

  async #write(file: DirectFile, parts: readonly Uint8Array[], position: number, bytes: number): Promise<boolean> {
    const handle = await file.open();
    if (handle === null) return false;
    const head = position % BLOCK;
    const length = Math.ceil((head + bytes) / BLOCK) * BLOCK;
    if (length > this.#blocks.length) {
      const aligned = await alignedBuffer(handle, length);
      if (aligned === null) return false;
      this.#blocks = aligned;
      this.#last = null;
    }
    const blocks = this.#blocks;
    if (head > 0) await this.#fillHead(file, position, head);
    this.#last = null;
    let filled = head;
    for (const part of parts) {
      blocks.set(part, filled);
      filled += part.length;
    }
    blocks.fill(PADDING, filled, length);
    for (let done = 0; done < length;) {
      const { bytesWritten } = await handle.write(blocks, done, length - done, position - head + done);
      done += bytesWritten;
      if (done % BLOCK !== 0) return false; // it ended within a block, at a full disk above all: the other way says why
    }
    this.#last = { file, end: position + bytes, from: length - BLOCK };
    return true;
  }

  /** What its first block holds already, which is written again with what follows it. */
  async #fillHead(file: DirectFile, position: number, head: number): Promise<void> {
    if (this.#last?.file === file && this.#last.end === position) {
      this.#blocks.copyWithin(0, this.#last.from, this.#last.from + head);
      return;
    }
    for (let done = 0; done < head;) {
      const { bytesRead } = await file.cached.read(this.#blocks, done, head - done, position - head + done);
      if (bytesRead === 0) throw new Error(`a log segment ends before ${position}, where it was written to`);
      done += bytesRead;
    }
  }
}

/** One file's second handle, opened with its first large write. */
export class DirectFile {
  readonly cached: FileHandle;
  readonly #writes: DirectWrites;
  readonly #path: string;
  #handle: FileHandle | null = null;
  /** Behind the last byte of padding that was written. */
  #paddedTo = 0;

  constructor(writes: DirectWrites, path: string, cached: FileHandle) {
    this.#writes = writes;
    this.#path = path;
    this.cached = cached;
  }

  /** As `DirectWrites.write`. */
  async write(parts: readonly Uint8Array[], position: number): Promise<boolean> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const written = await this.#writes.write(this, parts, position, bytes);
    if (written) this.#paddedTo = Math.ceil((position + bytes) / BLOCK) * BLOCK;
    return written;
  }

  /** `null` where it cannot be had: the cached one can do all the same. */
  async open(): Promise<FileHandle | null> {
    this.#handle ??= await open(this.#path, O_RDWR | O_DIRECT | O_DSYNC).catch(() => null);
    return this.#handle;
  }

  /** Closes the handle; `end`: behind the last byte that counts. Padding that cannot be cut off stays, which every reader knows. */
  async close(end: number): Promise<void> {
    if (this.#handle === null) return;
    if (this.#paddedTo > end) await this.cached.truncate(end).catch(() => {});
    await this.#handle.close();
  }
}

/** The system says by `EINVAL` that an address does not suit it, and of a file that holds nothing it does not: `null`. */
async function alignedBuffer(handle: FileHandle, length: number): Promise<Uint8Array | null> {
  const memory = new Uint8Array(2 ** Math.ceil(Math.log2(length)) + BLOCK);
  for (let from = BLOCK - ADDRESS_STEP; from >= 0; from -= ADDRESS_STEP) {
    const blocks = memory.subarray(from, memory.length - BLOCK + from);
    try {
      const { bytesRead } = await handle.read(blocks, 0, BLOCK, 0);
      return bytesRead === 0 ? null : blocks;
    } catch (error) {
      if (from === 0 || !isRefused(error)) throw error;
    }
  }
  throw new Error("unreachable");
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EINVAL" || error.code === "EOPNOTSUPP");
}
