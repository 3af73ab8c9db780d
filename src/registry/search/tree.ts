/** A query of the fleet, as parsed. */

/** Of one term; words are in lower case, because AWS's search knows none but that. */
export type Match =
  /** `*`: the field is there. */
  | { readonly kind: "any" }
  | { readonly kind: "word"; readonly word: string }
  /** Words one after the other. */
  | { readonly kind: "phrase"; readonly words: readonly string[] }
  | { readonly kind: "pattern"; readonly pattern: Pattern }
  /** Finds values that are numbers, or texts that look like one. */
  | { readonly kind: "numbers"; readonly from: number; readonly to: number; readonly open: Open }
  | { readonly kind: "texts"; readonly from: string | null; readonly to: string | null; readonly open: Open };

/** Ends that do not belong to the range. */
export interface Open {
  readonly from: boolean;
  readonly to: boolean;
}

/** Texts, `one` (any one character) and `many` (any number of them). */
export type Pattern = readonly (string | { readonly wild: "one" | "many" })[];

export type Query =
  /** `*`: every thing. */
  | { readonly kind: "all" }
  | { readonly kind: "and" | "or"; readonly items: readonly Query[] }
  | { readonly kind: "not"; readonly item: Query }
  /** Field null: in any field. */
  | { readonly kind: "term"; readonly field: string | null; readonly match: Match };

/** Every term of it, also those that are excluded. */
export function* termsOf(query: Query): Generator<Extract<Query, { kind: "term" }>> {
  switch (query.kind) {
    case "all":
      return;
    case "and":
    case "or":
      for (const item of query.items) yield* termsOf(item);
      return;
    case "not":
      yield* termsOf(query.item);
      return;
    case "term":
      yield query;
  }
}
