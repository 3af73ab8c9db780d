/** Rules, what they do, and the alerts they raise, as plain values. */
import type { EpochMs, Limits } from "../base/mod.ts";
import type { RuleAction } from "./actions/registry.ts";

export type RulesLimits = { readonly [K in keyof Limits["rules"]]: number };

/** What a user writes. */
export interface RuleDraft {
  readonly ruleName: string;
  readonly sql: string;
  readonly description?: string;
  readonly ruleDisabled: boolean;
  readonly actions: readonly RuleAction[];
  /** Told once per message when an action has failed for good. What it fails to tell is a dead letter. */
  readonly errorAction?: RuleAction;
}

export interface RuleDocument extends RuleDraft {
  readonly createdAt: EpochMs;
  /** It sees messages from this log offset on. */
  readonly fromOffset: number;
}

export const SEVERITIES = ["info", "warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** The same fields as in `cloud/api/contract.ts`. */
export interface Alert {
  /** Rule, thing and the log offset of the reading that raised it: the same again after a replay. */
  readonly id: string;
  readonly rule: string;
  readonly thing: string;
  readonly severity: Severity;
  readonly state: "active" | "resolved";
  /** One sentence with the values that raised it. */
  readonly summary: string;
  readonly raisedAt: EpochMs;
  /** Last reading that confirmed it. */
  readonly lastSeenAt: EpochMs;
  readonly resolvedAt: EpochMs | null;
  readonly acknowledgedAt: EpochMs | null;
  /** How many readings confirmed it. */
  readonly count: number;
}
