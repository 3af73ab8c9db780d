/**
 * A query's things by name, found through the index. Narrow lookups are collected and sorted; where each is broad, things
 * are gone through by name, which soon fills a page, because broad means that many fit. Where it does not, because they lie
 * far apart, the names that have a pattern's pieces are picked out first.
 */
import { LIMITS } from "../../base/mod.ts";
import { isOfRegistry } from "./document.ts";
import type { FleetDocument } from "./document.ts";
import { holds } from "./holds.ts";
import type { Ids, NumbersLookup, PiecesLookup, SearchIndex, Stretch, WordLookup } from "./index.ts";
import { Offers, conjunctsOf, isNumbers, isPieces, isWord } from "./offers.ts";
import type { CountedOffer, FindLimits, Offer } from "./offers.ts";
import { termsOf } from "./tree.ts";
import type { Pattern, Query } from "./tree.ts";
import { fits } from "./values.ts";

/** What some milliseconds found. */
export interface Stride {
  readonly found: readonly FleetDocument[];
  /** How far it went by name; null: to the end. */
  readonly upTo: string | null;
}

export interface FindOptions {
  /** So many are enough, so no more are looked at first. */
  readonly wanted?: number;
  /** What is found may come without presence and shadows. */
  readonly partly?: boolean;
  readonly limits?: FindLimits;
}

/** Lookups that names are looked up in. */
interface Filters {
  readonly words: readonly WordLookup[];
  readonly numbers: readonly NumbersLookup[];
}

/** Ranges that names are looked up in; the others are tested. Few are few statements for the index to keep. */
const NUMBERS_LOOKED_UP_MAX = 4;
/** Looking a name up in another lookup costs little, so more of them can be tried than of documents. */
const NAMES_PER_DOCUMENT = 8;
/** Knowing the name of an id takes as long as passing by so many names. */
const NAMES_PER_ID = 3;
/** Likewise, by so many entries of a field. */
const ENTRIES_PER_ID = 12;
/** Reading so many entries takes as long as looking up a name. */
const ENTRIES_PER_NAME = 8;
/** Names that tell about where in the order the others lie. */
const SAMPLED = 256;

const { testedAtOnce, namesAtOnce } = LIMITS.search;
const NAMES_AT_FIRST = NAMES_PER_DOCUMENT * testedAtOnce;

/** What else things have to have that one offer finds. */
interface Narrowing {
  readonly filters: Filters;
  readonly pieces: readonly PiecesLookup[] | null;
  readonly known: Offers;
}

export function find(index: SearchIndex, query: Query, after: string, options: FindOptions = {}): Generator<Stride> {
  return new Finding(index, query, options).from(after);
}

class Finding {
  readonly #index: SearchIndex;
  readonly #query: Query;
  readonly #wanted: number;
  readonly #limits: FindLimits;
  /** What the name alone has to fit: it is there before the document. */
  readonly #ofName: readonly Pattern[];
  /** Patterns that the registry's part has to fit, which is read before the others. */
  readonly #early: readonly Query[];
  /** The others need not be read at all. */
  readonly #registryOnly: boolean;
  /** Documents that are tested next. */
  #step: number;

  constructor(index: SearchIndex, query: Query, options: FindOptions) {
    const { wanted = Infinity, partly = false, limits = LIMITS.search } = options;
    this.#index = index;
    this.#query = query;
    this.#wanted = wanted;
    this.#limits = limits;
    this.#step = Math.min(testedAtOnce, wanted + 1); // one more than a page tells whether there is another
    const conjuncts = conjunctsOf(query);
    this.#ofName = conjuncts.map(patternOfName).filter((pattern) => pattern !== null);
    this.#registryOnly = partly && isAboutRegistry(query);
    this.#early = this.#registryOnly
      ? []
      : conjuncts.filter((item) => patternOfName(item) === null && hasPattern(item) && isAboutRegistry(item));
  }

  *from(after: string): Generator<Stride> {
    const known = new Offers(this.#index, this.#limits);
    const offers = known.of(this.#query);
    if (offers.some(({ offer }) => offer.length === 0)) return yield { found: [], upTo: null };
    const narrowest = offers[0] ?? null;
    const filters = {
      words: offers.flatMap(({ offer }) => (isWord(offer) ? offer : [])),
      numbers: offers.flatMap(({ offer }) => (isNumbers(offer) ? offer : [])).slice(0, NUMBERS_LOOKED_UP_MAX),
    };
    const pieces = offers.map(({ offer }) => offer).find(isPieces) ?? null;
    const { sortedMax } = this.#limits;
    // Things that have a word are soon gone through where they are few.
    const isFew = narrowest !== null && isWord(narrowest.offer) && narrowest.count <= sortedMax;
    const collected = isFew ? undefined : offers.find((offer) => this.#isCollected(offer, known));
    if (collected !== undefined) {
      return yield* this.#collected(collected.offer, { filters, pieces, known }, after);
    }
    const narrows = pieces !== null && !isFew;
    const hope = !narrows ? Infinity : this.#wanted === Infinity ? 0 : this.#limits.hopefulMax;
    const from = yield* this.#inOrder(this.#ways(offers, filters, known), hope, after);
    if (from === null) return;
    const rest = { filters, pieces: pieces!, known };
    // Alone, so few ids soon fill a page of names that are passed by; not beside something else, nor where names decide, which
    // lie together in their own order.
    const { words, numbers } = filters;
    const isAlone = words.length + numbers.length + this.#ofName.length === 0 && this.#wanted < Infinity;
    const isShort = !isAlone && known.countOf(pieces!) <= sortedMax;
    yield* isShort ? this.#collected(pieces!, rest, from) : this.#among(rest, from);
  }

  #isCollected({ offer, count }: CountedOffer, known: Offers): boolean {
    if (isWord(offer)) return false; // its things are in order already
    const { sortedMax, sortedPiecesMax, narrowMax } = this.#limits;
    if (isPieces(offer) && this.#wanted < Infinity) return count <= sortedPiecesMax;
    if (count <= sortedMax) return true;
    // No way goes through them in order.
    const isApart = offer.length > 1 && !this.#isMerged(offer) && offer.every(({ by }) => by !== "pieces");
    return isApart && known.countOf(offer, narrowMax) <= narrowMax;
  }

  /** What those that come first by name do not fill a page of is narrowed by sets before more is read. */
  *#collected(offer: Offer, { filters, pieces, known }: Narrowing, after: string): Generator<Stride> {
    const names = new Set<string>();
    for (const lookup of offer) {
      if (lookup.by === "pieces") yield* this.#named(lookup, names, after);
      else for (const thing of this.#index.things(lookup)) if (thing > after) names.add(thing);
    }
    let others = without(filters, offer);
    let last = names.size;
    let [narrowed, from]: [((names: readonly string[]) => readonly string[]) | null, string | null] = [null, null];
    if (last === 0) yield { found: [], upTo: null };
    for (const some of ascending([...names], this.#limits.sortedAtFirst)) {
      if (from !== null && narrowed === null && last > this.#limits.sortedAtFirst) {
        const ids = pieces === null || pieces === offer ? null : yield* this.#idsOf(pieces, from);
        const narrow = known.narrow([...others.words, ...others.numbers], ENTRIES_PER_NAME * last);
        const sets = narrow.map((lookup) => new Set(this.#index.things(lookup)));
        others = without(others, narrow);
        narrowed = (things) => {
          const left = things.filter((thing) => sets.every((set) => set.has(thing)));
          return ids === null ? left : this.#index.identified(left, ids);
        };
      }
      last -= some.length;
      from = some.at(-1)!;
      yield* this.#strides(this.#filtered(narrowed?.(some) ?? some, others), last === 0 ? null : from);
    }
  }

  *#named(lookup: PiecesLookup, into: Set<string>, after: string): Generator<Stride> {
    const most = this.#limits.namesAtOnce;
    for (let last = 0; ;) {
      const named = this.#index.namesOf(lookup, last, most);
      for (const thing of named.names) if (thing > after) into.add(thing);
      if (named.names.length < most) return;
      last = named.last;
      yield { found: [], upTo: after };
    }
  }

  /** Ways to go through things by name. */
  #ways(offers: readonly CountedOffer[], { words, numbers }: Filters, known: Offers): (after: string) => Stretch {
    const either = offers.find(({ offer }) => this.#isMerged(offer))?.offer as readonly WordLookup[] | undefined;
    if (words.length === 0 && either !== undefined) return (after) => this.#index.either(either, after, this.#step);
    if (words.length === 0 && numbers.length > 0) {
      const ranges = known.byCount(numbers);
      let window = NAMES_AT_FIRST;
      return (after) => {
        const stretch = this.#index.ordered([], ranges, after, window);
        window = this.#wider(window);
        return stretch;
      };
    }
    const wide = words.length + numbers.length > 1 || this.#ofName.length > 0;
    return (after) => this.#index.ordered(words, numbers, after, wide ? NAMES_AT_FIRST : this.#step);
  }

  /**
   * `hope`: about so many documents are tested, fewer where the first ones tell that as many will not fill a page. Returns where
   * to go on; null: it came to the end.
   */
  *#inOrder(next: (after: string) => Stretch, hope: number, after: string): Generator<Stride, string | null> {
    let from: string | null = after;
    let [tested, count] = [0, 0];
    while (from !== null && tested < hope) {
      const { things, upTo } = next(from);
      const named = things.filter((name) => this.#fitsName(name));
      count += yield* this.#strides(named, upTo);
      tested += Math.max(1, named.length, things.length / NAMES_PER_DOCUMENT);
      from = upTo;
      if (tested >= testedAtOnce && hope < Infinity && (count / tested) * hope < this.#wanted) break;
    }
    return from;
  }

  /** What has the pieces of any of these. Goes on behind `at`, which it has come to. */
  *#idsOf(lookups: readonly PiecesLookup[], at: string): Generator<Stride, Ids> {
    const most = this.#limits.idsAtOnce;
    const newest = this.#index.newestId();
    const ids: number[] = [];
    for (const lookup of lookups) {
      for (let last = 0; ;) {
        const some = this.#index.idsOf(lookup, last, most);
        for (const id of some) ids.push(id);
        if (some.length < most) break;
        last = some.at(-1)!;
        yield { found: [], upTo: at };
      }
    }
    return { ids: lookups.length === 1 ? ids : [...Float64Array.from(ids).sort()], newest };
  }

  /** Goes through what is narrow, or else through all things. */
  *#among(
    { filters, pieces, known }: Narrowing & { pieces: readonly PiecesLookup[] },
    after: string,
  ): Generator<Stride> {
    const ids = yield* this.#idsOf(pieces, after);
    const base = known.narrowest([...filters.words, ...filters.numbers]);
    const others = base === null ? filters : without(filters, [base]);
    let from: string | null = after;
    const most = (base === null ? NAMES_PER_ID : ENTRIES_PER_ID) * ids.ids.length;
    for (let [passed, window] = [0, NAMES_AT_FIRST]; from !== null && passed < most; window = this.#wider(window)) {
      const { things, upTo }: Stretch = this.#index.among(ids, base, from, window);
      yield* this.#strides(this.#filtered(things, others), upTo);
      from = upTo;
      passed += window;
    }
    if (from !== null) yield* this.#collected(pieces, { filters, pieces, known }, from);
  }

  /** Returns how many it found. */
  *#strides(things: readonly string[], upTo: string | null): Generator<Stride, number> {
    let count = 0;
    for (let at = 0; at < things.length;) {
      const some = things.slice(at, at + this.#step);
      at += this.#step;
      this.#step = testedAtOnce;
      const found = this.#tested(some);
      count += found.length;
      yield { found, upTo: at < things.length ? some.at(-1)! : upTo };
    }
    this.#step = testedAtOnce;
    if (things.length === 0) yield { found: [], upTo };
    return count;
  }

  #filtered(things: readonly string[], { words, numbers }: Filters): readonly string[] {
    return this.#index.having(
      things.filter((name) => this.#fitsName(name)),
      words,
      numbers,
    );
  }

  #fitsName(name: string): boolean {
    return this.#ofName.length === 0 || this.#ofName.every((pattern) => fits(pattern, name.toLowerCase()));
  }

  #tested(things: readonly string[]): readonly FleetDocument[] {
    const query = this.#query;
    if (this.#registryOnly) return this.#index.documents(things, "registry").filter((one) => holds(query, one));
    const some =
      this.#early.length === 0
        ? things
        : this.#index
            .documents(things, "registry")
            .filter((one) => this.#early.every((item) => holds(item, one)))
            .map(({ thingName }) => thingName);
    return this.#index.documents(some, "all").filter((one) => holds(query, one));
  }

  /** What fills no page soon is gone through in longer stretches. */
  #wider(window: number): number {
    return Math.min(2 * window, this.#limits.entriesAtOnce);
  }

  #isMerged(offer: Offer): boolean {
    return offer.length <= this.#limits.mergedWordsMax && offer.every(({ by }) => by === "word");
  }
}

/** In stretches that are sorted one by one: who needs the first ones only does not wait for the rest. */
function* ascending(names: readonly string[], first: number): Generator<readonly string[]> {
  let rest = names;
  for (let size = first; rest.length > 2 * size; size *= 2) {
    const step = Math.ceil(rest.length / SAMPLED);
    const sample = Array.from({ length: Math.floor(rest.length / step) }, (_, n) => rest[n * step]!).sort();
    const pivot = sample[Math.ceil((size / rest.length) * (sample.length - 1))]!;
    yield rest.filter((name) => name <= pivot).sort();
    rest = rest.filter((name) => name > pivot);
  }
  if (rest.length > 0) yield rest.toSorted();
}

/** How many things have all of these words, in strides; no document is read. */
export function* countWords(index: SearchIndex, words: readonly WordLookup[]): Generator<number> {
  for (let from: string | null = ""; from !== null;) {
    const { things, upTo } = index.ordered(words, [], from, namesAtOnce);
    yield things.length;
    from = upTo;
  }
}

/** How many things have all of these pieces, likewise. */
export function* countPieces(index: SearchIndex, lookup: PiecesLookup): Generator<number> {
  for (let last = 0; ;) {
    const ids = index.idsOf(lookup, last, namesAtOnce);
    yield ids.length;
    if (ids.length < namesAtOnce) return;
    last = ids.at(-1)!;
  }
}

function without({ words, numbers }: Filters, offer: Offer): Filters {
  return {
    words: words.filter((lookup) => !offer.includes(lookup)),
    numbers: numbers.filter((lookup) => !offer.includes(lookup)),
  };
}

function patternOfName(item: Query): Pattern | null {
  return item.kind === "term" && item.field === "thingName" && item.match.kind === "pattern"
    ? item.match.pattern
    : null;
}

function hasPattern(item: Query): boolean {
  for (const { match } of termsOf(item)) if (match.kind === "pattern") return true;
  return false;
}

function isAboutRegistry(item: Query): boolean {
  for (const { field } of termsOf(item)) if (field === null || !isOfRegistry(field)) return false;
  return true;
}
