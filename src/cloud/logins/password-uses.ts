/**
 * When each password was last right. Gathered, and kept once a minute, so that no log-in costs a write: after a crash what came
 * within the last minute is not known, and where thousands log in at once a little more.
 */
import { LIMITS, reasonOf } from "../../base/mod.ts";
import type { Clock, EpochMs, Logger } from "../../base/mod.ts";
import type { Passwords } from "../../registry/mod.ts";

export class PasswordUses {
  readonly #clock: Clock;
  readonly #kept: Pick<Passwords, "usedAt" | "saveUses"> | null;
  readonly #logger: Logger | null;
  /** By thing, the least recent first, and not kept yet; `rememberedMax` at most. */
  readonly #usedAt = new Map<string, EpochMs>();

  /** `kept` null: in memory alone. */
  constructor(clock: Clock, kept: Pick<Passwords, "usedAt" | "saveUses"> | null = null, logger: Logger | null = null) {
    this.#clock = clock;
    this.#kept = kept;
    this.#logger = logger;
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

  /** Null: not since it was set, as far as is known. Throws REGISTRY_UNAVAILABLE. */
  of(thing: string): EpochMs | null {
    return this.#usedAt.get(thing) ?? this.#kept?.usedAt(thing) ?? null;
  }

  /** Of one that was set anew, or is gone. */
  forget(thing: string): void {
    this.#usedAt.delete(thing);
  }

  /** Keeps those that wait for longest; what fails is tried again. */
  flush(limit: number = LIMITS.logins.usesSavedAtOnce): void {
    if (this.#kept === null || this.#usedAt.size === 0) return;
    const uses = new Map([...this.#usedAt].slice(0, limit));
    try {
      this.#kept.saveUses(uses);
      for (const thing of uses.keys()) this.#usedAt.delete(thing);
    } catch (error) {
      this.#logger?.warn("When passwords were used cannot be kept now; it is tried again", { reason: reasonOf(error) });
    }
  }
}
