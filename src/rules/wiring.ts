/** The larger parts of the hot path, and what each asks of it. */
import { LIMITS, asRuleSees } from "../base/mod.ts";
import type { Counter } from "../base/mod.ts";
import type { Alerting } from "./alerts/alerting.ts";
import type { Acting } from "./acting.ts";
import { AskingRules } from "./asking/asking.ts";
import { conversingSenders } from "./conversing.ts";
import { Deliveries } from "./delivery/deliveries.ts";
import type { ErrorActions } from "./delivery/error-actions.ts";
import type { HotRule, HotRulesOptions } from "./hot-rule.ts";
import { MessageInput } from "./input.ts";
import type { RuleDocument, RulesLimits } from "./model.ts";
import type { RuleActivities } from "./rule-activity.ts";
import type { RuleSet } from "./rule-set.ts";
import type { RuleSaves } from "./saves.ts";
import type { RefusedRow } from "./store.ts";
import { Closings } from "./windows/closings.ts";
import { SlicedSaves } from "./windows/sliced-saves.ts";
import { WindowedRules } from "./windows/windowed-rules.ts";

export interface DeliveryParts {
  readonly limits: RulesLimits;
  readonly rules: ReadonlyMap<string, RuleDocument>;
  readonly alerts: Alerting;
  readonly errors: ErrorActions;
  readonly activities: RuleActivities;
  readonly save: () => boolean;
}

export function openDeliveries(options: HotRulesOptions, parts: DeliveryParts): Deliveries {
  const { limits, rules, alerts, errors, activities, save } = parts;
  const conversing = { ...options, pictures: options.pictures ?? null, conversations: () => alerts.conversations };
  return new Deliveries({
    ...options,
    senders: conversingSenders(conversing),
    limits,
    save,
    knowsRule: (name) => rules.has(name),
    onDead: (letter) => {
      errors.gather(letter);
      activities.died(letter.rule);
    },
    onAttempt: (rule, outcome, reason, count) =>
      activities.attempted(rule, outcome, options.clock.now(), reason, count),
  });
}

export interface AskingParts {
  readonly limits: RulesLimits;
  readonly set: RuleSet<HotRule>;
  /** Offset of the next message that rules without state see. */
  readonly next: () => number;
  /** Both are there before anything is asked. */
  readonly acting: () => Acting;
  readonly saves: () => RuleSaves;
}

export function openAsking(options: HotRulesOptions, { limits, set, next, acting, saves }: AskingParts): AskingRules {
  return new AskingRules({
    ...options,
    limits: LIMITS.answers,
    position: next,
    wants: (ruleName, topic) => set.route(topic).some(({ rule }) => rule.ruleName === ruleName),
    inputOf: (message) => new MessageInput(asRuleSees(message), limits, options.environment),
    apply: (ruleName, offset, input) => {
      const rule = set.get(ruleName);
      if (rule !== undefined) saves().inOneSave(() => acting().applySafely(offset, input, rule));
    },
  });
}

export interface WindowParts {
  readonly limits: RulesLimits;
  readonly set: RuleSet<HotRule>;
  readonly activities: RuleActivities;
  readonly acting: () => Acting;
}

export function openWindows(options: HotRulesOptions, { limits, set, activities, acting }: WindowParts): WindowedRules {
  return new WindowedRules({
    ...options,
    limits: options.windowLimits ?? LIMITS.windows,
    parsing: limits,
    tell: (ruleName, outcome, input) => {
      const rule = set.get(ruleName);
      if (rule !== undefined) acting().applyOutcome(outcome, input, rule);
    },
    onSaveRefused: (ruleName, reason) => activities.unsaved(ruleName, options.clock.now(), reason),
  });
}

export interface SliceParts {
  readonly windows: WindowedRules;
  readonly failures: Counter;
  readonly save: () => void;
}

export function openSlices(options: HotRulesOptions, { windows, failures, save }: SliceParts): SlicedSaves {
  return new SlicedSaves({
    ...options,
    limits: options.windowLimits ?? LIMITS.windows,
    windows,
    failures,
    commit: save,
  });
}

export function openClosings(options: HotRulesOptions, saves: RuleSaves): Closings {
  return new Closings({
    ...options,
    limits: options.windowLimits ?? LIMITS.windows,
    inOneSave: (steps) => saves.inOneSave(steps),
    began: () => saves.hold(),
    ended: () => saves.release(),
  });
}

export interface LostParts extends Pick<HotRulesOptions, "clock" | "logger"> {
  readonly deliveries: Deliveries;
  readonly activities: RuleActivities;
}

/** What the store will never take is not tried again: it would be in the way of all else. */
export function tellLost(rows: readonly RefusedRow[], { clock, logger, deliveries, activities }: LostParts): void {
  for (const { rule, reason } of rows) {
    deliveries.lost();
    if (rule !== null) activities.lost(rule, clock.now(), reason);
    logger.error("The store does not take a row of a rule; it is lost", { rule, reason });
  }
}
