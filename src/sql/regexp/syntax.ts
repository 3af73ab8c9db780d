/**
 * Pattern text → tree. The syntax is the part of Java's that a linear engine can do: no backreferences, no look-around,
 * no possessive quantifiers or atomic groups. What is left out is refused with its place.
 */
import { LIMITS } from "../../base/mod.ts";
import {
  ANYTHING,
  CharSet,
  DIGITS,
  HORIZONTAL_SPACES,
  LINE_ENDS,
  SPACES,
  WORDS,
  namedSet,
  oneCharacter,
} from "./char-set.ts";

export type Assertion = "text-start" | "text-end" | "last-line-end" | "line-start" | "line-end" | "word" | "no-word";

export type PatternNode =
  | { readonly kind: "empty" }
  | { readonly kind: "set"; readonly set: CharSet }
  | { readonly kind: "all"; readonly parts: readonly PatternNode[] }
  | { readonly kind: "any"; readonly choices: readonly PatternNode[] }
  | {
      readonly kind: "repeat";
      readonly of: PatternNode;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    }
  | { readonly kind: "group"; readonly of: PatternNode; readonly index: number }
  | { readonly kind: "assertion"; readonly which: Assertion };

export interface Pattern {
  readonly root: PatternNode;
  /** Capturing groups, the whole not counted. */
  readonly groups: number;
  readonly names: ReadonlyMap<string, number>;
}

/** A pattern that is wrong, or that needs more than this engine has. */
export class PatternError extends Error {
  /** Index into the pattern. */
  readonly position: number;
  readonly reason: string;

  constructor(position: number, reason: string) {
    super(`at ${position + 1}: ${reason}`);
    this.name = "PatternError";
    this.position = position;
    this.reason = reason;
  }
}

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
  readonly multiline: boolean;
}

const ESCAPED: Readonly<Record<string, number>> = { t: 9, n: 10, r: 13, f: 12, a: 7, e: 27, v: 11 };
const CLASSES: Readonly<Record<string, CharSet>> = {
  d: DIGITS,
  D: DIGITS.negated(),
  w: WORDS,
  W: WORDS.negated(),
  s: SPACES,
  S: SPACES.negated(),
  h: HORIZONTAL_SPACES,
  H: HORIZONTAL_SPACES.negated(),
};
const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  b: "word",
  B: "no-word",
  A: "text-start",
  z: "text-end",
  Z: "last-line-end",
};
const LOOK_AROUND = "looking ahead or behind needs more than linear time and is not supported";

/** Throws `PatternError`. */
export function parsePattern(text: string): Pattern {
  if (text.length > LIMITS.rules.sqlRegexpCharsMax) {
    throw new PatternError(0, `longer than ${LIMITS.rules.sqlRegexpCharsMax} characters`);
  }
  return new PatternParser(text).pattern();
}

class PatternParser {
  readonly #text: string;
  #at = 0;
  #groups = 0;
  #depth = 0;
  readonly #names = new Map<string, number>();
  #flags: Flags = { ignoreCase: false, dotAll: false, multiline: false };

  constructor(text: string) {
    this.#text = text;
  }

  pattern(): Pattern {
    const root = this.#choices();
    if (this.#at < this.#text.length) throw this.#fault("this ) closes no group");
    return { root, groups: this.#groups, names: this.#names };
  }

  #choices(): PatternNode {
    if (++this.#depth > LIMITS.rules.sqlRegexpDepthMax) throw this.#fault("nested too deeply");
    const flags = this.#flags;
    const choices = [this.#sequence()];
    while (this.#take("|")) choices.push(this.#sequence());
    this.#flags = flags; // (?i) holds to the end of its group
    this.#depth--;
    return choices.length === 1 ? choices[0]! : { kind: "any", choices };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#text.length && !this.#next("|") && !this.#next(")")) {
      if (this.#take("\\Q")) this.#quoted(parts);
      else parts.push(this.#quantified(this.#atom()));
    }
    return parts.length === 0 ? { kind: "empty" } : parts.length === 1 ? parts[0]! : { kind: "all", parts };
  }

  #quoted(parts: PatternNode[]): void {
    let last: PatternNode | null = null;
    while (this.#at < this.#text.length && !this.#take("\\E")) {
      if (last !== null) parts.push(last);
      last = this.#literal(this.#code());
    }
    if (last !== null) parts.push(this.#quantified(last)); // what follows \E repeats its last character
  }

  #quantified(of: PatternNode): PatternNode {
    const start = this.#at;
    const bounds = this.#bounds();
    if (bounds === null) return of;
    const bare = of.kind === "assertion" && this.#text[start - 1] !== ")"; // (?:^)* is allowed, if odd
    if (bare) throw new PatternError(start, "there is nothing to repeat before this");
    const [min, max] = bounds;
    const lazy = this.#take("?");
    if (this.#next("+")) throw this.#fault("possessive quantifiers are not supported; a linear engine needs none");
    if (this.#next("*") || this.#next("?")) throw this.#fault("there is nothing to repeat before this");
    return { kind: "repeat", of, min, max, lazy };
  }

  #bounds(): readonly [number, number] | null {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    if (!this.#next("{")) return null;
    const found = /^\{(\d{1,6})(,(\d{0,6}))?\}/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (found === null) throw this.#fault("a { that begins no {count} is written \\{");
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === "" ? Infinity : Number(found[3]);
    const most = Math.max(min, max === Infinity ? 0 : max);
    if (most > LIMITS.rules.sqlRegexpRepeatMax) throw this.#fault(`more than ${LIMITS.rules.sqlRegexpRepeatMax} times`);
    if (max < min) throw this.#fault("the counts are in the wrong order");
    this.#at += found[0].length;
    return [min, max];
  }

  #atom(): PatternNode {
    const start = this.#at;
    const code = this.#code();
    const { multiline, dotAll } = this.#flags;
    switch (String.fromCodePoint(code)) {
      case ".":
        return { kind: "set", set: dotAll ? ANYTHING : LINE_ENDS.negated() };
      case "^":
        return { kind: "assertion", which: multiline ? "line-start" : "text-start" };
      case "$":
        return { kind: "assertion", which: multiline ? "line-end" : "last-line-end" };
      case "(":
        return this.#group(start);
      case "[":
        return { kind: "set", set: this.#cased(this.#class(start)) };
      case "\\":
        return this.#escape(start);
      case "*":
      case "+":
      case "?":
      case "{":
        throw new PatternError(start, "there is nothing to repeat before this");
      default:
        return this.#literal(code);
    }
  }

  #literal(code: number): PatternNode {
    return { kind: "set", set: this.#cased(oneCharacter(code)) };
  }

  #cased(set: CharSet): CharSet {
    return this.#flags.ignoreCase ? set.ignoringCase() : set;
  }

  #group(start: number): PatternNode {
    if (!this.#take("?")) return this.#captured(start);
    const named = /^<([A-Za-z][A-Za-z0-9]*)>/.exec(this.#text.slice(this.#at, this.#at + 66));
    if (named !== null) {
      if (this.#names.has(named[1]!)) throw this.#fault(`there are two groups named ${named[1]}`);
      this.#names.set(named[1]!, this.#groups + 1);
      this.#at += named[0].length;
      return this.#captured(start);
    }
    const rest = this.#text.slice(this.#at, this.#at + 2);
    if (/^[=!]|^<[=!]/.test(rest)) throw new PatternError(start, LOOK_AROUND);
    if (rest.startsWith(">")) throw new PatternError(start, "atomic groups are not supported");
    const flags = this.#flags;
    this.#switchFlags(start);
    if (this.#take(")")) return { kind: "empty" }; // (?i): from here on
    if (!this.#take(":")) throw this.#fault("expected : or )");
    const of = this.#choices();
    this.#close(start);
    this.#flags = flags;
    return of;
  }

  #captured(start: number): PatternNode {
    const index = ++this.#groups;
    if (index > LIMITS.rules.sqlRegexpGroupsMax) throw new PatternError(start, "too many groups");
    const of = this.#choices();
    this.#close(start);
    return { kind: "group", of, index };
  }

  #close(start: number): void {
    if (!this.#take(")")) throw new PatternError(start, "this ( has no closing )");
  }

  #switchFlags(start: number): void {
    const found = /^[a-zA-Z]*(?:-[a-zA-Z]+)?/.exec(this.#text.slice(this.#at, this.#at + 20))![0];
    const [on = "", off = ""] = found.split("-");
    const unknown = /[^ism]/.exec(on + off)?.[0];
    if (unknown !== undefined) throw new PatternError(start, `the flag ${unknown} is not supported; i, s and m are`);
    this.#at += found.length;
    const value = (flag: string, before: boolean): boolean => (on.includes(flag) || before) && !off.includes(flag);
    const { ignoreCase, dotAll, multiline } = this.#flags;
    this.#flags = { ignoreCase: value("i", ignoreCase), dotAll: value("s", dotAll), multiline: value("m", multiline) };
  }

  #escape(start: number): PatternNode {
    const letter = this.#text[this.#at];
    if (letter !== undefined && Object.hasOwn(ASSERTIONS, letter)) {
      this.#at++;
      return { kind: "assertion", which: ASSERTIONS[letter]! };
    }
    if (letter !== undefined && /[1-9k]/.test(letter)) {
      throw new PatternError(start, "a reference to a group needs more than linear time and is not supported");
    }
    return { kind: "set", set: this.#cased(this.#escapedSet(start)) };
  }

  /** After the backslash, inside of a class too. */
  #escapedSet(start: number): CharSet {
    if (this.#at >= this.#text.length) throw new PatternError(start, "a \\ stands at the end");
    const code = this.#code();
    const letter = String.fromCodePoint(code);
    if (Object.hasOwn(CLASSES, letter)) return CLASSES[letter]!;
    if (Object.hasOwn(ESCAPED, letter)) return oneCharacter(ESCAPED[letter]!);
    if (letter === "p" || letter === "P") return this.#property(start, letter === "P");
    if (letter === "x" || letter === "u" || letter === "0") return oneCharacter(this.#numbered(start, letter));
    if (/[A-Za-z0-9]/.test(letter)) throw new PatternError(start, `\\${letter} is not supported`);
    return oneCharacter(code);
  }

  #property(start: number, negated: boolean): CharSet {
    const found = /^(?:\{(\^?)([A-Za-z_]{1,20})\}|([LMNPSZC]))/.exec(this.#text.slice(this.#at, this.#at + 24));
    const set = found === null ? null : namedSet(found[2] ?? found[3]!);
    if (found === null || set === null) throw new PatternError(start, "this property is not supported");
    this.#at += found[0].length;
    return negated !== (found[1] === "^") ? set.negated() : set;
  }

  #numbered(start: number, letter: string): number {
    const form = letter === "x" ? /^(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/ : /^([0-9a-fA-F]{4})/;
    const octal = letter === "0";
    const found = (octal ? /^([0-3]?[0-7]{1,2})/ : form).exec(this.#text.slice(this.#at, this.#at + 10));
    const code = found === null ? NaN : Number.parseInt(found[1] ?? found[2]!, octal ? 8 : 16);
    if (!(code <= 0x10ffff)) throw new PatternError(start, `\\${letter} needs the character's code`);
    this.#at += found![0].length;
    return code;
  }

  #class(start: number): CharSet {
    const negated = this.#take("^");
    const sets: CharSet[] = [];
    for (let first = true; first || !this.#next("]"); first = false) {
      if (this.#at >= this.#text.length) throw new PatternError(start, "this [ has no closing ]");
      if (this.#next("&&")) throw this.#fault("&& in a class is not supported");
      sets.push(this.#classItem(start));
    }
    this.#at++;
    return CharSet.union(sets, negated);
  }

  #classItem(start: number): CharSet {
    const posix = /^\[:(\^?)([a-z]{1,10}):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (posix !== null) {
      const set = namedSet(posix[2]!);
      if (set === null) throw this.#fault(`there is no class [:${posix[2]}:]`);
      this.#at += posix[0].length;
      return posix[1] === "^" ? set.negated() : set;
    }
    const at = this.#at;
    if (this.#next("[")) throw this.#fault("a [ inside of a class is written \\[");
    const from = this.#classCharacter();
    if (from.single === null || !this.#next("-") || this.#text[this.#at + 1] === "]") return from;
    this.#at++;
    if (this.#at >= this.#text.length) throw new PatternError(start, "this [ has no closing ]");
    if (this.#next("[")) throw this.#fault("a [ inside of a class is written \\[");
    const to = this.#classCharacter();
    if (to.single === null || to.single < from.single) throw new PatternError(at, "this range goes backwards");
    return new CharSet([[from.single, to.single]]);
  }

  #classCharacter(): CharSet {
    const start = this.#at;
    return this.#take("\\") ? this.#escapedSet(start) : oneCharacter(this.#code());
  }

  #code(): number {
    const code = this.#text.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #next(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#next(text)) return false;
    this.#at += text.length;
    return true;
  }

  #fault(reason: string): PatternError {
    return new PatternError(this.#at, reason);
  }
}
