/** Who still reads what is about to be removed. Bounded by the readers there are. */
export class Leases {
  readonly #held = new Set<symbol>();
  readonly #waiting = new Set<{ readonly for: Set<symbol>; readonly go: () => void }>();

  take(): symbol {
    const lease = Symbol("lease");
    this.#held.add(lease);
    return lease;
  }

  release(lease: symbol): void {
    this.#held.delete(lease);
    for (const waiter of this.#waiting) {
      waiter.for.delete(lease);
      if (waiter.for.size > 0) continue;
      this.#waiting.delete(waiter);
      waiter.go();
    }
  }

  /** Resolves when everyone who reads now has finished; who comes later is not waited for. */
  async afterCurrent(): Promise<void> {
    if (this.#held.size === 0) return;
    await new Promise<void>((go) => this.#waiting.add({ for: new Set(this.#held), go }));
  }
}
