/**
 * One save of a rule's state while the state goes on: what it was when the save began, written page by page. A key that changes
 * before its page's turn is kept as it was, so that all pages and the header are of one moment.
 */
import { StateWriter } from "./state-codec.ts";
import { writeKey, writePage } from "./snapshot.ts";
import type { StateParts } from "./snapshot.ts";

export class StateSave {
  /** Of the moment at which it began; so is the position. */
  readonly header: Uint8Array;
  readonly position: number;
  /** Those that changed since the save before. */
  readonly pages: readonly number[];
  readonly #parts: StateParts;
  readonly #writer = new StateWriter();
  /** Keys that changed since it began, as they were; null: nobody's. Bounded by the keys of pages that are not written yet. */
  readonly #kept = new Map<number, Uint8Array | null>();
  #written = 0;
  #isOver = false;

  constructor(header: Uint8Array, position: number, pages: readonly number[], parts: StateParts) {
    this.header = header;
    this.position = position;
    this.pages = pages;
    this.#parts = parts;
  }

  /** The next page; null where all are written. */
  next(): readonly [page: number, body: Uint8Array] | null {
    const page = this.pages[this.#written];
    if (page === undefined) return null;
    const body = writePage(page, this.#parts, this.#kept);
    this.#written++;
    this.#parts.keys.written(page);
    for (const key of this.#parts.keys.keysOf(page)) this.#kept.delete(key);
    return [page, body];
  }

  /** The key is about to change, and its page is not written yet. */
  keep(key: number): void {
    if (this.#kept.has(key)) return;
    if (!this.#parts.keys.isTaken(key)) {
      this.#kept.set(key, null);
      return;
    }
    writeKey(key, this.#parts, this.#writer);
    this.#kept.set(key, this.#writer.cut());
  }

  get isWritten(): boolean {
    return this.#written === this.pages.length;
  }

  /** It counts, or never will: there is nothing to do for it any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  end(): void {
    this.#isOver = true;
    this.#kept.clear();
  }

  /** Keys that are held twice. */
  get kept(): number {
    return this.#kept.size;
  }
}
