/** A place in the tokens of a statement, and the faults that are found there. */
import { SqlError, nearest } from "./error.ts";
import { tokenize } from "./lexer.ts";
import type { Token } from "./lexer.ts";

/** Words of other SQL dialects, and what to write here. */
const FOREIGN: Readonly<Record<string, string>> = {
  LIKE: "LIKE is not part of this SQL; use startswith(), endswith(), indexof() or regexp_matches().",
  IN: "IN is not part of this SQL; join comparisons with OR.",
  BETWEEN: "BETWEEN is not part of this SQL; write x >= low AND x <= high.",
  IS: "IS is not part of this SQL; use isNull(x) or isUndefined(x).",
  GROUP: "GROUP BY stands behind WHERE.",
  HAVING: "HAVING stands behind GROUP BY.",
  ORDER: "ORDER BY is not part of this SQL.",
  JOIN: "JOIN is not part of this SQL.",
  UNION: "UNION is not part of this SQL; write two rules.",
  LIMIT: "LIMIT is not part of this SQL.",
};

export class TokenCursor {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  /** The token `ahead` of the next one; the last one stands for all that would follow it. */
  peek(ahead = 0): Token {
    return this.#tokens[this.#next + ahead] ?? this.#tokens.at(-1)!;
  }

  advance(): Token {
    const token = this.peek();
    if (token.type !== "end") this.#next++;
    return token;
  }

  isSymbol(symbol: string): boolean {
    const token = this.peek();
    return token.type === "symbol" && token.text === symbol;
  }

  isWord(word: string): boolean {
    const token = this.peek();
    return token.type === "word" && token.upper === word;
  }

  expectSymbol(symbol: string): void {
    if (!this.isSymbol(symbol)) throw this.unexpected([symbol]);
    this.advance();
  }

  expectWord(word: string, suggestions: readonly string[] = [word]): void {
    if (!this.isWord(word)) throw this.unexpected([word], suggestions);
    this.advance();
  }

  expectEnd(suggestions: readonly string[]): void {
    if (this.peek().type !== "end") throw this.unexpected([...suggestions.slice(0, 1), "the end"], suggestions);
  }

  unexpected(expected: readonly string[], suggestions: readonly string[] = []): SqlError {
    const token = this.peek();
    const foreign = token.type === "word" ? FOREIGN[token.upper] : undefined;
    const like = token.type === "word" ? nearest(token.text, suggestions) : null;
    const hint = foreign ?? (like === null ? null : `Did you mean ${like}?`);
    return this.fault(token, `expected ${expected.join(" or ")}, ${found(token)}`, hint);
  }

  fault(token: Token, reason: string, hint: string | null): SqlError {
    return this.faultAt(token.at, reason, hint);
  }

  faultAt(position: number, reason: string, hint: string | null): SqlError {
    return new SqlError(this.#text, { position, reason, hint });
  }
}

export function found(token: Token): string {
  if (token.type === "end") return "found the end";
  if (token.type === "variable") return `found '@${token.text.slice(0, 40)}'`;
  return token.type === "string" ? `found a string` : `found '${token.text.slice(0, 40)}'`;
}
