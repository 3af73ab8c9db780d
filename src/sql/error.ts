/** What is wrong with a statement, and where. */
export interface SqlFault {
  /** Index into the text, in UTF-16 units. */
  readonly position: number;
  /** One clause without a full stop: "expected FROM, found 'FORM'". */
  readonly reason: string;
  /** What to do about it; null where nothing helpful can be said. */
  readonly hint: string | null;
}

/** Thrown by `parseSql` and `compileSql`. `message` shows the line with a caret under the place. */
export class SqlError extends Error {
  readonly position: number;
  /** 1-based. */
  readonly line: number;
  /** 1-based, in UTF-16 units. */
  readonly column: number;
  /** What is wrong, on one line, without the excerpt. */
  readonly reason: string;
  readonly hint: string | null;

  constructor(text: string, fault: SqlFault) {
    const start = text.lastIndexOf("\n", fault.position - 1) + 1;
    const newline = text.indexOf("\n", fault.position);
    const line = text.slice(0, start).split("\n").length;
    const column = fault.position - start + 1;
    super(describe(text.slice(start, newline < 0 ? text.length : newline), line, column, fault));
    this.name = "SqlError";
    this.position = fault.position;
    this.line = line;
    this.column = column;
    this.reason = fault.reason;
    this.hint = fault.hint;
  }
}

/** Longer lines are cut around the place, so that a message stays readable. */
const EXCERPT_CHARS_MAX = 100;

function describe(lineText: string, line: number, column: number, fault: SqlFault): string {
  const from = Math.max(0, column - 1 - EXCERPT_CHARS_MAX / 2);
  const excerpt = lineText.slice(from, from + EXCERPT_CHARS_MAX).replaceAll("\t", " ");
  const caret = " ".repeat(column - 1 - from) + "^";
  const hint = fault.hint === null ? "" : `\n${fault.hint}`;
  return `line ${line}, column ${column}: ${fault.reason}\n  ${excerpt}\n  ${caret}${hint}`;
}

/** The candidate that is most like `word`, if one is like enough to be a slip of the finger. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const wanted = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = wanted.length <= 3 ? 2 : 3; // exclusive
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Damerau–Levenshtein, adjacent swaps counted as one edit: FORM is one slip away from FROM. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || a.length > 40) return 99;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, before[j - 2]! + 1);
      }
      current.push(distance);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
}
