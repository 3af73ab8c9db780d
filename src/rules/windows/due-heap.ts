/** Keys by the time at which they want to be looked at; of two at the same time, the one that was made first. */

export class DueHeap {
  readonly #bornOf: (key: number) => number;
  /** Heap of keys, and where in it each key is (-1: nowhere). */
  #heap = new Int32Array(0);
  #place = new Int32Array(0);
  #due = new Float64Array(0);
  #size = 0;

  constructor(bornOf: (key: number) => number) {
    this.#bornOf = bornOf;
  }

  /** Bytes per key that there is room for. */
  static readonly bytesPerKey = 16;

  grow(keys: number): void {
    const heap = new Int32Array(keys);
    heap.set(this.#heap);
    const place = new Int32Array(keys).fill(-1);
    place.set(this.#place);
    const due = new Float64Array(keys);
    due.set(this.#due);
    [this.#heap, this.#place, this.#due] = [heap, place, due];
  }

  /** When the first one is due; Infinity where none is. */
  get next(): number {
    return this.#size === 0 ? Infinity : this.#due[this.#heap[0]!]!;
  }

  get first(): number {
    return this.#heap[0]!;
  }

  dueOf(key: number): number {
    return this.#place[key]! < 0 ? Infinity : this.#due[key]!;
  }

  set(key: number, due: number): void {
    if (due === Infinity) {
      this.remove(key);
      return;
    }
    const place = this.#place[key]!;
    this.#due[key] = due;
    if (place < 0) {
      this.#up(this.#size++, key);
    } else {
      this.#up(place, key);
      this.#down(this.#place[key]!, key);
    }
  }

  remove(key: number): void {
    const place = this.#place[key]!;
    if (place < 0) return;
    this.#place[key] = -1;
    const last = this.#heap[--this.#size]!;
    if (last === key) return;
    this.#up(place, last);
    this.#down(this.#place[last]!, last);
  }

  #before(a: number, b: number): boolean {
    const difference = this.#due[a]! - this.#due[b]!;
    return difference === 0 ? this.#bornOf(a) < this.#bornOf(b) : difference < 0;
  }

  #up(from: number, key: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent]!;
      if (!this.#before(key, above)) break;
      this.#put(place, above);
      place = parent;
    }
    this.#put(place, key);
  }

  #down(from: number, key: number): void {
    let place = from;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#before(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      const below = this.#heap[child]!;
      if (!this.#before(below, key)) break;
      this.#put(place, below);
      place = child;
    }
    this.#put(place, key);
  }

  #put(place: number, key: number): void {
    this.#heap[place] = key;
    this.#place[key] = place;
  }
}
