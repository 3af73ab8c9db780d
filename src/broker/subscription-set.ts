/** One session's subscriptions by filter. Most sessions have one, and hundreds of thousands of those are to cost little. */
import type { Subscription } from "./session.ts";

export class SubscriptionSet {
  /** Null where there is none, or more than one. */
  #only: Subscription | null = null;
  #all: Map<string, Subscription> | null = null;

  get size(): number {
    return this.#all === null ? (this.#only === null ? 0 : 1) : this.#all.size;
  }

  get(filter: string): Subscription | undefined {
    if (this.#all !== null) return this.#all.get(filter);
    return this.#only?.filter === filter ? this.#only : undefined;
  }

  has(filter: string): boolean {
    return this.get(filter) !== undefined;
  }

  /** Takes the place of the one with the same filter. */
  set(subscription: Subscription): void {
    const { filter } = subscription;
    if (this.#all !== null) this.#all.set(filter, subscription);
    else if (this.#only === null || this.#only.filter === filter) this.#only = subscription;
    else {
      this.#all = new Map([
        [this.#only.filter, this.#only],
        [filter, subscription],
      ]);
      this.#only = null;
    }
  }

  delete(filter: string): void {
    if (this.#all !== null) this.#all.delete(filter);
    else if (this.#only?.filter === filter) this.#only = null;
  }

  clear(): void {
    this.#only = this.#all = null;
  }

  /** As they are now: the set may change meanwhile. */
  list(): readonly Subscription[] {
    if (this.#all !== null) return [...this.#all.values()];
    return this.#only === null ? [] : [this.#only];
  }
}
