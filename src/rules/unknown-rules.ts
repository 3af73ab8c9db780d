/** Basic Ingest to rules that nobody has made (AWS IoT's RuleNotFound): acknowledged like any message, counted, and told of now and then. */
import { ingestOf, minutes } from "../base/mod.ts";
import type { Clock, Counter, Logger, Message, Metrics } from "../base/mod.ts";

const QUIET = minutes(1);

export interface UnknownRulesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly knows: (ruleName: string) => boolean;
}

export class UnknownRules {
  readonly #o: UnknownRulesOptions;
  readonly #count: Counter;
  #quietUntil = -Infinity;

  constructor(options: UnknownRulesOptions) {
    this.#o = options;
    this.#count = options.metrics.counter({
      name: "tidewire_rules_not_found_total",
      help: "Messages to $aws/rules/ whose rule does not exist",
    });
  }

  isMeant(topic: string): boolean {
    const ingest = ingestOf(topic);
    return ingest !== null && !this.#o.knows(ingest.ruleName);
  }

  /** A message that no rule took. */
  note({ topic, clientId }: Message): void {
    if (!this.isMeant(topic)) return;
    this.#count.value++;
    const { clock, logger } = this.#o;
    const now = clock.monotonic();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + QUIET;
    logger.warn("A message was published to a rule that does not exist", { topic, clientId });
  }
}
