/** Alerts as plain values. */
import type { EpochMs } from "../../base/mod.ts";

export const SEVERITIES = ["info", "warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** `pending`: it holds, but not yet for long enough. */
export type AlertPhase = "pending" | "firing" | "acknowledged" | "resolved";
export type AlertState = "pending" | "active" | "resolved";
/** `absent`: nothing was heard of the thing; `manual`: a person or a program raised it through the API. */
export type AlertSource = "rule" | "absent" | "manual";

/** The same fields as in `cloud/api/contract.ts`. */
export interface Alert {
  /** Rule, key and the log offset of the reading that began it: the same again after a replay. */
  readonly id: string;
  readonly rule: string;
  /** What tells the alerts of one rule apart: the thing, or what the rule's `key` makes of a reading. */
  readonly key: string;
  readonly thing: string;
  readonly source: AlertSource;
  readonly severity: Severity;
  readonly state: AlertState;
  readonly phase: AlertPhase;
  /** One sentence with the values that raised it. */
  readonly summary: string;
  /** What was measured when it was raised, and what it was held against. */
  readonly value: string | null;
  readonly threshold: string | null;
  /** What routes and silences can ask for beside rule, thing and severity: the rule's own, the thing's type and attributes. */
  readonly labels: Readonly<Record<string, string>>;
  /** Since when the condition has held; before `raisedAt` where it must hold for a while. */
  readonly since: EpochMs;
  readonly raisedAt: EpochMs;
  /** Last reading that confirmed it. */
  readonly lastSeenAt: EpochMs;
  readonly resolvedAt: EpochMs | null;
  readonly acknowledgedAt: EpochMs | null;
  readonly acknowledgedBy: string | null;
  readonly assignee: string | null;
  /** Nobody is told of it until then. */
  readonly snoozedUntil: EpochMs | null;
  /** It came and went so often that it stays active until it has been calm for a while. */
  readonly flapping: boolean;
  /** How many readings confirmed it. */
  readonly count: number;
}

export type TransitionType =
  | "pending"
  | "raised"
  | "acknowledged"
  | "unacknowledged"
  | "assigned"
  | "commented"
  | "snoozed"
  | "flapping"
  | "notified"
  /** Nobody was told, and why. */
  | "muted"
  | "escalated"
  | "resolved";

/** One line of an alert's story. */
export interface Transition {
  readonly at: EpochMs;
  readonly type: TransitionType;
  /** Who did it; null where readings or time did. */
  readonly by: string | null;
  readonly note: string | null;
}

/** An alert as the room holds it: one object from its beginning to its end, so that all who hold it see what it is now. */
export interface AlertRecord {
  alert: Alert;
  /** Oldest first; the newest `alertTransitionsMax` are kept. */
  history: readonly Transition[];
  /** Groups that have told somebody of it and have not yet told that it is over. One per route that it takes. */
  told: ReadonlySet<string>;
}

/** In `told` of an alert that a version without groups has saved: all of its groups. */
export const TOLD_BEFORE = "*";

export function phaseOf(alert: Pick<Alert, "state" | "acknowledgedAt">): AlertPhase {
  if (alert.state !== "active") return alert.state;
  return alert.acknowledgedAt === null ? "firing" : "acknowledged";
}

/** Lower is worse. */
export function severityRank(severity: Severity): number {
  return SEVERITIES.length - 1 - SEVERITIES.indexOf(severity);
}

/** Ids stand in addresses and headers; a client id may hold anything. */
export function idPart(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replaceAll(".", "%2E");
}
