/**
 * Retained messages (MQTT 5.0 section 3.3.1.3). The state store has them; in memory is only what it does not have yet,
 * by topic. That is bounded: much of it is saved at once, and whoever publishes more meanwhile is held back.
 */
import { topicMatches } from "../base/mod.ts";
import type { EpochMs, MqttLimits } from "../base/mod.ts";
import type { Connection } from "./connection.ts";
import { ownFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import type { RetainedStore, RetainedTotals } from "./ports.ts";
import type { SavedRetained } from "./session.ts";
import { compareTopics } from "./topic-order.ts";

export interface Retained {
  readonly topic: string;
  /** The message as an MQTT 5.0 PUBLISH of its own. */
  readonly frame: FrameView;
  readonly offset: number;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
}

/** Consecutive topics, looked at. */
export interface LookedUp {
  readonly found: readonly Retained[];
  /** The last of the topics; null: there are no more. */
  readonly upTo: string | null;
}

/** What a topic costs in memory beside its frame. */
const CHANGE_BYTES = 400;
/** Rows removed in one call. */
const EXPIRED_AT_ONCE = 256;

type RetainedLimits = Pick<
  MqttLimits,
  "retainedMessagesMax" | "retainedBytesMax" | "retainedUnsavedMessagesMax" | "retainedUnsavedBytesMax"
>;

export class RetainedMessages {
  readonly #store: RetainedStore;
  readonly #limits: RetainedLimits;
  /** True over what the store has. */
  readonly #changes = new Map<string, SavedRetained>();
  #changesBytes = 0;
  /** Changes that are a message, and not the removal of one. */
  #kept = 0;
  #stored: RetainedTotals = { messages: 0, bytes: 0 };
  #savings = 0;
  /** Looks into the store that have not come back; each may show what was there before the saving of this number. */
  readonly #looks = new Set<{ readonly since: number }>();
  /** Saved while somebody was looking. */
  #landed: { readonly saving: number; readonly changes: readonly SavedRetained[] }[] = [];
  #held = new Set<Connection>();

  constructor(store: RetainedStore, limits: RetainedLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** Those that the store has and those that it is to get, which may replace some of them. */
  get size(): number {
    return this.#stored.messages + this.#kept;
  }

  /** Forgets what the journal lost, and learns what there is. */
  async start(durable: number): Promise<void> {
    this.#stored = await this.#store.forgetFrom(durable);
  }

  // ── changes ──────────────────────────────────────────────────────────────────────────────────

  /** The topic's message from `offset` on; without a frame, none. */
  change(changed: SavedRetained): void {
    this.#forget(this.#changes.get(changed.topic));
    this.#changes.set(changed.topic, changed); // in its old place: where not all have room, a new topic has none
    this.#changesBytes += bytesOf(changed);
    if (changed.frame !== null) this.#kept++;
  }

  /** Takes out the message that was taken in at this offset; false where another has its place by now. */
  remove(topic: string, offset: number): boolean {
    const present = this.#changes.get(topic);
    if (present !== undefined && present.offset !== offset) return false;
    this.change({ topic, frame: null, offset, clientId: "", receivedAt: 0, expiresAt: null });
    return true;
  }

  /** Worth saving without waiting for the second to be over. */
  get crowded(): boolean {
    const { retainedUnsavedMessagesMax, retainedUnsavedBytesMax } = this.#limits;
    return this.#changes.size > retainedUnsavedMessagesMax / 2 || this.#changesBytes > retainedUnsavedBytesMax / 2;
  }

  /** Who publishes more of them is to be held back. */
  get limitReached(): "retainedUnsavedMessagesMax" | "retainedUnsavedBytesMax" | null {
    const { retainedUnsavedMessagesMax, retainedUnsavedBytesMax } = this.#limits;
    if (this.#changes.size > retainedUnsavedMessagesMax) return "retainedUnsavedMessagesMax";
    return this.#changesBytes > retainedUnsavedBytesMax ? "retainedUnsavedBytesMax" : null;
  }

  hold(connection: Connection): void {
    this.#held.add(connection);
    connection.holdRead("retained");
  }

  forget(connection: Connection): void {
    this.#held.delete(connection);
  }

  /** What the store does not have, as it is now. */
  unsaved(): readonly SavedRetained[] {
    return [...this.#changes.values()];
  }

  /** Gives the store some of what was unsaved; returns those for which it had no room. */
  async save(changes: readonly SavedRetained[]): Promise<readonly SavedRetained[]> {
    const { retainedMessagesMax: messages, retainedBytesMax: bytes } = this.#limits;
    const { refused, ...stored } = await this.#store.save(changes, { messages, bytes });
    this.#stored = stored;
    this.#landed.push({ saving: ++this.#savings, changes });
    this.#dropLanded();
    return refused;
  }

  /** Removes those whose time is over from the store. */
  async sweep(now: EpochMs): Promise<boolean> {
    const { removed, ...stored } = await this.#store.expire(now, EXPIRED_AT_ONCE);
    this.#stored = stored;
    return removed === EXPIRED_AT_ONCE;
  }

  #dropLanded(): void {
    let seenByAll = this.#savings;
    for (const { since } of this.#looks) seenByAll = Math.min(seenByAll, since);
    const landed = this.#landed.filter(({ saving }) => saving <= seenByAll);
    if (landed.length === 0) return;
    this.#landed = this.#landed.filter(({ saving }) => saving > seenByAll);
    for (const { changes } of landed) this.#drop(changes);
    if (this.#held.size === 0 || this.crowded) return;
    const held = this.#held;
    this.#held = new Set();
    for (const connection of held) connection.releaseRead("retained");
  }

  #drop(saved: readonly SavedRetained[]): void {
    for (const change of saved) {
      if (this.#changes.get(change.topic) !== change) continue; // changed again meanwhile
      this.#forget(change);
      this.#changes.delete(change.topic);
    }
  }

  #forget(change: SavedRetained | undefined): void {
    if (change === undefined) return;
    this.#changesBytes -= bytesOf(change);
    if (change.frame !== null) this.#kept--;
  }

  // ── look-ups ─────────────────────────────────────────────────────────────────────────────────

  /** The next messages that the filter matches, behind the topic `after`; at most `max`. */
  async page(filter: string, after: string | null, max: number): Promise<LookedUp> {
    const exact = !hasWildcard(filter);
    if (exact && this.#changes.has(filter)) return { found: this.#changed(filter), upTo: null };
    return this.#looking(async () => {
      const { found, upTo } = await this.#store.page(filter, after, max);
      const there = found.filter(({ topic }) => !this.#changes.has(topic)).map(retainedOf);
      const changed = exact ? this.#changed(filter) : this.#changesOf(filter, after, upTo);
      if (changed.length === 0) return { found: there, upTo };
      const all = [...there, ...changed].sort((a, b) => compareTopics(a.topic, b.topic));
      return all.length <= max ? { found: all, upTo } : { found: all.slice(0, max), upTo: all[max - 1]!.topic };
    });
  }

  /** Serves a delivery whose message the journal no longer keeps. */
  async at(offset: number): Promise<Retained | null> {
    const found = await this.#store.at(offset);
    return found === null ? null : retainedOf(found);
  }

  async #looking<T>(work: () => Promise<T>): Promise<T> {
    const look = { since: this.#savings };
    this.#looks.add(look);
    try {
      return await work();
    } finally {
      this.#looks.delete(look);
      if (this.#landed.length > 0) this.#dropLanded();
    }
  }

  #changed(topic: string): Retained[] {
    const change = this.#changes.get(topic);
    return change === undefined || change.frame === null ? [] : [retainedOf(change)];
  }

  /** Those behind `after`, up to `upTo`. */
  #changesOf(filter: string, after: string | null, upTo: string | null): Retained[] {
    const found: Retained[] = [];
    for (const change of this.#changes.values()) {
      const { topic, frame } = change;
      if (frame === null || !topicMatches(filter, topic)) continue;
      if (after !== null && compareTopics(topic, after) <= 0) continue;
      if (upTo === null || compareTopics(topic, upTo) <= 0) found.push(retainedOf(change));
    }
    return found;
  }
}

export function hasWildcard(filter: string): boolean {
  return /[+#]/.test(filter);
}

function bytesOf({ frame }: SavedRetained): number {
  return (frame?.length ?? 0) + CHANGE_BYTES;
}

function retainedOf({ topic, frame, offset, clientId, receivedAt }: SavedRetained): Retained {
  return { topic, frame: ownFrame(frame!), offset, clientId, receivedAt };
}
