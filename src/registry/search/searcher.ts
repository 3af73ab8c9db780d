/** What is asked of the fleet's index, in strides of some milliseconds: whoever runs them may do something else between. */
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { checkedPageSize, keyIn, tokenFor } from "../page.ts";
import type { FleetDocument } from "./document.ts";
import { countPieces, countWords, find } from "./find.ts";
import { holds } from "./holds.ts";
import type { SearchIndex } from "./index.ts";
import { piecesOfQuery, wordsOf } from "./offers.ts";
import type { FindLimits } from "./offers.ts";
import { parseQuery } from "./parse.ts";
import { bucketsOf, percentilesOf, statisticsOf } from "./statistics.ts";
import type { Bucket, Percentile, Statistics } from "./statistics.ts";
import { awsThing } from "./aws-thing.ts";
import type { AwsThing } from "./aws-thing.ts";
import type { Query } from "./tree.ts";
import type { Scalar } from "./values.ts";

export type SearchRequest =
  | { readonly ask: "page"; readonly query: string; readonly maxResults?: number; readonly nextToken?: string | null }
  | { readonly ask: "names"; readonly query: string; readonly after: string; readonly limit: number }
  /** Which of these things it finds. */
  | { readonly ask: "holding"; readonly query: string; readonly things: readonly string[] }
  /** As far as it comes in this time. */
  | { readonly ask: "count"; readonly query: string; readonly within: Millis }
  | { readonly ask: "statistics" | "cardinality"; readonly query: string; readonly field: string }
  | {
      readonly ask: "percentiles";
      readonly query: string;
      readonly field: string;
      readonly percents: readonly number[];
    }
  | { readonly ask: "buckets"; readonly query: string; readonly field: string; readonly maxBuckets: number };

export interface SearchAnswers {
  readonly page: { readonly things: readonly AwsThing[]; readonly nextToken: string | null };
  readonly names: { readonly things: readonly string[]; readonly upTo: string | null };
  readonly holding: readonly string[];
  readonly count: { readonly count: number; readonly complete: boolean };
  readonly statistics: Statistics;
  readonly cardinality: number;
  readonly percentiles: readonly Percentile[];
  readonly buckets: { readonly totalCount: number; readonly buckets: readonly Bucket[] };
}

export type SearchAnswer = SearchAnswers[keyof SearchAnswers];

export class FleetSearcher {
  readonly #index: SearchIndex;
  /** Milliseconds that pass, from anywhere. */
  readonly #now: () => Millis;
  readonly #limits: FindLimits;

  constructor(index: SearchIndex, now: () => Millis, limits: FindLimits = LIMITS.search) {
    this.#index = index;
    this.#now = now;
    this.#limits = limits;
  }

  /** Throws SEARCH_QUERY_INVALID, SEARCH_TOO_BROAD, REQUEST_INVALID. */
  *answer(request: SearchRequest): Generator<void, SearchAnswer> {
    switch (request.ask) {
      case "page":
        return yield* this.#page(request);
      case "names": {
        const { found, upTo } = yield* this.#some(request.query, request.after, request.limit, true);
        return { things: found.map((document) => document.thingName), upTo } satisfies SearchAnswers["names"];
      }
      case "holding": {
        const query = parseQuery(request.query);
        return this.#index
          .documents(request.things, "all")
          .filter((document) => holds(query, document))
          .map((document) => document.thingName);
      }
      case "count":
        return yield* this.#count(request);
      case "statistics":
      case "cardinality":
      case "percentiles":
      case "buckets":
        return yield* this.#aggregate(request);
    }
  }

  *#page(request: Extract<SearchRequest, { ask: "page" }>): Generator<void, SearchAnswers["page"]> {
    const { pageSizeMax, pageSizeDefault } = LIMITS.search;
    const { query, nextToken = null, maxResults = pageSizeDefault } = request;
    checkedPageSize(maxResults, pageSizeMax);
    const listing = `search ${query}`;
    const after = nextToken === null ? "" : keyIn(listing, nextToken);
    const { found, upTo } = yield* this.#some(query, after, maxResults, false);
    return { things: found.map(awsThing), nextToken: upTo === null ? null : tokenFor(listing, upTo) };
  }

  /** At most `limit`; `upTo`: where to go on, null at the end. Ends early when its time is over, and it came on by a name. */
  *#some(
    query: string,
    after: string,
    limit: number,
    partly: boolean,
  ): Generator<void, { readonly found: readonly FleetDocument[]; readonly upTo: string | null }> {
    const until = this.#now() + LIMITS.search.pageTime;
    const limits = this.#limits;
    const found: FleetDocument[] = [];
    for (const stride of find(this.#index, parseQuery(query), after, { wanted: limit, partly, limits })) {
      found.push(...stride.found);
      if (found.length > limit) {
        const some = found.slice(0, limit);
        return { found: some, upTo: some.at(-1)!.thingName };
      }
      if (stride.upTo === null) break;
      if (this.#now() > until && stride.upTo > after) return { found, upTo: stride.upTo };
      yield;
    }
    return { found, upTo: null };
  }

  *#count({ query, within }: Extract<SearchRequest, { ask: "count" }>): Generator<void, SearchAnswers["count"]> {
    const until = this.#now() + within;
    let count = 0;
    for (const found of this.#counts(parseQuery(query))) {
      count += found;
      if (this.#now() > until) return { count, complete: false };
      yield;
    }
    return { count, complete: true };
  }

  *#counts(query: Query): Generator<number> {
    const words = wordsOf(this.#index, query);
    if (words !== null) return yield* countWords(this.#index, words);
    const pieces = piecesOfQuery(this.#index, query);
    if (pieces !== null) return yield* countPieces(this.#index, pieces);
    for (const { found } of find(this.#index, query, "", { partly: true, limits: this.#limits })) yield found.length;
  }

  *#all(query: string): Generator<readonly FleetDocument[]> {
    const { statisticsTime } = LIMITS.search;
    const until = this.#now() + statisticsTime;
    for (const { found } of find(this.#index, parseQuery(query), "", { limits: this.#limits })) {
      if (this.#now() > until) throw new TidewireError("SEARCH_TOO_BROAD", { seconds: statisticsTime / 1000 });
      yield found;
    }
  }

  *#aggregate(
    request: Exclude<SearchRequest, { ask: "page" | "names" | "holding" | "count" }>,
  ): Generator<void, SearchAnswer> {
    const values: Scalar[] = []; // as many as things times values of the field; the time limit bounds it
    let things = 0;
    for (const found of this.#all(request.query)) {
      for (const document of found) {
        const has = document.fields.get(request.field);
        if (has === undefined) continue;
        things++;
        for (const value of has) values.push(value);
      }
      yield;
    }
    switch (request.ask) {
      case "statistics":
        return statisticsOf(things, values);
      case "cardinality":
        return new Set(values.map(String)).size;
      case "percentiles":
        return percentilesOf(values, request.percents);
      case "buckets":
        return { totalCount: things, buckets: bucketsOf(values, request.maxBuckets) };
    }
  }
}
