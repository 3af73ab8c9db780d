/** Where the book keeps its tracks: by rule and key, by id, by deadline, and those that are over. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { RulesLimits } from "../model.ts";
import { Deadlines } from "./deadlines.ts";
import { begunBy, deadlineOf, forgottenAt } from "./life-cycle.ts";
import type { Life, Policy } from "./life-cycle.ts";
import type { Alert, AlertRecord } from "./model.ts";
import type { AlertQuery } from "./query.ts";
import type { DirtyRows } from "./store.ts";

/** One alert, or what is remembered of a key, with what is needed to go on after a restart. */
export interface Track {
  readonly rule: string;
  readonly key: string;
  readonly thing: string;
  /** Null: nothing is wrong, but something is remembered. */
  record: AlertRecord | null;
  life: Life;
  policy: Policy;
  lastOffset: number;
  /** `count` and `lastSeenAt` alone may wait a while before they are saved. */
  changed: "no" | "counted" | "yes";
  savedAt: Millis;
  /** Its life is, or is to be, saved in a row of its own. */
  hasRow: boolean;
}

/** What is pending, active or remembered of a key, as it moves from one platform to another. */
export interface MovedTrack extends Pick<Track, "rule" | "key" | "thing" | "record" | "life" | "lastOffset"> {}

export function enteredTrack(moved: MovedTrack, policy: Policy): Track {
  return { ...moved, policy, changed: "no", savedAt: 0, hasRow: false };
}

export class TrackShelf {
  /** All that a person may ask for: not over, or in the history. */
  readonly byId = new Map<string, Track>();
  /** Neither pending nor active; they go once the checkpoint has passed them and nothing is remembered. */
  readonly settled = new Set<Track>();
  readonly deadlines = new Deadlines<Track>();
  active = 0;
  pending = 0;
  /** Rule → key → its latest track: not over, or over and still remembered. Bounded by `alertsActiveMax` twice. */
  readonly #tracks = new Map<string, Map<string, Track>>();
  readonly #perThing = new Map<string, number>();
  readonly #rows: DirtyRows;
  readonly #limits: RulesLimits;
  /** Newest last. */
  #history: Track[] = [];

  constructor(rows: DirtyRows, limits: RulesLimits) {
    this.#rows = rows;
    this.#limits = limits;
  }

  find(rule: string, key: string): Track | undefined {
    return this.#tracks.get(rule)?.get(key);
  }

  tellable(): AlertRecord[] {
    const all = [...this.byId.values()].map((track) => track.record!);
    return all.filter(({ alert, told }) => alert.state === "active" || told.size > 0);
  }

  rules(): string[] {
    return [...this.#tracks.keys()];
  }

  ofRule(rule: string): Iterable<Track> {
    return this.#tracks.get(rule)?.values() ?? [];
  }

  *all(): Iterable<Track> {
    for (const keys of this.#tracks.values()) yield* keys.values();
  }

  *candidates({ state, phase }: AlertQuery): Iterable<Alert> {
    for (const { record } of this.all()) {
      if (record !== null && record.alert.state !== "resolved") yield record.alert;
    }
    if (state === "all" && (phase === undefined || phase === "resolved")) {
      for (const { record } of this.#history) yield record!.alert;
    }
  }

  activeCount(thing?: string): number {
    return thing === undefined ? this.active : (this.#perThing.get(thing) ?? 0);
  }

  count(thing: string, by: 1 | -1): void {
    this.active += by;
    const count = this.activeCount(thing) + by;
    if (count === 0) this.#perThing.delete(thing);
    else this.#perThing.set(thing, count);
  }

  newTrack(place: Pick<Track, "rule" | "key" | "thing" | "policy"> & { readonly offset: number }, life: Life): Track {
    const { rule, key, thing, offset: lastOffset, policy } = place;
    const unsaved = { record: null, changed: "no", savedAt: 0, hasRow: false } as const;
    const track: Track = { rule, key, thing, life, policy, lastOffset, ...unsaved };
    this.#place(track);
    return track;
  }

  /** One that was saved. */
  adopt(track: Track, now: EpochMs): void {
    track.life = begunBy(track.life, now);
    const { record } = track;
    if (record !== null) this.byId.set(record.alert.id, track);
    if (record?.alert.state === "resolved") this.#history.push(track);
    const present = this.find(track.rule, track.key);
    if (present !== undefined && present.lastOffset > track.lastOffset) return;
    this.#place(track);
    if (record?.alert.state === "active") this.count(track.thing, 1);
    else if (record?.alert.state === "pending") this.pending++;
    else this.settled.add(track);
    this.deadlines.set(track, deadlineOf(track.life, track.policy));
  }

  sortHistory(): void {
    this.#history.sort((a, b) => (a.record!.alert.resolvedAt ?? 0) - (b.record!.alert.resolvedAt ?? 0));
  }

  toHistory(track: Track): void {
    this.#history.push(track);
    const max = this.#limits.alertsHistoryMax;
    if (this.#history.length <= max * 1.1) return;
    for (const { record } of this.#history.splice(0, this.#history.length - max)) this.byId.delete(record!.alert.id);
  }

  /** Nothing is remembered of its key any more. It may be in the history still. */
  drop(track: Track): void {
    this.settled.delete(track);
    this.deadlines.set(track, null);
    if (track.hasRow) this.dropRow(track);
    const keys = this.#tracks.get(track.rule);
    if (keys?.get(track.key) !== track) return;
    keys.delete(track.key);
    if (keys.size === 0) this.#tracks.delete(track.rule);
  }

  /** Takes out all of a thing. */
  forget(thing: string): Track[] {
    const gone = new Set([...this.all(), ...this.#history].filter((track) => track.thing === thing));
    for (const track of gone) {
      const state = track.record?.alert.state;
      if (state === "active" && this.find(track.rule, track.key) === track) this.count(thing, -1);
      if (state === "pending") this.pending--;
      if (track.record !== null) this.byId.delete(track.record.alert.id);
      this.drop(track);
    }
    this.#history = this.#history.filter((track) => !gone.has(track));
    this.#rows.forgetThing(thing);
    return [...gone];
  }

  /** Takes out all of a rule; what is over stays in the history. */
  leave(rule: string): Track[] {
    const gone = [...this.ofRule(rule)];
    for (const track of gone) {
      this.drop(track);
      if (!isAtWork(track)) continue;
      const { id, state } = track.record!.alert;
      if (state === "active") this.count(track.thing, -1);
      else this.pending--;
      this.byId.delete(id);
      this.#rows.put({ kind: "alert", id, thing: track.thing, document: null });
    }
    return gone;
  }

  /** One that comes from elsewhere, instead of what is remembered. */
  enter(track: Track, now: EpochMs): void {
    const remembered = this.find(track.rule, track.key);
    if (remembered !== undefined) this.drop(remembered);
    if (track.record !== null) this.#rows.drop("alert", track.record.alert.id);
    this.adopt(track, now);
  }

  sweep(checkpoint: number, now: EpochMs): void {
    const beyond = this.settled.size - this.#limits.alertsActiveMax;
    let seen = 0;
    for (const track of this.settled) {
      const isReplayed = track.lastOffset >= checkpoint && track.record?.alert.source !== "manual";
      if (isReplayed || track.changed !== "no") continue;
      const until = forgottenAt(track.life, track.policy) ?? Infinity;
      if (until <= now || seen < beyond) this.drop(track);
      seen++;
    }
  }

  /** In a row of its own: it is pending, or there is no alert beside which it could be saved. */
  saveLife(track: Track): void {
    const { rule, key, thing, life, lastOffset, record } = track;
    track.hasRow = true;
    const document = JSON.stringify({ rule, key, thing, life, lastOffset, alert: record?.alert ?? null });
    this.#rows.put({ kind: "life", id: `${rule} ${key}`, thing, document });
  }

  dropRow(track: Track): void {
    track.hasRow = false;
    this.#rows.put({ kind: "life", id: `${track.rule} ${track.key}`, thing: track.thing, document: null });
  }

  #place(track: Track): void {
    let keys = this.#tracks.get(track.rule);
    if (keys === undefined) this.#tracks.set(track.rule, (keys = new Map()));
    const before = keys.get(track.key);
    if (before !== undefined) {
      this.settled.delete(before);
      this.deadlines.set(before, null);
    }
    keys.set(track.key, track);
  }
}

export function isAtWork({ record }: Track): boolean {
  return record !== null && record.alert.state !== "resolved";
}
