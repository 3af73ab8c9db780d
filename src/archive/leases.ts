/** Who reads which file: one that is read is not deleted, whatever became of it meanwhile. */
export class Leases {
  /** Bounded by the files of the archive. */
  readonly #readers = new Map<string, number>();

  take(name: string): void {
    this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1);
  }

  release(name: string): void {
    const left = (this.#readers.get(name) ?? 0) - 1;
    if (left > 0) this.#readers.set(name, left);
    else this.#readers.delete(name);
  }

  held(name: string): boolean {
    return this.#readers.has(name);
  }
}
