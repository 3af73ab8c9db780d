/** The rights of certificates in use, bounded; the one longest not asked for goes first. */
import type { Principal } from "./records.ts";

export class PrincipalCache {
  readonly #entriesMax: number;
  /** In the order of last use: a Map keeps insertion order. */
  readonly #entries = new Map<string, Principal>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(certificateId: string): Principal | undefined {
    const found = this.#entries.get(certificateId);
    if (found === undefined) return undefined;
    this.#entries.delete(certificateId);
    this.#entries.set(certificateId, found);
    return found;
  }

  set(certificateId: string, principal: Principal): void {
    this.#entries.set(certificateId, principal);
    if (this.#entries.size <= this.#entriesMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  drop(certificateId: string): void {
    this.#entries.delete(certificateId);
  }

  clear(): void {
    this.#entries.clear();
  }
}
