/**
 * Rules that leave for another runtime with their state, and rules that come: docs/decisions/0009-moving-rules.md. A rule that
 * leaves stands still, its state beside it, until its target has it (`confirm`) or it is taken back. One that comes catches up
 * with the log on its own (`Arrival`) and is then there as a whole, by one save, or not at all.
 */
import { LIMITS, TidewireError, reasonOf } from "../base/mod.ts";
import type { EpochMs, JsonValue, Logger, Millis } from "../base/mod.ts";
import { withoutThing } from "./alerts/moving.ts";
import type { MovedAlert, MovingAlerts } from "./alerts/moving.ts";
import { Arrival } from "./arrival.ts";
import type { ArrivalOptions, ArrivalPorts } from "./arrival.ts";
import type { AskingRules } from "./asking/asking.ts";
import type { RuleDocument, RuleMove } from "./model.ts";
import { notMovable, unreadable, unsaved } from "./move-errors.ts";
import { existing } from "./rule-change.ts";
import type { SeenMessages } from "./seen-messages.ts";
import type { Expectation } from "./seen-messages.ts";
import { statementOf } from "./statement.ts";
import type { RulesStore, StoredDocument } from "./store.ts";
import { validateRule } from "./validate.ts";
import { readHeader } from "./windows/snapshot.ts";
import type { StateSnapshot } from "./windows/snapshot.ts";

export interface RuleMovesOptions extends ArrivalPorts {
  readonly store: Pick<RulesStore, "change" | "documents">;
  readonly logger: Logger;
  readonly rules: ReadonlyMap<string, RuleDocument>;
  /** Whether all that had been handled before the start was read again. */
  readonly settled: () => boolean;
  readonly saveDurably: () => boolean;
  readonly expected: (ruleName: string) => SeenMessages | null;
  /** With documents that belong to it, in one transaction. Once it is leaving, its alerts are gone. */
  readonly put: (rule: RuleDocument, documents: readonly StoredDocument[]) => void;
  readonly alerts: Pick<MovingAlerts, "of">;
  readonly asking: Pick<AskingRules, "placeOf" | "standStill" | "goOn">;
}

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
  readonly alerts: readonly MovedAlert[];
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
  readonly alerts: readonly MovedAlert[];
  /** Offset from which this log's messages are handed to it. */
  readonly from: number;
  /** What it has seen of them. */
  readonly expecting: Expectation | null;
}

/** Kind of the documents that say which moves are not taken any more. */
const REFUSED = "rule-move-refused";
/** … what goes along with a rule that is leaving, until its target has it; by the rule's name. */
const LEAVING_ALERTS = "rule-move-alerts";
/** … that a rule of this name is about to be there: until it is, its alerts are another platform's. */
const ARRIVING = "rule-move-arriving";

export class RuleMoves {
  readonly #o: RuleMovesOptions;
  /** Names of rules that are catching up; bounded by who may move rules. */
  readonly #arriving = new Set<string>();
  /** Moves that were taken back at their source, oldest first; bounded by `movesRefusedMax`. */
  readonly #refused = new Set<string>();
  /** Alerts of rules that are leaving; bounded by those and `alertsActiveMax`. */
  readonly #alerts = new Map<string, readonly MovedAlert[]>();
  readonly #unfinished = new Set<string>();

  constructor(options: RuleMovesOptions) {
    this.#o = options;
  }

  /** With the rules loaded, and before the windows forget what belongs to none. */
  start(): void {
    const { store, rules, windows, logger } = this.#o;
    const documents = store.documents();
    for (const { kind, name, document } of documents) {
      if (kind === ARRIVING) this.#unfinished.add(name);
      if (kind !== LEAVING_ALERTS || rules.get(name)?.move?.phase !== "leaving") continue;
      this.#alerts.set(name, document!["alerts"] as unknown as MovedAlert[]);
      this.#unfinished.add(name);
    }
    const refused = documents.filter(({ kind }) => kind === REFUSED);
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

  /** Rules that were on their way when the process ended: what alerts they had here are elsewhere. */
  get unfinished(): ReadonlySet<string> {
    return this.#unfinished;
  }

  /** Nothing of a thing goes along. */
  forget(thing: string): void {
    for (const [ruleName, alerts] of this.#alerts) this.#keepAlerts(ruleName, withoutThing(alerts, thing));
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
      const alerts = this.#o.alerts.of(ruleName);
      const document = alertsDocument(ruleName, alerts);
      this.#o.put({ ...rule, ruleDisabled: true, move: { ...leaving, ...more } }, [document]);
      this.#alerts.set(ruleName, alerts);
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
    const known = { rule, move, position, expecting, alerts: this.#alerts.get(ruleName) ?? [] };
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
    this.#o.put(left, [alertsDocument(ruleName, [])]);
    this.#alerts.delete(ruleName);
    this.#o.windows.delete(ruleName);
    this.#o.saveDurably();
    this.#o.logger.info("A rule has left", { rule: ruleName, move: id, to: move.to });
    return left;
  }

  /** It goes on here where it stopped; hand `Arrival.handle` this log's messages from its position on. */
  takeBack(ruleName: string): Arrival {
    const { rule, move, header, pages, position, expecting, alerts } = this.departure(ruleName);
    const { move: _move, ...stays } = rule;
    const state = header === null ? null : { header, pages: [...pages] };
    const here: RuleMove = { phase: "arrived", id: `${move.id}-back`, at: this.#o.clock.now() };
    const there = { ...stays, ruleDisabled: false, move: here };
    const documents = [alertsDocument(ruleName, [])];
    return this.#arrival({
      rule: there,
      state,
      moved: alerts,
      from: position,
      notBefore: -Infinity,
      expecting,
      documents,
      entering: () => {},
      arrived: () => this.#alerts.delete(ruleName),
    });
  }

  // ── coming ───────────────────────────────────────────────────────────────────────────────────

  /** Whether the rule came by this move; then there is nothing to do. */
  has(ruleName: string, move: string): boolean {
    const present = this.#o.rules.get(ruleName)?.move;
    return present?.phase === "arrived" && present.id === move;
  }

  /** Throws ALREADY_EXISTS, RULE_NOT_MOVABLE, RULE_STATE_UNREADABLE, RULE_INVALID, RULE_SQL_INVALID. */
  arrive({ move, rule: given, state, alerts, from, expecting }: Arriving): Arrival {
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
    const mark = { kind: ARRIVING, name: ruleName };
    return this.#arrival({
      rule,
      state,
      moved: alerts,
      from,
      notBefore,
      expecting,
      documents: [{ ...mark, document: null }],
      entering: () => this.#keep([{ ...mark, document: { move } }]),
      arrived: () => this.#unfinished.delete(ruleName),
    });
  }

  /** From now on the move is not taken here. Throws RULE_NOT_MOVABLE where it was. */
  refuse(ruleName: string, move: string): void {
    if (this.has(ruleName, move)) throw notMovable(ruleName, "it is here already, by this move");
    if (this.#arriving.has(ruleName)) throw notMovable(ruleName, "it is just arriving");
    if (this.#refused.has(move)) return;
    const gone = this.#refused.size < LIMITS.moves.refusedMax ? [] : [...this.#refused].slice(0, 1);
    const dropped = gone.map((name) => ({ kind: REFUSED, name, document: null }));
    const added = { kind: REFUSED, name: move, document: { rule: ruleName, at: this.#o.clock.now() } };
    this.#keep([...dropped, added]);
    for (const name of gone) this.#refused.delete(name);
    this.#refused.add(move);
  }

  #keep(documents: readonly StoredDocument[]): void {
    this.#o.store.change({ rules: [], deletes: [], documents });
  }

  #keepAlerts(ruleName: string, alerts: readonly MovedAlert[]): void {
    if (alerts.length === this.#alerts.get(ruleName)?.length) return;
    this.#keep([alertsDocument(ruleName, alerts)]);
    this.#alerts.set(ruleName, alerts);
  }

  #arrival(what: Omit<ArrivalOptions, keyof ArrivalPorts | "ended">): Arrival {
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

/** Without any, there is none. */
function alertsDocument(name: string, alerts: readonly MovedAlert[]): StoredDocument {
  const document = alerts.length === 0 ? null : { alerts: alerts as unknown as JsonValue };
  return { kind: LEAVING_ALERTS, name, document };
}

const RULE_WITHOUT_LINE = { next: null, waiting: 0, isBehind: false };

function headerOf(state: StateSnapshot): ReturnType<typeof readHeader> {
  try {
    return readHeader(state.header);
  } catch (error) {
    throw unreadable(reasonOf(error), error);
  }
}
