/** Text of a query → tokens. Columns count characters from 1. */
import { TidewireError } from "../../base/mod.ts";
import type { Pattern } from "./tree.ts";

export type Token =
  | { readonly kind: "open" | "close" | "and" | "or" | "not" | "end"; readonly column: number }
  /** `name:`, or a comparison `name<`. */
  | { readonly kind: "field"; readonly name: string; readonly column: number }
  | { readonly kind: "compare"; readonly operator: "<" | "<=" | ">" | ">="; readonly column: number }
  | { readonly kind: "word"; readonly pattern: Pattern; readonly column: number }
  | { readonly kind: "phrase"; readonly text: string; readonly column: number }
  | { readonly kind: "range"; readonly from: Bound; readonly to: Bound; readonly column: number };

/** Text null: `*`, no bound. */
export interface Bound {
  readonly text: string | null;
  readonly quoted: boolean;
  readonly open: boolean;
}

const SPACE = /\s/u;
/** What ends a word that is not escaped. */
const ENDS = /[\s()[\]{}"]/u;
const OPERATORS: Readonly<Record<string, "and" | "or" | "not">> = { AND: "and", OR: "or", NOT: "not" };

export function refused(reason: string, column: number): never {
  throw new TidewireError("SEARCH_QUERY_INVALID", { reason, column });
}

export class Tokens {
  readonly #text: string;
  #at = 0;
  #next: Token;

  constructor(text: string) {
    this.#text = text;
    this.#next = this.#read();
  }

  get next(): Token {
    return this.#next;
  }

  take(): Token {
    const token = this.#next;
    this.#next = this.#read();
    return token;
  }

  #read(): Token {
    this.#skipSpace();
    const column = this.#column();
    const character = this.#text[this.#at];
    switch (character) {
      case undefined:
        return { kind: "end", column };
      case "(":
        return this.#one("open", column);
      case ")":
        return this.#one("close", column);
      case "-":
        if (!this.#afterField() && this.#startsTerm(this.#at + 1)) return this.#one("not", column);
        return this.#word(column);
      case '"':
        return { kind: "phrase", text: this.#quoted(), column };
      case "[":
      case "{":
        return this.#range(column);
      case "]":
      case "}":
        return refused(`'${character}' ends a range that did not begin`, column);
      case "<":
      case ">":
        return this.#comparison(character, column);
      default:
        return this.#word(column);
    }
  }

  #one(kind: "open" | "close" | "not", column: number): Token {
    this.#at++;
    return { kind, column };
  }

  #comparison(character: "<" | ">", column: number): Token {
    const orEqual = this.#text[this.#at + 1] === "=";
    this.#at += orEqual ? 2 : 1;
    return { kind: "compare", operator: orEqual ? `${character}=` : character, column };
  }

  /** What follows is a value: its own `:` and `-` mean nothing. */
  #afterField(): boolean {
    return this.#at > 0 && /[:<>=]/.test(this.#text[this.#at - 1]!);
  }

  /** A `-` stands for NOT where a term begins right after it, and not a number: `-5` is a number. */
  #startsTerm(at: number): boolean {
    const character = this.#text[at];
    return character !== undefined && !SPACE.test(character) && character !== ")" && !/[\d.]/.test(character);
  }

  /** A word, or the name of a field with what follows it. */
  #word(column: number): Token {
    const start = this.#at;
    const parts: (string | { readonly wild: "one" | "many" })[] = [];
    let text = "";
    const afterField = this.#afterField();
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at]!;
      if (ENDS.test(character)) break;
      if (!afterField && (character === ":" || character === "<" || character === ">")) {
        return this.#field(parts, text, column, character);
      }
      if (character === "*" || character === "?") {
        if (text !== "") parts.push(text.toLowerCase());
        text = "";
        parts.push({ wild: character === "*" ? "many" : "one" });
      } else text += character === "\\" ? this.#escaped() : character;
    }
    const operator = OPERATORS[this.#text.slice(start, this.#at)];
    if (operator !== undefined) return { kind: operator, column };
    if (text !== "") parts.push(text.toLowerCase());
    return { kind: "word", pattern: parts, column };
  }

  #field(parts: readonly unknown[], text: string, column: number, end: string): Token {
    if (parts.length > 0) return refused("the name of a field has no wildcards", column);
    if (text === "") return refused(`a field's name is missing before '${end}'`, column);
    if (end === ":") this.#at++;
    return { kind: "field", name: text, column };
  }

  #escaped(): string {
    const escaped = this.#text[++this.#at];
    return escaped ?? refused("'\\' stands before the character that it escapes", this.#column() - 1);
  }

  #quoted(): string {
    const column = this.#column();
    let text = "";
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at]!;
      if (character === '"') {
        this.#at++;
        return text;
      }
      text += character === "\\" ? this.#escaped() : character;
    }
    return refused("the closing quotation mark is missing", column);
  }

  #range(column: number): Token {
    const openFrom = this.#text[this.#at++] === "{";
    const from = this.#bound(openFrom);
    this.#skipSpace();
    if (!/^TO\s/u.test(this.#text.slice(this.#at, this.#at + 3))) {
      return refused("a range is written [1 TO 5]: 'TO' is missing", this.#column());
    }
    this.#at += 2;
    const to = this.#bound(false);
    this.#skipSpace();
    const end = this.#text[this.#at];
    if (end !== "]" && end !== "}") return refused("a range ends with ']' or '}'", this.#column());
    this.#at++;
    return { kind: "range", from, to: { ...to, open: end === "}" }, column };
  }

  #bound(open: boolean): Bound {
    this.#skipSpace();
    if (this.#text[this.#at] === '"') return { text: this.#quoted(), quoted: true, open };
    const column = this.#column();
    let text = "";
    let escaped = false;
    for (; this.#at < this.#text.length && !ENDS.test(this.#text[this.#at]!); this.#at++) {
      escaped ||= this.#text[this.#at] === "\\";
      text += this.#text[this.#at] === "\\" ? this.#escaped() : this.#text[this.#at]!;
    }
    if (text === "") return refused("a bound of the range is missing; '*' means none", column);
    return { text: text === "*" && !escaped ? null : text, quoted: false, open };
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && SPACE.test(this.#text[this.#at]!)) this.#at++;
  }

  #column(): number {
    return Array.from(this.#text.slice(0, this.#at)).length + 1;
  }
}
