/** Rules that are put, changed, deleted and moved while others run, and what becomes of their state, deliveries and alerts. */
import type { Cancel, Clock, Logger } from "../base/mod.ts";
import type { Acting } from "./acting.ts";
import type { Alerting } from "./alerts/alerting.ts";
import type { Entering } from "./arrival.ts";
import type { AskingRules } from "./asking/asking.ts";
import type { Deliveries } from "./delivery/deliveries.ts";
import type { KeyedHash } from "./delivery/receivers.ts";
import { raisesAlerts } from "./hot-rule.ts";
import type { HotRule } from "./hot-rule.ts";
import type { RuleDocument, RulesLimits } from "./model.ts";
import { unsaved } from "./move-errors.ts";
import type { RuleMoves } from "./moves.ts";
import type { RuleActivities } from "./rule-activity.ts";
import { changedRules } from "./rule-change.ts";
import type { RuleChanges } from "./rule-change.ts";
import type { RuleSet } from "./rule-set.ts";
import type { RuleSaves } from "./saves.ts";
import { movedReceivers } from "./sends.ts";
import type { RulesStore, StoredDocument } from "./store.ts";
import type { WindowedRules } from "./windows/windowed-rules.ts";

export interface RunningRulesOptions {
  readonly store: Pick<RulesStore, "change" | "changeReceiver" | "putRule">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: RulesLimits;
  readonly keyedHash: KeyedHash;
  /** All that there are, disabled ones too. */
  readonly rules: Map<string, RuleDocument>;
  readonly set: RuleSet<HotRule>;
  readonly activities: RuleActivities;
  readonly acting: Acting;
  readonly windows: WindowedRules;
  readonly asking: AskingRules;
  readonly deliveries: Deliveries;
  readonly alerts: Alerting;
  readonly saves: RuleSaves;
  /** Offset of the next message to handle. */
  readonly position: () => number;
  /** Offset of the next message that rules without state see. */
  readonly next: () => number;
}

export class RunningRules {
  readonly #o: RunningRulesOptions;
  readonly #listeners = new Set<() => void>();

  constructor(options: RunningRulesOptions) {
    this.#o = options;
  }

  /** Told after every change of the list. */
  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** In one transaction with documents of other kinds: all of it or nothing. */
  change(changes: RuleChanges, fromOffset: number): void {
    const { store, clock, limits, rules: present } = this.#o;
    const { deletes, documents } = changes;
    const rules = changedRules(present, changes, { now: clock.now(), fromOffset }, limits.rulesMax);
    const before = rules.map(({ ruleName }) => present.get(ruleName));
    const dropped = store.change({ rules, deletes, documents });
    for (const [i, ruleName] of deletes.entries()) this.#gone(ruleName, dropped[i]!);
    this.#run(rules);
    for (const [i, rule] of rules.entries()) if (before[i] !== undefined) this.#followReceivers(before[i], rule);
    if (deletes.length + rules.length > 0) this.#changed();
  }

  /** Another version of it, as it is. */
  replace(rule: RuleDocument, documents: readonly StoredDocument[] = []): RuleDocument {
    if (documents.length === 0) this.#o.store.putRule(rule);
    else this.#o.store.change({ rules: [rule], deletes: [], documents });
    this.#run([rule]);
    this.#changed();
    return rule;
  }

  /** See `RuleMoves`. The rule is on disk last: without it, what was saved before belongs to none. */
  enter({ rule, from, found, alerts: moved, owedFrom, documents }: Entering): void {
    const { rules, set, asking, windows, acting, alerts, saves, store } = this.#o;
    const { ruleName } = rule;
    const before = rules.get(ruleName);
    rules.set(ruleName, rule);
    if (owedFrom !== null && owedFrom < this.#o.next()) asking.owe(ruleName, owedFrom);
    try {
      set.put(rule);
      const hot = set.get(ruleName)!;
      saves.inOneSave(() => {
        alerts.moving.enter(ruleName, moved, from);
        for (const one of found) {
          if (one.kind === "outcome") acting.applyOutcome(one.outcome, one.input, hot);
          else acting.apply(one.offset, one.input, hot);
        }
      });
      if (!this.saveHeld() || windows.refused.has(ruleName)) throw unsaved();
      store.change({ rules: [rule], deletes: [], documents });
    } catch (error) {
      set.delete(ruleName);
      asking.delete(ruleName);
      alerts.moving.leave(ruleName);
      if (before === undefined) rules.delete(ruleName);
      else rules.set(ruleName, before);
      throw error;
    }
    this.#changed();
  }

  /** With all that is on its way: what it was made of is not made again. */
  saveHeld(): boolean {
    this.#o.deliveries.hold();
    return this.#o.saves.save("durably");
  }

  /** Alerts whose rule went away just before a crash would stay active for ever; those of a move are elsewhere. */
  endOrphans(moves: RuleMoves): void {
    const { alerts, rules } = this.#o;
    for (const ruleName of new Set([...moves.unfinished, ...alerts.rulesAtWork()])) {
      const rule = rules.get(ruleName);
      if (rule !== undefined && raisesAlerts(rule)) continue;
      if (moves.unfinished.has(ruleName)) alerts.moving.leave(ruleName);
      else this.#resolveAlerts(ruleName);
    }
  }

  /** They are in the store. */
  #run(changed: readonly RuleDocument[]): void {
    const { rules, set, windows, asking, alerts, saves } = this.#o;
    let anyState = false;
    for (const rule of changed) {
      rules.set(rule.ruleName, rule);
      set.put(rule);
      const { state = null, line = null } = set.get(rule.ruleName) ?? {};
      if (state === null && rule.move?.phase !== "leaving") windows.delete(rule.ruleName);
      if (line === null) asking.delete(rule.ruleName);
      anyState ||= state !== null || line !== null;
    }
    // State is saved at once, or a crash would take the old one for it.
    if (anyState) saves.save("durably");
    for (const rule of changed) {
      if (rule.move?.phase === "leaving") alerts.moving.leave(rule.ruleName);
      else if (!raisesAlerts(rule)) this.#resolveAlerts(rule.ruleName);
    }
  }

  #gone(ruleName: string, dropped: number): void {
    const { rules, set, activities, windows, asking, deliveries, logger } = this.#o;
    rules.delete(ruleName);
    set.delete(ruleName);
    activities.forget(ruleName);
    windows.delete(ruleName);
    asking.delete(ruleName);
    deliveries.forgetRule(ruleName, dropped);
    this.#resolveAlerts(ruleName);
    logger.info("A rule was deleted", { rule: ruleName, deliveriesDropped: dropped });
  }

  /** Another password for the same server: what waits, or was given up for the wrong one, is for the right one too. */
  #followReceivers(before: RuleDocument, after: RuleDocument): void {
    const { keyedHash, deliveries, saves, store } = this.#o;
    for (const { old, now } of movedReceivers(before, after, keyedHash)) {
      deliveries.release(old);
      if (!saves.save("durably")) continue; // it goes to the server it was made for
      store.changeReceiver(after.ruleName, old, now);
      deliveries.revived(now, 0);
    }
  }

  #resolveAlerts(ruleName: string): void {
    const { saves, alerts, position } = this.#o;
    saves.inOneSave(() => alerts.resolveRule(ruleName, position() - 1));
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
