/**
 * From alerts to notifications: routes, groups, waits, mutes, escalates, and sends no more than a person can read. Time
 * is an argument and never runs backwards; `tick` does what has become due. What must survive a crash goes into rows
 * that are saved together with the alerts.
 */
import type { Counter, EpochMs, Logger, Metrics, Millis } from "../../base/mod.ts";
import { minutes, reasonOf } from "../../base/mod.ts";
import { MaintenanceCalendar } from "./calendar.ts";
import type { CronTimes, Zones } from "./calendar.ts";
import { ContactGate } from "./contact-gate.ts";
import { Deadlines } from "./deadlines.ts";
import { Group } from "./group.ts";
import { Inhibitions } from "./inhibition.ts";
import { REPLY_SUFFIX } from "./conversations.ts";
import { TOLD_BEFORE } from "./model.ts";
import type { Alert, AlertRecord, Transition } from "./model.ts";
import { Summary, notificationId, notificationOf } from "./notification.ts";
import type { Notification, NotificationKind } from "./notification.ts";
import type { AlertPlan } from "./plan.ts";
import { groupIdOf, groupLabels, mutedByTime, routesOf } from "./routing.ts";
import type { Route } from "./routing.ts";
import type { Silences } from "./silences.ts";
import { carriedOver } from "./replan.ts";
import type { KnownGroups } from "./replan.ts";
import type { AlertRow, DirtyRows } from "./store.ts";
import { formOf, isRepeatDue, kindOf, mustBeHeard, needsRow, worse } from "./telling.ts";
import type { Mute, Sorted } from "./telling.ts";

export interface DispatcherOptions {
  readonly plan: AlertPlan;
  readonly zones: Zones;
  readonly cron: CronTimes;
  readonly silences: Silences;
  readonly rows: DirtyRows;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Takes a notification; from here on it is somebody else's to deliver. */
  readonly send: (notification: Notification, things: readonly string[]) => void;
  /** An alert's record has changed. */
  readonly noted: (record: AlertRecord, line: Transition | null) => void;
}

/** Where nobody was told because of a mute, it is looked at again after so long at the latest. */
const MUTED_RECHECK: Millis = minutes(1);

export class Dispatcher {
  readonly #o: DispatcherOptions;
  #plan: AlertPlan;
  #maintenance: MaintenanceCalendar;
  #inhibitions: Inhibitions;
  readonly #groups = new Map<string, Group>();
  readonly #due = new Deadlines<Group>();
  readonly #touched = new Set<Group>();
  #gates: ReadonlyMap<string, ContactGate>;
  readonly #sent: Counter;
  readonly #held: Counter;
  #muted = 0;

  constructor(options: DispatcherOptions) {
    this.#o = options;
    const { plan, metrics } = options;
    this.#plan = plan;
    this.#maintenance = new MaintenanceCalendar(plan.maintenance, options.cron);
    this.#inhibitions = new Inhibitions(plan.inhibit);
    this.#gates = gatesOf(plan);
    this.#sent = metrics.counter({ name: "tidewire_notifications_total", help: "Notifications of alerts, sent" });
    this.#held = metrics.counter({
      name: "tidewire_notifications_held_total",
      help: "Notifications that were too many for a contact point and went into a digest",
    });
    metrics.observe({ name: "tidewire_alert_groups", help: "Groups of alerts" }, () => this.#groups.size);
    metrics.observe(
      { name: "tidewire_alerts_muted", help: "Alerts of which nobody was told at the last look" },
      () => this.#muted,
    );
  }

  // ── alerts ───────────────────────────────────────────────────────────────────────────────────

  raised(record: AlertRecord, at: EpochMs, now: EpochMs): void {
    this.#inhibitions.raised(record);
    for (const route of routesOf(this.#plan.route, record.alert)) {
      const group = this.#groupOf(route, record.alert);
      group.members.add(record);
      this.#schedule(group, at, now);
    }
  }

  /** `quiet`: nobody is told that it is over. */
  resolved(record: AlertRecord, at: EpochMs, now: EpochMs, quiet: boolean): void {
    this.#inhibitions.resolved(record);
    if (quiet) this.#unsay(record);
    for (const group of this.#groupsOf(record)) {
      if (record.told.has(group.id)) this.#schedule(group, at, now);
      else this.#dismiss(group, record);
    }
  }

  /** A person did something with it. What was sent is edited, where it can be; it may be muted, or not any more. */
  changed(record: AlertRecord, now: EpochMs): void {
    for (const group of this.#groupsOf(record)) {
      this.#touched.add(group);
      if (!record.told.has(group.id)) this.#schedule(group, now, now);
    }
  }

  /** A silence began or ended: what it covers is looked at again. */
  recheck(now: EpochMs): void {
    for (const group of this.#groups.values()) {
      if (![...group.members].some((record) => !record.told.has(group.id))) continue;
      group.wakeAt(now + group.route.groupWait);
      this.#due.set(group, group.dueAt());
    }
  }

  /** Nothing of it is told any more. */
  forget(records: readonly AlertRecord[]): void {
    for (const record of records) {
      this.#inhibitions.resolved(record);
      for (const group of this.#groupsOf(record)) this.#dismiss(group, record);
    }
  }

  /** The clock on the wall was set. */
  shift(by: Millis): void {
    for (const group of this.#groups.values()) {
      group.shift(by);
      this.#keep(group);
    }
  }

  tick(now: EpochMs): void {
    for (;;) {
      const group = this.#due.take(now);
      if (group === null) break;
      this.#look(group, now);
    }
    for (const group of this.#touched) if (this.#edit(group, now)) this.#touched.delete(group);
    for (const gate of this.#gates.values()) this.#release(gate, now);
  }

  /** Where a new alert would go, group by group. */
  routesFor(alert: Alert): readonly { readonly route: Route; readonly group: string }[] {
    return routesOf(this.#plan.route, alert).map((route) => ({ route, group: groupIdOf(route, alert) }));
  }

  /** Why nobody is told of it on this route now; null: somebody is. */
  muteOf(alert: Alert, route: Route, now: EpochMs): Mute | null {
    const { silences, zones } = this.#o;
    if (alert.snoozedUntil !== null && now < alert.snoozedUntil) {
      return { by: "snooze", reason: `snoozed until ${new Date(alert.snoozedUntil).toISOString()}` };
    }
    const silence = silences.covering(alert, now);
    if (silence !== null) return { by: "silence", reason: `silence ${silence.id} by ${silence.createdBy}` };
    const window = this.#maintenance.covering(alert, now);
    if (window !== null) return { by: "maintenance", reason: `maintenance ${window}` };
    const cause = this.#inhibitions.causeOf(alert);
    if (cause !== null) return { by: "inhibition", reason: `alert ${cause.id} is the cause` };
    const time = mutedByTime(route, now, zones);
    return time === null ? null : { by: "time", reason: time };
  }

  // ── groups ───────────────────────────────────────────────────────────────────────────────────

  /** After a restart: what was active, and what somebody is still to be told that it is over. */
  restore(records: readonly AlertRecord[], rows: readonly AlertRow[], now: EpochMs): void {
    const documents = new Map<string, string>();
    for (const { kind, id, document } of rows) {
      if (document === null) continue;
      if (kind === "group") documents.set(id, document);
      if (kind === "contact") this.#restoreGate(id, document);
    }
    for (const record of records) {
      if (record.alert.state === "active") this.#inhibitions.raised(record);
      const routes = routesOf(this.#plan.route, record.alert);
      this.#adoptTold(record, routes);
      for (const route of routes) {
        const group = this.#groupOf(route, record.alert, documents, now);
        if (record.alert.state === "resolved" && !record.told.has(group.id)) {
          if (group.members.size === 0) this.#groups.delete(group.id);
          continue;
        }
        group.members.add(record);
        const open = record.told.has(group.id) !== (record.alert.state === "active");
        if (open) this.#schedule(group, record.alert.resolvedAt ?? record.alert.raisedAt, now, false);
      }
    }
    for (const id of documents.keys()) {
      if (!this.#groups.has(id)) this.#o.rows.put({ kind: "group", id, thing: null, document: null });
    }
    for (const group of this.#groups.values()) this.#due.set(group, group.dueAt());
  }

  /** Other settings, from now on. `records`: all that are active, or whose end is still to be told. */
  replan(plan: AlertPlan, records: readonly AlertRecord[], now: EpochMs): void {
    const [groups, gates] = [new Map(this.#groups), this.#gates];
    const carried = carriedOver(groups, records, plan.route);
    for (const record of carried.changed) this.#o.noted(record, null);
    for (const group of groups.values()) this.#due.set(group, null);
    this.#groups.clear();
    this.#touched.clear();
    this.#muted = 0;
    this.#plan = plan;
    this.#maintenance = new MaintenanceCalendar(plan.maintenance, this.#o.cron);
    this.#inhibitions = new Inhibitions(plan.inhibit);
    this.#gates = gatesOf(plan);
    const held = [...gates].map(
      ([name, gate]) => ({ kind: "contact", id: name, thing: null, document: gate.document() }) as const,
    );
    this.restore(records, [...carried.rows, ...held], now);
    for (const group of groups.values()) {
      if (!this.#groups.has(group.id)) this.#o.rows.put({ ...group.row(), document: null });
    }
    for (const group of this.#groups.values()) {
      // A receiver would take a notification with a number that was for a repetition.
      group.seq = Math.max(group.seq, groups.get(group.id)?.seq ?? 0);
      this.#save(group);
    }
    this.recheck(now);
    for (const [name, gate] of gates) if (!this.#gates.has(name)) this.#dropGate(name, gate);
  }

  /** Whether what was told of it is about to be edited. */
  readonly isTouched = (group: Group): boolean => this.#touched.has(group);

  /** Groups that have one of them. */
  groupsWith(records: readonly AlertRecord[]): ReadonlySet<Group> {
    return new Set(records.flatMap((record) => this.#groupsOf(record)));
  }

  /** They go on elsewhere: nobody is told, and what was told of them together with others is edited. */
  leave(records: readonly AlertRecord[]): void {
    const groups = this.groupsWith(records);
    this.forget(records);
    for (const group of groups) if (group.members.size > 0) this.#touched.add(group);
  }

  /** They go on here. `known`: what was told of them elsewhere. Returns which of them a group here takes over, by its id. */
  enter(records: readonly AlertRecord[], known: KnownGroups, now: EpochMs): KnownGroups {
    const { rows, before } = carriedOver(known, records, this.#plan.route);
    this.restore(records, rows, now);
    for (const group of this.groupsWith(records)) {
      const { seq = 0, isTouched = false } = before.get(group.id) ?? {};
      group.seq = Math.max(group.seq, seq);
      if (isTouched) this.#touched.add(group);
      this.#keep(group);
    }
    return before;
  }

  #dropGate(name: string, gate: ContactGate): void {
    if (gate.holds) this.#o.logger.warn("What was held for a contact point that is gone is not sent", { name });
    this.#o.rows.put({ kind: "contact", id: name, thing: null, document: null });
  }

  /** Groups that the configuration makes no more know nothing of it. */
  #adoptTold(record: AlertRecord, routes: readonly Route[]): void {
    const ids = routes.map((route) => groupIdOf(route, record.alert));
    const told = record.told.has(TOLD_BEFORE) ? ids : ids.filter((id) => record.told.has(id));
    if (told.length === record.told.size && !record.told.has(TOLD_BEFORE)) return;
    record.told = new Set(told);
    this.#o.noted(record, null);
  }

  #restoreGate(name: string, document: string): void {
    try {
      this.#gates.get(name)?.restore(document);
    } catch (error) {
      this.#o.logger.error("What was held for a contact point cannot be read", { name, reason: reasonOf(error) });
    }
  }

  #groupOf(route: Route, alert: Alert, saved?: ReadonlyMap<string, string>, now: EpochMs = 0): Group {
    const id = groupIdOf(route, alert);
    let group = this.#groups.get(id);
    if (group !== undefined) return group;
    group = new Group(id, route, groupLabels(route, alert));
    this.#groups.set(id, group);
    const document = saved?.get(id);
    if (document !== undefined) group.restore(document, now);
    return group;
  }

  #groupsOf({ alert }: AlertRecord): Group[] {
    const ids = routesOf(this.#plan.route, alert).map((route) => groupIdOf(route, alert));
    return ids.flatMap((id) => this.#groups.get(id) ?? []);
  }

  /** A new one waits for others of its kind; one that was told waits until it may speak again. */
  #schedule(group: Group, at: EpochMs, now: EpochMs, atOnce = true): void {
    const { groupWait, groupInterval } = group.route;
    const earliest = group.flushedAt === null ? Math.min(at, now) + groupWait : group.flushedAt + groupInterval;
    group.wakeAt(earliest);
    if (atOnce && group.perAlert && earliest <= now) this.#look(group, now);
    else this.#keep(group);
  }

  /** What is due of it: to tell, to repeat, to escalate. */
  #look(group: Group, now: EpochMs): void {
    if (group.flushAt !== null && group.flushAt <= now) this.#flush(group, now);
    if (this.#groups.get(group.id) !== group) return;
    this.#escalate(group, now);
    this.#keep(group);
  }

  #flush(group: Group, now: EpochMs): void {
    const { route } = group;
    group.flushAt = null;
    group.flushedAt = now;
    const found = this.#sort(group, now);
    const { fresh, over, open, muted } = found;
    for (const [record, mute] of found.untold) this.#noteMute(record, mute, now);
    if (fresh.length > 0 || over.length > 0) {
      this.#say(group, kindOf(fresh.length, over.length, open), found, now);
    } else if (found.worried > 0 && isRepeatDue(group, now)) this.#say(group, "repeat", found, now);
    for (const record of fresh) this.#tellMember(group, record, now);
    for (const record of over) this.#dismiss(group, record);
    if (found.worried === 0) group.calm();
    if (group.members.size === 0) return;
    if (muted > 0) group.wakeAt(now + Math.max(route.groupInterval, MUTED_RECHECK));
    if (open > 0 && route.repeatInterval !== null) {
      group.wakeAt(Math.max((group.lastToldAt ?? now) + route.repeatInterval, now + MUTED_RECHECK));
    }
  }

  /** Who is in it, and what is to be said of each. */
  #sort(group: Group, now: EpochMs): Sorted {
    const summary = new Summary();
    const fresh: AlertRecord[] = [];
    const over: AlertRecord[] = [];
    const untold: (readonly [AlertRecord, Mute])[] = [];
    let [open, worried, muted] = [0, 0, 0];
    let toldWorst: number | null = null;
    let freshWorst: number | null = null;
    for (const record of group.members) {
      const { alert } = record;
      const told = record.told.has(group.id);
      if (told) toldWorst = worse(toldWorst, alert);
      if (alert.state === "resolved") {
        if (told) over.push(record);
        else this.#dismiss(group, record);
        if (told) summary.add(alert);
        continue;
      }
      const mute = this.muteOf(alert, group.route, now);
      if (mute !== null) {
        muted++;
        if (!told) untold.push([record, mute]);
        continue;
      }
      open++;
      if (alert.acknowledgedAt === null) worried++;
      if (!told) {
        fresh.push(record);
        freshWorst = worse(freshWorst, alert);
      }
      summary.add(alert);
    }
    this.#muted += muted - (this.#mutedOf.get(group) ?? 0);
    this.#mutedOf.set(group, muted);
    return { summary, fresh, over, untold, open, worried, muted, toldWorst, freshWorst };
  }

  /** Per group, as of its last look; entries go with their group. */
  readonly #mutedOf = new WeakMap<Group, number>();

  #tellMember(group: Group, record: AlertRecord, now: EpochMs): void {
    record.told = new Set([...record.told, group.id]);
    const note = this.#named(group.contacts());
    this.#o.noted(record, note === "" ? null : { at: now, type: "notified", by: null, note });
  }

  /** Once per reason, however often it is looked at. */
  #noteMute(record: AlertRecord, { reason }: Mute, now: EpochMs): void {
    if (record.history.findLast(({ type }) => type === "muted")?.note === reason) return;
    this.#o.noted(record, { at: now, type: "muted", by: null, note: reason });
  }

  /** `ops (slack), lead (telegram)`. */
  #named(contacts: readonly string[]): string {
    return contacts.map((name) => `${name} (${this.#gates.get(name)?.contact.channel ?? "?"})`).join(", ");
  }

  /** It is of no interest to the group any more. */
  #dismiss(group: Group, record: AlertRecord): void {
    group.members.delete(record);
    if (record.told.has(group.id)) {
      record.told = new Set([...record.told].filter((id) => id !== group.id));
      this.#o.noted(record, null);
    }
    if (group.members.size > 0) return;
    this.#muted -= this.#mutedOf.get(group) ?? 0;
    this.#groups.delete(group.id);
    this.#due.set(group, null);
    this.#touched.delete(group);
    if (needsRow(group.route)) this.#o.rows.put({ ...group.row(), document: null });
  }

  #unsay(record: AlertRecord): void {
    record.told = new Set();
    this.#o.noted(record, null);
  }

  #escalate(group: Group, now: EpochMs): void {
    const step = group.route.escalate[group.escalated];
    if (step === undefined || group.firstToldAt === null || now < group.firstToldAt + step.after) return;
    const found = this.#sort(group, now);
    if (found.worried === 0) {
      group.calm();
      return;
    }
    group.escalated++;
    for (const contact of step.contacts) group.heard.add(contact);
    for (const record of group.members) {
      if (record.alert.phase !== "firing" || !record.told.has(group.id)) continue;
      this.#o.noted(record, { at: now, type: "escalated", by: null, note: this.#named(step.contacts) });
    }
    this.#sayTo(step.contacts, group, "escalation", found, now);
  }

  /** Messages that can be edited show what they are now. False: there were too many; once more with the next tick. */
  #edit(group: Group, now: EpochMs): boolean {
    const gates = group.contacts().flatMap((contact) => this.#gates.get(contact) ?? []);
    const editing = gates.filter(({ contact }) => contact.edits !== "no");
    const found = this.#sort(group, now);
    if (found.worried === 0) group.calm();
    this.#keep(group);
    if (found.toldWorst === null || found.summary.count === 0) return true;
    if (!editing.every((gate) => gate.mayTell(now))) return false;
    const names = editing.map(({ contact }) => contact.name);
    if (names.length > 0) this.#sayTo(names, group, "update", found, now);
    return true;
  }

  // ── telling ──────────────────────────────────────────────────────────────────────────────────

  #say(group: Group, kind: NotificationKind, found: Sorted, now: EpochMs): void {
    group.firstToldAt ??= now;
    group.lastToldAt = now;
    this.#sayTo(group.contacts(), group, kind, found, now);
  }

  #sayTo(contacts: readonly string[], group: Group, kind: NotificationKind, found: Sorted, at: EpochMs): void {
    const { summary } = found;
    const form = formOf(kind, found);
    const alone = summary.count === 1 ? summary.top[0]! : null;
    const id = notificationId(group, kind, alone);
    group.seq++;
    const things = [...new Set(summary.top.map(({ thing }) => thing))];
    for (const contact of contacts) {
      const gate = this.#gates.get(contact);
      if (gate === undefined) continue;
      const { link } = this.#plan;
      const isEdit = form === "edit" && gate.contact.edits === "silently";
      const isAloud = isEdit && mustBeHeard(kind, found);
      const isLast = kind === "resolved";
      const facts = { id, contact, kind, at, group, link, isLast: isLast && !isAloud };
      const notification = notificationOf(summary, { ...facts, form: isEdit ? "edit" : "message" });
      if (!gate.admit(notification, at)) {
        this.#held.value++;
        this.#saveGate(gate);
        continue;
      }
      this.#send(notification, things);
      if (isAloud) this.#o.send({ ...notification, id: id + REPLY_SUFFIX, form: "reply", isLast }, things);
    }
  }

  #release(gate: ContactGate, now: EpochMs): void {
    if (!gate.holds) return;
    const digest = gate.release(now);
    if (digest === null) return;
    this.#saveGate(gate);
    this.#send(digest, []);
  }

  #send(notification: Notification, things: readonly string[]): void {
    this.#sent.value++;
    this.#o.send(notification, things);
  }

  #saveGate(gate: ContactGate): void {
    const { name } = gate.contact;
    this.#o.rows.put({ kind: "contact", id: name, thing: null, document: gate.document() });
  }

  #keep(group: Group): void {
    if (this.#groups.get(group.id) !== group) return;
    this.#due.set(group, group.dueAt());
    this.#save(group);
  }

  #save(group: Group): void {
    if (needsRow(group.route)) this.#o.rows.put(group.row());
  }
}

function gatesOf({ contacts }: AlertPlan): ReadonlyMap<string, ContactGate> {
  return new Map(contacts.map((contact) => [contact.name, new ContactGate(contact)]));
}
