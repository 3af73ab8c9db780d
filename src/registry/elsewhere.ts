/** Connections to other platforms that share the registry, as those tell of them, and which of those platforms are alive. */
import type { EpochMs } from "../base/mod.ts";
import type { PlatformPresence } from "./store.ts";

export interface PresenceElsewhere {
  readonly online: boolean;
  readonly lastSeenAt: EpochMs;
  readonly disconnectReason: string | null;
  readonly remoteAddress: string | null;
}

/** What a thing is said to have gone offline for whose platform is gone. */
const REASON_PLATFORM_GONE = "SERVER_INITIATED_DISCONNECT";

export class Elsewhere {
  /** By thing, then platform; bounded by the things of the registry that have ever connected. */
  readonly #rows = new Map<string, Map<string, PlatformPresence>>();
  #alive: ReadonlySet<string> = new Set();

  /** Things for which something is different now. Whoever tells something is alive, until `setAlive` says otherwise. */
  take(rows: readonly PlatformPresence[]): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const row of rows) {
      const ofThing = this.#rows.get(row.thing) ?? new Map<string, PlatformPresence>();
      this.#rows.set(row.thing, ofThing.set(row.platform, row));
      if (!this.#alive.has(row.platform)) this.#alive = new Set([...this.#alive, row.platform]);
      changed.add(row.thing);
    }
    return changed;
  }

  /** Things that were connected to a platform that has gone, or has come back. */
  setAlive(alive: ReadonlySet<string>): ReadonlySet<string> {
    const turned = new Set([...alive, ...this.#alive].filter((one) => alive.has(one) !== this.#alive.has(one)));
    this.#alive = alive;
    const changed = new Set<string>();
    if (turned.size === 0) return changed;
    for (const [thing, rows] of this.#rows) {
      for (const { platform, online } of rows.values()) if (online && turned.has(platform)) changed.add(thing);
    }
    return changed;
  }

  /** A connection, wherever there is one; else what was heard last. Null: nothing was. */
  of(thing: string): PresenceElsewhere | null {
    let best: PresenceElsewhere | null = null;
    for (const row of this.#rows.get(thing)?.values() ?? []) {
      const gone = row.online && !this.#alive.has(row.platform);
      const now = gone ? { ...row, online: false, disconnectReason: REASON_PLATFORM_GONE } : row;
      if (best === null || isBetter(now, best)) best = now;
    }
    return best;
  }

  things(): IterableIterator<string> {
    return this.#rows.keys();
  }

  /** False where nothing was known of it. */
  forget(thing: string): boolean {
    return this.#rows.delete(thing);
  }
}

export function isBetter(one: PresenceElsewhere, than: PresenceElsewhere): boolean {
  return one.online === than.online ? one.lastSeenAt > than.lastSeenAt : one.online;
}
