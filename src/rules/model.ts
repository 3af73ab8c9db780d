/** Rules and what they do, as plain values. */
import type { EpochMs, Limits } from "../base/mod.ts";
import type { SqlVersion } from "../sql/mod.ts";
import type { RuleAction } from "./actions/registry.ts";

export type RulesLimits = { readonly [K in keyof Limits["rules"]]: number };

/** What a user writes. */
export interface RuleDraft {
  readonly ruleName: string;
  readonly sql: string;
  /** Of AWS IoT's SQL; 2016-03-23 where it is not said. */
  readonly awsIotSqlVersion?: SqlVersion;
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
