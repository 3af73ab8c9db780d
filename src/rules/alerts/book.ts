/**
 * The alerts: at most one that is not over per rule and key. Driven by readings and by the log's time, so a replay gives
 * the same alerts with the same ids. Owns no file and no timer; what changed is handed out with `changes`.
 */
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Cancel, Clock, Counter, EpochMs, Logger, Metrics, Millis } from "../../base/mod.ts";
import type { RulesLimits } from "../model.ts";
import { CALM, deadlineOf, shifted, step } from "./life-cycle.ts";
import type { Life, LifeEvent, LifeInput, Policy } from "./life-cycle.ts";
import { idPart, phaseOf } from "./model.ts";
import type { Alert, AlertRecord, Transition, TransitionType } from "./model.ts";
import { byNewest, isWanted } from "./query.ts";
import type { AlertQuery } from "./query.ts";
import type { AlertEvent, AlertReading, Description } from "./reading.ts";
import { clearSinceOf, resolvedAlert, restoredLife, restoredTrack, storedOf } from "./restore.ts";
import { TrackShelf, enteredTrack, isAtWork } from "./tracks.ts";
import type { MovedTrack, Track } from "./tracks.ts";
import type { AlertRow, DirtyRows, StoredAlert } from "./store.ts";

/** Alerts whose new `count` and `lastSeenAt` are saved with every save; of more than that, each only now and then. */
const COUNTS_SAVED_MAX = 500;
const COUNT_SAVE_PERIOD = 15_000;
const SWEEP_PERIOD = 5_000;

export class AlertBook {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #limits: RulesLimits;
  readonly #policyOf: (rule: string) => Policy;
  readonly #placeOf: (rule: string) => string;
  readonly #shelf: TrackShelf;
  /** By the alert's id. */
  readonly #changed = new Map<string, Track>();
  #sweptAt: Millis = -Infinity;
  readonly #listeners = new Set<(alert: Alert) => void>();
  readonly #raised: Counter;
  readonly #resolved: Counter;
  readonly #refused: Counter;
  readonly #flapped: Counter;

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly limits: RulesLimits;
    readonly rows: DirtyRows;
    /** Of alerts that were restored and whose rule has not spoken since. */
    readonly policyOf: (rule: string) => Policy;
    /** Before offsets of its messages: see `AlertRules.placeOf`. */
    readonly placeOf: (rule: string) => string;
  }) {
    const { metrics } = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#limits = options.limits;
    this.#shelf = new TrackShelf(options.rows, options.limits);
    this.#policyOf = options.policyOf;
    this.#placeOf = options.placeOf;
    this.#raised = metrics.counter({ name: "tidewire_alerts_raised_total", help: "Alerts raised" });
    this.#resolved = metrics.counter({ name: "tidewire_alerts_resolved_total", help: "Alerts resolved" });
    this.#flapped = metrics.counter({ name: "tidewire_alerts_flapping_total", help: "Alerts raised as flapping" });
    this.#refused = metrics.counter({
      name: "tidewire_alerts_refused_total",
      help: "Alerts not raised because too many are active",
    });
    metrics.observe({ name: "tidewire_alerts_active", help: "Active alerts" }, () => this.#shelf.active);
    metrics.observe({ name: "tidewire_alerts_pending", help: "Alerts that are pending" }, () => this.#shelf.pending);
  }

  // ── for the API ──────────────────────────────────────────────────────────────────────────────

  /** Active ones before resolved ones, newest first. */
  list(query: AlertQuery): Alert[] {
    const found = [...this.#shelf.candidates(query)].filter((alert) => isWanted(alert, query)).sort(byNewest);
    const after = query.after === undefined ? -1 : found.findIndex((alert) => alert.id === query.after);
    return found.slice(after + 1, after + 1 + query.limit);
  }

  /** All active alerts, or those of one thing. */
  active(thing?: string): Alert[] {
    if (thing !== undefined && this.activeCount(thing) === 0) return [];
    const found: Alert[] = [];
    for (const { record } of this.#shelf.all()) {
      if (record?.alert.state !== "active") continue;
      if (thing === undefined || record.alert.thing === thing) found.push(record.alert);
    }
    return found;
  }

  /** How many are active, in all or of one thing; cheap enough for a fleet page. */
  activeCount(thing?: string): number {
    return this.#shelf.activeCount(thing);
  }

  /** Throws NOT_FOUND. */
  record(id: string): AlertRecord {
    return this.#byIdOf(id).record!;
  }

  /** What is pending or active under the key; null: nothing is. */
  find(rule: string, key: string): Alert | null {
    const track = this.#shelf.find(rule, key);
    return track !== undefined && isAtWork(track) ? track.record!.alert : null;
  }

  /** Told of every alert that is raised, resolved or changed by a person at once, and of new counts after they are saved. */
  onChange(listener: (alert: Alert) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A person's change: `fields` and a line in the story. Throws NOT_FOUND. */
  change(id: string, type: TransitionType, fields: Partial<Alert>, by: string | null, note: string | null): AlertEvent {
    const track = this.#byIdOf(id);
    const at = this.#clock.now();
    const changed = { ...track.record!.alert, ...fields };
    this.#show(track, { ...changed, phase: phaseOf(changed) });
    this.#line(track, { at, type, by, note });
    if (changed.state === "pending") this.#shelf.saveLife(track);
    else this.#note(track, "yes");
    this.#tell(track.record!.alert);
    return { type: "changed", record: track.record!, offset: track.lastOffset, at, quiet: false };
  }

  /** Somebody has ended it. Null where it was over. Throws NOT_FOUND. */
  end(id: string, offset: number, by: string | null, note: string | null): AlertEvent | null {
    const track = this.#byIdOf(id);
    if (track.record!.alert.state !== "active") return null;
    return this.#end(track, offset, this.#clock.now(), by, note);
  }

  /** Another line in an alert's story, or other groups that know of it; to be saved. */
  noted(record: AlertRecord, line: Transition | null): void {
    const { id } = record.alert;
    const track = this.#shelf.byId.get(id) ?? this.#changed.get(id);
    if (track === undefined) return;
    if (line !== null) this.#line(track, line);
    this.#note(track, "yes");
  }

  // ── for the runtime ──────────────────────────────────────────────────────────────────────────

  restore(stored: readonly StoredAlert[], rows: readonly AlertRow[]): void {
    const now = this.#clock.now();
    for (const one of stored) this.#shelf.adopt(restoredTrack(one, this.#policyOf(one.alert.rule)), now);
    for (const row of rows) {
      const track = row.kind === "life" ? restoredLife(row, this.#policyOf) : null;
      if (track !== null) this.#shelf.adopt(track, now);
    }
    this.#shelf.sortHistory();
  }

  /** Those that are active, and those of which somebody is still to be told that they are over. */
  readonly tellable = (): AlertRecord[] => this.#shelf.tellable();

  /** One reading against one rule. Returns what it changed that is to be told; null: nothing, as with most. */
  observe(reading: AlertReading): AlertEvent[] | null {
    const track = this.#shelf.find(reading.rule, reading.key);
    if (track === undefined) {
      return reading.verdict === "breach" ? this.#read(this.#shelf.newTrack(reading, CALM), reading) : null;
    }
    // A replay: this state reflects it already. Silence begins with the last message that was heard.
    const { offset, source } = reading;
    if (offset < track.lastOffset || (offset === track.lastOffset && source !== "absent")) return null;
    track.policy = reading.policy;
    track.lastOffset = offset;
    return this.#read(track, reading);
  }

  /** Time has come to here, and all messages up to it were seen. */
  tick(now: EpochMs): AlertEvent[] {
    const events: AlertEvent[] = [];
    for (;;) {
      const track = this.#shelf.deadlines.take(now);
      if (track === null) return events;
      const found = this.#step(track, { type: "time", at: now }, null);
      if (found !== null) events.push(...found);
    }
  }

  /** The clock on the wall was set. */
  shift(by: Millis): void {
    for (const track of this.#shelf.all()) this.#keepLife(track, shifted(track.life, by));
  }

  /** Ends what a rule raised, because it is gone or raises alerts no more. */
  resolveRule(rule: string, offset: number): AlertEvent[] {
    return this.#endAll([...this.#shelf.ofRule(rule)], offset);
  }

  /** Ends the alerts of a thing that was removed. */
  resolveThing(thing: string, offset: number): AlertEvent[] {
    return this.#endAll(
      [...this.#shelf.all()].filter((track) => track.thing === thing),
      offset,
    );
  }

  /** Rules of which something is pending or active. */
  rulesAtWork(): string[] {
    return this.#shelf.rules().filter((rule) => [...this.#shelf.ofRule(rule)].some(isAtWork));
  }

  /** No alert of the thing is known any more; listeners see the active ones end. */
  forget(thing: string): AlertRecord[] {
    const records: AlertRecord[] = [];
    for (const track of this.#shelf.forget(thing)) {
      const { record } = track;
      if (record === null) continue;
      records.push(record);
      this.#changed.delete(record.alert.id);
      if (record.alert.state === "active") this.#tell(resolvedAlert(record.alert, this.#clock.now()));
    }
    return records;
  }

  /** All that is known of a rule's keys. */
  tracksOf(rule: string): readonly Track[] {
    return [...this.#shelf.ofRule(rule)];
  }

  /** The rule goes on elsewhere, with what is pending, active or remembered. Returns the active ones; listeners see them end. */
  leave(rule: string): AlertRecord[] {
    const records: AlertRecord[] = [];
    for (const { record } of this.#shelf.leave(rule)) {
      if (record === null || record.alert.state === "resolved") continue;
      this.#changed.delete(record.alert.id);
      if (record.alert.state !== "active") continue;
      records.push(record);
      this.#tell(resolvedAlert(record.alert, this.#clock.now()));
    }
    return records;
  }

  /** A rule has come with it. Throws ALERT_INVALID where there is no room. */
  enter(moved: readonly MovedTrack[]): void {
    const room = this.#limits.alertsActiveMax - this.#shelf.active - this.#shelf.pending;
    if (moved.filter(({ record }) => record !== null).length > room) {
      throw new TidewireError("ALERT_INVALID", { at: "alerts", reason: "too many are active" });
    }
    for (const one of moved) {
      const track = enteredTrack(one, this.#policyOf(one.rule));
      this.#shelf.enter(track, this.#clock.now());
      if (track.record?.alert.state !== "active") this.#shelf.saveLife(track);
      else this.#note(track, "yes");
      if (track.record !== null) this.#tell(track.record.alert);
    }
  }

  /** What is to be saved now. Call `saved` once it is; until then it is handed out again. */
  changes(everything: boolean): readonly StoredAlert[] {
    const now = this.#clock.monotonic();
    const all = everything || this.#changed.size <= COUNTS_SAVED_MAX;
    const stored: StoredAlert[] = [];
    for (const track of this.#changed.values()) {
      if (!all && track.changed === "counted" && now - track.savedAt < COUNT_SAVE_PERIOD) continue;
      stored.push(storedOf(track));
    }
    return stored;
  }

  saved(changes: readonly StoredAlert[], checkpoint: number): void {
    const now = this.#clock.monotonic();
    for (const { alert } of changes) {
      const track = this.#changed.get(alert.id);
      if (track === undefined) continue;
      this.#changed.delete(alert.id);
      if (track.changed === "counted") this.#tell(alert);
      track.changed = "no";
      track.savedAt = now;
    }
    if (now - this.#sweptAt < SWEEP_PERIOD) return;
    this.#sweptAt = now;
    this.#shelf.sweep(checkpoint, this.#clock.now());
  }

  // ── life ─────────────────────────────────────────────────────────────────────────────────────

  #read(track: Track, reading: AlertReading): AlertEvent[] | null {
    return this.#step(track, { type: "reading", verdict: reading.verdict, at: reading.receivedAt }, reading);
  }

  #step(track: Track, input: LifeInput, reading: AlertReading | null): AlertEvent[] | null {
    const before = track.life;
    const { life, events } = step(before, input, track.policy);
    if (events.some(({ type }) => begins(before, type)) && this.#isFull()) {
      if (track.record === null) this.#shelf.drop(track);
      return null;
    }
    let told: AlertEvent[] | null = null;
    let at = track;
    for (const event of events) {
      at = this.#apply(at, event, reading);
      const tell = toldOf(event, at);
      if (tell !== null) (told ??= []).push(tell);
    }
    this.#keepLife(at, life);
    return told;
  }

  /** Returns the track that goes on: another one where a new alert begins. */
  #apply(track: Track, event: LifeEvent, reading: AlertReading | null): Track {
    const { record } = track;
    switch (event.type) {
      case "pending":
        return this.#begin(track, reading!, event.at, "pending");
      case "raised":
        if (record?.alert.state !== "pending") return this.#begin(track, reading!, event.at, "active", event.flapping);
        this.#raise(track, event, reading);
        return track;
      case "dropped":
        this.#shelf.pending--;
        this.#shelf.byId.delete(record!.alert.id);
        this.#changed.delete(record!.alert.id);
        track.record = null;
        this.#shelf.settled.add(track);
        return track;
      case "confirmed":
        this.#confirm(track, event.at);
        return track;
      case "resolved":
        this.#resolve(track, event.at, null, null);
        return track;
    }
  }

  #begin(old: Track, reading: AlertReading, at: EpochMs, state: "pending" | "active", flapping = false): Track {
    const { rule, key, thing, offset } = reading;
    const alert: Alert = {
      id: `${rule}.${idPart(key)}.${this.#placeOf(rule)}${Math.ceil(offset)}`,
      rule,
      key,
      thing,
      source: reading.source,
      ...this.#description(reading),
      state,
      phase: state === "active" ? "firing" : "pending",
      since: at,
      raisedAt: at,
      lastSeenAt: reading.receivedAt,
      resolvedAt: null,
      acknowledgedAt: null,
      acknowledgedBy: null,
      assignee: null,
      snoozedUntil: null,
      flapping,
      count: 1,
    };
    const track = old.record === null ? old : this.#shelf.newTrack(reading, old.life);
    track.record = { alert, history: [], told: new Set() };
    this.#shelf.byId.set(alert.id, track);
    this.#shelf.settled.delete(track);
    this.#line(track, { at, type: state === "active" ? "raised" : "pending", by: null, note: null });
    if (state === "pending") this.#shelf.pending++;
    else this.#raisedNow(track);
    return track;
  }

  #raise(track: Track, event: LifeEvent & { readonly type: "raised" }, reading: AlertReading | null): void {
    this.#shelf.pending--;
    const before = track.record!.alert;
    const fresh = reading === null ? {} : { ...this.#description(reading), count: before.count + 1 };
    const { at, flapping } = event;
    const lastSeenAt = reading?.receivedAt ?? before.lastSeenAt;
    const active = { ...before, ...fresh, lastSeenAt, state: "active", raisedAt: at, flapping } as const;
    this.#show(track, { ...active, phase: phaseOf(active) });
    this.#line(track, { at, type: "raised", by: null, note: null });
    this.#raisedNow(track);
  }

  #raisedNow(track: Track): void {
    const { alert } = track.record!;
    this.#shelf.count(alert.thing, 1);
    this.#raised.value++;
    if (alert.flapping) {
      this.#flapped.value++;
      this.#line(track, { at: alert.raisedAt, type: "flapping", by: null, note: null });
    }
    this.#note(track, "yes");
    this.#tell(alert);
  }

  #confirm(track: Track, at: EpochMs): void {
    const { alert } = track.record!;
    this.#show(track, { ...alert, lastSeenAt: at, count: alert.count + 1 });
    // Pending ones stand in their life's row.
    if (alert.state === "active") this.#note(track, "counted");
  }

  #resolve(track: Track, at: EpochMs, by: string | null, note: string | null): void {
    this.#show(track, resolvedAlert(track.record!.alert, at));
    this.#line(track, { at, type: "resolved", by, note });
    this.#shelf.settled.add(track);
    this.#shelf.count(track.thing, -1);
    this.#shelf.toHistory(track);
    this.#resolved.value++;
    this.#note(track, "yes");
    this.#tell(track.record!.alert);
  }

  #endAll(tracks: readonly Track[], offset: number): AlertEvent[] {
    const events: AlertEvent[] = [];
    for (const track of tracks) {
      if (!isAtWork(track)) continue;
      const event = this.#end(track, offset, this.#clock.now(), null, null);
      if (event !== null) events.push(event);
    }
    return events;
  }

  #end(track: Track, offset: number, at: EpochMs, by: string | null, note: string | null): AlertEvent | null {
    track.lastOffset = Math.max(track.lastOffset, offset);
    const wasActive = track.record?.alert.state === "active";
    const { life } = step(track.life, { type: "end", at }, track.policy);
    if (wasActive) this.#resolve(track, at, by, note);
    else if (track.record?.alert.state === "pending") this.#apply(track, { type: "dropped", at }, null);
    this.#keepLife(track, life);
    return wasActive ? { type: "resolved", record: track.record!, offset, at, quiet: false } : null;
  }

  // ── bookkeeping ──────────────────────────────────────────────────────────────────────────────

  /** Takes what its life has become: when time will change it, and whether it must be saved by itself. */
  #keepLife(track: Track, life: Life): void {
    const before = track.life;
    track.life = life;
    this.#shelf.deadlines.set(track, deadlineOf(life, track.policy));
    const { record } = track;
    if (record !== null && record.alert.state !== "pending") {
      // That it is well, or is not any more, must not be forgotten, or a restart would resolve too early or too late.
      if (clearSinceOf(life) !== clearSinceOf(before)) this.#note(track, "yes");
      else if (life.streak !== before.streak && life.phase.type === "firing") this.#note(track, "counted");
      if (track.hasRow) this.#shelf.dropRow(track);
      return;
    }
    if (life === before && track.hasRow) return;
    if (record === null && life.streak === 0 && life.raises.length === 0) {
      this.#shelf.drop(track);
      return;
    }
    if (record === null) this.#shelf.settled.add(track);
    this.#shelf.saveLife(track);
  }

  #isFull(): boolean {
    if (this.#shelf.active + this.#shelf.pending < this.#limits.alertsActiveMax) return false;
    if (this.#refused.value++ % 1000 === 0) this.#logger.error("Too many alerts are active; a new one was not raised");
    return true;
  }

  #description(reading: AlertReading): Description {
    const description = reading.describe();
    return { ...description, summary: cut(description.summary, this.#limits.alertSummaryCharsMax) };
  }

  #show(track: Track, alert: Alert): void {
    track.record!.alert = alert;
  }

  #line(track: Track, line: Transition): void {
    const record = track.record!;
    record.history = [...record.history, line].slice(-this.#limits.alertTransitionsMax);
  }

  #note(track: Track, change: "counted" | "yes"): void {
    if (track.changed !== "yes") track.changed = change;
    this.#changed.set(track.record!.alert.id, track);
  }

  #byIdOf(id: string): Track {
    const track = this.#shelf.byId.get(id);
    if (track === undefined) throw new TidewireError("NOT_FOUND", { kind: "alert", name: id });
    return track;
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

function begins(life: Life, type: LifeEvent["type"]): boolean {
  return life.phase.type === "calm" && (type === "pending" || type === "raised");
}

function toldOf(event: LifeEvent, { record, lastOffset: offset }: Track): AlertEvent | null {
  if (event.type === "raised") return { type: "raised", record: record!, offset, at: event.at, quiet: false };
  if (event.type !== "resolved") return null;
  return { type: "resolved", record: record!, offset, at: event.at, quiet: event.flapping };
}

function cut(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text;
}
