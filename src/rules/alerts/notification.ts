/** What a person is told, before a channel gives it its form. */
import { hours, minutes } from "../../base/mod.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";
import { SEVERITIES, idPart, severityRank } from "./model.ts";
import type { Alert, Severity } from "./model.ts";

export type NotificationKind =
  | "firing"
  /** Something of it has changed: some are over, or somebody has acknowledged. */
  | "update"
  | "resolved"
  /** Nothing has changed, but it still is. */
  | "repeat"
  /** Nobody has acknowledged. */
  | "escalation"
  /** There was too much for this contact point: this is all of it. */
  | "digest"
  | "test";

export interface Notification {
  /** The same again after a crash, so that a receiver can tell. */
  readonly id: string;
  readonly contact: string;
  readonly kind: NotificationKind;
  readonly at: EpochMs;
  /** The worst of all. */
  readonly severity: Severity;
  /** One line: what, or how many. */
  readonly title: string;
  /** At most `LINES_MAX`, the worst first; the last says what was left out. */
  readonly lines: readonly string[];
  /** Where it is one alert, or all are of one thing. */
  readonly device: string | null;
  readonly value: string | null;
  readonly threshold: string | null;
  readonly since: EpochMs;
  /** How long it lasted; null while it does. */
  readonly duration: Millis | null;
  readonly links: NotificationLinks | null;
  readonly group: NotificationGroup;
  /** Some of the alerts, the worst first; `group` has the numbers. */
  readonly alerts: readonly Alert[];
  readonly form: NotificationForm;
  /** Nothing more is said of the group. */
  readonly isLast: boolean;
}

/**
 * `edit`: takes the place of the message that the contact point has of the group, where it has one. `reply`: a short line below
 * it, because an edit is not heard.
 */
export type NotificationForm = "message" | "edit" | "reply";

export interface NotificationLinks {
  /** Its story; of several: the list. */
  readonly alert: string;
  readonly chart: string | null;
  readonly acknowledge: string;
  readonly silence: string;
  /** The chart as a picture, without a login, for some days. */
  readonly picture: string | null;
}

export interface NotificationGroup {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly firing: number;
  readonly acknowledged: number;
  readonly resolved: number;
  readonly bySeverity: Readonly<Record<Severity, number>>;
  /** Alerts that stand neither in `lines` nor in `alerts`. */
  readonly omitted: number;
}

export const LINES_MAX = 10;

/** Sums up any number of alerts in constant space. */
export class Summary {
  firing = 0;
  acknowledged = 0;
  resolved = 0;
  since: EpochMs = Infinity;
  endedAt: EpochMs = -Infinity;
  readonly bySeverity: Record<Severity, number> = { info: 0, warning: 0, critical: 0 };
  /** The worst, and of those the newest. */
  readonly top: Alert[] = [];
  readonly #things = new Set<string>();
  readonly #rules = new Set<string>();

  add(alert: Alert): void {
    if (alert.state === "resolved") this.resolved++;
    else {
      this.firing++;
      this.bySeverity[alert.severity]++;
      if (alert.acknowledgedAt !== null) this.acknowledged++;
    }
    this.since = Math.min(this.since, alert.since);
    this.endedAt = Math.max(this.endedAt, alert.resolvedAt ?? -Infinity);
    if (this.#things.size < 2) this.#things.add(alert.thing);
    if (this.#rules.size < 2) this.#rules.add(alert.rule);
    const last = this.top.at(-1);
    if (this.top.length === LINES_MAX && last !== undefined && worstFirst(last, alert) <= 0) return;
    this.top.push(alert);
    this.top.sort(worstFirst);
    if (this.top.length > LINES_MAX) this.top.pop();
  }

  get count(): number {
    return this.firing + this.resolved;
  }

  get severity(): Severity {
    return this.firing === 0
      ? (this.top[0]?.severity ?? "info")
      : [...SEVERITIES].reverse().find((severity) => this.bySeverity[severity] > 0)!;
  }

  /** The only thing that they are of. */
  get thing(): string | null {
    return only(this.#things);
  }

  get rule(): string | null {
    return only(this.#rules);
  }
}

export interface NotificationFacts {
  readonly id: string;
  readonly contact: string;
  readonly kind: NotificationKind;
  readonly at: EpochMs;
  readonly group: { readonly id: string; readonly labels: Readonly<Record<string, string>> };
  /** Address of the dashboard, without a slash at its end. */
  readonly link: string | null;
  readonly form: NotificationForm;
  readonly isLast: boolean;
}

/** A chart shows what came before. */
export const CHART_LEAD = hours(2);
/** And whether it stays well. */
export const CHART_TAIL = minutes(15);

export function notificationOf(summary: Summary, facts: NotificationFacts): Notification {
  const { top, firing, acknowledged, resolved, bySeverity, count } = summary;
  const alone = count === 1 ? top[0]! : null;
  const { link, ...rest } = facts;
  const shown = alone === null ? top : [];
  const omitted = count - Math.max(shown.length, alone === null ? 0 : 1);
  const more = omitted > 0 ? [`… and ${number(omitted)} more`] : [];
  return {
    ...rest,
    severity: summary.severity,
    title: alone?.summary ?? titleOf(summary),
    lines: [...shown.map(lineOf), ...more],
    device: summary.thing,
    value: alone?.value ?? null,
    threshold: alone?.threshold ?? null,
    since: summary.since,
    duration: firing === 0 && resolved > 0 ? Math.max(0, summary.endedAt - summary.since) : null,
    links: link === null ? null : linksOf(link, summary, { alone, at: facts.at }),
    group: { ...facts.group, firing, acknowledged, resolved, bySeverity: { ...bySeverity }, omitted },
    alerts: top,
  };
}

function titleOf(summary: Summary): string {
  const { firing, resolved, bySeverity } = summary;
  const where = summary.thing === null ? "" : ` on ${summary.thing}`;
  const what = summary.rule === null ? "" : ` of ${summary.rule}`;
  if (firing === 0) return `${plural(resolved, "alert")}${what}${where} over`;
  const severities = [...SEVERITIES].reverse().filter((severity) => bySeverity[severity] > 0);
  const counts = severities.map((severity) => `${number(bySeverity[severity])} ${severity}`).join(", ");
  const over = resolved === 0 ? "" : `, ${number(resolved)} over`;
  return `${plural(firing, "alert")}${what}${where}: ${counts}${over}`;
}

function lineOf(alert: Alert): string {
  const state = alert.state === "resolved" ? "over" : alert.phase === "acknowledged" ? "acknowledged" : alert.severity;
  const thing = alert.summary.includes(alert.thing) ? "" : ` (${alert.thing})`;
  return `${state}: ${alert.summary}${thing}${alert.flapping ? ", flapping" : ""}`;
}

function linksOf(
  link: string,
  summary: Summary,
  { alone, at }: { readonly alone: Alert | null; readonly at: EpochMs },
): NotificationLinks {
  const { thing, rule } = summary;
  const alert = alone === null ? `${link}/#/alerts` : `${link}/#/alerts?alert=${encodeURIComponent(alone.id)}`;
  const from = Math.floor(summary.since - CHART_LEAD);
  const to = Math.ceil(summary.firing === 0 ? Math.min(summary.endedAt + CHART_TAIL, at) : at);
  const search = new URLSearchParams();
  if (rule !== null) search.append("silence", `rule=${rule}`);
  if (thing !== null) search.append("silence", `thing=${thing}`);
  return {
    alert,
    chart: thing === null ? null : `${link}/#/things/${encodeURIComponent(thing)}?from=${from}&to=${to}`,
    acknowledge: alert,
    picture: null,
    silence: `${link}/#/alerts?tab=silences${search.size === 0 ? "" : `&${search.toString()}`}`,
  };
}

/** The id of a group's notification. One alert that goes alone keeps the ids that receivers know. */
export function notificationId(
  group: { readonly id: string; readonly perAlert: boolean; readonly seq: number },
  kind: NotificationKind,
  alone: Alert | null,
): string {
  if (group.perAlert && alone !== null && kind === "firing") return `${alone.id}.raised`;
  if (group.perAlert && alone !== null && kind === "resolved") return `${alone.id}.resolved`;
  return `${idPart(group.id)}.${group.seq}`;
}

function worstFirst(a: Alert, b: Alert): number {
  return (
    Number(a.state === "resolved") - Number(b.state === "resolved") ||
    severityRank(a.severity) - severityRank(b.severity) ||
    b.raisedAt - a.raisedAt ||
    (a.id < b.id ? -1 : Number(a.id > b.id))
  );
}

function only(values: ReadonlySet<string>): string | null {
  if (values.size !== 1) return null;
  for (const value of values) return value;
  return null;
}

function plural(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** `10,000`, in every locale the same. */
export function number(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}
