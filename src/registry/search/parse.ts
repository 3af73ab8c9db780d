/** AWS IoT's fleet-indexing query language: text → tree. Throws SEARCH_QUERY_INVALID with the column. */
import { LIMITS } from "../../base/mod.ts";
import { Tokens, refused } from "./tokens.ts";
import type { Bound, Token } from "./tokens.ts";
import type { Match, Pattern, Query } from "./tree.ts";
import { compare, numberOf, wordsOf } from "./values.ts";

const { queryLengthMax, queryTermsMax, queryNestingMax, leadingWildcardLengthMax } = LIMITS.search;

/** Where people write one or the other: names a field, groups, or has a wildcard. Everything else is plain words. */
export function isFleetQuery(text: string): boolean {
  return /(?:^|[\s(-])(?:thing(?:Name|Id|TypeName|GroupNames)|(?:attributes|shadow|connectivity|registry)\.\S*?)[:<>]|[*?()]/.test(
    text,
  );
}

export function parseQuery(text: string): Query {
  if (text.length > queryLengthMax) {
    refused(`it has ${text.length} characters, ${queryLengthMax} at most`, queryLengthMax + 1);
  }
  return new Parser(text).parse();
}

class Parser {
  readonly #tokens: Tokens;
  readonly #length: number;
  #terms = 0;
  #leading = 0;
  #depth = 0;

  constructor(text: string) {
    this.#length = text.length;
    this.#tokens = new Tokens(text);
  }

  parse(): Query {
    if (this.#tokens.next.kind === "end") refused("it is empty; '*' finds everything", 1);
    const query = this.#or(null);
    const { next } = this.#tokens;
    if (next.kind === "close") refused("')' closes nothing", next.column);
    return query;
  }

  #or(field: string | null): Query {
    const items = [this.#and(field)];
    while (this.#tokens.next.kind === "or") {
      this.#tokens.take();
      items.push(this.#and(field));
    }
    return joined("or", items);
  }

  /** What stands side by side belongs together as with AND. */
  #and(field: string | null): Query {
    const items = [this.#not(field)];
    for (;;) {
      const { kind } = this.#tokens.next;
      if (kind === "and") this.#tokens.take();
      else if (kind === "or" || kind === "close" || kind === "end") return joined("and", items);
      items.push(this.#not(field));
    }
  }

  #not(field: string | null): Query {
    let negated = false;
    while (this.#tokens.next.kind === "not") {
      this.#tokens.take();
      negated = !negated;
    }
    const item = this.#primary(field);
    return negated ? { kind: "not", item } : item;
  }

  #primary(field: string | null): Query {
    const token = this.#tokens.take();
    switch (token.kind) {
      case "open":
        return this.#grouped(token, field);
      case "field":
        if (field !== null) refused(`'${token.name}:' stands within the parentheses of '${field}:'`, token.column);
        return this.#ofField(token.name, token.column);
      case "word":
        if (field === null && isMany(token.pattern)) return this.#counted(token, { kind: "all" });
        return this.#counted(token, { kind: "term", field, match: this.#pattern(token.pattern, token.column) });
      case "phrase":
        return this.#counted(token, { kind: "term", field, match: phrase(token.text, token.column) });
      case "range":
        if (field === null) refused("a range needs a field before it: 'attributes.floor:[1 TO 5]'", token.column);
        return this.#counted(token, { kind: "term", field, match: range(token.from, token.to, token.column) });
      case "compare":
        if (field === null) refused(`a field's name is missing before '${token.operator}'`, token.column);
        return this.#counted(token, { kind: "term", field, match: this.#comparison(token.operator) });
      case "and":
      case "or":
      case "not":
      case "close":
      case "end":
        return unexpected(token);
    }
  }

  #ofField(name: string, column: number): Query {
    const { next } = this.#tokens;
    if (next.kind === "field") refused(`the value of '${name}' is missing`, column);
    if (next.kind !== "open") return this.#primary(name);
    this.#tokens.take();
    return this.#grouped(next, name);
  }

  #grouped(opening: Token, field: string | null): Query {
    if (++this.#depth > queryNestingMax) {
      refused(`more than ${queryNestingMax} parentheses within each other`, opening.column);
    }
    const query = this.#or(field);
    if (this.#tokens.next.kind !== "close") refused("the closing ')' of this one is missing", opening.column);
    this.#tokens.take();
    this.#depth--;
    return query;
  }

  #comparison(operator: "<" | "<=" | ">" | ">="): Match {
    const token = this.#tokens.take();
    if (token.kind !== "phrase" && token.kind !== "word") return unexpected(token);
    const quoted = token.kind === "phrase";
    const text = quoted ? token.text : plain(token.pattern);
    if (text === null) return refused("a wildcard cannot be compared", token.column);
    const [bound, none] = [
      { text, quoted, open: !operator.endsWith("=") },
      { text: null, quoted: false, open: false },
    ];
    return operator.startsWith("<") ? range(none, bound, token.column) : range(bound, none, token.column);
  }

  #pattern(pattern: Pattern, column: number): Match {
    const word = plain(pattern);
    if (word !== null) return { kind: "word", word };
    if (isMany(pattern)) return { kind: "any" };
    if (typeof pattern[0] !== "string") {
      if (++this.#leading > 1) refused("one term of a query may begin with a wildcard, not two", column);
      if (this.#length > leadingWildcardLengthMax) {
        const most = `${leadingWildcardLengthMax} characters at most`;
        refused(`a query with a term that begins with a wildcard has ${most}`, column);
      }
    }
    return { kind: "pattern", pattern };
  }

  #counted(token: Token, query: Query): Query {
    if (++this.#terms > queryTermsMax) refused(`more than ${queryTermsMax} terms`, token.column);
    return query;
  }
}

function joined(kind: "and" | "or", items: readonly Query[]): Query {
  return items.length === 1 ? items[0]! : { kind, items };
}

function isMany(pattern: Pattern): boolean {
  return pattern.length > 0 && pattern.every((part) => typeof part === "object" && part.wild === "many");
}

/** Null where it has wildcards. */
function plain(pattern: Pattern): string | null {
  return pattern.length === 1 && typeof pattern[0] === "string" ? pattern[0] : null;
}

function phrase(text: string, column: number): Match {
  const words = wordsOf(text);
  if (words.length === 0) return refused("there is nothing between the quotation marks", column);
  return words.length === 1 ? { kind: "word", word: words[0]! } : { kind: "phrase", words };
}

/** Of numbers where both ends are numbers, or one is and the other is open; else of texts. */
function range(from: Bound, to: Bound, column: number): Match {
  const open = { from: from.open, to: to.open };
  const [low, high] = [numeric(from), numeric(to)];
  if (from.text === null && to.text === null) return { kind: "any" };
  if ((low ?? from.text) === low && (high ?? to.text) === high) {
    if (low !== null && high !== null && low > high) refused("the range ends before it begins", column);
    return { kind: "numbers", from: low ?? -Infinity, to: high ?? Infinity, open };
  }
  const [first, last] = [from.text?.toLowerCase() ?? null, to.text?.toLowerCase() ?? null];
  if (first !== null && last !== null && compare(first, last) > 0) refused("the range ends before it begins", column);
  return { kind: "texts", from: first, to: last, open };
}

function numeric({ text, quoted }: Bound): number | null {
  return text === null || quoted ? null : numberOf(text.toLowerCase());
}

function unexpected(token: Token): never {
  switch (token.kind) {
    case "end":
      return refused("it ends where a term is expected", token.column);
    case "close":
      return refused("a term is expected before ')'", token.column);
    case "and":
    case "or":
    case "not":
      return refused(
        `a term is expected before ${token.kind.toUpperCase()}; in quotation marks it is a word`,
        token.column,
      );
    case "open":
    case "field":
    case "compare":
    case "range":
    case "word":
    case "phrase":
      return refused("a value is expected", token.column);
  }
}
