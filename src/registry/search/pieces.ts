/**
 * Every one, two and three characters of a word that follow each other, its ends among them: a word that fits a pattern has
 * all pieces that the pattern has between its wildcards. They find `*pump*` among a million words that are all different.
 */
import type { Pattern } from "./tree.ts";

const LENGTH_MAX = 3;
/** Of a long pattern; the rest would find hardly less. */
const ASKED_MAX = 32;
/** No key makes them; where a word has them all the same, the index offers too much. */
const START = "\u0002";
const END = "\u0003";

/** The registry's texts. Shadows and presence change too often, and are numbers mostly. */
export function isPieced(field: string): boolean {
  return (
    field === "thingName" || field === "thingTypeName" || field === "thingGroupNames" || field.startsWith("attributes.")
  );
}

export function piecesOf(word: string): ReadonlySet<string> {
  const pieces = new Set<string>(Array.from(word));
  for (let length = 2; length <= LENGTH_MAX; length++) cut(START + word + END, length, pieces);
  return pieces;
}

/** Empty where it is wildcards alone. */
export function piecesOfPattern(pattern: Pattern): readonly string[] {
  const pieces = new Set<string>();
  for (const [at, part] of pattern.entries()) {
    if (typeof part !== "string") continue;
    const text = (at === 0 ? START : "") + part + (at === pattern.length - 1 ? END : "");
    cut(text, Math.min(LENGTH_MAX, Array.from(text).length), pieces);
  }
  return [...pieces].slice(0, ASKED_MAX);
}

/** A word that has the pattern's pieces surely fits it. */
export function isOnePiece([first, text, last, ...others]: Pattern): boolean {
  if (typeof first !== "object" || typeof text !== "string" || typeof last !== "object" || others.length > 0)
    return false;
  const isShort = Array.from(text).length <= LENGTH_MAX && !text.includes(START) && !text.includes(END);
  return first.wild === "many" && last.wild === "many" && isShort;
}

function cut(text: string, length: number, into: Set<string>): void {
  // Characters are halves of pairs nearly nowhere, and whole they are many times as much work.
  const characters = /[\ud800-\udfff]/.test(text) ? Array.from(text) : null;
  for (let at = 0; at + length <= (characters ?? text).length; at++) {
    into.add(characters === null ? text.slice(at, at + length) : characters.slice(at, at + length).join(""));
  }
}
