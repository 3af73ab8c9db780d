/**
 * Arithmetic over fields: `power * 1000 / flow`, `"boiler-1".temperature - "boiler-2".temperature`, `max(a.x, b.x)`.
 * A name is letters, digits, `_` and dots; others stand in double quotes. Linear in its text; depth is bounded.
 *
 *   sum     = product { ("+" | "-") product }        product = power { ("*" | "/" | "%") power }
 *   power   = sign [ "^" power ]                     sign    = [ "-" ] atom
 *   atom    = number | "(" sum ")" | function "(" sum { "," sum } ")" | name
 *   name    = part { "." part }                      part    = word | quoted
 *
 * Not `src/sql`: there a name is a path into one message, 7 / 2 is 3, and + joins texts.
 */
import { LIMITS, TidewireError } from "../base/mod.ts";

export type SeriesExpression =
  | { readonly kind: "number"; readonly value: number }
  /** Its parts as written; which of them name a thing depends on the query. */
  | { readonly kind: "name"; readonly parts: readonly string[] }
  | { readonly kind: "negative"; readonly of: SeriesExpression }
  | {
      readonly kind: "binary";
      readonly operator: Operator;
      readonly left: SeriesExpression;
      readonly right: SeriesExpression;
    }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly SeriesExpression[] };

type Operator = "+" | "-" | "*" | "/" | "%" | "^";

const OPERATORS: Readonly<Record<Operator, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "^": (a, b) => a ** b,
};

/** How many arguments each takes, and what it does with them. */
const FUNCTIONS: ReadonlyMap<string, readonly [min: number, max: number, of: (...values: number[]) => number]> =
  new Map(
    Object.entries({
      abs: [1, 1, Math.abs],
      sqrt: [1, 1, Math.sqrt],
      exp: [1, 1, Math.exp],
      ln: [1, 1, Math.log],
      log10: [1, 1, Math.log10],
      round: [1, 2, (value: number, digits = 0) => Math.round(value * 10 ** digits) / 10 ** digits],
      floor: [1, 1, Math.floor],
      ceil: [1, 1, Math.ceil],
      min: [1, 20, Math.min],
      max: [1, 20, Math.max],
    }),
  );

/** Throws REQUEST_INVALID that says where. */
export function parseExpression(text: string): SeriesExpression {
  if (text.length > LIMITS.telemetry.expressionCharsMax) {
    throw refused(`it is longer than ${LIMITS.telemetry.expressionCharsMax} characters`, 0);
  }
  return new Parser(text).all();
}

/** Every name once, in the order of the text. */
export function namesOf(expression: SeriesExpression): readonly (readonly string[])[] {
  const names = new Map<string, readonly string[]>();
  const walk = (node: SeriesExpression): void => {
    if (node.kind === "name") names.set(keyOf(node.parts), node.parts);
    else if (node.kind === "negative") walk(node.of);
    else if (node.kind === "binary") [node.left, node.right].forEach(walk);
    else if (node.kind === "call") node.args.forEach(walk);
  };
  walk(expression);
  return [...names.values()];
}

export function keyOf(parts: readonly string[]): string {
  return JSON.stringify(parts);
}

/** `valueOf`: undefined where a name has no value; the whole has none then, nor where it is no finite number. */
export function evaluate(
  expression: SeriesExpression,
  valueOf: (key: string) => number | undefined,
): number | undefined {
  const value = run(expression, valueOf);
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

function run(node: SeriesExpression, valueOf: (key: string) => number | undefined): number | undefined {
  switch (node.kind) {
    case "number":
      return node.value;
    case "name":
      return valueOf(keyOf(node.parts));
    case "negative": {
      const value = run(node.of, valueOf);
      return value === undefined ? undefined : -value;
    }
    case "binary": {
      const left = run(node.left, valueOf);
      const right = run(node.right, valueOf);
      return left === undefined || right === undefined ? undefined : OPERATORS[node.operator](left, right);
    }
    case "call": {
      const values = node.args.map((arg) => run(arg, valueOf));
      return values.every((value) => value !== undefined) ? FUNCTIONS.get(node.name)![2](...values) : undefined;
    }
  }
}

const SPACE = /\s*/y;
const NUMBER = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[\p{L}_][\p{L}\p{N}_]*/uy;
/** Behind a dot: an item of an array, such as `cores.0`. */
const PART = /[\p{L}\p{N}_]+/uy;
const QUOTED = /"((?:[^"]|"")*)"/y;
const DEPTH_MAX = 50;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  all(): SeriesExpression {
    const expression = this.#sum();
    if (this.#peek() !== "") throw this.#unexpected();
    if (namesOf(expression).length === 0) throw refused("it names no field", 0);
    return expression;
  }

  #sum(): SeriesExpression {
    return this.#nested(() => this.#chain(["+", "-"], () => this.#product()));
  }

  #product(): SeriesExpression {
    return this.#chain(["*", "/", "%"], () => this.#power());
  }

  #power(): SeriesExpression {
    return this.#nested(() => {
      const left = this.#sign();
      return this.#take("^") ? { kind: "binary", operator: "^", left, right: this.#power() } : left;
    });
  }

  #sign(): SeriesExpression {
    if (!this.#take("-")) return this.#atom();
    return this.#nested(() => ({ kind: "negative", of: this.#sign() }));
  }

  /** `1 - 2 - 3` is `(1 - 2) - 3`; a long chain is a deep tree, so it counts as depth. */
  #chain(operators: readonly Operator[], next: () => SeriesExpression): SeriesExpression {
    let left = next();
    for (let length = 0; ; length++) {
      const operator = operators.find((one) => this.#take(one));
      if (operator === undefined) return left;
      if (length >= LIMITS.telemetry.expressionCharsMax / 4) throw refused("it is too long", this.#at);
      left = { kind: "binary", operator, left, right: next() };
    }
  }

  #atom(): SeriesExpression {
    const start = this.#at;
    if (this.#take("(")) {
      const inner = this.#sum();
      this.#expect(")");
      return inner;
    }
    const number = this.#match(NUMBER);
    if (number !== null) return { kind: "number", value: Number(number[0]) };
    const word = this.#match(WORD);
    if (word !== null && this.#take("(")) return this.#call(word[0], start);
    const first = word?.[0] ?? this.#match(QUOTED)?.[1]?.replaceAll('""', '"');
    if (first === undefined) throw this.#unexpected();
    const parts = [first];
    while (this.#take(".")) {
      const part = this.#match(PART)?.[0] ?? this.#match(QUOTED)?.[1]?.replaceAll('""', '"');
      if (part === undefined) throw this.#unexpected();
      parts.push(part);
    }
    return { kind: "name", parts };
  }

  #call(name: string, start: number): SeriesExpression {
    const known = FUNCTIONS.get(name);
    if (known === undefined) {
      throw refused(`'${name.slice(0, 40)}' is no function; known are ${[...FUNCTIONS.keys()].join(", ")}`, start);
    }
    const args = [this.#sum()];
    while (this.#take(",")) args.push(this.#sum());
    this.#expect(")");
    const [min, max] = known;
    if (args.length < min || args.length > max) throw refused(`'${name}' takes ${min} to ${max} values`, start);
    return { kind: "call", name, args };
  }

  #nested(work: () => SeriesExpression): SeriesExpression {
    if (++this.#depth > DEPTH_MAX * 2) throw refused("it is nested too deeply", this.#at);
    const result = work();
    this.#depth--;
    return result;
  }

  #peek(): string {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
    return this.#text[this.#at] ?? "";
  }

  #take(symbol: string): boolean {
    if (this.#peek() !== symbol) return false;
    this.#at++;
    return true;
  }

  #expect(symbol: string): void {
    if (!this.#take(symbol)) throw this.#unexpected(symbol);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    this.#peek();
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #unexpected(wanted?: string): TidewireError {
    const found = this.#peek();
    const what = found === "" ? "it ends too early" : `'${found}' does not belong there`;
    return refused(wanted === undefined ? what : `${what}; '${wanted}' is missing`, this.#at);
  }
}

function refused(reason: string, at: number): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason: `'expr' cannot be read at character ${at + 1}: ${reason}` });
}
