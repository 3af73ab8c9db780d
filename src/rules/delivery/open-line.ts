/**
 * What is under way, oldest first. Anything is taken out of it in no time, wherever it stands: what is put in knows its place, so nothing is
 * looked up. The places of those that left before the oldest are kept until it leaves; so whoever uses it sees to it that nothing stays for long.
 */

/** What may stand in a line. */
export interface InLine {
  /** The line's own; -1 where it is in none. */
  place: number;
}

/** Places that nobody stands at any more are given up in so many pieces at least. */
const COMPACT_MIN = 1_024;

export class OpenLine<T extends InLine> implements Iterable<T> {
  #items: (T | undefined)[] = [];
  /** The first one stands here; nobody before. */
  #head = 0;
  /** `place` of what stands at index 0. */
  #base = 0;

  push(item: T): void {
    item.place = this.#base + this.#items.length;
    this.#items.push(item);
  }

  /** Nothing happens where it is not there. */
  remove(item: T): void {
    if (item.place < 0) return;
    this.#items[item.place - this.#base] = undefined;
    item.place = -1;
    while (this.#head < this.#items.length && this.#items[this.#head] === undefined) this.#head++;
    if (this.#head === this.#items.length) this.#drop();
    else if (this.#head >= COMPACT_MIN && this.#head * 2 >= this.#items.length) this.#drop();
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  clear(): void {
    for (const item of this) item.place = -1;
    this.#head = this.#items.length;
    this.#drop();
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#head; at < this.#items.length; at++) {
      const item = this.#items[at];
      if (item !== undefined) yield item;
    }
  }

  /** Those before the head. */
  #drop(): void {
    this.#base += this.#head;
    if (this.#head === this.#items.length) this.#items.length = 0;
    else this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
