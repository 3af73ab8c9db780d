/** How a value is compared: as words in lower case, and as a number where it looks like one. */
import type { Match, Pattern } from "./tree.ts";

/** What a field may hold. Booleans are found as the words `true` and `false`. */
export type Scalar = string | number | boolean;

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/;

/** Null where the word is no finite number. */
export function numberOf(word: string): number | null {
  if (word.length > 64 || !NUMBER.test(word)) return null;
  const number = Number(word);
  return Number.isFinite(number) ? number + 0 : null; // -0 becomes 0
}

export function wordsOf(value: Scalar): readonly string[] {
  if (typeof value !== "string") return [String(value)];
  return value
    .toLowerCase()
    .split(/\s+/u)
    .filter((word) => word !== "");
}

export function matches(match: Match, value: Scalar): boolean {
  if (match.kind === "any") return true;
  const words = wordsOf(value);
  switch (match.kind) {
    case "word": {
      const number = numberOf(match.word);
      return words.some((word) => word === match.word || (number !== null && numberOf(word) === number));
    }
    case "phrase":
      return words.some((_, at) => match.words.every((word, index) => words[at + index] === word));
    case "pattern":
      return words.some((word) => fits(match.pattern, word));
    case "numbers":
      return words.some((word) => withinNumbers(match, numberOf(word)));
    case "texts":
      return words.some((word) => withinTexts(match, word));
  }
}

function withinNumbers({ from, to, open }: Extract<Match, { kind: "numbers" }>, number: number | null): boolean {
  if (number === null) return false;
  return (open.from ? number > from : number >= from) && (open.to ? number < to : number <= to);
}

function withinTexts({ from, to, open }: Extract<Match, { kind: "texts" }>, word: string): boolean {
  const [low, high] = [from === null ? 1 : compare(word, from), to === null ? -1 : compare(word, to)];
  return (open.from ? low > 0 : low >= 0) && (open.to ? high < 0 : high <= 0);
}

/** By code points, as databases order texts by their bytes in UTF-8. */
export function compare(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Halves of pairs stand for what lies above U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/** Goes back to the last `*` only: at most length × length steps. */
export function fits(pattern: Pattern, word: string): boolean {
  let [part, at] = [0, 0];
  let [star, starAt] = [-1, 0];
  for (;;) {
    const expected = pattern[part];
    if (expected === undefined && at === word.length) return true;
    if (typeof expected === "object" && expected.wild === "many") {
      [star, starAt] = [part++, at];
      continue;
    }
    const next = expected === undefined ? -1 : step(expected, word, at);
    if (next >= 0) {
      at = next;
      part++;
    } else {
      if (star < 0 || starAt >= word.length) return false;
      starAt = after(word, starAt);
      [part, at] = [star + 1, starAt];
    }
  }
}

function step(expected: Pattern[number], word: string, at: number): number {
  if (typeof expected === "string") return word.startsWith(expected, at) ? at + expected.length : -1;
  return at < word.length ? after(word, at) : -1;
}

function after(word: string, at: number): number {
  return at + (word.codePointAt(at)! > 0xffff ? 2 : 1);
}
