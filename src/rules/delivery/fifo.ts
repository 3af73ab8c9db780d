/** First in, first out. An array's `shift` moves all that stays: with ten thousand waiting, each one taken out costs microseconds. */

/** What was taken out is given up in so many pieces at least. */
const COMPACT_MIN = 1_024;

export class Fifo<T> implements Iterable<T> {
  #items: (T | undefined)[] = [];
  /** Where the first one is; those before were taken out. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined; // or it would be kept alive
    if (this.#head === this.#items.length) this.clear();
    else if (this.#head >= COMPACT_MIN && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes out all others; returns them, in order. */
  retain(stays: (item: T) => boolean): T[] {
    const all = [...this];
    this.#items = all.filter(stays);
    this.#head = 0;
    return this.length === all.length ? [] : all.filter((item) => !stays(item));
  }

  clear(): void {
    this.#items.length = 0;
    this.#head = 0;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at]!;
  }
}
