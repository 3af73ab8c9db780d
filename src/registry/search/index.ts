/** The port to the index. It may offer too much, never too little: `holds` decides. */
import type { FleetDocument } from "./document.ts";

export type Lookup =
  | { readonly by: "word"; readonly field: string; readonly word: string }
  /** Both ends belong to it; null: no end. By code points. */
  | { readonly by: "words"; readonly field: string; readonly from: string; readonly to: string | null }
  | { readonly by: "numbers"; readonly field: string; readonly from: number; readonly to: number }
  /** All of these are in words of their fields. */
  | { readonly by: "pieces"; readonly pieces: readonly Piece[] };

/** Of a field that `isPieced` names. */
export interface Piece {
  readonly field: string;
  readonly text: string;
}

export type WordLookup = Extract<Lookup, { by: "word" }>;

export type NumbersLookup = Extract<Lookup, { by: "numbers" }>;

export type PiecesLookup = Extract<Lookup, { by: "pieces" }>;

export interface SearchIndex {
  /** Names of fields with an index of their own. */
  fields(): readonly string[];
  /** `missing`: nothing has it. `unindexed`: there were too many fields when it came. */
  stateOf(field: string): "indexed" | "unindexed" | "missing";
  /** Not more than `limit`. */
  count(lookup: Lookup, limit: number): number;
  /** The words of a field from `from` to `to` (null: to the end), each once, in order; null: more than `limit`. */
  words(field: string, from: string, to: string | null, limit: number): readonly string[] | null;
  /** Names in no order; a name may come twice. */
  things(lookup: Exclude<Lookup, PiecesLookup>): readonly string[];
  /**
   * Ascending names behind `after` that all of these lookups find, out of the next `window` that the first word finds; without
   * words, of those that have a number in the first one's field; without either, of all things. `upTo`: how far this went; null:
   * to the end.
   */
  ordered(words: readonly WordLookup[], numbers: readonly NumbersLookup[], after: string, window: number): Stretch;
  /** Ascending names behind `after` that any of these words finds, about as many as `window`. */
  either(words: readonly WordLookup[], after: string, window: number): Stretch;
  /** Those of these names that all of these lookups find, in the order in which they are given. */
  having(things: readonly string[], words: readonly WordLookup[], numbers: readonly NumbersLookup[]): readonly string[];
  /**
   * Ids, ascending, behind `after`, of the next `limit` things that have these pieces. A thing gets a new id, above all there
   * are, with each change of a field that has pieces.
   */
  idsOf(lookup: PiecesLookup, after: number, limit: number): readonly number[];
  /** Their names, in the order of the ids. */
  namesOf(lookup: PiecesLookup, after: number, limit: number): Names;
  /** The highest that there is; 0: there is none. */
  newestId(): number;
  /**
   * Ascending names behind `after` whose id is one of these, and that `base` finds, out of the next `window` that have its word
   * or a number in its field; null: of all things.
   */
  among(ids: Ids, base: WordLookup | NumbersLookup | null, after: string, window: number): Stretch;
  /** Those of these names whose id is one of these, in the order in which they are given. */
  identified(things: readonly string[], ids: Ids): readonly string[];
  /** In the order of the names; those that are gone are left out. `registry`: without the parts that are not the registry's. */
  documents(things: readonly string[], parts: "all" | "registry"): readonly FleetDocument[];
}

export interface Names {
  readonly names: readonly string[];
  /** Id of the last one. */
  readonly last: number;
}

/** Things that had some pieces at one time. */
export interface Ids {
  /** Ascending. */
  readonly ids: readonly number[];
  /** What changed since then has a newer id, and counts as one of them. */
  readonly newest: number;
}

export interface Stretch {
  readonly things: readonly string[];
  readonly upTo: string | null;
}
