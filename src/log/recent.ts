/**
 * The batches that became durable last, kept in memory for consumers that keep up. In memory they take at most twice what
 * they count: the end of a shared buffer may stay empty.
 */
import type { BatchBuffer, BatchPool } from "./batch.ts";

export class RecentBatches {
  readonly #pool: BatchPool;
  readonly #bytesMax: number;
  /** In order; `#first` is the index of the oldest kept one, so that dropping one moves nothing; before it there is nothing. */
  #batches: (BatchBuffer | null)[] = [];
  #first = 0;
  #bytes = 0;

  constructor(pool: BatchPool, bytesMax: number) {
    this.#pool = pool;
    this.#bytesMax = bytesMax;
  }

  /** First offset kept; Infinity where there is none. */
  get from(): number {
    return this.#batches[this.#first]?.baseOffset ?? Infinity;
  }

  /** Takes over the caller's hold on `batch`. */
  add(batch: BatchBuffer): void {
    const kept = this.#pool.compact(batch);
    this.#batches.push(kept);
    this.#bytes += kept.bytesTaken;
    while (this.#bytes > this.#bytesMax) this.#dropOldest();
  }

  clear(): void {
    while (this.#first < this.#batches.length) this.#dropOldest();
  }

  /** The batch that holds `offset`, or `null`. */
  find(offset: number): BatchBuffer | null {
    let low = this.#first;
    let high = this.#batches.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const batch = this.#batches[middle]!;
      if (offset < batch.baseOffset) high = middle - 1;
      else if (offset >= batch.below) low = middle + 1;
      else return batch;
    }
    return null;
  }

  #dropOldest(): void {
    const oldest = this.#batches[this.#first]!;
    this.#batches[this.#first++] = null; // else a thousand dropped ones would stay in memory
    this.#bytes -= oldest.bytesTaken;
    this.#pool.release(oldest);
    if (this.#first > 1024 && this.#first * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#first);
      this.#first = 0;
    }
  }
}
