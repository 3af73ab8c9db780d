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
  /** Why a rule's state is not saved; of some of the rules. */
  readonly #unsaved = new Map<string, Mishap>();

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
  attempted(ruleName: string | null, outcome: Outcome, at: EpochMs, reason: string | null, count = 1): void {
    const activity = this.#known(ruleName);
    if (activity === undefined) return;
    if (outcome === "delivered") activity.delivered += count;
    else if (outcome === "failed") activity.retried += count;
    if (reason !== null) activity.deliveryFailure = { at, reason };
  }

  died(ruleName: string | null): void {
    const activity = this.#known(ruleName);
    if (activity !== undefined) activity.dead++;
  }

  /** Its state cannot be saved, or (null) can be again. */
  unsaved(ruleName: string, at: EpochMs, reason: string | null): void {
    const activity = this.of(ruleName);
    if (activity.failure !== null && activity.failure === this.#unsaved.get(ruleName)) activity.failure = null;
    this.#unsaved.delete(ruleName);
    if (reason === null) return;
    const mishap: Mishap = { at, reason: `its state cannot be saved: ${reason}` };
    this.#unsaved.set(ruleName, mishap);
    activity.failure = mishap;
  }

  /** The store does not take what it made. */
  lost(ruleName: string, at: EpochMs, reason: string): void {
    const activity = this.#known(ruleName);
    if (activity !== undefined) activity.failure = { at, reason: `what it made cannot be stored: ${reason}` };
  }

  #known(ruleName: string | null): RuleActivity | undefined {
    return ruleName === null ? undefined : this.#byRule.get(ruleName);
  }

  forget(ruleName: string): void {
    this.#byRule.delete(ruleName);
    this.#unsaved.delete(ruleName);
  }
}
