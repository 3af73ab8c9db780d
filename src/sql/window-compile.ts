/** A statement with windows, keyed state or a pattern → its plan; and why one is not possible, with the place. */
import { LIMITS } from "../base/mod.ts";
import { parseDuration } from "./duration.ts";
import { SqlError } from "./error.ts";
import { compileExpression, compileSelect } from "./expressions.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import type { SqlInput } from "./input.ts";
import { printExpression } from "./print.ts";
import type { CompileContext } from "./scope.ts";
import { childrenOf, impliedName, selected } from "./tree.ts";
import type { Expression, Node, SelectClause, SelectStatement, StateClauses } from "./tree.ts";
import { toBoolean, withDoubles } from "./value.ts";
import { WINDOW_FUNCTIONS } from "./window-functions.ts";
import type { WindowFunction } from "./window-functions.ts";
import { printClauses } from "./window-print.ts";
import { slotsOf } from "./window-plan.ts";
import type { AggregateName, AggregateSpec, KeyedSpec, Pattern, StateValue, WindowPlan } from "./window-plan.ts";

const NO_CLAUSES: StateClauses = {
  time: null,
  pattern: null,
  keys: null,
  shape: null,
  having: null,
  lateness: null,
  emit: null,
  at: 0,
  clauses: new Map(),
};

/** Null where the statement needs nothing but the message. Throws `SqlError`. */
export function compileWindows(text: string, statement: SelectStatement, context: CompileContext): WindowPlan | null {
  const used = usesWindowFunctions(statement);
  if (statement.state === undefined && !used) return null;
  return new Planner(text, statement, context).plan();
}

function usesWindowFunctions({ select, where }: SelectStatement): boolean {
  return [...selected(select), ...(where === null ? [] : [where])].some((part) => windowCallIn(part) !== null);
}

/** The first call of a window's or key's function in an expression. */
export function windowCallIn(expression: Expression): Node<"call"> | null {
  if (expression.kind === "call" && WINDOW_FUNCTIONS.has(expression.name)) return expression;
  for (const child of childrenOf(expression)) {
    const found = windowCallIn(child);
    if (found !== null) return found;
  }
  return null;
}

interface Slots {
  readonly start: number;
  readonly end: number;
  readonly aggregates: number;
  readonly keyed: number;
}

class Planner {
  readonly #text: string;
  readonly #statement: SelectStatement;
  readonly #state: StateClauses;
  readonly #context: CompileContext;
  readonly #keyTexts: readonly string[];
  /** By their text, so that `avg(x)` in SELECT and in HAVING is one. */
  readonly #aggregates = new Map<string, Node<"call">>();
  readonly #keyed = new Map<string, Node<"call">>();

  constructor(text: string, statement: SelectStatement, context: CompileContext) {
    this.#text = text;
    this.#statement = statement;
    this.#state = statement.state ?? NO_CLAUSES;
    this.#context = context;
    this.#keyTexts = (this.#state.keys ?? []).map(printExpression);
  }

  plan(): WindowPlan {
    this.#check();
    const { where, select } = this.#statement;
    const { shape, having, time, pattern, keys } = this.#state;
    const overMessages = [where, ...(pattern?.kind === "sequence" ? pattern.steps : [])].flatMap((e) => e ?? []);
    const overWindow = [...selected(select), ...(having === null ? [] : [having])];
    for (const expression of overMessages) this.#collect(expression, "message");
    for (const expression of overWindow) this.#collect(expression, shape === null ? "message" : "window");
    const plain = (expression: Expression): ((input: SqlInput) => StateValue) => this.#value(expression);
    for (const key of keys ?? []) this.#refuseIn(key, "GROUP BY");
    if (time !== null) this.#refuseIn(time, "TIMESTAMP BY");
    const slots = slotsOf({ keys: this.#planKeys(plain), aggregates: [...this.#aggregates.values()].map(noSpec) });
    const test = (expression: Expression | null): ((input: SqlInput) => boolean | undefined) => {
      if (expression === null) return () => true;
      const value = plain(this.#withSlots(expression, slots));
      return (input) => toBoolean(value(input));
    };
    const plan = {
      definition: this.#definition(),
      time: time === null ? null : plain(time),
      keys: this.#planKeys(plain),
      shape,
      lateness: this.#state.lateness ?? LIMITS.windows.windowLatenessDefault,
      emit: this.#state.emit ?? "final",
      aggregates: [...this.#aggregates.values()].map((call) => this.#aggregateSpec(call, slots)),
      keyed: [...this.#keyed.values()].map((call) => this.#keyedSpec(call, slots)),
      pattern: this.#planPattern(test),
      where: this.#whereTest(slots),
      having: test(having),
      select: compileSelect(this.#selectWithSlots(slots), this.#context) as WindowPlan["select"], // with doubles
    };
    const { budget, externals } = this.#context;
    if (externals.calls.length > 0) {
      const reason = `${externals.calls[0]!.name}() cannot be asked by a statement with windows or keyed state`;
      throw this.#fault(0, reason, "Ask in a second rule, of what this one republishes.");
    }
    return { ...plan, begin: budget.used ? () => budget.refill() : null };
  }

  /** WHERE is of one message: only the functions of keys have slots. */
  #whereTest(slots: Slots): (input: SqlInput) => boolean | undefined {
    const { where } = this.#statement;
    if (where === null) return () => true;
    const value = compileExpression(this.#ofMessage(where, slots), this.#context);
    return (input) => toBoolean(value(input));
  }

  /** Null: by thing. A window without groups is one of all messages, as GROUP BY says everywhere. */
  #planKeys(compile: (expression: Expression) => (input: SqlInput) => StateValue): WindowPlan["keys"] {
    const { keys, shape } = this.#state;
    if (keys === null || (keys.length === 0 && shape === null)) return null;
    return keys.map(compile);
  }

  #planPattern(test: (expression: Expression) => (input: SqlInput) => boolean | undefined): Pattern | null {
    const { pattern } = this.#state;
    if (pattern === null) return null;
    if (pattern.kind !== "sequence") return { kind: pattern.kind, span: pattern.span };
    return { kind: "sequence", span: pattern.span, steps: pattern.steps.map(test) };
  }

  /** What the state means: all but what is made of it in the end. */
  #definition(): string {
    const { variables, filter, where } = this.#statement;
    const set = variables.map(({ name, value }) => `@${name} = ${printExpression(value)}, `).join("");
    const meaning = printClauses(where, { ...this.#state, having: null }, printExpression);
    const columns = [...this.#aggregates.keys(), "|", ...this.#keyed.keys()].join(" ");
    return `${set}FROM ${filter}${meaning} : ${columns}`;
  }

  // ── what does not go together ────────────────────────────────────────────────────────────────

  #check(): void {
    const { shape, pattern, clauses, lateness } = this.#state;
    if (shape !== null && pattern !== null) {
      throw this.#fault(
        pattern.at,
        "a statement has either a window or FOR, ABSENT FOR or THEN",
        "Write two rules, or give the rule's alert `forSeconds`.",
      );
    }
    if (shape === null) {
      for (const name of ["HAVING", "LATENESS", "EMIT"] as const) {
        const at = clauses.get(name);
        if (at !== undefined) throw this.#fault(at, `${name} needs a window`, "Add GROUP BY TUMBLE('1 minute').");
      }
      const call = this.#firstCall();
      const group = clauses.get("GROUP BY");
      if (call === null && pattern === null && group !== undefined) {
        const hint = "Add a window: GROUP BY …, TUMBLE('1 minute').";
        throw this.#fault(group, "GROUP BY needs a window, a function of a key, or a pattern", hint);
      }
      const time = clauses.get("TIMESTAMP BY");
      if (call === null && pattern === null && time !== undefined) {
        throw this.#fault(time, "TIMESTAMP BY needs a window", "Add GROUP BY TUMBLE('1 minute').");
      }
      return;
    }
    if (shape.kind !== "tumble" && shape.kind !== "hop") return;
    const pane = shape.kind === "tumble" ? shape.size : paneOf(shape.size, shape.every);
    const panes = (shape.size + (lateness ?? LIMITS.windows.windowLatenessDefault)) / pane;
    if (panes <= LIMITS.windows.windowOpenMax - 1) return;
    const reason = `more than ${LIMITS.windows.windowOpenMax - 1} windows of a key would be open at once`;
    throw this.#fault(clauses.get("GROUP BY")!, reason, "Take a longer step, or a shorter LATENESS.");
  }

  #firstCall(): Node<"call"> | null {
    const { select, where } = this.#statement;
    for (const part of [...selected(select), ...(where === null ? [] : [where])]) {
      const call = windowCallIn(part);
      if (call !== null) return call;
    }
    return null;
  }

  #refuseIn(expression: Expression, clause: string): void {
    const call = windowCallIn(expression);
    if (call !== null) throw this.#fault(call.at, `${call.name}() cannot stand in ${clause}`, null);
  }

  /** Finds the calls, inner ones first, and refuses those that have no place here. */
  #collect(expression: Expression, over: "message" | "window" | "aggregate"): void {
    if (over === "window" && this.#keyTexts.includes(printExpression(expression))) return;
    const spec = expression.kind === "call" ? WINDOW_FUNCTIONS.get(expression.name) : undefined;
    if (expression.kind === "call" && spec !== undefined) {
      this.#collectCall(expression, spec, over);
      return;
    }
    if (expression.kind === "nested") this.#refuseIn(expression, "a nested SELECT");
    if (over === "window") this.#refuseMessage(expression);
    for (const child of childrenOf(expression)) this.#collect(child, over);
  }

  #collectCall(call: Node<"call">, spec: WindowFunction, over: "message" | "window" | "aggregate"): void {
    const { name, at } = call;
    if (spec.of === "key") {
      if (over === "window") {
        throw this.#fault(at, `${name}() speaks of messages, not of a window`, `Write last(${name}(…)).`);
      }
      for (const argument of call.args) this.#collect(argument, "message");
      this.#keyed.set(printExpression(call), call);
      return;
    }
    if (this.#state.shape === null) {
      throw this.#fault(at, `${name}() needs a window`, "Add GROUP BY TUMBLE('1 minute'), or another window.");
    }
    if (over === "aggregate") throw this.#fault(at, `${name}() cannot stand in another aggregate`, null);
    if (over === "message") {
      throw this.#fault(at, `${name}() cannot stand in WHERE`, "WHERE is of one message; put it into HAVING.");
    }
    if (spec.of === "bounds") return;
    for (const argument of call.args) this.#collect(argument, "aggregate");
    this.#aggregates.set(printExpression(call), call);
  }

  /** A window has no payload, topic or sender of its own. */
  #refuseMessage(expression: Expression): void {
    const { kind, at } = expression;
    const impure = kind === "call" && FUNCTIONS.get(expression.name.toLowerCase())?.pure !== true;
    const pure = ["literal", "unary", "binary", "case", "cast", "member", "array", "object", "call"].includes(kind);
    if (pure && !impure) return;
    const what = kind === "star" ? "*" : printExpression(expression).slice(0, 60);
    const reason = `${what} is neither grouped by nor inside an aggregate`;
    throw this.#fault(
      at,
      reason,
      kind === "star" ? "Name what you want of the window." : `Write last(${what}), or add it to GROUP BY.`,
    );
  }

  // ── slots ────────────────────────────────────────────────────────────────────────────────────

  #withSlots(expression: Expression, slots: Slots): Expression {
    return rewritten(expression, (node) => {
      const index = this.#slotOf(node, slots);
      return index === null ? null : { kind: "slot", index, at: node.at };
    });
  }

  #slotOf(node: Expression, slots: Slots): number | null {
    const spec = node.kind === "call" ? WINDOW_FUNCTIONS.get(node.name) : undefined;
    if (spec === undefined) {
      if (this.#state.shape === null || this.#keyTexts.length === 0) return null;
      const key = this.#keyTexts.indexOf(printExpression(node));
      return key < 0 ? null : key;
    }
    if (spec.name === "window_start") return slots.start;
    if (spec.name === "window_end") return slots.end;
    const among = [...(spec.of === "key" ? this.#keyed : this.#aggregates).keys()].indexOf(printExpression(node));
    return (spec.of === "key" ? slots.keyed : slots.aggregates) + among;
  }

  #selectWithSlots(slots: Slots): SelectClause {
    const { select } = this.#statement;
    if (select.kind === "value") return { kind: "value", value: this.#withSlots(select.value, slots) };
    return {
      kind: "items",
      items: select.items.map((item) => {
        if (item.kind === "star") {
          if (this.#state.shape !== null) this.#refuseMessage(item);
          return item;
        }
        // The name follows from what stands there, not from its slot.
        const as = item.as ?? [impliedName(item.value)!];
        return { kind: "expression", as, value: this.#withSlots(item.value, slots), at: item.at };
      }),
    };
  }

  // ── parameters ───────────────────────────────────────────────────────────────────────────────

  /** An aggregate's argument is of one message: keys are read from it, not from the window. */
  #argument(call: Node<"call">, slots: Slots): (input: SqlInput) => StateValue {
    return this.#value(this.#ofMessage(call.args[0]!, slots));
  }

  /** State keeps doubles, whatever digits a payload has. */
  #value(expression: Expression): (input: SqlInput) => StateValue {
    const value = compileExpression(expression, this.#context);
    return (input) => {
      const result = value(input);
      return typeof result === "object" ? withDoubles(result) : result;
    };
  }

  #ofMessage(expression: Expression, slots: Slots): Expression {
    return rewritten(expression, (node) => {
      const windowed = node.kind === "call" && WINDOW_FUNCTIONS.has(node.name);
      return windowed ? { kind: "slot", index: this.#slotOf(node, slots)!, at: node.at } : null;
    });
  }

  #aggregateSpec(call: Node<"call">, slots: Slots): AggregateSpec {
    const name = call.name as AggregateName;
    const star = call.args[0]!.kind === "star";
    const of = star ? null : this.#argument(call, slots);
    const parameter = name === "percentile" ? this.#number(call, 1, 0, 100, false) : 0;
    return { name, of, parameter };
  }

  #keyedSpec(call: Node<"call">, slots: Slots): KeyedSpec {
    const of = this.#argument(call, slots);
    const max = LIMITS.windows.keyedValuesMax;
    switch (call.name) {
      case "lag":
        return { name: "lag", of, back: call.args.length === 1 ? 1 : this.#number(call, 1, 1, max, true) };
      case "zscore":
        return { name: "zscore", of, count: this.#number(call, 1, 2, max, true) };
      case "ewma":
        return { name: "ewma", of, ...this.#share(call) };
      default:
        return { name: "changed", of };
    }
  }

  #share(call: Node<"call">): { alpha: number; halfLife: null } | { alpha: null; halfLife: number } {
    const argument = call.args[1]!;
    if (argument.kind !== "literal" || typeof argument.value !== "string") {
      const alpha = this.#number(call, 1, 0, 1, false);
      if (alpha > 0) return { alpha, halfLife: null };
      throw this.#fault(argument.at, "the new value's share must be more than 0", null);
    }
    const halfLife = parseDuration(argument.value);
    if (halfLife !== null && halfLife > 0 && halfLife <= LIMITS.windows.windowSpanMax) return { alpha: null, halfLife };
    throw this.#fault(argument.at, "expected a share up to 1, or a half-life", "Write 0.1, or '30 s'.");
  }

  #number(call: Node<"call">, index: number, min: number, max: number, whole: boolean): number {
    const argument = call.args[index]!;
    const value = argument.kind === "literal" ? argument.value : null;
    if (typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    const spec = WINDOW_FUNCTIONS.get(call.name)!;
    const reason = `expected ${whole ? "a whole number" : "a number"} from ${min} to ${max}`;
    throw this.#fault(argument.at, reason, `It is ${spec.signature}.`);
  }

  #fault(position: number, reason: string, hint: string | null): SqlError {
    return new SqlError(this.#text, { position, reason, hint });
  }
}

function noSpec(): AggregateSpec {
  return { name: "count", of: null, parameter: 0 };
}

function paneOf(size: number, every: number): number {
  return every === 0 ? size : paneOf(every, size % every);
}

/** A copy in which `replace` has taken the place of some nodes, from the outside in. Works for every kind of node. */
function rewritten(expression: Expression, replace: (node: Expression) => Expression | null): Expression {
  const copy = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(copy);
    if (typeof value !== "object" || value === null) return value;
    if ("kind" in value && "at" in value) {
      const other = replace(value as Expression);
      if (other !== null) return other;
    }
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copy(part)]));
  };
  return copy(expression) as Expression;
}
