/** Rules and what they do, as plain values. */
import type { EpochMs, Limits, Millis } from "../base/mod.ts";
import type { SqlVersion } from "../sql/mod.ts";
import type { RuleAction } from "./actions/registry.ts";
import type { Expectation } from "./seen-messages.ts";

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
  /** Where it goes, went, or came from; see `moves.ts`. */
  readonly move?: RuleMove;
}

/** Before what is named by an offset: those of two logs are different messages, and receivers must not take them for one. */
export function placeOf({ move }: Pick<RuleDocument, "move">): string {
  return move?.phase === "arrived" ? `${move.id}.` : "";
}

/** A rule that is `leaving` stands still, with its state; one that `left` is only here for what it had still to deliver. */
export type RuleMove =
  | {
      readonly phase: "leaving";
      readonly id: string;
      readonly to: string;
      readonly at: EpochMs;
      readonly position: number;
      /** How far apart here and there may accept the same message. */
      readonly overlap: Millis;
      /** It had come itself a moment before, and these are still to come. */
      readonly expecting?: Expectation;
    }
  | { readonly phase: "left"; readonly id: string; readonly to: string; readonly at: EpochMs }
  | { readonly phase: "arrived"; readonly id: string; readonly at: EpochMs; readonly expecting?: Expectation };
