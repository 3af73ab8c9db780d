/** Which things are connected. Kept by the platform itself, so it is right whatever a device's last will says. */
import { LIMITS, reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Counter, EpochMs, Logger, Metrics, Scheduler } from "../base/mod.ts";
import type { Change } from "./records.ts";
import type { PresenceStore, SavedPresence } from "./store.ts";

/** `never`: registered, but it has not connected yet. */
export type PresenceState = "online" | "offline" | "never";

export interface Presence {
  readonly state: PresenceState;
  /** When it last connected, disconnected or sent something; null if never. */
  readonly lastSeenAt: EpochMs | null;
  /** Why it went offline, AWS IoT's names, e.g. `MQTT_KEEP_ALIVE_TIMEOUT`; null while online. */
  readonly disconnectReason: string | null;
  readonly remoteAddress: string | null;
}

export interface PresenceOptions {
  readonly store: PresenceStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** A deleted thing's presence goes with it. */
  readonly registry: { onChange(listener: (change: Change) => void): Cancel };
}

interface Entry {
  /** Open connections and where they come from; a take-over has two for a moment. */
  readonly connections: Map<string, string | null>;
  lastSeenAt: EpochMs;
  disconnectReason: string | null;
  remoteAddress: string | null;
}

const NEVER: Presence = { state: "never", lastSeenAt: null, disconnectReason: null, remoteAddress: null };

/** AWS IoT's name for what becomes of a connection whose client id connects again. */
const TAKEN_OVER = "DUPLICATE_CLIENTID";
/** What a thing that was connected when the platform stopped is said to have gone offline for. */
const REASON_AFTER_RESTART = "SERVER_INITIATED_DISCONNECT";

export class PresenceBook {
  readonly #options: PresenceOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(thing: string, presence: Presence) => void>();
  /** State changed: saved within a moment. */
  #unsaved = new Set<string>();
  /** Only "last seen" moved: saved with the next round. */
  #seen = new Set<string>();
  #saving: Cancel | null = null;
  #online = 0;
  readonly #failures: Counter;
  readonly #cancels: readonly Cancel[];

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#failures = options.metrics.counter({
      name: "tidewire_presence_save_failures_total",
      help: "Times that presence could not be written to disk; it is tried again",
    });
    options.metrics.observe(
      { name: "tidewire_things_online", help: "Things with an open connection" },
      () => this.#online,
    );
    this.#load();
    this.#cancels = [
      options.registry.onChange((change) => {
        if (change.kind === "thing" && change.change === "deleted") this.forget(change.id);
      }),
      options.scheduler.every(LIMITS.registry.lastSeenSavedEvery, () => this.flush()),
    ];
  }

  get onlineCount(): number {
    return this.#online;
  }

  of(thing: string): Presence {
    const entry = this.#entries.get(thing);
    return entry === undefined ? NEVER : presenceOf(entry);
  }

  /** Thing names, ascending, after `after`. Things that never connected are not known here. */
  list(
    state: "online" | "offline",
    after: string | null = null,
    limit: number = LIMITS.registry.pageSizeMax,
  ): string[] {
    const names: string[] = [];
    for (const [thing, entry] of this.#entries) {
      const online = entry.connections.size > 0;
      if (online === (state === "online") && (after === null || thing > after)) names.push(thing);
    }
    return names.sort().slice(0, limit);
  }

  /** `connection`: unique to the connection (the broker's session identifier), not the client id. */
  connected(thing: string, connection: string, remoteAddress: string | null): void {
    const entry = this.#entries.get(thing) ?? newEntry();
    if (entry.connections.size === 0) this.#online++;
    this.#entries.set(thing, entry);
    entry.connections.set(connection, remoteAddress);
    entry.lastSeenAt = this.#options.clock.now();
    entry.disconnectReason = null;
    entry.remoteAddress = remoteAddress;
    this.#changed(thing, entry);
  }

  /** Of two connections of one thing the end of one changes nothing but the address. */
  disconnected(thing: string, connection: string, reason: string): void {
    // The connection that takes over is told of within this turn: the thing has not been away.
    if (reason === TAKEN_OVER) this.#options.scheduler.defer(() => this.#left(thing, connection, reason));
    else this.#left(thing, connection, reason);
  }

  #left(thing: string, connection: string, reason: string): void {
    const entry = this.#entries.get(thing);
    if (entry === undefined || !entry.connections.delete(connection)) return;
    entry.lastSeenAt = this.#options.clock.now();
    if (entry.connections.size > 0) {
      entry.remoteAddress = [...entry.connections.values()].at(-1) ?? null;
      this.#seen.add(thing);
      return;
    }
    this.#online--;
    entry.disconnectReason = reason;
    this.#changed(thing, entry);
  }

  /** It sent something. Cheap: called per message or per batch. */
  seen(thing: string): void {
    const entry = this.#entries.get(thing);
    if (entry === undefined) return;
    const now = this.#options.clock.now();
    if (entry.lastSeenAt === now) return;
    entry.lastSeenAt = now;
    this.#seen.add(thing);
  }

  /** Told of changes of state and address, not of `seen`. */
  onChange(listener: (thing: string, presence: Presence) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Writes what is not on disk yet; what fails is tried again in the next round. */
  flush(): void {
    if (this.#unsaved.size === 0 && this.#seen.size === 0) return;
    const names = new Set([...this.#unsaved, ...this.#seen]);
    const rows: SavedPresence[] = [];
    for (const thing of names) {
      const entry = this.#entries.get(thing);
      if (entry !== undefined) rows.push(rowOf(thing, entry));
    }
    try {
      this.#options.store.save(rows);
      this.#unsaved = new Set();
      this.#seen = new Set();
    } catch (error) {
      this.#failures.value++;
      this.#options.logger.warn("presence cannot be saved; trying again", { reason: reasonOf(error) });
    }
  }

  /** Saves and stops. Call it after the broker has told of its last disconnects. */
  close(): void {
    for (const cancel of this.#cancels) cancel();
    this.#saving?.();
    this.flush();
  }

  #load(): void {
    for (const row of this.#options.store.load()) {
      // Nobody is online until they connect to this process.
      if (row.online) this.#seen.add(row.thing);
      this.#entries.set(row.thing, {
        connections: new Map(),
        lastSeenAt: row.lastSeenAt,
        disconnectReason: row.online ? REASON_AFTER_RESTART : row.disconnectReason,
        remoteAddress: row.remoteAddress,
      });
    }
  }

  #changed(thing: string, entry: Entry): void {
    this.#unsaved.add(thing);
    // One transaction for all that changes meanwhile: ten thousand devices may come back at once.
    this.#saving ??= this.#options.scheduler.after(LIMITS.registry.presenceSavedWithin, () => {
      this.#saving = null;
      this.flush();
    });
    const presence = presenceOf(entry);
    for (const listener of this.#listeners) {
      try {
        listener(thing, presence);
      } catch (error) {
        this.#options.logger.error("a listener of presence failed", { thing, reason: reasonOf(error) });
      }
    }
  }

  /** A thing that is gone. */
  forget(thing: string): void {
    const entry = this.#entries.get(thing);
    if (entry === undefined) return;
    if (entry.connections.size > 0) this.#online--;
    this.#entries.delete(thing);
    this.#unsaved.delete(thing);
    this.#seen.delete(thing);
    try {
      this.#options.store.remove(thing);
    } catch (error) {
      this.#failures.value++;
      this.#options.logger.warn("presence of a deleted thing cannot be removed", { thing, reason: reasonOf(error) });
    }
  }
}

function newEntry(): Entry {
  return { connections: new Map(), lastSeenAt: 0, disconnectReason: null, remoteAddress: null };
}

function presenceOf(entry: Entry): Presence {
  const { lastSeenAt, disconnectReason, remoteAddress } = entry;
  return { state: entry.connections.size > 0 ? "online" : "offline", lastSeenAt, disconnectReason, remoteAddress };
}

function rowOf(thing: string, entry: Entry): SavedPresence {
  const { lastSeenAt, disconnectReason, remoteAddress } = entry;
  return { thing, online: entry.connections.size > 0, lastSeenAt, disconnectReason, remoteAddress };
}
