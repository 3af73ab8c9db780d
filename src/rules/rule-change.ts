/** Rules that are put and deleted together. Plain functions: `hot-rules.ts` makes them run. */
import { TidewireError } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import type { RuleDocument, RuleDraft } from "./model.ts";
import type { StoredDocument } from "./store.ts";

export interface RuleChanges {
  /** Of `HotRules.check`. */
  readonly puts: readonly RuleDraft[];
  readonly deletes: readonly string[];
  /** What else is kept beside the rules, and belongs to the same change. */
  readonly documents: readonly StoredDocument[];
}

type Rules = ReadonlyMap<string, RuleDocument>;

export interface ChangeTime {
  readonly now: EpochMs;
  /** Log offset from which a new rule sees messages. */
  readonly fromOffset: number;
}

/** Those that are put, as they are kept. Throws NOT_FOUND, and RULE_INVALID where there would be too many. */
export function changedRules(
  present: Rules,
  { puts, deletes }: RuleChanges,
  at: ChangeTime,
  max: number,
): RuleDocument[] {
  for (const name of deletes) existing(present, name);
  for (const { ruleName } of puts) demandPresent(present.get(ruleName));
  const added = puts.filter(({ ruleName }) => !present.has(ruleName)).length;
  if (added > 0 && present.size + added - deletes.length > max) {
    throw new TidewireError("RULE_INVALID", { at: "ruleName", reason: `there may be ${max} rules at most` });
  }
  return puts.map((draft) => {
    const before = present.get(draft.ruleName);
    // A replaced rule keeps its start: what a slow consumer has not seen yet is for the new text, not for nobody.
    const fromOffset = before === undefined || before.ruleDisabled ? at.fromOffset : before.fromOffset;
    const came = before?.move?.phase === "arrived" ? { move: before.move } : {};
    return { ...draft, createdAt: before?.createdAt ?? at.now, fromOffset, ...came };
  });
}

/** One that is leaving has its state beside it, which is that of its text. Throws RULE_NOT_MOVABLE. */
export function demandPresent(rule: RuleDocument | undefined): void {
  if (rule?.move?.phase !== "leaving") return;
  const reason = `it is leaving for ${rule.move.to}; finish the move or take it back first`;
  throw new TidewireError("RULE_NOT_MOVABLE", { name: rule.ruleName, reason });
}

/** It runs, or not; and if it had left, it is here again. Throws RULE_NOT_MOVABLE. */
export function switched(rule: RuleDocument, to: Partial<RuleDocument>): RuleDocument {
  demandPresent(rule);
  const { move, ...rest } = rule;
  return { ...rest, ...(move?.phase === "arrived" ? { move } : {}), ...to };
}

/** Throws NOT_FOUND. */
export function existing(present: Rules, ruleName: string): RuleDocument {
  const rule = present.get(ruleName);
  if (rule === undefined) throw new TidewireError("NOT_FOUND", { kind: "rule", name: ruleName });
  return rule;
}
