/** A part of a file in memory that moves forward: one buffer, reused; small for one record, large for a long walk. */
import type { LogFile } from "./ports.ts";
import { viewOf } from "./format.ts";

const WINDOW_BYTES_MIN = 16 * 1024;
const WINDOW_BYTES_MAX = 256 * 1024;

export class FileWindow {
  readonly #file: LogFile;
  #bytes: Uint8Array = new Uint8Array(WINDOW_BYTES_MIN);
  #view: DataView = viewOf(this.#bytes);
  /** Position in the file of the first byte held. */
  #start = 0;
  #filled = 0;
  /** How large the window is to be at the next read. */
  #wanted = WINDOW_BYTES_MIN;

  constructor(file: LogFile) {
    this.#file = file;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  /** Index of file position `position` in `bytes`; only what `load` brought. */
  indexOf(position: number): number {
    return position - this.#start;
  }

  /**
   * Brings `length` bytes from `position` into `bytes`, and as many after them as fit. Returns how many are there from
   * `position` on: fewer than `length` only where the file ends. What `bytes` held before is no longer valid.
   */
  async load(position: number, length: number): Promise<number> {
    const held = this.#start + this.#filled - position;
    if (position >= this.#start && held >= length) return held;
    const keep = position >= this.#start && held > 0 ? held : 0;
    const size = Math.max(length, this.#wanted);
    if (size > this.#bytes.length) this.#grow(size, position - this.#start, keep);
    else if (keep > 0) this.#bytes.copyWithin(0, position - this.#start, this.#filled);
    this.#start = position;
    this.#filled = keep;
    this.#wanted = Math.min(WINDOW_BYTES_MAX, this.#bytes.length * 2);
    this.#filled += await this.#file.read(this.#bytes.subarray(keep), position + keep);
    return this.#filled;
  }

  /** The next `load` reads anew. */
  forget(): void {
    this.#filled = 0;
  }

  #grow(length: number, from: number, keep: number): void {
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(length)));
    larger.set(this.#bytes.subarray(from, from + keep));
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }
}
