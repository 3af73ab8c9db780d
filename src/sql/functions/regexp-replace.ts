import { LIMITS } from "../../base/mod.ts";
import type { LinearRegExp, Match } from "../regexp/regexp.ts";
import { newSteps } from "../regexp/regexp.ts";
import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";
import { noteTooMuch, patternFault, patternOf } from "./pattern.ts";

export const regexpReplaceFunction: SqlFunction = {
  name: "regexp_replace",
  group: "string",
  signature: "regexp_replace(text, pattern, by)",
  summary:
    "The text with every match of the regular expression replaced. $1 and ${name} stand for what a group matched, \\$ for a dollar sign.",
  examples: [
    ["regexp_replace('abcd', 'bc', 'x')", '"axd"'],
    ["regexp_replace('abcd', 'b(.*)d', '$1')", '"ac"'],
    ["regexp_replace('a-b', '(?<l>.)-(?<r>.)', '${r}-${l}')", '"b-a"'],
    ["regexp_replace('abc', 'x*', '-')", '"-a-b-c-"'],
    ["regexp_replace('a', 'a', '$7')", "Undefined"],
  ],
  argsMin: 3,
  argsMax: 3,
  pure: true,
  check: (args) => patternFault(args, 1),
  call([value, pattern, replacement], input, site) {
    const text = toText(value);
    const by = toText(replacement);
    const compiled = patternOf(pattern, true, input, site);
    if (text === undefined || by === undefined || compiled === undefined) return undefined;
    const pieces = piecesOf(by, compiled);
    if (pieces === null) return undefined;
    const steps = newSteps();
    let result = "";
    let at = 0;
    for (let from = 0; from <= text.length;) {
      const match = compiled.exec(text, from, steps);
      if (match === undefined) return noteTooMuch(input);
      if (match === null) break;
      const [start, end] = [match[0]!, match[1]!];
      result += text.slice(at, start) + filled(pieces, text, match);
      if (result.length > LIMITS.rules.sqlStringCharsMax) return undefined;
      at = end;
      // After an empty match the next is looked for one character on.
      from = end > start ? end : end + (text.codePointAt(end)! > 0xffff ? 2 : 1);
    }
    result += text.slice(at);
    return result.length > LIMITS.rules.sqlStringCharsMax ? undefined : result;
  },
};

type Piece = string | number;

/** Text and numbers of groups, as Java reads a replacement; null where it names a group that is not there. */
function piecesOf(by: string, pattern: LinearRegExp): readonly Piece[] | null {
  const pieces: Piece[] = [];
  for (let at = 0; at < by.length;) {
    const c = by[at]!;
    if (c === "\\") {
      if (at + 1 >= by.length) return null;
      pieces.push(by[at + 1]!);
      at += 2;
    } else if (c === "$") {
      const found = /^\$(?:\{([A-Za-z][A-Za-z0-9]*)\}|([0-9]))/.exec(by.slice(at, at + 70));
      const group = found?.[1] === undefined ? Number(found?.[2] ?? NaN) : (pattern.groupNamed(found[1]) ?? NaN);
      if (!(group <= pattern.groups)) return null;
      const [number, end] = withMoreDigits(by, at + found![0].length, group, found![1] === undefined, pattern.groups);
      pieces.push(number);
      at = end;
    } else {
      const end = by.slice(at).search(/[\\$]/);
      pieces.push(end < 0 ? by.slice(at) : by.slice(at, at + end));
      at = end < 0 ? by.length : at + end;
    }
  }
  return pieces;
}

/** $12 is group 12 where there is one, else group 1 and a 2. */
function withMoreDigits(by: string, from: number, first: number, numbered: boolean, groups: number): [number, number] {
  let group = first;
  let at = from;
  if (!numbered) return [group, at];
  while (/[0-9]/.test(by[at] ?? "") && group * 10 + Number(by[at]) <= groups) {
    group = group * 10 + Number(by[at]);
    at++;
  }
  return [group, at];
}

function filled(pieces: readonly Piece[], text: string, match: Match): string {
  let result = "";
  for (const piece of pieces) {
    if (typeof piece === "string") result += piece;
    else if (match[2 * piece]! >= 0) result += text.slice(match[2 * piece], match[2 * piece + 1]);
    if (result.length > LIMITS.rules.sqlStringCharsMax) break;
  }
  return result;
}
