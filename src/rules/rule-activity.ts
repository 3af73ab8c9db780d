/** What became of a rule since the start, for people: counted where it happens, kept as long as there is the rule. */
import type { EpochMs, Millis } from "../base/mod.ts";

export interface Mishap {
  readonly at: EpochMs;
  readonly reason: string;
}

/** Counts since the start; of the rule's actions, each delivery by itself. */
export interface RuleActivity {
  matched: number;
  /** When the message was accepted that matched last. */
  lastMatchAt: EpochMs | null;
  /** Messages on which the rule failed unexpectedly. */
  failed: number;
  failure: Mishap | null;
  delivered: number;
  /** Attempts that failed and are made again. */
  retried: number;
  /** Given up. */
  dead: number;
  deliveryFailure: Mishap | null;
}

/** What may be told of a receiver, and how it does. */
export interface ReceiverState {
  readonly key: string;
  readonly kind: string;
  readonly label: string;
  /** On disk and in memory, of all rules. */
  readonly waiting: number;
  /** Nothing is sent for so long; 0 where it is not held back. */
  readonly blockedFor: Millis;
  /** Rounds of failure since the last success. */
  readonly failures: number;
  readonly lastFailure: Mishap | null;
  readonly lastSuccessAt: EpochMs | null;
}

type Outcome = "delivered" | "failed" | "refused";

export class RuleActivities {
  /** Bounded by `rulesMax`. */
  readonly #byRule = new Map<string, RuleActivity>();

  /** The same object for as long as there is the rule. */
  of(ruleName: string): RuleActivity {
    let activity = this.#byRule.get(ruleName);
    if (activity === undefined) {
      activity = {
        matched: 0,
        lastMatchAt: null,
        failed: 0,
        failure: null,
        delivered: 0,
        retried: 0,
        dead: 0,
        deliveryFailure: null,
      };
      this.#byRule.set(ruleName, activity);
    }
    return activity;
  }

  /** `refused`: for good; it dies, and `died` counts it. */
  attempted(ruleName: string | null, outcome: Outcome, at: EpochMs, reason: string | null): void {
    const activity = this.#known(ruleName);
    if (activity === undefined) return;
    if (outcome === "delivered") activity.delivered++;
    else if (outcome === "failed") activity.retried++;
    if (reason !== null) activity.deliveryFailure = { at, reason };
  }

  died(ruleName: string | null): void {
    const activity = this.#known(ruleName);
    if (activity !== undefined) activity.dead++;
  }

  #known(ruleName: string | null): RuleActivity | undefined {
    return ruleName === null ? undefined : this.#byRule.get(ruleName);
  }

  forget(ruleName: string): void {
    this.#byRule.delete(ruleName);
  }
}
