/**
 * Which alerts are meant: `severity=critical`, `thing=pump-*|fan-*`, `rule!=cpu_high`, `attributes.site=berlin`. All
 * matchers of a list must hold. `*` stands for any text; no regular expressions, so no pattern is slow.
 */
import type { Alert } from "./model.ts";

export interface Matcher {
  readonly name: string;
  readonly negated: boolean;
  /** One of them must match. */
  readonly patterns: readonly string[];
}

export const MATCHERS_MAX = 32;
const MATCHER_CHARS_MAX = 1024;
const MATCHER = /^\s*([A-Za-z_][A-Za-z0-9_.:-]{0,127})\s*(!?=)\s*([\s\S]*?)\s*$/;

/** Null where the text is not one. */
export function parseMatcher(text: string): Matcher | null {
  if (text.length > MATCHER_CHARS_MAX) return null;
  const match = MATCHER.exec(text);
  if (match === null) return null;
  return { name: match[1]!, negated: match[2] === "!=", patterns: match[3]!.split("|").map((part) => part.trim()) };
}

export function matcherText({ name, negated, patterns }: Matcher): string {
  return `${name}${negated ? "!=" : "="}${patterns.join("|")}`;
}

export function matchesAll(matchers: readonly Matcher[], alert: Alert): boolean {
  for (const matcher of matchers) if (!matches(matcher, alert)) return false;
  return true;
}

/** What an alert does not have is the empty text. A thing is in several groups: one of them must match. */
export function matches({ name, negated, patterns }: Matcher, alert: Alert): boolean {
  const value = labelOf(alert, name);
  const values = name === "thingGroup" ? value.split(",") : [value];
  return values.some((one) => patterns.some((pattern) => glob(pattern, one))) !== negated;
}

export function labelOf(alert: Alert, name: string): string {
  switch (name) {
    case "severity":
    case "rule":
    case "thing":
    case "key":
    case "source":
    case "id":
      return alert[name];
    default:
      return Object.hasOwn(alert.labels, name) ? alert.labels[name]! : "";
  }
}

/** Linear but for the last `*`, and never worse than pattern × text. */
export function glob(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === "*") {
      star = p++;
      resume = t;
    } else if (p < pattern.length && pattern[p] === text[t]) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (p < pattern.length && pattern[p] === "*") p++;
  return p === pattern.length;
}
