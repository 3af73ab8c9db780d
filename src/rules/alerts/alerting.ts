/**
 * Everything about alerts behind one door: what readings, time and people do to them, who is told, and what is saved.
 * Owns no timer: whoever has it calls `tick` once a second.
 */
import { TidewireError } from "../../base/mod.ts";
import type { Cancel, Clock, EpochMs, Logger, Metrics, Millis, Random } from "../../base/mod.ts";
import type { RulesLimits } from "../model.ts";
import { Absences } from "./absence.ts";
import type { Heard } from "./absence.ts";
import { Addresses } from "./addresses.ts";
import { AlertBook } from "./book.ts";
import type { CronTimes, Zones } from "./calendar.ts";
import { Conversations } from "./conversations.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Policy } from "./life-cycle.ts";
import type { Alert, Severity, Transition } from "./model.ts";
import type { Notification } from "./notification.ts";
import { MovingAlerts } from "./moving.ts";
import type { AlertPlan } from "./plan.ts";
import { MANUAL_POLICY } from "./policy.ts";
import type { AlertQuery } from "./query.ts";
import type { AlertEvent, AlertReading, Description } from "./reading.ts";
import { explainRoutes } from "./routing.ts";
import type { RouteStep } from "./routing.ts";
import { Silences } from "./silences.ts";
import type { Silence, SilenceDraft } from "./silences.ts";
import { DirtyRows } from "./store.ts";
import type { AlertRow, StoredAlert } from "./store.ts";
import type { Mute } from "./telling.ts";

/** What rules are asked for alerts that were restored, or that time alone changes. */
export interface AlertRules {
  policyOf(rule: string): Policy;
  /** Of a rule that has come from elsewhere, what tells the offsets of this log from those of another; else nothing. */
  placeOf(rule: string): string;
  /** Whether the rule still notices silence. */
  watches(rule: string): boolean;
  /** What is said of a thing that has fallen silent. */
  describeSilence(heard: Heard): Description;
}

export interface AlertingOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: RulesLimits;
  readonly plan: AlertPlan;
  readonly zones: Zones;
  readonly cron: CronTimes;
  readonly rules: AlertRules;
  /** Saves at once what a person did. */
  readonly save: () => void;
  /** What happens within is saved together. */
  readonly inOneSave: (steps: () => void) => void;
  /** Log offset behind which everything was seen. */
  readonly position: () => number;
  readonly send: (notification: Notification, things: readonly string[]) => void;
}

/** No rule has such a name: `-` is not allowed in one. */
export const MANUAL_RULE = "by-hand";

export interface AlertDraft {
  readonly thing: string;
  readonly severity: Severity;
  readonly summary: string;
  /** The same key again refreshes the alert. Default: the summary's. */
  readonly key?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Where an alert would go, and why. */
export interface RouteAnswer {
  readonly steps: readonly RouteStep[];
  readonly groups: readonly {
    readonly group: string;
    readonly contacts: readonly string[];
    /** Why nobody would be told now; null: somebody would. */
    readonly muted: Mute | null;
    readonly escalation: readonly { readonly after: Millis; readonly contacts: readonly string[] }[];
  }[];
}

/** What is on its way to us is at most this old: time is believed only up to here. */
const TICK_LAG: Millis = 1_000;
/** The clock was set, and did not merely drift. */
const LEAP: Millis = 2_000;

export class Alerting {
  readonly #o: AlertingOptions;
  readonly #book: AlertBook;
  readonly #silences: Silences;
  readonly #dispatcher: Dispatcher;
  readonly #absences: Absences;
  readonly #rows = new DirtyRows();
  /** Those of rules that come and go. */
  readonly moving: MovingAlerts;
  /** For who sends: by which name what was told can be edited. */
  readonly conversations: Conversations;
  readonly addresses: Addresses;
  #plan: AlertPlan;
  /** Wall clock minus monotonic clock. */
  #origin: number;
  #handed: readonly AlertRow[] = [];

  constructor(options: AlertingOptions) {
    this.#o = options;
    const { clock, logger, metrics, limits } = options;
    const rows = this.#rows;
    this.#plan = options.plan;
    this.#origin = clock.now() - clock.monotonic();
    const placeOf = (rule: string): string => options.rules.placeOf(rule);
    this.#book = new AlertBook({ ...options, rows, placeOf, policyOf: (rule) => this.#policyOf(rule) });
    this.#silences = new Silences({ rows, max: limits.alertSilencesMax, logger });
    this.conversations = new Conversations(rows, logger);
    this.addresses = new Addresses(rows, logger);
    metrics.observe(
      { name: "tidewire_alert_messages", help: "Messages in chats that stand for a group of alerts and can be edited" },
      () => this.conversations.count,
    );
    this.#absences = new Absences(rows, limits.alertWatchesMax);
    this.#dispatcher = new Dispatcher({
      ...options,
      rows,
      silences: this.#silences,
      noted: (record, line) => this.#book.noted(record, line),
    });
    const [book, absences, dispatcher, { conversations }] = [this.#book, this.#absences, this.#dispatcher, this];
    this.moving = new MovingAlerts({ clock, book, absences, dispatcher, conversations });
    metrics.observe(
      { name: "tidewire_alert_watches", help: "Things whose silence would raise an alert" },
      () => this.#absences.count,
    );
    metrics.observe(
      { name: "tidewire_alert_watches_refused", help: "Messages of things that are not watched: there are too many" },
      () => this.#absences.refused,
    );
  }

  // ── reading ──────────────────────────────────────────────────────────────────────────────────

  list(query: AlertQuery): Alert[] {
    return this.#book.list(query);
  }

  active(thing?: string): Alert[] {
    return this.#book.active(thing);
  }

  activeCount(thing?: string): number {
    return this.#book.activeCount(thing);
  }

  /** One with its story. Throws NOT_FOUND. */
  get(id: string): { readonly alert: Alert; readonly history: readonly Transition[] } {
    const { alert, history } = this.#book.record(id);
    return { alert, history };
  }

  onChange(listener: (alert: Alert) => void): Cancel {
    return this.#book.onChange(listener);
  }

  silences(): Silence[] {
    return this.#silences.list();
  }

  /** Where such an alert would go now, and why. */
  route(given: Partial<Alert> & Pick<Alert, "rule" | "thing" | "severity">): RouteAnswer {
    const now = this.#o.clock.now();
    const alert = probe(given, now);
    const groups = this.#dispatcher.routesFor(alert).map(({ route, group }) => ({
      group,
      contacts: route.contacts,
      muted: this.#dispatcher.muteOf(alert, route, now),
      escalation: route.escalate,
    }));
    return { steps: explainRoutes(this.#plan.route, alert), groups };
  }

  // ── people ───────────────────────────────────────────────────────────────────────────────────

  /** Marks an alert as seen; again changes nothing. Throws NOT_FOUND. */
  acknowledge(id: string, by: string | null = null, note: string | null = null): Alert {
    const { alert } = this.#book.record(id);
    if (alert.acknowledgedAt !== null && note === null) return alert;
    const fields = { acknowledgedAt: alert.acknowledgedAt ?? this.#o.clock.now(), acknowledgedBy: by };
    return this.#changed(this.#book.change(id, "acknowledged", fields, by, note));
  }

  unacknowledge(id: string, by: string | null): Alert {
    const { alert } = this.#book.record(id);
    if (alert.acknowledgedAt === null) return alert;
    return this.#changed(
      this.#book.change(id, "unacknowledged", { acknowledgedAt: null, acknowledgedBy: null }, by, null),
    );
  }

  assign(id: string, assignee: string | null, by: string | null): Alert {
    return this.#changed(this.#book.change(id, "assigned", { assignee }, by, assignee));
  }

  comment(id: string, text: string, by: string | null): Alert {
    return this.#changed(this.#book.change(id, "commented", {}, by, text));
  }

  /** Nobody is told of it until then; a time that is past ends it. */
  snooze(id: string, until: EpochMs, by: string | null): Alert {
    const ahead = until > this.#o.clock.now() ? until : null;
    const note = ahead === null ? "over" : `until ${new Date(ahead).toISOString()}`;
    return this.#changed(this.#book.change(id, "snoozed", { snoozedUntil: ahead }, by, note));
  }

  /** Ends it; the next reading that breaches raises another. Throws NOT_FOUND. */
  resolve(id: string, by: string | null, note: string | null): Alert {
    this.#o.inOneSave(() => {
      const event = this.#book.end(id, this.#o.position() - 1, by, note);
      if (event !== null) this.#tell([event]);
    });
    this.#o.save();
    return this.#book.record(id).alert;
  }

  /** Raises one by hand, or refreshes the one with the same key. */
  raise(draft: AlertDraft): Alert {
    const { thing, severity, summary, key = summary, labels = {} } = draft;
    const full = `${thing} ${key}`;
    const now = this.#o.clock.now();
    const reading: AlertReading = {
      rule: MANUAL_RULE,
      key: full,
      thing,
      source: "manual",
      verdict: "breach",
      // No message is behind it; the present makes its id differ from the one before.
      offset: now,
      receivedAt: now,
      policy: MANUAL_POLICY,
      describe: () => ({ severity, summary, labels, value: null, threshold: null }),
    };
    this.#o.inOneSave(() => this.observe(reading));
    this.#o.save();
    const found = this.#book.find(MANUAL_RULE, full);
    if (found === null) throw new TidewireError("ALERT_INVALID", { at: "alert", reason: "too many are active" });
    return found;
  }

  /** Throws ALERT_INVALID. */
  silence(draft: SilenceDraft, by: string): Silence {
    const { clock, random } = this.#o;
    const id = Array.from(random.bytes(6), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const silence = this.#silences.create(id, draft, by, clock.now());
    this.#o.save();
    return silence;
  }

  /** Throws NOT_FOUND. */
  endSilence(id: string): Silence {
    const now = this.#o.clock.now();
    const silence = this.#silences.end(id, now);
    this.#dispatcher.recheck(now);
    this.#o.save();
    return silence;
  }

  // ── readings and time ────────────────────────────────────────────────────────────────────────

  observe(reading: AlertReading): void {
    this.#noticeLeap();
    const events = this.#book.observe(reading);
    if (events !== null) this.#tell(events);
  }

  /** A sign of life, for a rule that notices silence. */
  hear(heard: Heard): void {
    if (!this.#absences.hear(heard)) return;
    const policy = this.#policyOf(heard.rule);
    const { at: receivedAt, span: _, ...place } = heard;
    const describe = (): Description => this.#o.rules.describeSilence(heard);
    this.observe({ ...place, source: "absent", verdict: "well", receivedAt, policy, describe });
  }

  /** `caughtUp`: all messages up to a moment ago were seen; else nothing is concluded from time yet. */
  tick(caughtUp: boolean): void {
    this.#noticeLeap();
    if (!caughtUp) return;
    const now = this.#o.clock.now();
    for (const heard of this.#absences.tick(now - TICK_LAG)) this.#silent(heard);
    this.#tell(this.#book.tick(now - TICK_LAG));
    this.#dispatcher.tick(now);
  }

  resolveRule(rule: string, offset: number): void {
    this.#absences.forgetRule(rule);
    this.#tell(this.#book.resolveRule(rule, offset));
  }

  /** How many alerts ended. */
  resolveThing(thing: string, offset: number): number {
    this.#absences.forgetThing(thing);
    const ended = this.#book.resolveThing(thing, offset);
    this.#tell(ended);
    return ended.length;
  }

  forget(thing: string): void {
    this.#absences.forgetThing(thing);
    this.#dispatcher.forget(this.#book.forget(thing));
    this.conversations.forget(thing);
    this.#rows.forgetThing(thing);
  }

  /** From now on people are told so. What was told stays told, and is not said again to the same people. */
  replan(plan: AlertPlan): void {
    this.#plan = plan;
    this.#dispatcher.replan(plan, this.#book.tellable(), this.#o.clock.now());
  }

  /** Rules of which something is pending or active. */
  rulesAtWork(): string[] {
    return this.#book.rulesAtWork().filter((rule) => rule !== MANUAL_RULE);
  }

  // ── saving ───────────────────────────────────────────────────────────────────────────────────

  /** A row without a document is of no use any more, and goes. */
  restore(alerts: readonly StoredAlert[], rows: readonly AlertRow[]): void {
    const now = this.#o.clock.now();
    for (const row of rows) if (row.document === null) this.#rows.put(row);
    this.#silences.restore(rows);
    this.conversations.restore(rows);
    this.addresses.restore(rows);
    this.#absences.restore(rows, (rule) => this.#o.rules.watches(rule), now);
    this.#book.restore(alerts, rows);
    this.#dispatcher.restore(this.#book.tellable(), rows, now);
  }

  changes(everything: boolean): { readonly alerts: readonly StoredAlert[]; readonly alertRows: readonly AlertRow[] } {
    return { alerts: this.#book.changes(everything), alertRows: (this.#handed = this.#rows.all()) };
  }

  saved(alerts: readonly StoredAlert[], checkpoint: number): void {
    this.#rows.saved(this.#handed);
    this.#handed = [];
    this.#book.saved(alerts, checkpoint);
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  #silent(heard: Heard): void {
    const { at, span, ...place } = heard;
    this.observe({
      ...place,
      source: "absent",
      verdict: "breach",
      receivedAt: at + span,
      policy: this.#policyOf(heard.rule),
      describe: () => this.#o.rules.describeSilence(heard),
    });
  }

  #tell(events: readonly AlertEvent[]): void {
    const now = this.#o.clock.now();
    for (const { type, record, at, quiet } of events) {
      if (type === "raised") this.#dispatcher.raised(record, at, now);
      else if (type === "resolved") this.#dispatcher.resolved(record, at, now, quiet);
      if (type === "changed") continue;
      const { id, rule, thing, severity } = record.alert;
      const message = type === "raised" ? "An alert was raised" : "An alert was resolved";
      this.#o.logger.info(message, { alert: id, rule, thing, severity });
    }
  }

  #changed({ record }: AlertEvent): Alert {
    this.#dispatcher.changed(record, this.#o.clock.now());
    this.#o.save();
    return record.alert;
  }

  #policyOf(rule: string): Policy {
    return rule === MANUAL_RULE ? MANUAL_POLICY : this.#o.rules.policyOf(rule);
  }

  /** Spans are the same length whatever is done to the clock on the wall. */
  #noticeLeap(): void {
    const { clock } = this.#o;
    const origin = clock.now() - clock.monotonic();
    const by = origin - this.#origin;
    this.#origin = origin;
    if (Math.abs(by) < LEAP) return;
    this.#book.shift(by);
    this.#absences.shift(by);
    this.#dispatcher.shift(by);
  }
}

/** An alert that is not there. */
function probe(given: Partial<Alert> & Pick<Alert, "rule" | "thing" | "severity">, now: EpochMs): Alert {
  return {
    id: `${given.rule}.${given.thing}.test`,
    key: given.thing,
    source: "rule",
    state: "active",
    phase: "firing",
    summary: "",
    value: null,
    threshold: null,
    labels: {},
    since: now,
    raisedAt: now,
    lastSeenAt: now,
    resolvedAt: null,
    acknowledgedAt: null,
    acknowledgedBy: null,
    assignee: null,
    snoozedUntil: null,
    flapping: false,
    count: 1,
    ...given,
  };
}
