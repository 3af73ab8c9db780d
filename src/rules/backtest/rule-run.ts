/**
 * One rule over messages, by the code that the hot path runs, and nothing sent: what it finds is handed to `fired`. Windows,
 * keyed state and patterns included; time goes on with the messages' time of acceptance and with `tick`.
 */
import { LIMITS, asRuleSees, parseJson, reasonOf } from "../../base/mod.ts";
import type { EpochMs, JsonValue, Message } from "../../base/mod.ts";
import type { CompiledSql, Externals, SqlEnvironment } from "../../sql/mod.ts";
import { MessageInput } from "../input.ts";
import type { RuleDraft, RulesLimits } from "../model.ts";
import { statementOf } from "../statement.ts";
import { TopicRoutes } from "../topic-routes.ts";
import { RuleState } from "../windows/rule-state.ts";
import type { Outcome, StateCounts, StateLimits } from "../windows/rule-state.ts";
import { spokenOf } from "../windows/spoken.ts";
import type { StateInput } from "../windows/state-input.ts";
import type { TodaysAnswers } from "./todays-answers.ts";

/** Once that the rule would have acted. */
export interface Firing {
  /** The same for the same message, window or episode, however often it is computed; unique within the rule. */
  readonly id: string;
  /** Of the message; for a timer that of the next message. */
  readonly offset: number;
  /** Of the message's acceptance; of a window its end. */
  readonly time: EpochMs;
  readonly topic: string;
  readonly thing: string;
  /** SELECT. */
  readonly value: JsonValue | Uint8Array;
}

export interface RunCounts {
  /** Messages that the topic filter lets through. */
  evaluated: number;
  /** Firings. */
  fired: number;
  /** WHERE said no. With windows: HAVING did. */
  unmatched: number;
  /** WHERE was Undefined, because a key is missing or has another type. */
  undecided: number;
  /** The rule failed unexpectedly. */
  failed: number;
}

export interface RuleRunOptions {
  readonly rule: RuleDraft;
  readonly limits?: RulesLimits;
  readonly stateLimits?: StateLimits;
  /** What functions of the SQL need of the machine; without it they are Undefined. */
  readonly environment?: SqlEnvironment;
  /** To what it asks; without it that is Undefined. */
  readonly answers?: TodaysAnswers;
  /** What templates of its actions ask; of messages that match. */
  readonly templates?: Externals;
  /** The input is valid until it returns, as its payload is. */
  readonly fired: (firing: Firing, input: MessageInput) => void;
}

export class RuleRun {
  readonly counts: RunCounts = { evaluated: 0, fired: 0, unmatched: 0, undecided: 0, failed: 0 };
  readonly sql: CompiledSql;
  /** Something that it asks is answered: then `ask` comes before `take`. */
  readonly asks: boolean;
  readonly #limits: RulesLimits;
  readonly #fired: RuleRunOptions["fired"];
  readonly #environment: SqlEnvironment | undefined;
  readonly #answers: TodaysAnswers | null;
  readonly #templates: Externals | null;
  readonly #state: RuleState | null;
  readonly #routes = new TopicRoutes<true>();
  #failure: string | null = null;

  /** Throws `SqlError`. */
  constructor(options: RuleRunOptions) {
    const { rule, limits = LIMITS.rules, stateLimits = LIMITS.windows, environment, fired } = options;
    this.sql = statementOf(rule);
    this.#answers = options.answers ?? null;
    this.#templates = options.templates ?? null;
    const names = [...this.sql.externals, ...(this.#templates?.asked ?? []).map(({ name }) => name)];
    this.asks = names.some((name) => this.#answers?.asks(name) === true);
    this.#environment = environment;
    this.#limits = limits;
    this.#fired = fired;
    this.#routes.put(rule.ruleName, this.sql.filter, true);
    const plan = this.sql.windows;
    this.#state =
      plan === null
        ? null
        : new RuleState({
            plan,
            limits: stateLimits,
            parse: (payload) => {
              const result = parseJson(payload, limits);
              return result.ok ? result.value : undefined;
            },
            outcome: (outcome, input) => this.#found(outcome, input),
          });
  }

  /** What windows did not take; null where the rule has none. */
  get stateCounts(): Readonly<StateCounts> | null {
    return this.#state === null ? null : this.#state.counts;
  }

  /** Why it failed the first time; null where it never did. */
  get failure(): string | null {
    return this.#failure;
  }

  wants(topic: string): boolean {
    return this.#routes.route(topic).length > 0;
  }

  /** The message with the answers to what the rule asks about it, for `take`. Its payload is copied at once. Never rejects. */
  async ask(message: Message): Promise<MessageInput> {
    const input = this.#inputOf(message).copy(this.#answers!.asking());
    await this.sql.prepare(input);
    if (this.#templates !== null && this.sql.test(input) === true) await this.#templates.prepare(input);
    return input;
  }

  /** One message that is wanted, in the order of the offsets. The payload must stay as it is until this returns. */
  handle(offset: number, message: Message): void {
    this.take(offset, this.#inputOf(message));
  }

  #inputOf(message: Message): MessageInput {
    return new MessageInput(asRuleSees(message), this.#limits, this.#environment);
  }

  /** As `handle`. */
  take(offset: number, input: MessageInput): void {
    this.counts.evaluated++;
    try {
      if (this.#state === null) this.#evaluate(offset, input);
      else this.#state.handle(offset, input);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Nothing that was accepted before `now` is still to come. */
  tick(now: EpochMs): void {
    try {
      this.#state?.tick(now);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.counts.failed++;
    this.#failure ??= reasonOf(error);
  }

  #evaluate(offset: number, input: MessageInput): void {
    const verdict = this.sql.test(input);
    if (verdict === undefined) this.counts.undecided++;
    else if (!verdict) this.counts.unmatched++;
    else {
      const { topic, thing, receivedAt: time } = input;
      this.#tell({ id: String(offset), offset, time, topic, thing, value: this.sql.select(input) }, input);
    }
  }

  #found(outcome: Outcome, input: StateInput): void {
    if (!outcome.matched) {
      this.counts.unmatched++;
      return;
    }
    const spoken = input instanceof MessageInput ? input : spokenOf(outcome, input, this.#limits, this.#environment);
    const { id, offset, time, topic } = outcome;
    this.#tell({ id, offset, time, topic, thing: spoken.thing, value: outcome.value! }, spoken);
  }

  #tell(firing: Firing, input: MessageInput): void {
    this.counts.fired++;
    this.#fired(firing, input);
  }
}
