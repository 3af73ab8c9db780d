/**
 * Rules that leave for another runtime with their state, and rules that come: docs/decisions/0009-moving-rules.md. A rule that
 * leaves stands still, its state beside it, until its target has it (`confirm`) or it is taken back. One that comes catches up
 * with the log on its own (`Arrival`) and is then there as a whole, by one save, or not at all.
 */
import { LIMITS, TidewireError, asRuleSees, reasonOf } from "../base/mod.ts";
import type { Clock, EpochMs, Logger, Message, Millis } from "../base/mod.ts";
import type { SqlEnvironment } from "../sql/mod.ts";
import type { AskingRules } from "./asking/asking.ts";
import { MessageInput } from "./input.ts";
import type { RuleDocument, RuleMove, RulesLimits } from "./model.ts";
import { existing } from "./rule-change.ts";
import { SeenMessages } from "./seen-messages.ts";
import type { Expectation } from "./seen-messages.ts";
import { statementOf } from "./statement.ts";
import type { RulesStore } from "./store.ts";
import { TopicRoutes } from "./topic-routes.ts";
import { validateRule } from "./validate.ts";
import type { Outcome, RuleState } from "./windows/rule-state.ts";
import { readHeader } from "./windows/snapshot.ts";
import type { StateSnapshot } from "./windows/snapshot.ts";
import { spokenOf } from "./windows/spoken.ts";
import type { StateInput } from "./windows/state-input.ts";
import type { MadeState, WindowedRules } from "./windows/windowed-rules.ts";

export interface RuleMovesOptions {
  readonly store: Pick<RulesStore, "change" | "documents">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: RulesLimits;
  readonly environment?: SqlEnvironment;
  readonly rules: ReadonlyMap<string, RuleDocument>;
  readonly windows: WindowedRules;
  /** Offset of the next message to handle. */
  readonly position: () => number;
  /** Whether all that had been handled before the start was read again. */
  readonly settled: () => boolean;
  readonly saveDurably: () => boolean;
  /** Until when all that was due in windows was told; null where nothing was since the start. */
  readonly ticked: () => EpochMs | null;
  readonly expected: (ruleName: string) => SeenMessages | null;
  /** Shadows, tables and the like: then messages may wait for answers. */
  readonly asks: (rule: RuleDocument) => boolean;
  readonly put: (rule: RuleDocument) => void;
  readonly asking: Pick<AskingRules, "placeOf" | "standStill" | "goOn">;
  /** In one save with all that comes with it. Throws, and then nothing of it is left. */
  readonly enter: (entering: Entering) => void;
}

/** A rule that has caught up, and is here from now on. */
export interface Entering {
  readonly rule: RuleDocument;
  readonly found: readonly Finding[];
  /** One that asks reads the log by itself from here; null: it asks nothing. */
  readonly owedFrom: number | null;
}

/** What a rule found while it caught up. */
export type Finding =
  | { readonly kind: "outcome"; readonly outcome: Outcome; readonly input: MessageInput }
  | { readonly kind: "message"; readonly offset: number; readonly input: MessageInput };

/** A rule that stands still, and where. */
export interface Departure {
  readonly rule: RuleDocument;
  readonly move: Extract<RuleMove, { phase: "leaving" }>;
  /** Every message below was for it here; none from here on. */
  readonly position: number;
  /** Seen where it had come from itself, and still to come here. */
  readonly expecting: Expectation | null;
  /** Time of the log in its state; null where it has none. */
  readonly now: EpochMs | null;
  /** Null for a rule without state. Pages are written as they are asked for. */
  readonly header: Uint8Array | null;
  readonly pages: Iterable<readonly [page: number, body: Uint8Array]>;
  readonly pageCount: number;
}

export interface DepartureOrder {
  readonly move: string;
  readonly to: string;
  readonly overlap: Millis;
}

export interface Arriving {
  readonly move: string;
  readonly rule: { readonly ruleName: string } & Readonly<Record<string, unknown>>;
  readonly state: StateSnapshot | null;
  /** Offset from which this log's messages are handed to it. */
  readonly from: number;
  /** What it has seen of them. */
  readonly expecting: Expectation | null;
}

/** Kind of the documents that say which moves are not taken any more. */
const REFUSED = "rule-move-refused";

export class RuleMoves {
  readonly #o: RuleMovesOptions;
  /** Names of rules that are catching up; bounded by who may move rules. */
  readonly #arriving = new Set<string>();
  /** Moves that were taken back at their source, oldest first; bounded by `movesRefusedMax`. */
  readonly #refused = new Set<string>();

  constructor(options: RuleMovesOptions) {
    this.#o = options;
  }

  /** With the rules loaded, and before the windows forget what belongs to none. */
  start(): void {
    const { store, rules, windows, logger } = this.#o;
    const refused = store.documents().filter(({ kind }) => kind === REFUSED);
    const since = (document: { readonly [key: string]: unknown } | null): number => Number(document?.["at"] ?? 0);
    refused.sort((a, b) => since(a.document) - since(b.document));
    for (const { name } of refused) this.#refused.add(name);
    for (const rule of rules.values()) {
      if (rule.move?.phase !== "leaving") continue;
      try {
        const plan = statementOf(rule).windows;
        if (plan === null) continue;
        windows.put(rule.ruleName, plan, rule.fromOffset);
        windows.park(rule.ruleName);
      } catch (error) {
        logger.error("The state of a rule that is leaving cannot be kept", {
          rule: rule.ruleName,
          reason: reasonOf(error),
        });
      }
    }
  }

  /** Offset of the next message that the rules see. */
  get position(): number {
    return this.#o.position();
  }

  // ── leaving ──────────────────────────────────────────────────────────────────────────────────

  /** As `depart`; a rule that asks is first given time for its answers. */
  async departAnswered(ruleName: string, order: DepartureOrder): Promise<Departure> {
    const { asking } = this.#o;
    await asking.standStill(ruleName, LIMITS.moves.answersWaitMax);
    try {
      return this.depart(ruleName, order);
    } finally {
      asking.goOn(ruleName);
    }
  }

  /** Stops the rule for `move`; asked again, it tells the same. Throws NOT_FOUND, RULE_NOT_MOVABLE, STORE_UNAVAILABLE. */
  depart(ruleName: string, { move, to, overlap }: DepartureOrder): Departure {
    const rule = existing(this.#o.rules, ruleName);
    if (rule.move?.phase === "leaving") return this.departure(ruleName);
    const { windows, clock, logger } = this.#o;
    this.#demandMovable(rule);
    const position = this.#placeOf(rule);
    const state = windows.park(ruleName);
    state?.caughtUp(position);
    // First its state, up to here, and what it sends: a crash in between leaves a rule that runs.
    if (!this.#o.saveDurably() || windows.refused.has(ruleName)) {
      windows.unpark(ruleName);
      throw unsaved();
    }
    try {
      const expecting = this.#o.expected(ruleName)?.left(-Infinity) ?? null;
      const leaving: RuleMove = { phase: "leaving", id: move, to, at: clock.now(), position, overlap };
      const more = expecting === null ? {} : { expecting };
      this.#o.put({ ...rule, ruleDisabled: true, move: { ...leaving, ...more } });
    } catch (error) {
      windows.unpark(ruleName);
      throw error;
    }
    logger.info("A rule is leaving", { rule: ruleName, move, to });
    return this.departure(ruleName);
  }

  /** Throws RULE_NOT_MOVABLE where it does not stand still. */
  departure(ruleName: string): Departure {
    const rule = existing(this.#o.rules, ruleName);
    const { move } = rule;
    if (move?.phase !== "leaving") throw notMovable(ruleName, "it is not leaving; ask it to, with `rules move`");
    const state = this.#o.windows.parked(ruleName);
    const { position, expecting = null } = move;
    const known = { rule, move, position, expecting };
    if (state === null) return { ...known, now: null, header: null, pages: [], pageCount: 0 };
    const { pageCount } = state;
    return { ...known, now: state.now, header: state.header(), pages: state.allPages(), pageCount };
  }

  /** Its target has it: here it stays disabled, so that what waits for its receivers is still sent. */
  confirm(ruleName: string, id: string): RuleDocument {
    const rule = existing(this.#o.rules, ruleName);
    const { move } = rule;
    if (move === undefined || move.phase === "arrived" || move.id !== id) {
      throw notMovable(ruleName, "it is not leaving by this move");
    }
    if (move.phase === "left") return rule;
    const left: RuleDocument = { ...rule, move: { phase: "left", id, to: move.to, at: this.#o.clock.now() } };
    this.#o.put(left);
    this.#o.windows.delete(ruleName);
    this.#o.saveDurably();
    this.#o.logger.info("A rule has left", { rule: ruleName, move: id, to: move.to });
    return left;
  }

  /** It goes on here where it stopped; hand `Arrival.handle` this log's messages from its position on. */
  takeBack(ruleName: string): Arrival {
    const { rule, move, header, pages, position, expecting } = this.departure(ruleName);
    const { move: _move, ...stays } = rule;
    const state = header === null ? null : { header, pages: [...pages] };
    const arrived: RuleMove = { phase: "arrived", id: `${move.id} taken back`, at: this.#o.clock.now() };
    const there = { ...stays, ruleDisabled: false, move: arrived };
    return this.#arrival({ rule: there, state, from: position, notBefore: -Infinity, expecting });
  }

  // ── coming ───────────────────────────────────────────────────────────────────────────────────

  /** Whether the rule came by this move; then there is nothing to do. */
  has(ruleName: string, move: string): boolean {
    const present = this.#o.rules.get(ruleName)?.move;
    return present?.phase === "arrived" && present.id === move;
  }

  /** Throws ALREADY_EXISTS, RULE_NOT_MOVABLE, RULE_STATE_UNREADABLE, RULE_INVALID, RULE_SQL_INVALID. */
  arrive({ move, rule: given, state, from, expecting }: Arriving): Arrival {
    const { rules, clock, limits } = this.#o;
    const { ruleName } = given;
    const before = rules.get(ruleName);
    if (before !== undefined && before.move?.phase !== "left")
      throw new TidewireError("ALREADY_EXISTS", { kind: "rule", name: ruleName });
    if (this.#refused.has(move)) throw notMovable(ruleName, "this move was taken back at its source");
    if (before === undefined && rules.size >= limits.rulesMax) {
      throw new TidewireError("RULE_INVALID", { at: "ruleName", reason: `there may be ${limits.rulesMax} rules` });
    }
    const now = clock.now();
    const draft = validateRule(ruleName, given, this.#o.environment); // also whether there is an answer to what it asks
    const arrived: RuleMove = { phase: "arrived", id: move, at: now };
    const rule = { ...draft, ruleDisabled: false, createdAt: now, fromOffset: from, move: arrived };
    const notBefore = state === null ? -Infinity : headerOf(state).now;
    return this.#arrival({ rule, state, from, notBefore, expecting });
  }

  /** From now on the move is not taken here. Throws RULE_NOT_MOVABLE where it was. */
  refuse(ruleName: string, move: string): void {
    if (this.has(ruleName, move)) throw notMovable(ruleName, "it is here already, by this move");
    if (this.#arriving.has(ruleName)) throw notMovable(ruleName, "it is just arriving");
    if (this.#refused.has(move)) return;
    const gone = this.#refused.size < LIMITS.moves.refusedMax ? [] : [...this.#refused].slice(0, 1);
    const dropped = gone.map((name) => ({ kind: REFUSED, name, document: null }));
    const added = { kind: REFUSED, name: move, document: { rule: ruleName, at: this.#o.clock.now() } };
    this.#o.store.change({ rules: [], deletes: [], documents: [...dropped, added] });
    for (const name of gone) this.#refused.delete(name);
    this.#refused.add(move);
  }

  #arrival(what: Omit<ArrivalOptions, keyof RuleMovesOptions | "ended">): Arrival {
    const { ruleName } = what.rule;
    if (this.#arriving.has(ruleName)) throw notMovable(ruleName, "it is just arriving");
    if (!this.#o.settled()) throw notMovable(ruleName, "the rules still read the log again; try again in a moment");
    const arrival = new Arrival({ ...this.#o, ...what, ended: () => this.#arriving.delete(ruleName) });
    this.#arriving.add(ruleName);
    return arrival;
  }

  #demandMovable(rule: RuleDocument): void {
    const { ruleName, ruleDisabled, actions } = rule;
    if (ruleDisabled) throw notMovable(ruleName, "it is disabled, and so has no state; put it at the target");
    if (actions.length === 0) throw notMovable(ruleName, "it has no action, and so does not run");
    if (actions.some((action) => "telemetry" in action)) {
      throw notMovable(ruleName, "it stores telemetry, which belongs to this platform; put it at the target as well");
    }
    if (!this.#o.settled()) throw notMovable(ruleName, "the rules still read the log again; try again in a moment");
    this.#o.asks(rule); // one that does not compile here has no state
  }

  /** The rule is done with all messages below, and with none from there on. */
  #placeOf({ ruleName, fromOffset }: RuleDocument): number {
    const { next, waiting, isBehind } = this.#o.asking.placeOf(ruleName) ?? RULE_WITHOUT_LINE;
    if (isBehind)
      throw notMovable(ruleName, "it reads the log again for what it asks; try again when it has caught up");
    if (waiting > 0) throw notMovable(ruleName, `${waiting} of its messages still wait for answers; try again`);
    // Having come just now, it may begin ahead of what the others read.
    return Math.max(next ?? this.#o.position(), fromOffset);
  }
}

const RULE_WITHOUT_LINE = { next: null, waiting: 0, isBehind: false };

interface ArrivalOptions extends RuleMovesOptions {
  readonly rule: RuleDocument;
  readonly state: StateSnapshot | null;
  readonly from: number;
  /** What the state has not seen was accepted then at the earliest, wherever it was before. */
  readonly notBefore: EpochMs;
  readonly expecting: Expectation | null;
  readonly ended: () => void;
}

/** A rule that catches up with the log by itself, until it is where all others are. */
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
    const { rule, from, windows, position, ticked, enter } = this.#o;
    try {
      if (this.#over || position() !== upTo) throw notMovable(rule.ruleName, "it has not caught up");
      this.#made?.state.caughtUp(upTo);
      // What is due until then counts as told, after a crash.
      this.#made?.state.tick(Math.max(ticked() ?? -Infinity, windows.toldUntil));
      const there: RuleDocument = { ...rule, fromOffset: Math.max(from, upTo), move: this.#arrived(at) };
      const undo = this.#made === null ? null : windows.enter(rule.ruleName, this.#made);
      try {
        enter({ rule: there, found: this.#found, owedFrom: this.asks ? from : null });
      } catch (error) {
        undo?.();
        throw error;
      }
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

function headerOf(state: StateSnapshot): ReturnType<typeof readHeader> {
  try {
    return readHeader(state.header);
  } catch (error) {
    throw unreadable(reasonOf(error), error);
  }
}

export function notMovable(name: string, reason: string): TidewireError {
  return new TidewireError("RULE_NOT_MOVABLE", { name, reason });
}

function unreadable(reason: string, cause?: unknown): TidewireError {
  return new TidewireError("RULE_STATE_UNREADABLE", { reason }, { cause });
}

export function unsaved(): TidewireError {
  return new TidewireError("STORE_UNAVAILABLE", { reason: "the rules' state cannot be saved" });
}
