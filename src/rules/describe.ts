/** A rule's actions in a few words that may be shown. */
import { kindNameOf, kindOf } from "./actions/registry.ts";
import type { KindName, RuleAction } from "./actions/registry.ts";
import type { RuleDraft } from "./model.ts";
import { statementOf } from "./statement.ts";
import type { TemplateScope } from "../sql/mod.ts";

export interface DescribedAction {
  readonly kind: KindName;
  /** What may be shown of its receiver; null where it has none, and where the rule does not compile. */
  readonly receiver: string | null;
}

export interface DescribedActions {
  readonly actions: readonly DescribedAction[];
  readonly errorAction: DescribedAction | null;
}

export function describeActions(rule: RuleDraft): DescribedActions {
  const scope = scopeOf(rule);
  const { actions, errorAction } = rule;
  return {
    actions: actions.map((action) => described(action, scope)),
    errorAction: errorAction === undefined ? null : described(errorAction, scope),
  };
}

/** Null for a rule of another version that does not compile here. */
function scopeOf(rule: RuleDraft): TemplateScope | null {
  try {
    return statementOf(rule);
  } catch {
    return null;
  }
}

function described(action: RuleAction, scope: TemplateScope | null): DescribedAction {
  const { kind, body } = kindOf(action);
  const receiver = scope === null ? null : (kind.plan?.(body, scope).label ?? null);
  return { kind: kindNameOf(action), receiver };
}
