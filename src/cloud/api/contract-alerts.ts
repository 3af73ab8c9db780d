/** The API's part for alerts; `contract.ts` lists the routes. */
import type { EpochMs } from "../../base/mod.ts";

export type Severity = "info" | "warning" | "critical";
/** `pending`: it holds, but not yet for long enough; listed only where it is asked for. */
export type AlertState = "pending" | "active" | "resolved";
export type AlertPhase = "pending" | "firing" | "acknowledged" | "resolved";

export interface Alert {
  readonly id: string;
  readonly rule: string;
  /** What tells the alerts of one rule apart; mostly the thing. */
  readonly key: string;
  readonly thing: string;
  /** `absent`: the thing fell silent; `manual`: somebody raised it. */
  readonly source: "rule" | "absent" | "manual";
  readonly severity: Severity;
  readonly state: AlertState;
  readonly phase: AlertPhase;
  /** One sentence with the values that raised it. */
  readonly summary: string;
  /** What was measured, and what it was held against. */
  readonly value: string | null;
  readonly threshold: string | null;
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
  /** It came and went so often that it stays active until it has been calm. */
  readonly flapping: boolean;
  /** How many readings confirmed it. */
  readonly count: number;
}

export interface AlertPage {
  readonly alerts: readonly Alert[];
  readonly active: number;
}

/** One line of an alert's story. */
export interface AlertTransition {
  readonly at: EpochMs;
  readonly type:
    | "pending"
    | "raised"
    | "acknowledged"
    | "unacknowledged"
    | "assigned"
    | "commented"
    | "snoozed"
    | "flapping"
    | "notified"
    /** Nobody was told; the note says why. */
    | "muted"
    | "escalated"
    | "resolved";
  /** Who did it; null where readings or time did. */
  readonly by: string | null;
  readonly note: string | null;
}

export interface AlertStory {
  readonly alert: Alert;
  /** Oldest first. */
  readonly history: readonly AlertTransition[];
  /** Who is told of it now; none where it is over. */
  readonly groups: AlertRouteAnswer["groups"];
}

export interface Silence {
  readonly id: string;
  /** All must hold: `rule=cpu_*`, `thing=pump-1|pump-2`, `severity!=critical`. */
  readonly matchers: readonly string[];
  readonly startsAt: EpochMs;
  readonly endsAt: EpochMs;
  readonly createdBy: string;
  readonly comment: string;
}

export interface SilenceList {
  /** Those that ended are kept for five days. */
  readonly silences: readonly Silence[];
  readonly now: EpochMs;
}

/** Where an alert would go now, and why. */
export interface AlertRouteAnswer {
  readonly steps: readonly {
    readonly route: string;
    readonly matchers: readonly string[];
    /** The first matcher that does not hold; null: all do. */
    readonly failed: string | null;
    readonly taken: boolean;
    readonly contacts: readonly string[];
  }[];
  readonly groups: readonly {
    readonly group: string;
    readonly contacts: readonly string[];
    readonly muted: { readonly by: string; readonly reason: string } | null;
    readonly escalation: readonly { readonly after: number; readonly contacts: readonly string[] }[];
  }[];
}
