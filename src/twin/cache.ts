/** Shadows that were used last, in memory. */
import type { Shadow } from "./shadow.ts";

interface Entry {
  readonly shadow: Shadow;
  readonly bytes: number;
}

/** What an entry costs beside its text. */
const ENTRY_BYTES = 256;

export class ShadowCache {
  readonly #bytesMax: number;
  /** By place, the longest unused first; bounded by `#bytesMax`. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(key: string): Shadow | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.shadow;
  }

  set(key: string, shadow: Shadow, textLength: number): void {
    this.delete(key);
    const bytes = ENTRY_BYTES + textLength;
    this.#entries.set(key, { shadow, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
