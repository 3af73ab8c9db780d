/**
 * A query's things by name, found through the index. Narrow lookups are collected and sorted; where each is broad, things
 * are gone through by name, which soon fills a page, because broad means that many fit.
 */
import { LIMITS } from "../../base/mod.ts";
import type { FleetDocument } from "./document.ts";
import { holds } from "./holds.ts";
import type { Lookup, NumbersLookup, SearchIndex, Stretch, WordLookup } from "./index.ts";
import { isPieced, piecesOfPattern } from "./pieces.ts";
import type { Match, Pattern, Query } from "./tree.ts";
import { fits, numberOf } from "./values.ts";

/** What some milliseconds found. */
export interface Stride {
  readonly found: readonly FleetDocument[];
  /** How far it went by name; null: to the end. */
  readonly upTo: string | null;
}

/** What surely finds all that the query does; null: nothing narrower than all things. */
type Offer = readonly Lookup[] | null;

/** Fields that a term without a field is looked up in; beyond, things are gone through. */
const ANY_FIELD_LOOKUPS_MAX = 200;

/** Ranges that names are looked up in; the others are tested. Few are few statements for the index to keep. */
const NUMBERS_LOOKED_UP_MAX = 4;

/** Some milliseconds. */
const NAMES_COUNTED_AT_ONCE = 4_096;

const { testedAtOnce } = LIMITS.search;

/** What decides which way is the short one. */
export type FindLimits = {
  readonly [K in "sortedMax" | "patternThingsMax" | "patternWordsMax" | "mergedWordsMax"]: number;
};

/** `wanted`: so many are enough, so no more are looked at first. */
export function find(
  index: SearchIndex,
  query: Query,
  after: string,
  wanted = Infinity,
  limits: FindLimits = LIMITS.search,
): Generator<Stride> {
  return new Finding(index, query, wanted, limits).from(after);
}

class Finding {
  readonly #index: SearchIndex;
  readonly #query: Query;
  readonly #wanted: number;
  readonly #limits: FindLimits;
  /** What the name alone has to fit: it is there before the document. */
  readonly #ofName: readonly Pattern[];

  constructor(index: SearchIndex, query: Query, wanted: number, limits: FindLimits) {
    this.#index = index;
    this.#query = query;
    this.#wanted = wanted;
    this.#limits = limits;
    this.#ofName = conjunctsOf(query).flatMap((item) =>
      item.kind === "term" && item.field === "thingName" && item.match.kind === "pattern" ? [item.match.pattern] : [],
    );
  }

  *from(after: string): Generator<Stride> {
    const offers = conjunctsOf(this.#query)
      .map((item) => this.#offerOf(item))
      .filter((offer) => offer !== null);
    if (offers.some((offer) => offer.length === 0)) return yield { found: [], upTo: null };
    const counted = offers.map((offer) => ({ offer, count: this.#countOf(offer) })).sort((a, b) => a.count - b.count);
    const narrowest = counted[0];
    if (narrowest !== undefined && narrowest.count <= this.#limits.sortedMax && !isWord(narrowest.offer)) {
      return yield* this.#collected(narrowest.offer, after);
    }
    const words = counted.flatMap(({ offer }) => (isWord(offer) ? offer : []));
    const numbers = counted.flatMap(({ offer }) => (isNumbers(offer) ? offer : [])).slice(0, NUMBERS_LOOKED_UP_MAX);
    const either = counted.find(({ offer }) => this.#isMerged(offer))?.offer as readonly WordLookup[] | undefined;
    yield* words.length === 0 && either !== undefined
      ? this.#inOrder((from, window) => this.#index.either(either, from, window), 1, after)
      : this.#inOrder(
          (from, window) => this.#index.ordered(words, numbers, from, window),
          // Looking a name up in another lookup costs little, so more of them can be tried than of documents.
          (words.length + numbers.length > 1 && words.length > 0) || this.#ofName.length > 0 ? 8 : 1,
          after,
        );
  }

  *#collected(offer: readonly Lookup[], after: string): Generator<Stride> {
    const names = new Set<string>();
    for (const lookup of offer) for (const thing of this.#index.things(lookup)) if (thing > after) names.add(thing);
    const sorted = [...names].sort();
    for (let at = 0, step = firstStep(this.#wanted); at < sorted.length; at += step, step = testedAtOnce) {
      const some = sorted.slice(at, at + step);
      const last = at + step >= sorted.length;
      yield { found: this.#tested(some), upTo: last ? null : some.at(-1)! };
    }
    if (sorted.length === 0) yield { found: [], upTo: null };
  }

  /** `wide`: how many times as many names are asked for at once, as documents are tested. */
  *#inOrder(next: (from: string, window: number) => Stretch, wide: number, after: string): Generator<Stride> {
    let step = firstStep(this.#wanted);
    for (let from: string | null = after; from !== null;) {
      const { things: names, upTo } = next(from, wide === 1 ? step : wide * testedAtOnce);
      const things = names.filter((name) => this.#fitsName(name));
      for (let at = 0; at < things.length; at += step, step = testedAtOnce) {
        const some = things.slice(at, at + step);
        const rest = at + step < things.length;
        yield { found: this.#tested(some), upTo: rest ? some.at(-1)! : upTo };
      }
      if (things.length === 0) yield { found: [], upTo };
      step = testedAtOnce;
      from = upTo;
    }
  }

  #fitsName(name: string): boolean {
    return this.#ofName.length === 0 || this.#ofName.every((pattern) => fits(pattern, name.toLowerCase()));
  }

  #tested(things: readonly string[]): readonly FleetDocument[] {
    return this.#index.documents(things).filter((document) => holds(this.#query, document));
  }

  #offerOf(query: Query): Offer {
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
        const [first] = offers.toSorted((a, b) => this.#countOf(a) - this.#countOf(b));
        return first ?? null;
      }
    }
  }

  #ofField(field: string, match: Match): Offer {
    switch (this.#index.stateOf(field)) {
      case "missing":
        return [];
      case "unindexed":
        return null;
      case "indexed":
        return match.kind === "pattern" ? this.#ofPattern(field, match.pattern) : [lookupOf(field, match)];
    }
  }

  /** Things that begin like it, if they are few; else by the words that fit it; else by its pieces. */
  #ofPattern(field: string, pattern: Pattern): readonly Lookup[] {
    const index = this.#index;
    const { patternThingsMax, patternWordsMax } = this.#limits;
    const range = rangeOf(field, pattern);
    if (index.count(range, patternThingsMax + 1) <= patternThingsMax) return [range];
    const words = index.words(field, range.from, range.to, patternWordsMax);
    if (words !== null) {
      return words.filter((word) => isCut(word) || fits(pattern, word)).map((word) => ({ by: "word", field, word }));
    }
    const pieces = isPieced(field) ? piecesOfPattern(pattern) : [];
    return [pieces.length > 0 ? { by: "pieces", field, pieces } : range];
  }

  #ofAnyField(match: Match): Offer {
    const fields = this.#index.fields();
    if (fields.length > ANY_FIELD_LOOKUPS_MAX) return null;
    return fields.map((field) => lookupOf(field, match)).filter((lookup) => this.#index.count(lookup, 1) > 0);
  }

  #countOf(offer: readonly Lookup[]): number {
    const { sortedMax } = this.#limits;
    let count = 0;
    for (const lookup of offer) {
      count += this.#index.count(lookup, sortedMax + 1 - count);
      if (count > sortedMax) return count;
    }
    return count;
  }

  #isMerged(offer: readonly Lookup[]): boolean {
    return offer.length <= this.#limits.mergedWordsMax && offer.every(({ by }) => by === "word");
  }
}

/** How many things have all of these words, in strides; no document is read. */
export function* countWords(index: SearchIndex, words: readonly WordLookup[]): Generator<number> {
  for (let from: string | null = ""; from !== null;) {
    const { things, upTo } = index.ordered(words, [], from, NAMES_COUNTED_AT_ONCE);
    yield things.length;
    from = upTo;
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

/** One more than a page tells whether there is another. */
function firstStep(wanted: number): number {
  return Math.min(testedAtOnce, wanted + 1);
}

function conjunctsOf(query: Query): readonly Query[] {
  return query.kind === "and" ? query.items.flatMap(conjunctsOf) : [query];
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
      return { by: "numbers", field, from: match.from, to: match.to };
    case "texts":
      return { by: "words", field, from: shortened(match.from ?? ""), to: match.to };
  }
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

function isNumbers(offer: readonly Lookup[]): offer is readonly [NumbersLookup] {
  return offer.length === 1 && offer[0]!.by === "numbers";
}

function isWord(offer: readonly Lookup[]): offer is readonly [WordLookup] {
  return offer.length === 1 && offer[0]!.by === "word";
}
