/** A rule that comes from elsewhere catches up with the log by itself, until it is where all others are. See `moves.ts`. */
import { LIMITS, asRuleSees, reasonOf } from "../base/mod.ts";
import type { Clock, EpochMs, Message } from "../base/mod.ts";
import type { SqlEnvironment } from "../sql/mod.ts";
import type { MovedAlert } from "./alerts/moving.ts";
import { MessageInput } from "./input.ts";
import type { RuleDocument, RuleMove, RulesLimits } from "./model.ts";
import { notMovable, unreadable } from "./move-errors.ts";
import { SeenMessages } from "./seen-messages.ts";
import type { Expectation } from "./seen-messages.ts";
import { statementOf } from "./statement.ts";
import type { StoredDocument } from "./store.ts";
import { TopicRoutes } from "./topic-routes.ts";
import type { Outcome, RuleState } from "./windows/rule-state.ts";
import type { StateSnapshot } from "./windows/snapshot.ts";
import { spokenOf } from "./windows/spoken.ts";
import type { StateInput } from "./windows/state-input.ts";
import type { MadeState, WindowedRules } from "./windows/windowed-rules.ts";

/** A rule that has caught up, and is here from now on. */
export interface Entering {
  readonly rule: RuleDocument;
  /** Its messages from here on are in `found`, or still to come. */
  readonly from: number;
  readonly found: readonly Finding[];
  readonly alerts: readonly MovedAlert[];
  /** One that asks reads the log by itself from here; null: it asks nothing. */
  readonly owedFrom: number | null;
  /** What changes with the rule itself. */
  readonly documents: readonly StoredDocument[];
}

/** What a rule found while it caught up. */
export type Finding =
  | { readonly kind: "outcome"; readonly outcome: Outcome; readonly input: MessageInput }
  | { readonly kind: "message"; readonly offset: number; readonly input: MessageInput };

export interface ArrivalPorts {
  readonly clock: Clock;
  readonly limits: RulesLimits;
  readonly environment?: SqlEnvironment;
  readonly windows: WindowedRules;
  /** Offset of the next message that the other rules handle. */
  readonly position: () => number;
  /** Until when all that was due in windows was told; null where nothing was since the start. */
  readonly ticked: () => EpochMs | null;
  /** Shadows, tables and the like: then messages may wait for answers. */
  readonly asks: (rule: RuleDocument) => boolean;
  /** In one save with all that comes with it. Throws, and then nothing of it is left. */
  readonly enter: (entering: Entering) => void;
}

export interface ArrivalOptions extends ArrivalPorts {
  readonly rule: RuleDocument;
  readonly state: StateSnapshot | null;
  readonly from: number;
  /** What the state has not seen was accepted then at the earliest, wherever it was before. */
  readonly notBefore: EpochMs;
  readonly expecting: Expectation | null;
  readonly moved: readonly MovedAlert[];
  readonly documents: readonly StoredDocument[];
  /** Before anything of it is on disk. */
  readonly entering: () => void;
  readonly arrived: () => unknown;
  readonly ended: () => void;
}

export class Arrival {
  /** It reads the log by itself once it is there: its line asks about each message, and leaves out what it has seen. */
  readonly asks: boolean;
  readonly #o: ArrivalOptions;
  readonly #routes = new TopicRoutes<true>();
  readonly #made: MadeState | null;
  readonly #test: (input: MessageInput) => boolean | undefined;
  readonly #seen: SeenMessages | null;
  /** Bounded by `findingsMax`. */
  #found: Finding[] = [];
  #over = false;

  /** Throws RULE_STATE_UNREADABLE and RULE_SQL_INVALID. */
  constructor(options: ArrivalOptions) {
    this.#o = options;
    const { rule, state, from, windows, expecting } = options;
    this.#seen = expecting === null ? null : new SeenMessages(expecting);
    const sql = statementOf(rule);
    this.#routes.put(rule.ruleName, sql.filter, true);
    const raises = rule.actions.some((action) => "alert" in action);
    this.#test = raises ? (): true => true : (input) => sql.test(input);
    this.asks = options.asks(rule);
    if ((sql.windows === null) !== (state === null)) throw unreadable("it is that of another statement");
    this.#made = sql.windows === null ? null : windows.made(sql.windows, (...said) => this.#heard(...said));
    if (this.#made !== null) this.#restore(this.#made.state);
    this.#made?.state.startAt(from);
  }

  get ruleName(): string {
    return this.#o.rule.ruleName;
  }

  wants(topic: string): boolean {
    return !this.asks && this.#routes.route(topic).length > 0;
  }

  /** In the order of the log; the payload must stay as it is until this returns. */
  handle(offset: number, message: Message): void {
    const { limits, environment, notBefore } = this.#o;
    const shown = asRuleSees(message);
    if (this.#seen?.take(shown) === true) return;
    const receivedAt = Math.max(shown.receivedAt, notBefore);
    const input = new MessageInput({ ...shown, receivedAt }, limits, environment);
    if (this.#made !== null) this.#made.state.handle(offset, input);
    else if (this.#test(input) === true) this.#find({ kind: "message", offset, input: input.copy() });
  }

  /**
   * It runs from here on. `upTo`: offset up to which it was handed messages, where the runtime is; `at`: no message that is
   * still to come was accepted before. Throws RULE_NOT_MOVABLE and STORE_UNAVAILABLE, and is abandoned then.
   */
  finish(upTo: number, at: EpochMs): RuleDocument {
    const { rule, from, windows, position, ticked, moved, documents, entering, enter } = this.#o;
    try {
      if (this.#over || position() !== upTo) throw notMovable(rule.ruleName, "it has not caught up");
      this.#made?.state.caughtUp(upTo);
      // What is due until then counts as told, after a crash.
      this.#made?.state.tick(Math.max(ticked() ?? -Infinity, windows.toldUntil));
      const there: RuleDocument = { ...rule, fromOffset: Math.max(from, upTo), move: this.#arrived(at) };
      const undo = this.#made === null ? null : windows.enter(rule.ruleName, this.#made);
      try {
        entering();
        const owedFrom = this.asks ? from : null;
        enter({ rule: there, from, found: this.#found, alerts: moved, owedFrom, documents });
      } catch (error) {
        undo?.();
        throw error;
      }
      this.#o.arrived();
      return there;
    } finally {
      this.abandon();
    }
  }

  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#found = [];
    this.#o.ended();
  }

  #arrived(at: EpochMs): RuleMove {
    const { rule, clock } = this.#o;
    const { id } = rule.move!;
    const expecting = this.asks ? this.#o.expecting : (this.#seen?.left(at) ?? null);
    const arrived: RuleMove = { phase: "arrived", id, at: clock.now() };
    return expecting === null ? arrived : { ...arrived, expecting };
  }

  #restore(state: RuleState): void {
    try {
      state.restore(this.#o.state!);
    } catch (error) {
      throw unreadable(reasonOf(error), error);
    }
  }

  /** Only while it catches up. */
  #heard(outcome: Outcome, input: StateInput): void {
    const { limits, environment } = this.#o;
    if (!(input instanceof MessageInput)) {
      this.#find({ kind: "outcome", outcome, input: spokenOf(outcome, input, limits, environment) });
      return;
    }
    const copy = input.copy();
    copy.slots = input.slots?.slice();
    this.#find({ kind: "outcome", outcome, input: copy });
  }

  #find(finding: Finding): void {
    if (this.#found.push(finding) <= LIMITS.moves.findingsMax) return;
    throw notMovable(this.ruleName, `it would do more than ${LIMITS.moves.findingsMax} things at once to catch up`);
  }
}
