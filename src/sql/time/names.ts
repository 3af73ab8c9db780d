export const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);
export const WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(" ");

/** A pattern that is wrong, or that needs what is not supported. */
export class TimePatternError extends Error {
  /** Index into the pattern. */
  readonly position: number;

  constructor(position: number, reason: string) {
    super(reason);
    this.name = "TimePatternError";
    this.position = position;
  }
}

export type PatternPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "field"; readonly letter: string; readonly count: number; readonly at: number }
  | { readonly kind: "open" | "close"; readonly at: number };

/** Letters in runs are fields, text in ' is itself, '' is one quote: Joda and the JDK agree so far. */
export function patternParts(pattern: string, optionalSections: boolean): readonly PatternPart[] {
  const parts: PatternPart[] = [];
  for (let at = 0; at < pattern.length;) {
    const c = pattern[at]!;
    if (/[A-Za-z]/.test(c)) {
      let end = at;
      while (pattern[end] === c) end++;
      parts.push({ kind: "field", letter: c, count: end - at, at });
      at = end;
    } else if (c === "'") {
      const [text, end] = quoted(pattern, at);
      parts.push({ kind: "text", text });
      at = end;
    } else if (optionalSections && (c === "[" || c === "]")) {
      parts.push({ kind: c === "[" ? "open" : "close", at: at++ });
    } else {
      if (optionalSections && /[{}#]/.test(c))
        throw new TimePatternError(at, `${c} is reserved; write '${c}' in quotes`);
      parts.push({ kind: "text", text: c });
      at++;
    }
  }
  return parts;
}

function quoted(pattern: string, start: number): readonly [string, number] {
  if (pattern[start + 1] === "'") return ["'", start + 2];
  let text = "";
  for (let at = start + 1; at < pattern.length; at++) {
    if (pattern[at] !== "'") text += pattern[at]!;
    else if (pattern[at + 1] === "'") {
      text += "'";
      at++;
    } else return [text, at + 1];
  }
  throw new TimePatternError(start, "the quote that begins here is not closed");
}
