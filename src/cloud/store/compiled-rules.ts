/** The rules with a `telemetry` action, compiled and found by topic. */
import { TopicRoutes } from "../../rules/mod.ts";
import { compileSql } from "../../sql/mod.ts";
import type { TelemetryRule, TelemetryRules } from "./ports.ts";
import type { StoreRule } from "./protocol.ts";

interface Compiled extends TelemetryRule {
  readonly filter: string;
}

export class CompiledRules implements TelemetryRules {
  readonly #routes = new TopicRoutes<Compiled>();

  /** A rule whose SQL does not compile is handed to `refuse` and left out; the rule book has checked it before. */
  constructor(rules: readonly StoreRule[], refuse: (rule: StoreRule, error: unknown) => void) {
    for (const rule of rules) {
      try {
        const compiled = compile(rule);
        this.#routes.put(rule.ruleName, compiled.filter, compiled);
      } catch (error) {
        refuse(rule, error);
      }
    }
  }

  route(topic: string): readonly TelemetryRule[] {
    return this.#routes.route(topic);
  }
}

function compile({ ruleName, sql, version, measurement, fromOffset }: StoreRule): Compiled {
  const compiled = compileSql(sql, version === undefined ? {} : { version });
  const rule = {
    ruleName,
    fromOffset,
    filter: compiled.filter,
    takesAll: compiled.takesAll,
    evaluate: (input: Parameters<typeof compiled.evaluate>[0]) => compiled.evaluate(input),
  };
  return measurement === undefined ? rule : { ...rule, measurement };
}
