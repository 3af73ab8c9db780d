/**
 * The clauses that Tidewire adds behind FROM; what AWS IoT accepts is read as before.
 *
 *     FROM 'a/+/b' [TIMESTAMP BY ts] [WHERE x > 30 [FOR '5 min' | ABSENT FOR '2 min' | THEN y < 3 WITHIN '1 min']]
 *     [GROUP BY topic(2), TUMBLE('1 min')] [HAVING avg(x) > 30] [LATENESS '10 s'] [EMIT CHANGES]
 */
import { LIMITS } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import { parseDuration, printDuration } from "./duration.ts";
import type { Token } from "./lexer.ts";
import type { TokenCursor } from "./token-cursor.ts";
import type { ClauseName, Expression, PatternClause, StateClauses } from "./tree.ts";
import type { WindowShape } from "./window-shape.ts";

interface ClauseParser {
  readonly tokens: TokenCursor;
  expression(): Expression;
}

/** Everything behind FROM and its filter. `state` is null where nothing of ours is there. */
export function parseClauses(
  tokens: TokenCursor,
  expression: () => Expression,
): { where: Expression | null; state: StateClauses | null } {
  const parser: ClauseParser = { tokens, expression };
  const clauses = new Map<ClauseName, number>();
  const begin = parser.tokens.peek().at;
  const open = (name: ClauseName): boolean => {
    const [first, second] = name.split(" ");
    if (!parser.tokens.isWord(first!)) return false;
    clauses.set(name, parser.tokens.advance().at);
    if (second !== undefined) expect(parser, second, `${name} belong together.`);
    return true;
  };
  const time = open("TIMESTAMP BY") ? parser.expression() : null;
  const where = parseWhere(parser);
  const pattern = parsePattern(parser);
  const { keys, shape } = open("GROUP BY") ? parseGroups(parser) : { keys: null, shape: null };
  const having = open("HAVING") ? parseHaving(parser) : null;
  const lateness = open("LATENESS") ? parseSpan(parser, "LATENESS", 0, LIMITS.windows.windowLatenessMax) : null;
  const emit = open("EMIT") ? parseEmit(parser) : null;
  if (clauses.size === 0 && pattern === null) return { where, state: null };
  return { where, state: { time, pattern, keys, shape, having, lateness, emit, at: begin, clauses } };
}

function parseWhere(parser: ClauseParser): Expression | null {
  if (!parser.tokens.isWord("WHERE")) return null;
  const where = parser.tokens.advance();
  if (!parser.tokens.isWord("ABSENT")) return parser.expression();
  // `WHERE ABSENT FOR …` reads well, and `absent` may be a key: `WHERE absent = 1`.
  const absent = parser.tokens.peek();
  const condition = parser.expression();
  if (condition.kind !== "path" || !parser.tokens.isWord("FOR")) return condition;
  throw parser.tokens.fault(
    where,
    "ABSENT FOR takes no WHERE before it",
    `Leave WHERE out: … ${absent.text} FOR '2 minutes'.`,
  );
}

/** HAVING is asked about each window by itself: what holds from one to the next is another rule's, or the alert's. */
function parseHaving(parser: ClauseParser): Expression {
  const having = parser.expression();
  const next = parser.tokens.peek();
  if (next.type !== "word" || !PATTERNS.has(next.upper)) return having;
  throw parser.tokens.fault(
    next,
    `${next.upper} does not go with HAVING, which is about one window at a time`,
    "Give the rule's alert `forSeconds`; or republish the results, and let another rule read them: WHERE a > 80 FOR '5 minutes'.",
  );
}
const PATTERNS: ReadonlySet<string> = new Set(["FOR", "ABSENT", "THEN"]);

function parsePattern(parser: ClauseParser): PatternClause | null {
  const { at } = parser.tokens.peek();
  const spanMax = LIMITS.windows.windowSpanMax;
  if (parser.tokens.isWord("FOR")) {
    parser.tokens.advance();
    return { kind: "hold", span: parseSpan(parser, "FOR", 1, spanMax), at };
  }
  if (parser.tokens.isWord("ABSENT")) {
    parser.tokens.advance();
    expect(parser, "FOR", "Write ABSENT FOR '2 minutes'.");
    return { kind: "absent", span: parseSpan(parser, "ABSENT FOR", 1, spanMax), at };
  }
  const steps: Expression[] = [];
  while (parser.tokens.isWord("THEN")) {
    const then = parser.tokens.advance();
    steps.push(parser.expression());
    if (steps.length > LIMITS.windows.sequenceStepsMax) {
      throw parser.tokens.fault(then, `more than ${LIMITS.windows.sequenceStepsMax} steps`, "Split the rule.");
    }
  }
  if (steps.length === 0) return null;
  expect(parser, "WITHIN", "Say in what time all of it must happen: THEN … WITHIN '5 minutes'.");
  return { kind: "sequence", span: parseSpan(parser, "WITHIN", 1, spanMax), steps, at };
}

const SHAPES: ReadonlySet<string> = new Set(["TUMBLE", "HOP", "SLIDE", "SESSION", "COUNT"]);

function parseGroups(parser: ClauseParser): { keys: readonly Expression[]; shape: WindowShape | null } {
  const keys: Expression[] = [];
  let shape: WindowShape | null = null;
  for (;;) {
    const token = parser.tokens.peek();
    if (token.type === "word" && SHAPES.has(token.upper)) {
      if (shape !== null) throw parser.tokens.fault(token, "a statement has one window", null);
      shape = parseShape(parser);
    } else {
      keys.push(parser.expression());
      if (keys.length > LIMITS.rules.sqlItemsMax) throw parser.tokens.fault(token, "too many groups", null);
    }
    if (!parser.tokens.isSymbol(",")) return { keys, shape };
    parser.tokens.advance();
  }
}

function parseShape(parser: ClauseParser): WindowShape {
  const name = parser.tokens.advance();
  if (!parser.tokens.isSymbol("("))
    throw parser.tokens.fault(parser.tokens.peek(), `expected ( after ${name.upper}`, hintOf(name.upper));
  parser.tokens.advance();
  const shape = name.upper === "COUNT" ? countShape(parser) : timeShape(parser, name);
  if (!parser.tokens.isSymbol(")"))
    throw parser.tokens.fault(parser.tokens.peek(), `expected ) after ${name.upper}`, hintOf(name.upper));
  parser.tokens.advance();
  return shape;
}

function timeShape(parser: ClauseParser, name: Token): WindowShape {
  const spanMax = LIMITS.windows.windowSpanMax;
  const first = parseSpan(parser, name.upper, 1, spanMax);
  const second = parser.tokens.isSymbol(",") && name.upper !== "SLIDE";
  if (second) parser.tokens.advance();
  else if (name.upper === "HOP")
    throw parser.tokens.fault(parser.tokens.peek(), "HOP has a size and a step", hintOf("HOP"));
  const at = parser.tokens.peek();
  const more = second ? parseSpan(parser, name.upper, name.upper === "TUMBLE" ? 0 : 1, spanMax) : null;
  switch (name.upper) {
    case "TUMBLE":
      return { kind: "tumble", size: first, offset: (more ?? 0) % first };
    case "HOP":
      if (more! > first)
        throw parser.tokens.fault(at, "the step is longer than the window", "Messages between would be lost.");
      return { kind: "hop", size: first, every: more! };
    case "SLIDE":
      return { kind: "slide", size: first };
    default:
      return { kind: "session", gap: first, max: more };
  }
}

function countShape(parser: ClauseParser): WindowShape {
  const size = parseCount(parser);
  if (!parser.tokens.isSymbol(",")) return { kind: "count", size, every: size };
  parser.tokens.advance();
  const at = parser.tokens.peek();
  const every = parseCount(parser);
  if (every > size)
    throw parser.tokens.fault(at, "the step is longer than the window", "Messages between would be lost.");
  return { kind: "count", size, every };
}

function parseCount(parser: ClauseParser): number {
  const token = parser.tokens.advance();
  const count = token.type === "number" ? Number(token.text) : Number.NaN;
  const max = LIMITS.windows.windowCountMax;
  if (Number.isSafeInteger(count) && count >= 1 && count <= max) return count;
  throw parser.tokens.fault(token, `expected a whole number from 1 to ${max}`, hintOf("COUNT"));
}

function hintOf(shape: string): string {
  const forms: Readonly<Record<string, string>> = {
    TUMBLE: "TUMBLE('1 minute'), or TUMBLE('1 day', '6 h') for days that begin at six",
    HOP: "HOP('1 hour', '5 minutes'): the size, and how often one begins",
    SLIDE: "SLIDE('1 minute')",
    SESSION: "SESSION('10 minutes'), or SESSION('10 minutes', '4 h') with a longest one",
    COUNT: "COUNT(100), or COUNT(100, 10) after every tenth message",
  };
  return `Write ${forms[shape]!}.`;
}

function parseEmit(parser: ClauseParser): "final" | "changes" {
  const token = parser.tokens.advance();
  if (token.upper === "FINAL") return "final";
  if (token.upper === "CHANGES") return "changes";
  throw parser.tokens.fault(
    token,
    "expected FINAL or CHANGES",
    "FINAL: once, when the window is closed. CHANGES: each time.",
  );
}

/** A duration in quotes. */
function parseSpan(parser: ClauseParser, what: string, min: Millis, max: Millis): Millis {
  const token = parser.tokens.advance();
  const span = token.type === "string" ? parseDuration(token.text) : null;
  if (span === null) {
    throw parser.tokens.fault(
      token,
      `expected a duration after ${what}`,
      "Write it in quotes: '90 s', '5 minutes', 'PT5M'.",
    );
  }
  if (span >= min && span <= max) return span;
  throw parser.tokens.fault(
    token,
    `${what} takes at ${span < min ? "least" : "most"} ${printDuration(span < min ? min : max)}`,
    null,
  );
}

function expect(parser: ClauseParser, word: string, hint: string): void {
  if (!parser.tokens.isWord(word)) throw parser.tokens.fault(parser.tokens.peek(), `expected ${word}`, hint);
  parser.tokens.advance();
}
