/**
 * What is due when, the earliest first: a binary heap whose items know their places, so that one of hundreds of thousands
 * is moved or taken out in a few steps, and nothing has to look through all of them.
 */
export interface Due {
  /** Of one clock for all that are in a heap. */
  dueAt: number;
  /** Its place in the heap; -1: it is not there. */
  duePlace: number;
}

export class Deadlines<T extends Due> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** Puts the item in, or moves it. */
  set(item: T, at: number): void {
    item.dueAt = at;
    if (item.duePlace < 0) item.duePlace = this.#heap.push(item) - 1;
    this.#settle(item);
  }

  delete(item: T): void {
    const place = item.duePlace;
    if (place < 0) return;
    item.duePlace = -1;
    const last = this.#heap.pop()!;
    if (last === item) return;
    last.duePlace = place;
    this.#settle(last);
  }

  /** Takes out the item that has been due longest; null where none is due. */
  take(now: number): T | null {
    const first = this.#heap[0];
    if (first === undefined || first.dueAt > now) return null;
    this.delete(first);
    return first;
  }

  /** Moves the item from its place up or down to where it belongs. */
  #settle(item: T): void {
    const heap = this.#heap;
    let at = item.duePlace;
    while (at > 0) {
      const above = heap[(at - 1) >> 1]!;
      if (above.dueAt <= item.dueAt) break;
      this.#place(above, at);
      at = (at - 1) >> 1;
    }
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1]!.dueAt < heap[below]!.dueAt) below++;
      if (heap[below]!.dueAt >= item.dueAt) break;
      this.#place(heap[below]!, at);
      at = below;
    }
    this.#place(item, at);
  }

  #place(item: T, at: number): void {
    this.#heap[at] = item;
    item.duePlace = at;
  }
}
