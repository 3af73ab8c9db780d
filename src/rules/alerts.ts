/**
 * The alerts: at most one active per rule and thing. Driven by readings only, so a replay of the log gives the same
 * alerts with the same ids. Owns no file; what changed is handed out with `takeChanges`.
 */
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Counter, EpochMs, Logger, Metrics, Millis } from "../base/mod.ts";
import type { Alert, RulesLimits, Severity } from "./model.ts";
import type { StoredAlert } from "./store.ts";

/** What becomes of an alert besides new readings that confirm it. */
export type AlertEvent = { readonly type: "raised" | "resolved"; readonly alert: Alert; readonly offset: number };

/** One alert with what is needed to go on after a restart. */
interface Track {
  alert: Alert;
  lastOffset: number;
  clearSince: EpochMs | null;
  /** `count` and `lastSeenAt` alone may wait a while before they are saved. */
  changed: "no" | "counted" | "yes";
  savedAt: Millis;
}

export interface AlertReading {
  readonly rule: string;
  readonly thing: string;
  /** WHERE; undefined where it is undecided. */
  readonly verdict: boolean | undefined;
  readonly offset: number;
  readonly receivedAt: EpochMs;
  readonly severity: Severity;
  readonly clearAfter: Millis;
  /** Called only where an alert is raised. */
  readonly summary: () => string;
}

export interface AlertQuery {
  readonly state: "active" | "all";
  readonly limit: number;
  /** Only those of this thing. */
  readonly thing?: string;
}

/** Alerts whose new `count` and `lastSeenAt` are saved with every save; of more than that, each only now and then. */
const COUNTS_SAVED_MAX = 500;
const COUNT_SAVE_PERIOD = 15_000;

export class AlertBook {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #limits: RulesLimits;
  /** Rule → thing → its latest alert: active, or resolved and still needed to recognise replayed readings. */
  readonly #tracks = new Map<string, Map<string, Track>>();
  readonly #changed = new Set<Track>();
  /** Resolved tracks; they go once the checkpoint has passed them. */
  readonly #settled = new Set<Track>();
  /** Newest last. */
  #history: Alert[] = [];
  #active = 0;
  readonly #perThing = new Map<string, number>();
  readonly #listeners = new Set<(alert: Alert) => void>();
  readonly #raised: Counter;
  readonly #resolved: Counter;
  readonly #refused: Counter;
  readonly #save: () => void;

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly limits: RulesLimits;
    /** Saves at once what a person did. */
    readonly save: () => void;
  }) {
    const { metrics } = options;
    this.#save = options.save;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#limits = options.limits;
    this.#raised = metrics.counter({ name: "tidewire_alerts_raised_total", help: "Alerts raised" });
    this.#resolved = metrics.counter({ name: "tidewire_alerts_resolved_total", help: "Alerts resolved" });
    this.#refused = metrics.counter({
      name: "tidewire_alerts_refused_total",
      help: "Alerts not raised because too many are active",
    });
    metrics.observe({ name: "tidewire_alerts_active", help: "Active alerts" }, () => this.#active);
  }

  // ── for the API ──────────────────────────────────────────────────────────────────────────────

  /** Newest first; active ones before resolved ones. */
  list(query: AlertQuery): Alert[] {
    const { state, limit, thing } = query;
    const active = this.active(thing).sort((a, b) => b.raisedAt - a.raisedAt);
    if (state === "active") return active.slice(0, limit);
    const resolved = this.#history.filter((alert) => thing === undefined || alert.thing === thing).reverse();
    return [...active, ...resolved].slice(0, limit);
  }

  /** All active alerts, or those of one thing. */
  active(thing?: string): Alert[] {
    const found: Alert[] = [];
    if (thing !== undefined && this.activeCount(thing) === 0) return found;
    for (const things of this.#tracks.values()) {
      const tracks = thing === undefined ? things.values() : [things.get(thing)];
      for (const track of tracks) if (track?.alert.state === "active") found.push(track.alert);
    }
    return found;
  }

  /** How many are active, in all or of one thing; cheap enough for a fleet page. */
  activeCount(thing?: string): number {
    return thing === undefined ? this.#active : (this.#perThing.get(thing) ?? 0);
  }

  /** Marks an alert as seen by a person; again changes nothing. Throws `TidewireError` NOT_FOUND. */
  acknowledge(id: string): Alert {
    for (const track of this.#all()) {
      if (track.alert.id !== id) continue;
      if (track.alert.acknowledgedAt !== null) return track.alert;
      track.alert = { ...track.alert, acknowledgedAt: this.#clock.now() };
      this.#replaceInHistory(track.alert);
      this.#note(track, "yes");
      this.#save();
      this.#tell(track.alert);
      return track.alert;
    }
    const old = this.#history.find((alert) => alert.id === id);
    if (old === undefined) throw new TidewireError("NOT_FOUND", { kind: "alert", name: id });
    if (old.acknowledgedAt !== null) return old;
    const alert = { ...old, acknowledgedAt: this.#clock.now() };
    this.#replaceInHistory(alert);
    this.#changed.add({ alert, lastOffset: -1, clearSince: null, changed: "yes", savedAt: 0 });
    this.#save();
    this.#tell(alert);
    return alert;
  }

  /** Told of every alert that is raised, resolved or acknowledged at once, and of new counts after they are saved. */
  onChange(listener: (alert: Alert) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ── for the runtime ──────────────────────────────────────────────────────────────────────────

  restore(stored: readonly StoredAlert[]): void {
    const resolved: Alert[] = [];
    for (const { alert, lastOffset, clearSince } of stored) {
      if (alert.state === "resolved") resolved.push(alert);
      const things = this.#things(alert.rule);
      const present = things.get(alert.thing);
      if (present !== undefined && present.lastOffset >= lastOffset) continue;
      const track: Track = { alert, lastOffset, clearSince, changed: "no", savedAt: 0 };
      if (present !== undefined) this.#settled.delete(present);
      things.set(alert.thing, track);
      if (alert.state === "active") this.#count(alert.thing, 1);
      else this.#settled.add(track);
    }
    this.#history = resolved.sort((a, b) => (a.resolvedAt ?? 0) - (b.resolvedAt ?? 0));
  }

  /** One reading of one thing against one rule. Returns what it changed that is to be told. */
  observe(reading: AlertReading): AlertEvent | null {
    if (reading.verdict === undefined) return null;
    const track = this.#tracks.get(reading.rule)?.get(reading.thing);
    if (track === undefined || track.alert.state === "resolved") {
      if (!reading.verdict || (track !== undefined && reading.offset <= track.lastOffset)) return null;
      return this.#raise(reading, track);
    }
    if (reading.offset <= track.lastOffset) return null; // a replay: this state reflects it already
    track.lastOffset = reading.offset;
    return reading.verdict ? this.#confirm(track, reading) : this.#clear(track, reading);
  }

  /** Resolves what a rule raised, because it is gone or raises alerts no more. */
  resolveRule(rule: string, offset: number): AlertEvent[] {
    const tracks = [...(this.#tracks.get(rule)?.values() ?? [])].filter((track) => track.alert.state === "active");
    return tracks.map((track) => this.#resolve(track, offset, this.#clock.now()));
  }

  /** Resolves the alerts of a thing that was removed. */
  resolveThing(thing: string, offset: number): AlertEvent[] {
    if (this.activeCount(thing) === 0) return [];
    const tracks = [...this.#all()].filter((t) => t.alert.thing === thing && t.alert.state === "active");
    return tracks.map((track) => this.#resolve(track, offset, this.#clock.now()));
  }

  /** No alert of the thing is known any more; listeners see the active ones end. */
  forget(thing: string): void {
    for (const [rule, things] of this.#tracks) {
      const track = things.get(thing);
      if (track === undefined) continue;
      things.delete(thing);
      if (things.size === 0) this.#tracks.delete(rule);
      this.#changed.delete(track);
      this.#settled.delete(track);
      if (track.alert.state === "resolved") continue;
      this.#count(thing, -1);
      this.#tell({ ...track.alert, state: "resolved", resolvedAt: this.#clock.now() });
    }
    for (const track of this.#changed) if (track.alert.thing === thing) this.#changed.delete(track);
    this.#history = this.#history.filter((alert) => alert.thing !== thing);
  }

  /** What is to be saved now. Call `saved` once it is; until then it is handed out again. */
  changes(everything: boolean): readonly Readonly<StoredAlert>[] {
    const now = this.#clock.monotonic();
    const all = everything || this.#changed.size <= COUNTS_SAVED_MAX;
    const due = [...this.#changed].filter(
      (track) => all || track.changed === "yes" || now - track.savedAt >= COUNT_SAVE_PERIOD,
    );
    return due.map((track) => ({
      alert: track.alert,
      lastOffset: Math.floor(track.lastOffset),
      clearSince: track.clearSince,
    }));
  }

  saved(changes: readonly Readonly<StoredAlert>[], checkpoint: number): void {
    const ids = new Set(changes.map((change) => change.alert.id));
    for (const track of this.#changed) {
      if (!ids.has(track.alert.id)) continue;
      if (track.changed === "counted") this.#tell(track.alert);
      track.changed = "no";
      track.savedAt = this.#clock.monotonic();
      this.#changed.delete(track);
    }
    for (const track of this.#settled) {
      if (track.lastOffset >= checkpoint || track.changed !== "no") continue;
      this.#settled.delete(track);
      const things = this.#tracks.get(track.alert.rule);
      if (things?.get(track.alert.thing) === track) things.delete(track.alert.thing);
      if (things?.size === 0) this.#tracks.delete(track.alert.rule);
    }
  }

  #raise(reading: AlertReading, before: Track | undefined): AlertEvent | null {
    if (this.#active >= this.#limits.alertsActiveMax) {
      if (this.#refused.value++ % 1000 === 0)
        this.#logger.error("Too many alerts are active; a new one was not raised");
      return null;
    }
    const { rule, thing, offset, receivedAt } = reading;
    const alert: Alert = {
      id: `${rule}.${idPart(thing)}.${Math.ceil(offset)}`,
      rule,
      thing,
      severity: reading.severity,
      state: "active",
      summary: cut(reading.summary(), this.#limits.alertSummaryCharsMax),
      raisedAt: receivedAt,
      lastSeenAt: receivedAt,
      resolvedAt: null,
      acknowledgedAt: null,
      count: 1,
    };
    const track: Track = { alert, lastOffset: offset, clearSince: null, changed: "no", savedAt: 0 };
    if (before !== undefined) this.#settled.delete(before);
    this.#things(rule).set(thing, track);
    this.#count(thing, 1);
    this.#raised.value++;
    this.#note(track, "yes");
    this.#tell(alert);
    return { type: "raised", alert, offset: Math.ceil(offset) };
  }

  #confirm(track: Track, reading: AlertReading): null {
    const { alert } = track;
    track.alert = { ...alert, lastSeenAt: reading.receivedAt, count: alert.count + 1 };
    // That WHERE is true again must not be forgotten, or a restart would resolve too early.
    this.#note(track, track.clearSince === null ? "counted" : "yes");
    track.clearSince = null;
    return null;
  }

  #clear(track: Track, reading: AlertReading): AlertEvent | null {
    const { receivedAt } = reading;
    if (track.clearSince === null || receivedAt < track.clearSince) {
      track.clearSince = receivedAt;
      this.#note(track, "yes");
    }
    if (receivedAt - track.clearSince < reading.clearAfter) return null;
    return this.#resolve(track, reading.offset, receivedAt);
  }

  #resolve(track: Track, offset: number, at: EpochMs): AlertEvent {
    track.alert = { ...track.alert, state: "resolved", resolvedAt: at };
    track.lastOffset = Math.max(track.lastOffset, offset);
    track.clearSince = null;
    this.#settled.add(track);
    this.#count(track.alert.thing, -1);
    this.#history.push(track.alert);
    if (this.#history.length > this.#limits.alertsHistoryMax * 1.1) {
      this.#history = this.#history.slice(-this.#limits.alertsHistoryMax);
    }
    this.#resolved.value++;
    this.#note(track, "yes");
    this.#tell(track.alert);
    return { type: "resolved", alert: track.alert, offset: Math.ceil(offset) };
  }

  #note(track: Track, change: "counted" | "yes"): void {
    if (track.changed !== "yes") track.changed = change;
    this.#changed.add(track);
  }

  #count(thing: string, by: 1 | -1): void {
    this.#active += by;
    const count = (this.#perThing.get(thing) ?? 0) + by;
    if (count === 0) this.#perThing.delete(thing);
    else this.#perThing.set(thing, count);
  }

  #replaceInHistory(alert: Alert): void {
    const at = this.#history.findIndex((old) => old.id === alert.id);
    if (at >= 0) this.#history[at] = alert;
  }

  *#all(): Iterable<Track> {
    for (const things of this.#tracks.values()) yield* things.values();
  }

  #things(rule: string): Map<string, Track> {
    let things = this.#tracks.get(rule);
    if (things === undefined) this.#tracks.set(rule, (things = new Map()));
    return things;
  }

  #tell(alert: Alert): void {
    for (const listener of this.#listeners) {
      try {
        listener(alert);
      } catch (error) {
        this.#logger.error("A listener for alerts failed", { reason: reasonOf(error) });
      }
    }
  }
}

/** Ids stand in addresses and headers; a client id may hold anything. */
export function idPart(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replaceAll(".", "%2E");
}

function cut(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text;
}
