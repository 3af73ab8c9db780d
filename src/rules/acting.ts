/** What a rule does about a message, or about what its windows found: alerts and deliveries. */
import type { Clock, JsonValue, Logger } from "../base/mod.ts";
import type { SqlEnvironment } from "../sql/mod.ts";
import type { Deliveries } from "./delivery/deliveries.ts";
import { noteFailure, noteMatch, occasionOfMessage } from "./hot-rule.ts";
import type { HotRule, RuleCounters } from "./hot-rule.ts";
import type { KeyedHash } from "./delivery/receivers.ts";
import type { Failure } from "./delivery/error-actions.ts";
import { MessageInput } from "./input.ts";
import type { RuleDocument, RulesLimits } from "./model.ts";
import type { RuleAlerts } from "./rule-alerts.ts";
import { RuleMatch, deliveryOf, failureNotice } from "./sends.ts";
import type { Occasion } from "./sends.ts";
import { occasionOf, spokenOf } from "./windows/spoken.ts";
import type { Outcome } from "./windows/rule-state.ts";
import type { StateInput } from "./windows/state-input.ts";

export interface ActingOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: RulesLimits;
  readonly environment?: SqlEnvironment;
  readonly keyedHash: KeyedHash;
  readonly counters: RuleCounters;
  readonly alerts: RuleAlerts;
  readonly deliveries: Deliveries;
}

export class Acting {
  readonly #o: ActingOptions;

  constructor(options: ActingOptions) {
    this.#o = options;
  }

  /** A message, with the answers to what the rule asks. */
  apply(offset: number, input: MessageInput, rule: HotRule): void {
    const verdict = rule.sql.test(input);
    if (verdict === true) noteMatch(rule, this.#o.counters, input.receivedAt);
    if (rule.alert !== null) this.#o.alerts.observe(offset, input, rule.rule.ruleName, rule.alert, verdict);
    if (verdict !== true || !rule.hasSends) return;
    const value = rule.sql.takesWhole ? undefined : rule.sql.select(input);
    const now = this.#o.clock.now();
    this.#o.counters.reached.add(now - input.receivedAt);
    this.#send(rule, input, value, occasionOfMessage(offset, input, rule, now));
  }

  /** What the rule asked is answered; other messages were handled meanwhile. */
  applySafely(offset: number, input: MessageInput, rule: HotRule): void {
    try {
      this.apply(offset, input, rule);
    } catch (error) {
      this.failed(rule, offset, error);
    }
  }

  failed(rule: HotRule, offset: number, error: unknown): void {
    const reason = noteFailure(rule, this.#o.counters, this.#o.clock.now(), error);
    this.#o.logger.error("A rule failed on a message", { rule: rule.rule.ruleName, offset, reason });
  }

  /** What a rule with state found: as a message that matched or did not. */
  applyOutcome(outcome: Outcome, input: StateInput, rule: HotRule): void {
    const { alerts, clock, limits, environment } = this.#o;
    const spoken = input instanceof MessageInput ? input : spokenOf(outcome, input, limits, environment);
    if (outcome.matched) noteMatch(rule, this.#o.counters, spoken.receivedAt);
    // A timer comes between two messages, and both may speak of the same alert.
    const offset = outcome.due === null ? outcome.offset : outcome.offset - 0.5;
    if (rule.alert !== null) alerts.observe(offset, spoken, rule.rule.ruleName, rule.alert, outcome.matched);
    if (!outcome.matched || !rule.hasSends) return;
    const own = rule.sql.windows!.shape === null && outcome.due === null;
    const occasion = occasionOfMessage(outcome.offset, spoken, rule, clock.now());
    this.#send(rule, spoken, outcome.value, own ? occasion : occasionOf(outcome, occasion, rule.rule));
  }

  /** Once per rule and message. What was given up is long past: its offset is not one that the checkpoint waits for. */
  tellFailures(failures: Iterable<Failure>, rules: ReadonlyMap<string, RuleDocument>): void {
    for (const failure of failures) {
      const rule = rules.get(failure.rule); // also where it is disabled now
      const told = rule === undefined ? null : failureNotice(rule, failure, this.#o);
      if (told !== null) this.#o.deliveries.enqueue(told.delivery, told.receiver, true);
    }
  }

  /** `value`: undefined where it is the whole payload. */
  #send(rule: HotRule, input: MessageInput, value: JsonValue | Uint8Array | undefined, occasion: Occasion): void {
    const match = new RuleMatch(input, value, rule.rule.ruleName, rule.sql);
    for (const send of rule.sends) {
      if (send === null) continue;
      // Of a rule that asks: saved with how far it is behind, for its offset is not one that the checkpoint waits for.
      this.#o.deliveries.enqueue(deliveryOf(send, occasion, match), send.receiver, rule.line !== null);
    }
  }
}
