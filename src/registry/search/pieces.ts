/**
 * Every three characters of a word that follow each other, its ends among them: a word that fits a pattern has all pieces
 * that the pattern has between its wildcards. They find `*pump*` among a million words that are all different.
 */
import type { Pattern } from "./tree.ts";

const LENGTH = 3;
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
  const pieces = new Set<string>();
  cut(START + word + END, pieces);
  return pieces;
}

/** Empty where there are not three characters between wildcards, and the ends that are given. */
export function piecesOfPattern(pattern: Pattern): readonly string[] {
  const pieces = new Set<string>();
  for (const [at, part] of pattern.entries()) {
    if (typeof part !== "string") continue;
    cut((at === 0 ? START : "") + part + (at === pattern.length - 1 ? END : ""), pieces);
  }
  return [...pieces].slice(0, ASKED_MAX);
}

function cut(text: string, into: Set<string>): void {
  const characters = Array.from(text);
  for (let at = 0; at + LENGTH <= characters.length; at++) into.add(characters.slice(at, at + LENGTH).join(""));
}
