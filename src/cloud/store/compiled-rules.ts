/** The rules with a `telemetry` action, compiled and found by topic. */
import { topicMatches } from "../../base/mod.ts";
import { compileSql } from "../../sql/mod.ts";
import type { TelemetryRule, TelemetryRules } from "./ports.ts";
import type { StoreRule } from "./protocol.ts";

/** Topics whose rules are remembered. Devices repeat their topics; one that does not must not fill the memory. */
const TOPICS_CACHED_MAX = 20_000;

interface Compiled extends TelemetryRule {
  readonly filter: string;
}

export class CompiledRules implements TelemetryRules {
  readonly #rules: readonly Compiled[];
  readonly #byTopic = new Map<string, readonly TelemetryRule[]>();

  /** A rule whose SQL does not compile is handed to `refuse` and left out; the rule book has checked it before. */
  constructor(rules: readonly StoreRule[], refuse: (rule: StoreRule, error: unknown) => void) {
    this.#rules = rules.flatMap((rule) => {
      try {
        return [compile(rule)];
      } catch (error) {
        refuse(rule, error);
        return [];
      }
    });
  }

  route(topic: string): readonly TelemetryRule[] {
    let found = this.#byTopic.get(topic);
    if (found === undefined) {
      found = this.#rules.filter(({ filter }) => topicMatches(filter, topic));
      if (this.#byTopic.size >= TOPICS_CACHED_MAX) this.#byTopic.clear();
      this.#byTopic.set(topic, found);
    }
    return found;
  }
}

function compile({ ruleName, sql, measurement, fromOffset }: StoreRule): Compiled {
  const compiled = compileSql(sql);
  const rule = {
    ruleName,
    fromOffset,
    filter: compiled.filter,
    evaluate: (input: Parameters<typeof compiled.evaluate>[0]) => compiled.evaluate(input),
  };
  return measurement === undefined ? rule : { ...rule, measurement };
}
