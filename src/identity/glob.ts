/**
 * Matching text against `*` and `?` without regular expressions. After the fixed head and tail, each part between two
 * stars is looked for once, leftmost first, and never given back: a star after it can swallow whatever a later place
 * would have left. So the cost is at most text length × longest part, and `*a*a*a*a*b` cannot blow up.
 */
import { ONE } from "./template.ts";
import type { Piece } from "./template.ts";

/** Every connection holds a few, so an instance is small. */
export class Glob {
  /** What the text begins with; all of it where there is no star. `ONE` stands for `?`. */
  readonly #head: string;
  /** What stands between stars, in order. */
  readonly #middle: readonly string[];
  /** What the text ends with; null where there is no star. */
  readonly #tail: string | null;

  constructor(head: string, middle: readonly string[], tail: string | null) {
    this.#head = head;
    this.#middle = middle;
    this.#tail = tail;
  }

  matches(text: string): boolean {
    const head = this.#head;
    const tail = this.#tail;
    const from = endOf(text, 0, head);
    if (tail === null) return from === text.length;
    if (from < 0) return false;
    const to = startOf(text, tail);
    if (to < from) return false;
    return this.#middle.length === 0 || holdsInOrder(text, from, to, this.#middle);
  }
}

const NONE: readonly string[] = [];

/** Variables must have been bound before. */
export function compileGlob(pieces: readonly Piece[]): Glob {
  const parts = [""];
  for (const piece of pieces) {
    if (piece.kind === "any") parts.push("");
    else if (piece.kind === "variable") throw new Error(`variable ${piece.variable.name} is not bound`);
    else parts[parts.length - 1] += piece.kind === "one" ? ONE : piece.text;
  }
  if (parts.length === 1) return new Glob(parts[0]!, NONE, null);
  const middle = parts.slice(1, -1).filter((part) => part !== "");
  return new Glob(parts[0]!, middle.length === 0 ? NONE : middle, parts.at(-1)!);
}

function holdsInOrder(text: string, from: number, to: number, parts: readonly string[]): boolean {
  let at = from;
  for (const part of parts) {
    const end = find(text, at, to, part);
    if (end < 0) return false;
    at = end;
  }
  return true;
}

/** End of the first place of `part` within [from, to), or -1. */
function find(text: string, from: number, to: number, part: string): number {
  if (!part.includes(ONE)) {
    const at = text.indexOf(part, from);
    return at < 0 || at + part.length > to ? -1 : at + part.length;
  }
  for (let at = from; at <= to; at++) {
    const end = endOf(text, at, part);
    if (end >= 0 && end <= to) return end;
  }
  return -1;
}

/** Where `part` ends if it stands at `at`, or -1. `?` takes a whole character, also one of two UTF-16 units. */
function endOf(text: string, at: number, part: string): number {
  if (!part.includes(ONE)) return text.startsWith(part, at) ? at + part.length : -1;
  let t = at;
  for (let p = 0; p < part.length; p++, t++) {
    if (t >= text.length) return -1;
    if (part[p] === ONE) {
      if (isPair(text, t)) t++;
    } else if (part.charCodeAt(p) !== text.charCodeAt(t)) return -1;
  }
  return t;
}

/** Where `part` starts if the text ends with it, or -1. */
function startOf(text: string, part: string): number {
  if (!part.includes(ONE)) return text.endsWith(part) ? text.length - part.length : -1;
  let t = text.length;
  for (let p = part.length - 1; p >= 0; p--) {
    if (--t < 0) return -1;
    if (part[p] === ONE) {
      if (t > 0 && isPair(text, t - 1)) t--;
    } else if (part.charCodeAt(p) !== text.charCodeAt(t)) return -1;
  }
  return t;
}

function isPair(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
}
