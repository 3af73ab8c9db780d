/**
 * Tokens → tree, by operator precedence (Pratt). Weakest first: OR, AND, NOT, comparison, + -, * / %, unary -, `.name`.
 * Source: AWS IoT SQL reference, version 2016-03-23.
 */
import { LIMITS, topicFilterFault } from "../base/mod.ts";
import { SqlError, nearest } from "./error.ts";
import { tokenize } from "./lexer.ts";
import type { Token } from "./lexer.ts";
import { FUNCTIONS, type SqlFunction } from "./functions/registry.ts";
import { childrenOf, impliedName } from "./tree.ts";
import { parseClauses } from "./window-clause.ts";
import type { ClauseParser } from "./window-clause.ts";
import { windowCallIn } from "./window-compile.ts";
import { WINDOW_FUNCTIONS } from "./window-functions.ts";
import type { BinaryOperator, CastType, Expression, SelectClause, SelectItem, SelectStatement } from "./tree.ts";

const RESERVED: ReadonlySet<string> = new Set(
  "SELECT FROM WHERE AS AND OR NOT CASE WHEN THEN ELSE END TRUE FALSE NULL".split(" "),
);

const POWER: Readonly<Record<string, number>> = {
  OR: 10,
  AND: 20,
  "=": 40,
  "<>": 40,
  "<": 40,
  "<=": 40,
  ">": 40,
  ">=": 40,
  "+": 50,
  "-": 50,
  "*": 60,
  "/": 60,
  "%": 60,
};
const COMPARISON_POWER = 40;
const NOT_POWER = 30;
const NEGATE_POWER = 70;

const CAST_TYPES: Readonly<Record<string, CastType>> = {
  STRING: "string",
  NVARCHAR: "string",
  TEXT: "string",
  NTEXT: "string",
  VARCHAR: "string",
  INT: "int",
  INTEGER: "int",
  DOUBLE: "decimal",
  DECIMAL: "decimal",
  BOOL: "boolean",
  BOOLEAN: "boolean",
};

/** Words of other SQL dialects, and what to write here. */
const FOREIGN: Readonly<Record<string, string>> = {
  LIKE: "LIKE is not part of this SQL; use startswith(), endswith() or indexof().",
  IN: "IN is not part of this SQL; join comparisons with OR.",
  BETWEEN: "BETWEEN is not part of this SQL; write x >= low AND x <= high.",
  IS: "Use isNull(x) or isUndefined(x).",
  GROUP: "GROUP BY stands behind WHERE.",
  ORDER: "ORDER BY is not part of this SQL.",
  JOIN: "JOIN is not part of this SQL.",
  LIMIT: "LIMIT is not part of this SQL.",
};

/** Parses a whole statement. Throws `SqlError`. */
export function parseSql(text: string): SelectStatement {
  checkSize(text);
  return new Parser(text).statement();
}

/** Parses one expression, as it stands in a `${…}` of a template. Throws `SqlError`. */
export function parseExpression(text: string): Expression {
  checkSize(text);
  return new Parser(text).lone();
}

function checkSize(text: string): void {
  if (new TextEncoder().encode(text).length <= LIMITS.rules.sqlBytesMax) return;
  const reason = `the statement is longer than ${LIMITS.rules.sqlBytesMax} bytes`;
  throw new SqlError("", { position: 0, reason, hint: "Split it into several rules." });
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #heights = new Map<Expression, number>();
  #next = 0;
  #nesting = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  statement(): SelectStatement {
    if (this.#peek().upper === "SET") {
      throw this.#fault(this.#peek(), "SET is not supported yet", "Repeat the expression where the variable is used.");
    }
    this.#expectWord("SELECT");
    const select = this.#select();
    this.#expectWord("FROM", ["FROM", "AS"]);
    const filter = this.#filter();
    const { where, state } = parseClauses(this.#clauses());
    this.#expectEnd(where === null ? ["WHERE"] : ["AND", "OR"]);
    return state === null ? { select, filter, where } : { select, filter, where, state };
  }

  #clauses(): ClauseParser {
    return {
      peek: () => this.#peek(),
      advance: () => this.#advance(),
      expression: () => this.#expression(0),
      fault: (token, reason, hint) => this.#fault(token, reason, hint),
    };
  }

  lone(): Expression {
    const expression = this.#expression(0);
    this.#expectEnd([]);
    const call = windowCallIn(expression);
    if (call !== null)
      throw this.#faultAt(call.at, `${call.name}() can stand in SELECT only`, "Name it there with AS.");
    return expression;
  }

  #select(): SelectClause {
    const first = this.#peek();
    if (first.upper === "VALUE" && this.#startsValue(this.#tokens[this.#next + 1]!)) {
      this.#advance();
      const star = this.#star();
      const value = star ?? this.#expression(0);
      if (this.#isSymbol(",")) throw this.#fault(this.#peek(), "SELECT VALUE takes one expression", null);
      return { kind: "value", value };
    }
    const items: SelectItem[] = [this.#item()];
    while (this.#isSymbol(",")) {
      this.#advance();
      items.push(this.#item());
      this.#boundItems(items.length, first);
    }
    return { kind: "items", items };
  }

  /** `VALUE` is a keyword only where an operand follows; otherwise it is a key of that name. */
  #startsValue(next: Token): boolean {
    if (next.type === "string" || next.type === "number") return true;
    if (next.type === "word") return !RESERVED.has(next.upper) || /^(NOT|CASE|TRUE|FALSE|NULL)$/.test(next.upper);
    if (next.text === "*") {
      const after = this.#tokens[this.#next + 2]!;
      return after.upper === "FROM" || after.text === ",";
    }
    return next.text === "(" || next.text === "{" || next.text === "[";
  }

  #item(): SelectItem {
    const at = this.#peek().at;
    const next = this.#tokens[this.#next + 1];
    if (this.#isSymbol("*") && (next?.upper === "FROM" || next?.text === "," || next?.type !== "symbol")) {
      this.#advance();
      return { kind: "star", at };
    }
    const value = this.#expression(0);
    if (this.#peek().upper !== "AS") {
      if (impliedName(value) === null && (this.#peek().upper === "FROM" || this.#isSymbol(","))) {
        throw this.#faultAt(at, "this expression needs a name", "Add AS and a name after it.");
      }
      return { kind: "expression", value, as: null, at };
    }
    this.#advance();
    const as = [this.#name("a name after AS")];
    while (this.#isSymbol(".")) {
      this.#advance();
      as.push(this.#name("a name after the point"));
      this.#boundPath(as.length, at);
    }
    return { kind: "expression", value, as, at };
  }

  #filter(): string {
    const token = this.#advance();
    if (token.type !== "string") {
      throw this.#fault(token, `expected a topic filter, ${found(token)}`, "Write it in quotes: FROM 'telemetry/#'.");
    }
    const fault = topicFilterFault(token.text, LIMITS.mqtt);
    if (fault === null) return token.text;
    const reason = `'${token.text.slice(0, 60)}' is not a topic filter (${fault})`;
    const hint = fault === "wildcard" ? "+ stands for one whole level, # for all further ones at the end." : null;
    throw this.#fault(token, reason, hint);
  }

  #expression(power: number): Expression {
    if (++this.#nesting > LIMITS.rules.sqlDepthMax) throw this.#tooDeep(this.#peek().at);
    let left = this.#operand();
    for (;;) {
      const token = this.#peek();
      const operatorPower = token.type === "symbol" || token.type === "word" ? (POWER[token.upper] ?? 0) : 0;
      if (operatorPower <= power) break;
      this.#advance();
      const operator = token.upper.toLowerCase() as BinaryOperator;
      const right = this.#expression(operatorPower);
      if (operatorPower === COMPARISON_POWER && POWER[this.#peek().upper] === COMPARISON_POWER) {
        throw this.#fault(this.#peek(), "comparisons cannot be chained", "Join them with AND: a < b AND b < c.");
      }
      left = this.#node({ kind: "binary", operator, left, right, at: left.at });
    }
    this.#nesting--;
    return left;
  }

  #operand(): Expression {
    const token = this.#peek();
    if (token.upper === "NOT" && token.type === "word") {
      this.#advance();
      const of = this.#expression(NOT_POWER);
      return this.#node({ kind: "unary", operator: "not", of, at: token.at });
    }
    if (this.#isSymbol("-")) {
      this.#advance();
      const of = this.#expression(NEGATE_POWER);
      return this.#node({ kind: "unary", operator: "-", of, at: token.at });
    }
    return this.#members(this.#primary());
  }

  #members(start: Expression): Expression {
    let expression = start;
    while (this.#isSymbol(".") || this.#isSymbol("[")) {
      const token = this.#advance();
      if (token.text === "[") {
        throw this.#fault(token, "[ ] does not reach into an array", "Use get(array, 0); the first item is 0.");
      }
      const name = this.#name("a name after the point");
      if (expression.kind === "path") this.#boundPath(expression.path.length + 1, start.at);
      expression =
        expression.kind === "path"
          ? this.#node({ ...expression, path: [...expression.path, name] })
          : this.#node({ kind: "member", of: expression, name, at: start.at });
    }
    return expression;
  }

  #primary(): Expression {
    const token = this.#advance();
    const { at } = token;
    if (token.type === "number") {
      const decimal = /[.eE]/.test(token.text);
      return this.#node({ kind: "literal", value: Number(token.text), decimal, at });
    }
    if (token.type === "string") return this.#node({ kind: "literal", value: token.text, decimal: false, at });
    if (token.type === "word") return this.#word(token);
    if (token.text === "(") {
      if (this.#peek().upper === "SELECT") {
        throw this.#fault(this.#peek(), "a SELECT inside an expression is not supported yet", null);
      }
      const inner = this.#expression(0);
      this.#expectSymbol(")");
      return inner;
    }
    if (token.text === "[") return this.#array(at);
    if (token.text === "{") return this.#object(at);
    const hint = token.text === "*" ? "* stands alone in the list, after VALUE, or as a function's argument." : null;
    throw this.#fault(token, `expected a value, ${found(token)}`, hint);
  }

  #word(token: Token): Expression {
    const { at } = token;
    switch (token.upper) {
      case "TRUE":
      case "FALSE":
        return this.#node({ kind: "literal", value: token.upper === "TRUE", decimal: false, at });
      case "NULL":
        return this.#node({ kind: "literal", value: null, decimal: false, at });
      case "CASE":
        return this.#case(at);
      default:
        if (RESERVED.has(token.upper)) throw this.#fault(token, `expected a value, ${found(token)}`, null);
        if (!this.#isSymbol("(")) return this.#node({ kind: "path", path: [token.text], at });
        return token.upper === "CAST" ? this.#cast(at) : this.#call(token);
    }
  }

  #call(token: Token): Expression {
    const name = token.text.toLowerCase();
    const spec = FUNCTIONS.get(name) ?? WINDOW_FUNCTIONS.get(name);
    if (spec === undefined) {
      const names = [...FUNCTIONS.values(), ...WINDOW_FUNCTIONS.values()].map((f) => f.name);
      const like = nearest(token.text, names.concat("cast"));
      const hint = like === null ? null : `Did you mean ${like}()?`;
      throw this.#fault(token, `there is no function ${token.text}()`, hint);
    }
    this.#expectSymbol("(");
    const args: Expression[] = [];
    while (!this.#isSymbol(")")) {
      if (args.length > 0) this.#expectSymbol(",");
      args.push(((spec.star ?? false) === false || args.length > 0 ? null : this.#star()) ?? this.#expression(0));
      this.#boundItems(args.length, token);
    }
    this.#advance();
    if (args.length < spec.argsMin || args.length > spec.argsMax) {
      throw this.#fault(token, `${spec.name}() takes ${arity(spec)}, not ${args.length}`, `It is ${spec.signature}.`);
    }
    return this.#node({ kind: "call", name: spec.name, args, at: token.at });
  }

  #cast(at: number): Expression {
    this.#expectSymbol("(");
    const of = this.#expression(0);
    this.#expectWord("AS");
    const token = this.#advance();
    const type = token.type === "word" ? CAST_TYPES[token.upper] : undefined;
    if (type === undefined) {
      throw this.#fault(token, `expected a type, ${found(token)}`, "Types are String, Int, Decimal and Boolean.");
    }
    this.#expectSymbol(")");
    return this.#node({ kind: "cast", of, type, at });
  }

  #case(at: number): Expression {
    if (this.#peek().upper === "WHEN") {
      throw this.#fault(
        this.#peek(),
        "expected a value after CASE, found 'WHEN'",
        "Write CASE value WHEN a THEN b END.",
      );
    }
    const of = this.#expression(0);
    const branches: { when: Expression; result: Expression }[] = [];
    while (branches.length === 0 || this.#peek().upper === "WHEN") {
      this.#expectWord("WHEN");
      const when = this.#expression(0);
      this.#expectWord("THEN");
      branches.push({ when, result: this.#expression(0) });
      this.#boundItems(branches.length, this.#peek());
    }
    let otherwise: Expression | null = null;
    if (this.#peek().upper === "ELSE") {
      this.#advance();
      otherwise = this.#expression(0);
    }
    this.#expectWord("END", ["WHEN", "ELSE", "END"]);
    return this.#node({ kind: "case", of, branches, otherwise, at });
  }

  #array(at: number): Expression {
    const items: Expression[] = [];
    while (!this.#isSymbol("]")) {
      if (items.length > 0) this.#expectSymbol(",");
      items.push(this.#expression(0));
      this.#boundItems(items.length, this.#peek());
    }
    this.#advance();
    return this.#node({ kind: "array", items, at });
  }

  #object(at: number): Expression {
    const entries: { key: string; value: Expression }[] = [];
    while (!this.#isSymbol("}")) {
      if (entries.length > 0) this.#expectSymbol(",");
      const key = this.#advance();
      if (key.type !== "string") throw this.#fault(key, `expected a key, ${found(key)}`, "Keys are quoted: {'k': x}.");
      this.#expectSymbol(":");
      entries.push({ key: key.text, value: this.#expression(0) });
      this.#boundItems(entries.length, key);
    }
    this.#advance();
    return this.#node({ kind: "object", entries, at });
  }

  /** A `*` that stands for the whole payload, if one is next. */
  #star(): Expression | null {
    if (!this.#isSymbol("*")) return null;
    return this.#node({ kind: "star", at: this.#advance().at });
  }

  /** Any word is a name here, a reserved one too: `a.end`, `AS value`. */
  #name(what: string): string {
    const token = this.#advance();
    if (token.type === "word") return token.text;
    const hint = "Names are letters, digits and _; for other keys use get(object, 'my-key').";
    throw this.#fault(token, `expected ${what}, ${found(token)}`, hint);
  }

  // ── tokens ───────────────────────────────────────────────────────────────────────────────────

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #advance(): Token {
    const token = this.#peek();
    if (token.type !== "end") this.#next++;
    return token;
  }

  #isSymbol(symbol: string): boolean {
    const token = this.#peek();
    return token.type === "symbol" && token.text === symbol;
  }

  #expectSymbol(symbol: string): void {
    if (!this.#isSymbol(symbol)) throw this.#unexpected([symbol]);
    this.#advance();
  }

  #expectWord(word: string, suggestions: readonly string[] = [word]): void {
    const token = this.#peek();
    if (token.type !== "word" || token.upper !== word) throw this.#unexpected([word], suggestions);
    this.#advance();
  }

  #expectEnd(suggestions: readonly string[]): void {
    if (this.#peek().type !== "end") throw this.#unexpected([...suggestions.slice(0, 1), "the end"], suggestions);
  }

  #unexpected(expected: readonly string[], suggestions: readonly string[] = []): SqlError {
    const token = this.#peek();
    const foreign = token.type === "word" ? FOREIGN[token.upper] : undefined;
    const like = token.type === "word" ? nearest(token.text, suggestions) : null;
    const hint = foreign ?? (like === null ? null : `Did you mean ${like}?`);
    return this.#fault(token, `expected ${expected.join(" or ")}, ${found(token)}`, hint);
  }

  #boundItems(count: number, token: Token): void {
    if (count <= LIMITS.rules.sqlItemsMax) return;
    throw this.#fault(token, `more than ${LIMITS.rules.sqlItemsMax} items in one list`, "Split the rule.");
  }

  /** No payload is deeper, so a longer path could never be found. */
  #boundPath(length: number, at: number): void {
    if (length <= LIMITS.rules.jsonDepthMax) return;
    throw this.#faultAt(at, `a path of more than ${LIMITS.rules.jsonDepthMax} names`, null);
  }

  /** Remembers how high the tree is, so that neither compiling nor evaluating it can exhaust the stack. */
  #node(node: Expression): Expression {
    let height = 0;
    for (const child of childrenOf(node)) height = Math.max(height, this.#heights.get(child) ?? 0);
    if (height >= LIMITS.rules.sqlDepthMax) throw this.#tooDeep(node.at);
    this.#heights.set(node, height + 1);
    return node;
  }

  #tooDeep(at: number): SqlError {
    return this.#faultAt(at, `nested deeper than ${LIMITS.rules.sqlDepthMax} levels`, "Split the rule.");
  }

  #fault(token: Token, reason: string, hint: string | null): SqlError {
    return this.#faultAt(token.at, reason, hint);
  }

  #faultAt(position: number, reason: string, hint: string | null): SqlError {
    return new SqlError(this.#text, { position, reason, hint });
  }
}

function found(token: Token): string {
  if (token.type === "end") return "found the end";
  return token.type === "string" ? `found a string` : `found '${token.text.slice(0, 40)}'`;
}

function arity(spec: Pick<SqlFunction, "argsMin" | "argsMax">): string {
  const { argsMin, argsMax } = spec;
  const noun = (n: number): string => `${n === 0 ? "no" : n} argument${n === 1 ? "" : "s"}`;
  if (argsMin === argsMax) return noun(argsMin);
  return argsMax === Infinity ? `at least ${noun(argsMin)}` : `${argsMin} to ${noun(argsMax)}`;
}
