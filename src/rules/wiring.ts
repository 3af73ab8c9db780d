/** The larger parts of the hot path, and what each asks of it. */
import { LIMITS, asRuleSees } from "../base/mod.ts";
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
    onAttempt: (rule, outcome, reason) => activities.attempted(rule, outcome, options.clock.now(), reason),
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
