import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import { FleetDocument, FleetSearcher, findInFleet, holds, parseQuery } from "../../registry/mod.ts";
import type { FindLimits, FleetPartBody, FleetPartChange, SearchAnswers } from "../../registry/mod.ts";
import { SqliteSearchIndex } from "./search-index.ts";

const words = fc.constantFrom(
  "red",
  "Red car",
  "75",
  "75.0",
  "-1",
  "1e2",
  "100",
  "ab",
  "abc",
  "Ärger",
  "𝄞x",
  "\uffee",
  `${"x".repeat(140)}pump`, // longer than a word may be in the index
  "",
);
const scalar = fc.oneof(words, fc.integer({ min: -3, max: 100 }), fc.boolean());
const names = Array.from({ length: 12 }, (_, index) => `${index % 2 === 0 ? "Tv" : "pump"}-${index}`);

const registryPart = fc.record({
  thingId: fc.constantFrom("id1", "id2"),
  thingTypeName: fc.constantFrom(null, "ab", "heater"),
  billingGroupName: fc.constantFrom(null, "red"),
  thingGroupNames: fc.subarray(["g1", "g2", "abc"]),
  attributes: fc.dictionary(fc.constantFrom("a", "b"), words, { noNullPrototype: true }),
  version: fc.integer({ min: 1, max: 3 }),
});
const connectivity = fc.record({
  connected: fc.boolean(),
  timestamp: fc.integer({ min: 0, max: 100 }),
  disconnectReason: fc.constantFrom(null, "ab"),
});
const shadow = fc.record({
  reported: fc.record({ x: scalar, y: fc.array(scalar, { maxLength: 2 }) }),
  hasDelta: fc.boolean(),
  version: fc.constant(1),
});
const change: fc.Arbitrary<FleetPartChange> = fc
  .oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...names), fc.constant("registry" as const), registryPart) },
    fc.tuple(fc.constantFrom(...names), fc.constant("connectivity" as const), connectivity),
    fc.tuple(fc.constantFrom(...names), fc.constantFrom("shadow " as const, "shadow n" as const), shadow),
    fc.tuple(
      fc.constantFrom(...names),
      fc.constantFrom("registry" as const, "connectivity" as const),
      fc.constant(null),
    ),
  )
  .map(([thing, part, body]) => ({ thing, part, body }));

const fields = fc.constantFrom(
  ..."thingName thingTypeName thingGroupNames attributes.a attributes.b shadow.reported.x shadow.name.n.reported.y".split(
    " ",
  ),
  ..."connectivity.connected connectivity.timestamp shadow.hasDelta attributes.none".split(" "),
);
const value = fc.constantFrom(
  ..."red ab ab* a? 75 -1 100 true * pump* tv-4 p*-* är* 𝄞* \uffee g1 heater".split(" "),
  ..."*ump* xx*mp *xpu* 75.* *p-1* *v-? pu*-1* *1 r?d ?ed *rge* *ger 𝄞?* *eat?r b*c *c 7*0 1?0 *00 *-* *umq* xump*".split(
    " ",
  ),
  ..."*u* *um* *q* *um*1 ?u* *v-* *𝄞* *7* *x".split(" "),
  ...'"red car"|[ab TO red]|{ab TO *]|[* TO 75]|{-1 TO 75}|["1" TO "8"]|[ä TO 𝄞]'.split("|"),
);
const term = fc.tuple(fields, value).map(([field, text]) => `${field}:${text}`);
/** Patterns, ranges and words together: each of them may be the one that decides. */
const mixed = fc
  .tuple(
    fc.constantFrom(
      ..."thingName:*p-* attributes.a:*c* attributes.a:*7* attributes.b:*b* attributes.b:*10*".split(" "),
    ),
    fc.constantFrom(
      ..."attributes.a<75 attributes.a>-1 attributes.b<=100 shadow.reported.x>0 attributes.b>75".split(" "),
    ),
    fc.constantFrom(
      ..."thingTypeName:ab connectivity.connected:true connectivity.timestamp<60 thingGroupNames:abc".split(" "),
      ..."thingName:*|(attributes.a<0 OR attributes.a>75)|(attributes.a:ab OR attributes.b>0)".split("|"),
    ),
    fc.constantFrom("", "NOT "),
  )
  .map(([pattern, range, other, not]) => `(${pattern} ${range} ${not}${other})`);
const free = fc.constantFrom("red", "ab*", "75", "true", "*");
const query = fc.letrec<{ q: string }>((tie) => ({
  q: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    term,
    free,
    mixed,
    fc.tuple(tie("q"), tie("q")).map(([a, b]) => `(${a} ${b})`),
    fc.tuple(tie("q"), tie("q")).map(([a, b]) => `(${a} OR ${b})`),
    tie("q").map((q) => `(NOT ${q})`),
  ),
})).q;

const NONE: FindLimits = {
  sortedMax: 0,
  sortedPiecesMax: 0,
  sortedAtFirst: 1,
  hopefulMax: 0,
  namesAtOnce: 2,
  idsAtOnce: 2,
  entriesAtOnce: 2,
  narrowMax: 0,
  patternThingsMax: 0,
  patternWordsMax: 0,
  mergedWordsMax: 0,
};

/** As in a fleet so large that each of the ways is the short one, and as it is. */
const WAYS: readonly FindLimits[] = [
  LIMITS.search,
  { ...NONE, sortedMax: 100, patternWordsMax: 100, mergedWordsMax: 100 },
  { ...NONE, sortedMax: 100, sortedPiecesMax: 100 },
  { ...NONE, sortedMax: 1, sortedPiecesMax: 1, patternThingsMax: 1, patternWordsMax: 4, mergedWordsMax: 4 },
  { ...NONE, mergedWordsMax: 100 },
  NONE,
  { ...NONE, hopefulMax: 2 },
  { ...NONE, hopefulMax: 2, sortedMax: 100, namesAtOnce: 1 },
  { ...NONE, hopefulMax: 100 },
  { ...NONE, narrowMax: 100, entriesAtOnce: 3 },
  { ...NONE, narrowMax: 4, sortedMax: 4 },
  { ...NONE, narrowMax: 100, sortedMax: 100 },
  { ...NONE, narrowMax: 100, sortedMax: 100, sortedPiecesMax: 100 },
];

function all(index: SqliteSearchIndex, text: string, limits: FindLimits, wanted = Infinity): string[] {
  const found: string[] = [];
  for (const stride of findInFleet(index, parseQuery(text), "", { wanted, limits })) {
    found.push(...stride.found.map((document) => document.thingName));
  }
  return found;
}

function finished<T>(strides: Generator<void, T>): T {
  for (;;) {
    const { done, value } = strides.next();
    if (done === true) return value;
  }
}

function countOf(index: SqliteSearchIndex, query: string, limits: FindLimits): number {
  const searcher = new FleetSearcher(index, () => 0, limits);
  return (finished(searcher.answer({ ask: "count", query, within: 1 })) as SearchAnswers["count"]).count;
}

function firstOf(index: SqliteSearchIndex, query: string, limit: number, limits: FindLimits): readonly string[] {
  const searcher = new FleetSearcher(index, () => 0, limits);
  return (finished(searcher.answer({ ask: "names", query, after: "", limit })) as SearchAnswers["names"]).things;
}

/** Some have too many terms, or two that begin with a wildcard. */
function isQuery(text: string): boolean {
  try {
    parseQuery(text);
    return true;
  } catch (error) {
    assert.ok(isTidewireError(error) && error.code === "SEARCH_QUERY_INVALID");
    return false;
  }
}

test("what the index finds is what a test of every thing finds, whatever changed before", () => {
  const folder = mkdtempSync(join(tmpdir(), "search-"));
  let run = 0;
  try {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(query, { minLength: 1, maxLength: 8 }),
        (changes, queries) => {
          const index = new SqliteSearchIndex({ path: join(folder, `${run++}.db`) });
          try {
            const model = new Map<string, Map<string, FleetPartBody>>();
            for (let at = 0; at < changes.length; at += 7) index.put(changes.slice(at, at + 7));
            for (const { thing, part, body } of changes) {
              const parts = model.get(thing);
              if (part === "registry" && body === null) model.delete(thing);
              else if (part === "registry") model.set(thing, (parts ?? new Map()).set(part, body));
              else if (body === null) parts?.delete(part);
              else parts?.set(part, body);
            }
            const documents = [...model].map(([thing, parts]) => new FleetDocument(thing, parts));
            for (const text of queries.filter(isQuery)) {
              const holding = documents.filter((one) => holds(parseQuery(text), one)).map((one) => one.thingName);
              const expected = holding.sort();
              for (const [way, limits] of WAYS.entries()) {
                assert.deepEqual(all(index, text, limits), expected, `${text}, way ${way}`);
                assert.deepEqual(all(index, text, limits, 2), expected, `${text}, way ${way}, in small steps`);
                assert.equal(countOf(index, text, limits), expected.length, `count of ${text}`);
                assert.deepEqual(firstOf(index, text, 2, limits), expected.slice(0, 2), `first of ${text}`);
              }
            }
          } finally {
            index.close();
          }
        },
      ),
      { numRuns: 100 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
