/** The enabled rules, compiled and found by topic. */
import { reasonOf } from "../base/mod.ts";
import type { CompiledSql } from "../sql/mod.ts";
import { kindNameOf } from "./actions/registry.ts";
import type { KindName } from "./actions/registry.ts";
import type { RuleDocument } from "./model.ts";
import { statementOf } from "./statement.ts";
import { TopicRoutes } from "./topic-routes.ts";

export interface CompiledRule {
  readonly rule: RuleDocument;
  readonly sql: CompiledSql;
}

/** Throws `SqlError` where the rule's SQL is not valid. */
export function compiledRule(rule: RuleDocument, sql: CompiledSql = statementOf(rule)): CompiledRule {
  return { rule, sql };
}

/** A saved rule that this version cannot compile; it is left out, and told. */
export interface BrokenRule {
  readonly ruleName: string;
  readonly reason: string;
}

/**
 * The enabled rules that have an action of one of `kinds`, compiled. `build` makes of each what the caller needs; use
 * `compiledRule` for the plain pair. `fromOffset` is the caller's to check.
 */
export class RuleSet<R extends CompiledRule = CompiledRule> {
  readonly #kinds: ReadonlySet<KindName>;
  readonly #build: (rule: RuleDocument, sql: CompiledSql) => R;
  readonly #routes = new TopicRoutes<R>();

  constructor(kinds: readonly KindName[], build: (rule: RuleDocument, sql: CompiledSql) => R) {
    this.#kinds = new Set(kinds);
    this.#build = build;
  }

  /** Takes the whole list anew; returns the rules that do not compile. */
  replaceAll(rules: readonly RuleDocument[]): BrokenRule[] {
    this.#routes.clear();
    const broken: BrokenRule[] = [];
    for (const rule of rules) {
      try {
        this.put(rule);
      } catch (error) {
        broken.push({ ruleName: rule.ruleName, reason: reasonOf(error) });
      }
    }
    return broken;
  }

  /** Adds or replaces one rule. Throws `SqlError` where its SQL is not valid, and then changes nothing. */
  put(rule: RuleDocument): void {
    const wanted = !rule.ruleDisabled && rule.actions.some((action) => this.#kinds.has(kindNameOf(action)));
    if (!wanted) {
      this.#routes.delete(rule.ruleName);
      return;
    }
    const built = this.#build(rule, statementOf(rule));
    this.#routes.put(rule.ruleName, built.sql.filter, built);
  }

  get(ruleName: string): R | undefined {
    return this.#routes.get(ruleName);
  }

  delete(ruleName: string): void {
    this.#routes.delete(ruleName);
  }

  get size(): number {
    return this.#routes.size;
  }

  /** Topic filters of the rules, each once. */
  filters(): string[] {
    return this.#routes.filters();
  }

  route(topic: string): readonly R[] {
    return this.#routes.route(topic);
  }
}
