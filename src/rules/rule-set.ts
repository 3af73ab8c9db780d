/** Which rules want a message of this topic? One Map look-up for a topic seen before. */
import { reasonOf, topicMatches } from "../base/mod.ts";
import { compileSql } from "../sql/mod.ts";
import type { CompiledSql } from "../sql/mod.ts";
import { kindOf } from "./model.ts";
import type { ActionKind, RuleDocument } from "./model.ts";

export interface CompiledRule {
  readonly rule: RuleDocument;
  readonly sql: CompiledSql;
}

/** Throws `SqlError` where the rule's SQL is not valid. */
export function compiledRule(rule: RuleDocument, sql: CompiledSql = compileSql(rule.sql)): CompiledRule {
  return { rule, sql };
}

/** A saved rule that this version cannot compile; it is left out, and told. */
export interface BrokenRule {
  readonly ruleName: string;
  readonly reason: string;
}

/** Topics remembered in each of the two generations of the route cache. */
const TOPICS_CACHED_MAX = 10_000;

/**
 * The enabled rules that have an action of one of `kinds`, compiled. `build` makes of each what the caller needs; use
 * `compiledRule` for the plain pair. `fromOffset` is the caller's to check.
 */
export class RuleSet<R extends CompiledRule = CompiledRule> {
  readonly #kinds: ReadonlySet<ActionKind>;
  readonly #build: (rule: RuleDocument, sql: CompiledSql) => R;
  readonly #rules = new Map<string, R>();
  /** Two generations: topics in use move to the young one, the old one is dropped whole. */
  #young = new Map<string, readonly R[]>();
  #old = new Map<string, readonly R[]>();

  constructor(kinds: readonly ActionKind[], build: (rule: RuleDocument, sql: CompiledSql) => R) {
    this.#kinds = new Set(kinds);
    this.#build = build;
  }

  /** Takes the whole list anew; returns the rules that do not compile. */
  replaceAll(rules: readonly RuleDocument[]): BrokenRule[] {
    this.#rules.clear();
    const broken: BrokenRule[] = [];
    for (const rule of rules) {
      try {
        this.put(rule);
      } catch (error) {
        broken.push({ ruleName: rule.ruleName, reason: reasonOf(error) });
      }
    }
    this.#forget();
    return broken;
  }

  /** Adds or replaces one rule. Throws `SqlError` where its SQL is not valid, and then changes nothing. */
  put(rule: RuleDocument): void {
    const wanted = !rule.ruleDisabled && rule.actions.some((action) => this.#kinds.has(kindOf(action)));
    if (wanted) this.#rules.set(rule.ruleName, this.#build(rule, compileSql(rule.sql)));
    else this.#rules.delete(rule.ruleName);
    this.#forget();
  }

  delete(ruleName: string): void {
    this.#rules.delete(ruleName);
    this.#forget();
  }

  get size(): number {
    return this.#rules.size;
  }

  /** Topic filters of the rules, each once. */
  filters(): string[] {
    return [...new Set([...this.#rules.values()].map((rule) => rule.sql.filter))];
  }

  route(topic: string): readonly R[] {
    return this.#young.get(topic) ?? this.#routeAnew(topic);
  }

  #routeAnew(topic: string): readonly R[] {
    let route = this.#old.get(topic);
    if (route === undefined) {
      const found: R[] = [];
      for (const rule of this.#rules.values()) if (topicMatches(rule.sql.filter, topic)) found.push(rule);
      route = found;
    }
    if (this.#young.size >= TOPICS_CACHED_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(topic, route);
    return route;
  }

  #forget(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
