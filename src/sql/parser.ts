/**
 * Tokens → tree, by operator precedence (Pratt). Weakest first: OR, AND, NOT, comparison, + -, * / %, unary -, `.name`.
 * Source: AWS IoT SQL reference, version 2016-03-23.
 */
import { LIMITS, topicFilterFault } from "../base/mod.ts";
import { CAST_TYPES, callFault } from "./call-check.ts";
import { SqlError, nearest } from "./error.ts";
import type { Token } from "./lexer.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import { TokenCursor, found } from "./token-cursor.ts";
import { childrenOf, impliedName } from "./tree.ts";
import type { BinaryOperator, Expression, SelectClause, SelectItem, SelectStatement, SetVariable } from "./tree.ts";
import { numberWritten } from "./number.ts";
import { parseClauses } from "./window-clause.ts";
import { windowCallIn } from "./window-compile.ts";
import { WINDOW_FUNCTIONS } from "./window-functions.ts";
import { DEFAULT_SQL_VERSION, isFirstVersion } from "./version.ts";
import type { SqlVersion } from "./version.ts";

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

/** What is known before the text is read. */
export interface ParseOptions {
  readonly version?: SqlVersion;
  /** Names of variables that are set elsewhere: those of the statement, for its actions' templates. */
  readonly variables?: readonly string[];
}

/** Parses a whole statement. Throws `SqlError`. */
export function parseSql(text: string, options: ParseOptions = {}): SelectStatement {
  checkSize(text);
  return new Parser(text, options).statement();
}

/** Parses one expression, as it stands in a `${…}` of a template. Throws `SqlError`. */
export function parseExpression(text: string, options: ParseOptions = {}): Expression {
  checkSize(text);
  return new Parser(text, options).lone();
}

function checkSize(text: string): void {
  if (new TextEncoder().encode(text).length <= LIMITS.rules.sqlBytesMax) return;
  const reason = `the statement is longer than ${LIMITS.rules.sqlBytesMax} bytes`;
  throw new SqlError("", { position: 0, reason, hint: "Split it into several rules." });
}

class Parser {
  readonly #tokens: TokenCursor;
  readonly #version: SqlVersion;
  readonly #variables: Set<string>;
  readonly #heights = new Map<Expression, number>();
  #nesting = 0;
  /** Nested SELECTs around the place. */
  #rows = 0;
  #hasTable = false;

  constructor(text: string, { version = DEFAULT_SQL_VERSION, variables = [] }: ParseOptions) {
    this.#tokens = new TokenCursor(text);
    this.#version = version;
    this.#variables = new Set(variables);
  }

  statement(): SelectStatement {
    const variables = this.#tokens.isWord("SET") ? this.#set() : [];
    this.#tokens.expectWord("SELECT", variables.length === 0 ? ["SELECT", "SET"] : ["SELECT"]);
    const select = this.#select();
    this.#tokens.expectWord("FROM", ["FROM", "AS"]);
    const filter = this.#filter();
    const { where, state } = parseClauses(this.#tokens, () => this.#expression(0));
    this.#tokens.expectEnd(where === null ? ["WHERE"] : ["AND", "OR"]);
    return state === null ? { variables, select, filter, where } : { variables, select, filter, where, state };
  }

  lone(): Expression {
    const expression = this.#expression(0);
    this.#tokens.expectEnd([]);
    const call = windowCallIn(expression);
    if (call === null) return expression;
    throw this.#tokens.faultAt(call.at, `${call.name}() can stand in the statement only`, "Name it there with AS.");
  }

  /** A variable is known from its own end on: to those after it, but not to itself. */
  #set(): SetVariable[] {
    const variables: SetVariable[] = [];
    const first = this.#tokens.advance();
    do {
      if (variables.length > 0) this.#tokens.advance();
      const token = this.#tokens.advance();
      if (token.type !== "variable") {
        throw this.#tokens.fault(token, `expected a variable, ${found(token)}`, "Write SET @name = value.");
      }
      if (this.#variables.has(token.text)) {
        throw this.#tokens.fault(
          token,
          `@${token.text} is set already`,
          "A variable keeps its value; take a new name.",
        );
      }
      this.#tokens.expectSymbol("=");
      const value = this.#expression(0);
      const call = windowCallIn(value);
      if (call !== null) throw this.#tokens.faultAt(call.at, `${call.name}() cannot stand in SET`, null);
      this.#variables.add(token.text);
      variables.push({ name: token.text, value, at: token.at });
      this.#boundItems(variables.length, first);
    } while (this.#tokens.isSymbol(","));
    if (!this.#tokens.isWord("SET")) return variables;
    throw this.#tokens.fault(this.#tokens.peek(), "SET stands once", "Separate the variables by commas.");
  }

  #where(): Expression | null {
    if (!this.#tokens.isWord("WHERE")) return null;
    this.#tokens.advance();
    return this.#expression(0);
  }

  #select(): SelectClause {
    const first = this.#tokens.peek();
    if (first.upper === "VALUE" && this.#startsValue(this.#tokens.peek(1))) {
      this.#requireSecondVersion(this.#tokens.advance(), "SELECT VALUE");
      const star = this.#star();
      const value = star ?? this.#expression(0);
      if (this.#tokens.isSymbol(","))
        throw this.#tokens.fault(this.#tokens.peek(), "SELECT VALUE takes one expression", null);
      return { kind: "value", value };
    }
    const items: SelectItem[] = [this.#item()];
    while (this.#tokens.isSymbol(",")) {
      this.#tokens.advance();
      items.push(this.#item());
      this.#boundItems(items.length, first);
    }
    return { kind: "items", items };
  }

  /** `VALUE` is a keyword only where an operand follows; otherwise it is a key of that name. */
  #startsValue(next: Token): boolean {
    if (next.type === "string" || next.type === "number" || next.type === "variable") return true;
    if (next.type === "word") return !RESERVED.has(next.upper) || /^(NOT|CASE|TRUE|FALSE|NULL)$/.test(next.upper);
    if (next.text === "*") {
      const after = this.#tokens.peek(2);
      return after.upper === "FROM" || after.text === ",";
    }
    return next.text === "(" || next.text === "{" || next.text === "[";
  }

  #item(): SelectItem {
    const at = this.#tokens.peek().at;
    const next = this.#tokens.peek(1);
    if (this.#tokens.isSymbol("*") && (next?.upper === "FROM" || next?.text === "," || next?.type !== "symbol")) {
      this.#tokens.advance();
      return { kind: "star", at };
    }
    const value = this.#expression(0);
    if (this.#tokens.peek().upper !== "AS") {
      if (impliedName(value) === null && (this.#tokens.peek().upper === "FROM" || this.#tokens.isSymbol(","))) {
        throw this.#tokens.faultAt(at, "this expression needs a name", "Add AS and a name after it.");
      }
      return { kind: "expression", value, as: null, at };
    }
    this.#tokens.advance();
    const as = [this.#name("a name after AS")];
    while (this.#tokens.isSymbol(".")) {
      this.#tokens.advance();
      as.push(this.#name("a name after the point"));
      this.#boundPath(as.length, at);
    }
    return { kind: "expression", value, as, at };
  }

  #filter(): string {
    const token = this.#tokens.advance();
    if (token.type !== "string") {
      throw this.#tokens.fault(
        token,
        `expected a topic filter, ${found(token)}`,
        "Write it in quotes: FROM 'telemetry/#'.",
      );
    }
    const fault = topicFilterFault(token.text, LIMITS.mqtt);
    if (fault === null) return token.text;
    const reason = `'${token.text.slice(0, 60)}' is not a topic filter (${fault})`;
    const hint = fault === "wildcard" ? "+ stands for one whole level, # for all further ones at the end." : null;
    throw this.#tokens.fault(token, reason, hint);
  }

  #expression(power: number): Expression {
    if (++this.#nesting > LIMITS.rules.sqlDepthMax) throw this.#tooDeep(this.#tokens.peek().at);
    let left = this.#operand();
    for (;;) {
      const token = this.#tokens.peek();
      const operatorPower = token.type === "symbol" || token.type === "word" ? (POWER[token.upper] ?? 0) : 0;
      if (operatorPower <= power) break;
      this.#tokens.advance();
      const operator = token.upper.toLowerCase() as BinaryOperator;
      const right = this.#expression(operatorPower);
      if (operatorPower === COMPARISON_POWER && POWER[this.#tokens.peek().upper] === COMPARISON_POWER) {
        throw this.#tokens.fault(
          this.#tokens.peek(),
          "comparisons cannot be chained",
          "Join them with AND: a < b AND b < c.",
        );
      }
      left = this.#node({ kind: "binary", operator, left, right, at: left.at });
    }
    this.#nesting--;
    return left;
  }

  #operand(): Expression {
    const token = this.#tokens.peek();
    if (token.upper === "NOT" && token.type === "word") {
      this.#tokens.advance();
      const of = this.#expression(NOT_POWER);
      return this.#node({ kind: "unary", operator: "not", of, at: token.at });
    }
    if (this.#tokens.isSymbol("-")) {
      this.#tokens.advance();
      const of = this.#expression(NEGATE_POWER);
      return this.#node({ kind: "unary", operator: "-", of, at: token.at });
    }
    return this.#members(this.#primary());
  }

  #members(start: Expression): Expression {
    let expression = start;
    while (this.#tokens.isSymbol(".") || this.#tokens.isSymbol("[")) {
      const token = this.#tokens.advance();
      if (token.text === "[") {
        throw this.#tokens.fault(token, "[ ] does not reach into an array", "Use get(array, 0); the first item is 0.");
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
    const token = this.#tokens.advance();
    const { at } = token;
    if (token.type === "number") {
      const decimal = /[.eE]/.test(token.text);
      return this.#node({ kind: "literal", value: numberWritten(token.text, this.#version) ?? null, decimal, at });
    }
    if (token.type === "string") return this.#node({ kind: "literal", value: token.text, decimal: false, at });
    if (token.type === "word") return this.#word(token);
    if (token.text === "(") {
      if (this.#tokens.isWord("SELECT")) return this.#nested(at);
      const inner = this.#expression(0);
      this.#tokens.expectSymbol(")");
      return inner;
    }
    if (token.type === "variable") return this.#variable(token);
    if (token.text === "[" || token.text === "{") this.#requireSecondVersion(token, "a JSON literal");
    if (token.text === "[") return this.#array(at);
    if (token.text === "{") return this.#object(at);
    const hint = token.text === "*" ? "* stands alone in the list, after VALUE, or as a function's argument." : null;
    throw this.#tokens.fault(token, `expected a value, ${found(token)}`, hint);
  }

  #variable(token: Token): Expression {
    const { text: name, at } = token;
    if (this.#variables.has(name)) return this.#node({ kind: "variable", name, at });
    const like = nearest(name, this.#variables);
    const hint = like === null ? "Set it before SELECT: SET @name = value." : `Did you mean @${like}?`;
    throw this.#tokens.fault(token, `there is no variable @${name}`, hint);
  }

  /** After `(`. What it reads from is a value, not a topic: `(SELECT v FROM e WHERE n = 't')`. */
  #nested(at: number): Expression {
    this.#requireSecondVersion(this.#tokens.advance(), "a SELECT inside an expression");
    this.#rows++;
    const select = this.#select();
    this.#tokens.expectWord("FROM", ["FROM", "AS"]);
    const source = this.#tokens.peek();
    if (source.type === "string" || source.type === "number") {
      const hint = "Inside, FROM names an array of the message: (SELECT VALUE v FROM readings).";
      throw this.#tokens.fault(source, `expected a key, ${found(source)}`, hint);
    }
    if (++this.#nesting > LIMITS.rules.sqlDepthMax) throw this.#tooDeep(at);
    const from = this.#members(this.#primary());
    this.#nesting--;
    const where = this.#where();
    this.#rows--;
    this.#tokens.expectSymbol(")");
    return this.#node({ kind: "nested", select, from, where, at });
  }

  #requireSecondVersion(token: Token, what: string): void {
    if (!isFirstVersion(this.#version)) return;
    const hint = "Set awsIotSqlVersion to 2016-03-23.";
    throw this.#tokens.fault(token, `${what} is not part of version ${this.#version}`, hint);
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
        if (RESERVED.has(token.upper)) throw this.#tokens.fault(token, `expected a value, ${found(token)}`, null);
        if (!this.#tokens.isSymbol("(")) return this.#node({ kind: "path", path: [token.text], at });
        return token.upper === "CAST" ? this.#cast(at) : this.#call(token);
    }
  }

  #call(token: Token): Expression {
    const spec = FUNCTIONS.get(token.text.toLowerCase()) ?? WINDOW_FUNCTIONS.get(token.text.toLowerCase());
    if (spec === undefined) {
      const names = [...FUNCTIONS.values(), ...WINDOW_FUNCTIONS.values()].map((f) => f.name);
      const like = nearest(token.text, names.concat("cast"));
      const hint = like === null ? null : `Did you mean ${like}()?`;
      throw this.#tokens.fault(token, `there is no function ${token.text}()`, hint);
    }
    this.#tokens.expectSymbol("(");
    const args: Expression[] = [];
    while (!this.#tokens.isSymbol(")")) {
      if (args.length > 0) this.#tokens.expectSymbol(",");
      args.push((spec.star?.argument === args.length ? this.#star() : null) ?? this.#expression(0));
      this.#boundItems(args.length, token);
    }
    this.#tokens.advance();
    const place = { at: token.at, version: this.#version, inRows: this.#rows > 0, hasTable: this.#hasTable };
    const fault = callFault(spec, args, place);
    if (fault !== null) throw this.#tokens.faultAt(fault.position, fault.reason, fault.hint);
    this.#hasTable ||= spec.name === "get_dynamodb";
    return this.#node({ kind: "call", name: spec.name, args, at: token.at });
  }

  #cast(at: number): Expression {
    this.#tokens.expectSymbol("(");
    const of = this.#expression(0);
    this.#tokens.expectWord("AS");
    const token = this.#tokens.advance();
    const type = token.type === "word" ? CAST_TYPES[token.upper] : undefined;
    if (/^(?:DECIMAL|BOOL|BOOLEAN)$/.test(token.upper)) this.#requireSecondVersion(token, `a cast to ${token.text}`);
    if (type === undefined) {
      throw this.#tokens.fault(
        token,
        `expected a type, ${found(token)}`,
        "Types are String, Int, Decimal and Boolean.",
      );
    }
    this.#tokens.expectSymbol(")");
    return this.#node({ kind: "cast", of, type, at });
  }

  #case(at: number): Expression {
    if (this.#tokens.peek().upper === "WHEN") {
      throw this.#tokens.fault(
        this.#tokens.peek(),
        "expected a value after CASE, found 'WHEN'",
        "Write CASE value WHEN a THEN b END.",
      );
    }
    const of = this.#expression(0);
    const branches: { when: Expression; result: Expression }[] = [];
    while (branches.length === 0 || this.#tokens.peek().upper === "WHEN") {
      this.#tokens.expectWord("WHEN");
      const when = this.#expression(0);
      this.#tokens.expectWord("THEN");
      branches.push({ when, result: this.#expression(0) });
      this.#boundItems(branches.length, this.#tokens.peek());
    }
    let otherwise: Expression | null = null;
    if (this.#tokens.peek().upper === "ELSE") {
      this.#tokens.advance();
      otherwise = this.#expression(0);
    }
    this.#tokens.expectWord("END", ["WHEN", "ELSE", "END"]);
    return this.#node({ kind: "case", of, branches, otherwise, at });
  }

  #array(at: number): Expression {
    const items: Expression[] = [];
    while (!this.#tokens.isSymbol("]")) {
      if (items.length > 0) this.#tokens.expectSymbol(",");
      items.push(this.#expression(0));
      this.#boundItems(items.length, this.#tokens.peek());
    }
    this.#tokens.advance();
    return this.#node({ kind: "array", items, at });
  }

  #object(at: number): Expression {
    const entries: { key: string; value: Expression }[] = [];
    while (!this.#tokens.isSymbol("}")) {
      if (entries.length > 0) this.#tokens.expectSymbol(",");
      const key = this.#tokens.advance();
      if (key.type !== "string")
        throw this.#tokens.fault(key, `expected a key, ${found(key)}`, "Keys are quoted: {'k': x}.");
      this.#tokens.expectSymbol(":");
      entries.push({ key: key.text, value: this.#expression(0) });
      this.#boundItems(entries.length, key);
    }
    this.#tokens.advance();
    return this.#node({ kind: "object", entries, at });
  }

  /** A `*` that stands for the whole payload, if one is next. */
  #star(): Expression | null {
    if (!this.#tokens.isSymbol("*")) return null;
    return this.#node({ kind: "star", at: this.#tokens.advance().at });
  }

  /** Any word is a name here, a reserved one too: `a.end`, `AS value`. */
  #name(what: string): string {
    const token = this.#tokens.advance();
    if (token.type === "word") return token.text;
    const hint = "Names are letters, digits and _; for other keys use get(object, 'my-key').";
    throw this.#tokens.fault(token, `expected ${what}, ${found(token)}`, hint);
  }

  #boundItems(count: number, token: Token): void {
    if (count <= LIMITS.rules.sqlItemsMax) return;
    throw this.#tokens.fault(token, `more than ${LIMITS.rules.sqlItemsMax} items in one list`, "Split the rule.");
  }

  /** No payload is deeper, so a longer path could never be found. */
  #boundPath(length: number, at: number): void {
    if (length <= LIMITS.rules.jsonDepthMax) return;
    throw this.#tokens.faultAt(at, `a path of more than ${LIMITS.rules.jsonDepthMax} names`, null);
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
    return this.#tokens.faultAt(at, `nested deeper than ${LIMITS.rules.sqlDepthMax} levels`, "Split the rule.");
  }
}
