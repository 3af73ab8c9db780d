/** When each password was last right. In memory: it says what was used since the platform started, and costs no log-in a write. */
import { LIMITS } from "../../base/mod.ts";
import type { Clock, EpochMs } from "../../base/mod.ts";

export class PasswordUses {
  readonly #clock: Clock;
  /** By thing, the least recent first; `rememberedMax` at most. */
  readonly #usedAt = new Map<string, EpochMs>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(thing: string): void {
    this.#usedAt.delete(thing);
    this.#usedAt.set(thing, this.#clock.now());
    if (this.#usedAt.size <= LIMITS.logins.rememberedMax) return;
    for (const oldest of this.#usedAt.keys()) {
      this.#usedAt.delete(oldest);
      return;
    }
  }

  /** Null: not since the platform started, or so many others since. */
  of(thing: string): EpochMs | null {
    return this.#usedAt.get(thing) ?? null;
  }

  forget(thing: string): void {
    this.#usedAt.delete(thing);
  }
}
