/** Who is due next: a heap by time. As many entries as were set and not yet taken; bounded by who uses it. */
import type { EpochMs } from "../../base/mod.ts";

interface Entry<T> {
  readonly at: EpochMs;
  readonly order: number;
  readonly item: T;
}

export class Deadlines<T> {
  readonly #heap: Entry<T>[] = [];
  /** The one entry of an item that counts; older ones are passed over. */
  readonly #current = new Map<T, Entry<T>>();
  #order = 0;

  /** Replaces the item's deadline; null: it has none. */
  set(item: T, at: EpochMs | null): void {
    const present = this.#current.get(item);
    if (at === null) {
      if (present !== undefined) this.#current.delete(item);
      return;
    }
    if (present?.at === at) return;
    const entry: Entry<T> = { at, order: this.#order++, item };
    this.#current.set(item, entry);
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#current.size) this.#compact();
    else this.#insert(entry);
  }

  at(item: T): EpochMs | null {
    return this.#current.get(item)?.at ?? null;
  }

  get size(): number {
    return this.#current.size;
  }

  /** The next item whose time has come, taken out; null where none is due. */
  take(now: EpochMs): T | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return null;
      if (this.#current.get(first.item) !== first) {
        this.#removeFirst();
        continue;
      }
      if (first.at > now) return null;
      this.#removeFirst();
      this.#current.delete(first.item);
      return first.item;
    }
  }

  #compact(): void {
    this.#heap.length = 0;
    for (const entry of this.#current.values()) this.#insert(entry);
  }

  #insert(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(entry, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below++;
      if (!before(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
