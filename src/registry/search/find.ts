/**
 * A query's things by name, found through the index. Narrow lookups are collected and sorted; where each is broad, things
 * are gone through by name, which soon fills a page, because broad means that many fit.
 */
import { LIMITS } from "../../base/mod.ts";
import type { FleetDocument } from "./document.ts";
import { holds } from "./holds.ts";
import type { Lookup, NumbersLookup, SearchIndex, WordLookup } from "./index.ts";
import type { Match, Query } from "./tree.ts";
import { numberOf } from "./values.ts";

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

const { sortedMax, testedAtOnce } = LIMITS.search;

/** `wanted`: so many are enough, so no more are looked at first. */
export function* find(index: SearchIndex, query: Query, after: string, wanted = Infinity): Generator<Stride> {
  const offers = conjunctsOf(query)
    .map((item) => offerOf(index, item))
    .filter((offer) => offer !== null);
  if (offers.some((offer) => offer.length === 0)) return yield { found: [], upTo: null };
  const counted = offers.map((offer) => ({ offer, count: countOf(index, offer) })).sort((a, b) => a.count - b.count);
  const narrowest = counted[0];
  if (narrowest !== undefined && narrowest.count <= sortedMax && !isWord(narrowest.offer)) {
    return yield* collected(index, query, narrowest.offer, after, wanted);
  }
  const words = counted.flatMap(({ offer }) => (isWord(offer) ? offer : []));
  const numbers = counted.flatMap(({ offer }) => (isNumbers(offer) ? offer : [])).slice(0, NUMBERS_LOOKED_UP_MAX);
  yield* inOrder(index, query, words, numbers, after, wanted);
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

function* collected(
  index: SearchIndex,
  query: Query,
  offer: readonly Lookup[],
  after: string,
  wanted: number,
): Generator<Stride> {
  const names = new Set<string>();
  for (const lookup of offer) for (const thing of index.things(lookup)) if (thing > after) names.add(thing);
  const sorted = [...names].sort();
  for (let at = 0, step = firstStep(wanted); at < sorted.length; at += step, step = testedAtOnce) {
    const some = sorted.slice(at, at + step);
    const last = at + step >= sorted.length;
    yield { found: tested(index, query, some), upTo: last ? null : some.at(-1)! };
  }
  if (sorted.length === 0) yield { found: [], upTo: null };
}

function* inOrder(
  index: SearchIndex,
  query: Query,
  words: readonly WordLookup[],
  numbers: readonly NumbersLookup[],
  after: string,
  wanted: number,
): Generator<Stride> {
  // Looking a name up in another lookup costs little, so more of them can be tried than of documents.
  const looksUp = words.length + numbers.length > 1 && words.length > 0;
  let step = firstStep(wanted);
  for (let from: string | null = after; from !== null;) {
    const { things, upTo } = index.ordered(words, numbers, from, looksUp ? 8 * testedAtOnce : step);
    for (let at = 0; at < things.length; at += step, step = testedAtOnce) {
      const some = things.slice(at, at + step);
      const rest = at + step < things.length;
      yield { found: tested(index, query, some), upTo: rest ? some.at(-1)! : upTo };
    }
    if (things.length === 0) yield { found: [], upTo };
    step = testedAtOnce;
    from = upTo;
  }
}

/** One more than a page tells whether there is another. */
function firstStep(wanted: number): number {
  return Math.min(testedAtOnce, wanted + 1);
}

function tested(index: SearchIndex, query: Query, things: readonly string[]): readonly FleetDocument[] {
  return index.documents(things).filter((document) => holds(query, document));
}

function conjunctsOf(query: Query): readonly Query[] {
  return query.kind === "and" ? query.items.flatMap(conjunctsOf) : [query];
}

function offerOf(index: SearchIndex, query: Query): Offer {
  switch (query.kind) {
    case "all":
    case "not":
      return null;
    case "term":
      return query.field === null ? ofAnyField(index, query.match) : ofField(index, query.field, query.match);
    case "or": {
      const offers = query.items.map((item) => offerOf(index, item));
      return offers.some((offer) => offer === null) ? null : offers.flatMap((offer) => offer ?? []);
    }
    case "and": {
      const offers = query.items.map((item) => offerOf(index, item)).filter((offer) => offer !== null);
      const [first] = offers.toSorted((a, b) => countOf(index, a) - countOf(index, b));
      return first ?? null;
    }
  }
}

function ofField(index: SearchIndex, field: string, match: Match): Offer {
  switch (index.stateOf(field)) {
    case "missing":
      return [];
    case "unindexed":
      return null;
    case "indexed":
      return [lookupOf(field, match)];
  }
}

function ofAnyField(index: SearchIndex, match: Match): Offer {
  const fields = index.fields();
  if (fields.length > ANY_FIELD_LOOKUPS_MAX) return null;
  return fields.map((field) => lookupOf(field, match)).filter((lookup) => index.count(lookup, 1) > 0);
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
    case "pattern": {
      const [prefix] = match.pattern;
      if (typeof prefix !== "string") return { by: "words", field, from: "", to: null };
      return { by: "words", field, from: shortened(prefix), to: `${shortened(prefix)}\u{10ffff}` };
    }
    case "numbers":
      return { by: "numbers", field, from: match.from, to: match.to };
    case "texts":
      return { by: "words", field, from: shortened(match.from ?? ""), to: match.to };
  }
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

function countOf(index: SearchIndex, offer: readonly Lookup[]): number {
  let count = 0;
  for (const lookup of offer) {
    count += index.count(lookup, sortedMax + 1 - count);
    if (count > sortedMax) return count;
  }
  return count;
}

function isNumbers(offer: readonly Lookup[]): offer is readonly [NumbersLookup] {
  return offer.length === 1 && offer[0]!.by === "numbers";
}

function isWord(offer: readonly Lookup[]): offer is readonly [WordLookup] {
  return offer.length === 1 && offer[0]!.by === "word";
}
