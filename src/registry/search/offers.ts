/** What an index has for a query: lookups that surely find all that the query does, and how many things they find. */
import { LIMITS } from "../../base/mod.ts";
import type { Lookup, NumbersLookup, Piece, PiecesLookup, SearchIndex, WordLookup } from "./index.ts";
import { isOnePiece, isPieced, piecesOfPattern } from "./pieces.ts";
import type { Match, Pattern, Query } from "./tree.ts";
import { fits, numberOf } from "./values.ts";

/** What one of these finds, all of the query is among. */
export type Offer = readonly Lookup[];

export interface CountedOffer {
  readonly offer: Offer;
  /** `sortedMax` + 1: or more, or pieces that more have than are sorted. */
  readonly count: number;
}

type PatternTerm = Query & {
  readonly kind: "term";
  readonly field: string;
  readonly match: { readonly kind: "pattern"; readonly pattern: Pattern };
};

/** What decides which way is the short one. */
export type FindLimits = {
  readonly [
    K in
      | "sortedMax"
      | "sortedPiecesMax"
      | "sortedAtFirst"
      | "hopefulMax"
      | "namesAtOnce"
      | "idsAtOnce"
      | "entriesAtOnce"
      | "narrowMax"
      | "patternThingsMax"
      | "patternWordsMax"
      | "mergedWordsMax"
  ]: number;
};

/** Fields that a term without a field is looked up in; beyond, things are gone through. */
const ANY_FIELD_LOOKUPS_MAX = 200;

export class Offers {
  readonly #index: SearchIndex;
  readonly #limits: FindLimits;
  readonly #far = new Map<Lookup, number>();

  constructor(index: SearchIndex, limits: FindLimits) {
    this.#index = index;
    this.#limits = limits;
  }

  /** The narrowest first; each of them finds all that the query does. Patterns' pieces are one offer together. */
  of(query: Query): readonly CountedOffer[] {
    const counted: CountedOffer[] = [];
    const { sortedMax, sortedPiecesMax } = this.#limits;
    /** Tells whether it finds more. */
    const add = (offer: Offer, most = sortedMax): boolean => {
      const count = this.countOf(offer, most);
      counted.push({ offer, count: count > most ? sortedMax + 1 : count });
      return count > most;
    };
    const patterns: PatternTerm[] = [];
    for (const item of conjunctsOf(query)) {
      if (this.#hasPieces(item)) patterns.push(item);
      else {
        const offer = this.#offerOf(item);
        if (offer !== null) add(offer);
      }
    }
    for (const { field, match } of patterns) {
      const range = this.#ofBeginning(field, match.pattern);
      if (range !== null) add([range]);
    }
    const pieces = patterns.flatMap(({ field, match }) => piecesIn(field, match.pattern));
    // To count what has many pieces takes some milliseconds.
    const isNarrow = counted.some(({ count }) => count <= this.#limits.patternThingsMax);
    if (pieces.length > 0 && !isNarrow && add([{ by: "pieces", pieces }], sortedPiecesMax)) {
      for (const { field, match } of patterns) add(this.#ofWords(field, match.pattern));
    }
    return counted.sort((a, b) => a.count - b.count);
  }

  /** `most` + 1: or more. */
  countOf(offer: Offer, most = this.#limits.sortedMax): number {
    let count = 0;
    for (const lookup of offer) {
      count += this.#index.count(lookup, most + 1 - count);
      if (count > most) return count;
    }
    return count;
  }

  /** The narrower first, as far as counting them is cheap. */
  byCount<L extends Lookup>(lookups: readonly L[]): readonly L[] {
    if (lookups.length < 2) return lookups;
    const counted = lookups.map((lookup) => ({ lookup, count: this.#countedFar(lookup) }));
    return counted.sort((a, b) => a.count - b.count).map(({ lookup }) => lookup);
  }

  /** Null: none of them narrows much. */
  narrowest<L extends Lookup>(lookups: readonly L[]): L | null {
    const [first] = this.byCount(lookups);
    return first !== undefined && this.#countedFar(first) <= this.#limits.narrowMax ? first : null;
  }

  /** Those that find so many at most. */
  narrow<L extends Lookup>(lookups: readonly L[], most: number): readonly L[] {
    return lookups.filter((lookup) => this.#countedFar(lookup) <= Math.min(most, this.#limits.narrowMax));
  }

  /** `narrowMax` + 1: or more. */
  #countedFar(lookup: Lookup): number {
    const known = this.#far.get(lookup);
    if (known !== undefined) return known;
    const count = this.#index.count(lookup, this.#limits.narrowMax + 1);
    this.#far.set(lookup, count);
    return count;
  }

  /** Null: nothing narrower than all things. */
  #offerOf(query: Query): Offer | null {
    switch (query.kind) {
      case "all":
      case "not":
        return null;
      case "term":
        return query.field === null ? this.#ofAnyField(query.match) : this.#ofField(query.field, query.match);
      case "or": {
        const offers = query.items.map((item) => this.#offerOf(item));
        return offers.some((offer) => offer === null) ? null : offers.flatMap((offer) => offer ?? []);
      }
      case "and": {
        const offers = query.items.map((item) => this.#offerOf(item)).filter((offer) => offer !== null);
        const [first] = offers.toSorted((a, b) => this.countOf(a) - this.countOf(b));
        return first ?? null;
      }
    }
  }

  #ofField(field: string, match: Match): Offer | null {
    switch (this.#index.stateOf(field)) {
      case "missing":
        return [];
      case "unindexed":
        return null;
      case "indexed":
        return match.kind === "pattern" ? this.#ofPattern(field, match.pattern) : [lookupOf(field, match)];
    }
  }

  /** Things that begin like it or have its pieces, if they are few; else by the words that fit it. */
  #ofPattern(field: string, pattern: Pattern): Offer {
    const range = this.#ofBeginning(field, pattern);
    if (range !== null) return [range];
    const pieces = isPieced(field) ? piecesIn(field, pattern) : [];
    const { sortedPiecesMax } = this.#limits;
    const byPieces: Offer = [{ by: "pieces", pieces }];
    if (pieces.length > 0 && this.countOf(byPieces, sortedPiecesMax) <= sortedPiecesMax) return byPieces;
    const words = this.#ofWords(field, pattern);
    return pieces.length === 0 || words.every(({ by }) => by === "word") ? words : byPieces;
  }

  /** Null: there are many. */
  #ofBeginning(field: string, pattern: Pattern): Lookup | null {
    const { patternThingsMax } = this.#limits;
    const range = rangeOf(field, pattern);
    return this.#index.count(range, patternThingsMax + 1) <= patternThingsMax ? range : null;
  }

  /** Those that fit it; where there are too many to look at, all that begin like it. */
  #ofWords(field: string, pattern: Pattern): Offer {
    const range = rangeOf(field, pattern);
    const words = this.#index.words(field, range.from, range.to, this.#limits.patternWordsMax);
    if (words === null) return [range];
    return words.filter((word) => isCut(word) || fits(pattern, word)).map((word) => ({ by: "word", field, word }));
  }

  #hasPieces(item: Query): item is PatternTerm {
    if (item.kind !== "term" || item.field === null || item.match.kind !== "pattern") return false;
    return isPieced(item.field) && this.#index.stateOf(item.field) === "indexed";
  }

  #ofAnyField(match: Match): Offer | null {
    const fields = this.#index.fields();
    if (fields.length > ANY_FIELD_LOOKUPS_MAX) return null;
    return fields.map((field) => lookupOf(field, match)).filter((lookup) => this.#index.count(lookup, 1) > 0);
  }
}

/** Null: the query is not all about words that the index has whole. */
export function wordsOf(index: SearchIndex, query: Query): readonly WordLookup[] | null {
  const words: WordLookup[] = [];
  for (const item of conjunctsOf(query)) {
    if (item.kind !== "term" || item.field === null || item.match.kind !== "word") return null;
    if (index.stateOf(item.field) !== "indexed" || shortened(item.match.word) !== item.match.word) return null;
    words.push({ by: "word", field: item.field, word: asIndexed(item.match.word) });
  }
  return words;
}

/** What finds just what the query does; null: it is not all about single pieces. */
export function piecesOfQuery(index: SearchIndex, query: Query): PiecesLookup | null {
  const pieces: Piece[] = [];
  for (const item of conjunctsOf(query)) {
    if (item.kind !== "term" || item.field === null || item.match.kind !== "pattern") return null;
    if (!isPieced(item.field) || index.stateOf(item.field) !== "indexed" || !isOnePiece(item.match.pattern))
      return null;
    pieces.push(...piecesIn(item.field, item.match.pattern));
  }
  return { by: "pieces", pieces };
}

export function conjunctsOf(query: Query): readonly Query[] {
  return query.kind === "and" ? query.items.flatMap(conjunctsOf) : [query];
}

function piecesIn(field: string, pattern: Pattern): readonly Piece[] {
  return piecesOfPattern(pattern).map((text) => ({ field, text }));
}

function lookupOf(field: string, match: Match): Lookup {
  switch (match.kind) {
    case "any":
      return { by: "words", field, from: "", to: null };
    case "word":
      return { by: "word", field, word: asIndexed(match.word) };
    case "phrase": {
      const longest = match.words.toSorted((a, b) => b.length - a.length)[0]!;
      return { by: "word", field, word: asIndexed(longest) };
    }
    case "pattern":
      return rangeOf(field, match.pattern);
    case "numbers":
      return {
        by: "numbers",
        field,
        from: match.open.from ? nextTo(match.from, 1n) : match.from,
        to: match.open.to ? nextTo(match.to, -1n) : match.to,
      };
    case "texts":
      return { by: "words", field, from: shortened(match.from ?? ""), to: match.to };
  }
}

/** The number that comes next in this direction: the index knows no open ends. */
function nextTo(number: number, direction: 1n | -1n): number {
  if (!Number.isFinite(number)) return number;
  if (number === 0) return Number(direction) * Number.MIN_VALUE;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, number);
  bits.setBigUint64(0, bits.getBigUint64(0) + (number > 0 ? direction : -direction));
  return bits.getFloat64(0);
}

function rangeOf(field: string, [prefix]: Pattern): Extract<Lookup, { by: "words" }> {
  if (typeof prefix !== "string") return { by: "words", field, from: "", to: null };
  return { by: "words", field, from: shortened(prefix), to: `${shortened(prefix)}\u{10ffff}` };
}

/** The word that it stands for may be longer. */
function isCut(word: string): boolean {
  return word.length >= LIMITS.search.indexedWordLengthMax - 1;
}

/** Numbers that are equal have one word: 75 and 75.0. */
export function asIndexed(word: string): string {
  const number = numberOf(word);
  return number === null ? shortened(word) : String(number);
}

/** Not in the middle of a pair. */
export function shortened(word: string): string {
  const max = LIMITS.search.indexedWordLengthMax;
  if (word.length <= max) return word;
  return word.slice(0, word.codePointAt(max - 1)! > 0xffff ? max - 1 : max);
}

export function isNumbers(offer: Offer): offer is readonly [NumbersLookup] {
  return offer.length === 1 && offer[0]!.by === "numbers";
}

export function isPieces(offer: Offer): offer is readonly PiecesLookup[] {
  return offer.length > 0 && offer.every(({ by }) => by === "pieces");
}

export function isWord(offer: Offer): offer is readonly [WordLookup] {
  return offer.length === 1 && offer[0]!.by === "word";
}
