/** Text → tokens. Linear; throws `SqlError` at the first character that begins no token. */
import { Decimal } from "./decimal.ts";
import { SqlError } from "./error.ts";

export type TokenType = "word" | "variable" | "string" | "number" | "symbol" | "end";

export interface Token {
  readonly type: TokenType;
  /** As written; a variable without its @, a string without its quotes and with doubled quotes undone. */
  readonly text: string;
  /** Upper case for words, so that keywords compare; else the same as `text`. */
  readonly upper: string;
  readonly at: number;
  readonly end: number;
}

const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
/** AWS IoT: letters, digits and _, 64 at most; looked for with more, so that a longer one is told. */
const VARIABLE = /@[A-Za-z0-9_]+/y;
const VARIABLE_CHARS_MAX = 64;
const NUMBER = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\r\n]+/y;
const SYMBOL = /<>|<=|>=|[()[\]{},.:*+\-/%=<>]/y;

const HINTS: Readonly<Record<string, string>> = {
  "!": "Write <> for 'not equal' and NOT for negation.",
  "&": "Write AND.",
  "|": "Write OR; + joins strings.",
  ";": "Leave the semicolon out.",
  "@": "A variable's name follows at once: @name.",
  "`": "Names take no quotes; for a key that is not a plain name, use get(object, 'my-key').",
  "–": "This is a dash; type a minus sign.",
  "‘": "This is a typographic quote; type a straight one.",
  "’": "This is a typographic quote; type a straight one.",
  "“": "This is a typographic quote; type a straight one.",
  "”": "This is a typographic quote; type a straight one.",
  "\u00a0": "This is a no-break space; type a plain one.",
};

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] ?? null;
  };
  while (at < text.length) {
    const space = take(SPACE);
    if (space !== null) {
      at += space.length;
      continue;
    }
    const c = text[at]!;
    const word = take(WORD);
    const number = word === null ? take(NUMBER) : null;
    if (word !== null) tokens.push(token("word", word, at, at + word.length));
    else if (number !== null) tokens.push(numberToken(text, number, at));
    else if (c === "@") tokens.push(variableToken(text, take(VARIABLE), at));
    else if (c === "'" || c === '"') tokens.push(stringToken(text, c, at));
    else tokens.push(symbolToken(text, take(SYMBOL), at));
    at = tokens.at(-1)!.end;
  }
  tokens.push(token("end", "", text.length, text.length));
  return tokens;
}

function token(type: TokenType, text: string, at: number, end: number): Token {
  return { type, text, upper: type === "word" ? text.toUpperCase() : text, at, end };
}

function variableToken(text: string, variable: string | null, at: number): Token {
  if (variable === null) return symbolToken(text, null, at);
  if (variable.length <= VARIABLE_CHARS_MAX + 1) return token("variable", variable.slice(1), at, at + variable.length);
  const reason = `a variable's name of more than ${VARIABLE_CHARS_MAX} characters`;
  throw new SqlError(text, { position: at, reason, hint: null });
}

function numberToken(text: string, number: string, at: number): Token {
  const end = at + number.length;
  const next = text[end];
  if (next !== undefined && /[A-Za-z0-9_]/.test(next)) {
    throw new SqlError(text, {
      position: at,
      reason: `'${excerptOf(text, at)}' is neither a number nor a name`,
      hint: "A key that begins with a digit is reached with get(object, '1st').",
    });
  }
  if (Decimal.parse(number) === null) {
    throw new SqlError(text, { position: at, reason: "the number is too large", hint: null });
  }
  return token("number", number, at, end);
}

function stringToken(text: string, quote: string, at: number): Token {
  let value = "";
  let from = at + 1;
  for (;;) {
    const close = text.indexOf(quote, from);
    if (close < 0) {
      throw new SqlError(text, {
        position: at,
        reason: `the string that begins here has no closing ${quote}`,
        hint: `A ${quote} inside the string is written twice.`,
      });
    }
    value += text.slice(from, close);
    if (text[close + 1] !== quote) return token("string", value, at, close + 1);
    value += quote;
    from = close + 2;
  }
}

function symbolToken(text: string, symbol: string | null, at: number): Token {
  if (symbol !== null) {
    const comment = text.startsWith("--", at) || text.startsWith("/*", at);
    if (comment) throw new SqlError(text, { position: at, reason: "comments are not part of this SQL", hint: null });
    const doubled = text.startsWith("==", at);
    if (doubled) throw new SqlError(text, { position: at, reason: "unknown operator ==", hint: "Write a single =." });
    return token("symbol", symbol, at, at + symbol.length);
  }
  const character = String.fromCodePoint(text.codePointAt(at)!);
  throw new SqlError(text, {
    position: at,
    reason: `'${character}' does not belong here`,
    hint: HINTS[character] ?? null,
  });
}

function excerptOf(text: string, at: number): string {
  return /^\w{1,20}/.exec(text.slice(at, at + 20))?.[0] ?? text.slice(at, at + 1);
}
