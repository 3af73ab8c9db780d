import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JsonObject, JsonValue } from "../base/mod.ts";
import { exact } from "./json.ts";
import { difference, merge, stamps } from "./merge.ts";
import type { Section } from "./merge.ts";

const section = (state: JsonObject, seconds = 1): Section => ({
  state,
  metadata: stamps(state, seconds) as JsonObject,
});
const json = (value: unknown): string => JSON.stringify(value);

/** What a merge is, said as naively as can be: a list of paths and what is there. Keys are few, so that they meet. */
const key = fc.constantFrom("a", "b", "c", "__proto__", "constructor", "1");
const leaf = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.boolean(), fc.constantFrom("x", "y"));
const array = fc.array(leaf, { maxLength: 3 });
const { state: stateValue } = fc.letrec<{ state: JsonValue }>((tie) => ({
  state: fc.oneof({ maxDepth: 3 }, leaf, array, fc.dictionary(key, tie("state"), { maxKeys: 3 })),
}));
const { change: changeValue } = fc.letrec<{ change: JsonValue }>((tie) => ({
  change: fc.oneof({ maxDepth: 3 }, leaf, array, fc.constant(null), fc.dictionary(key, tie("change"), { maxKeys: 3 })),
}));
const state = fc.dictionary(key, stateValue, { maxKeys: 4 }).map(plain);
const change = fc.dictionary(key, changeValue, { maxKeys: 4 }).map(plain);

/** As JSON gives it: with a prototype, and `__proto__` as a key. */
function plain(value: unknown): JsonObject {
  return JSON.parse(json(value)) as JsonObject;
}

type Model = Map<string, Model | string>;

function modelOf(value: JsonObject): Model {
  return new Map(Object.entries(value).map(([k, v]) => [k, isObject(v) ? modelOf(v) : json(v)]));
}

function modelMerge(before: Model, patch: JsonObject): Model {
  const after = new Map(before);
  for (const [k, v] of Object.entries(patch)) {
    if (v === null) after.delete(k);
    else if (isObject(v)) {
      const old = before.get(k);
      after.set(k, modelMerge(old instanceof Map ? old : new Map(), v));
    } else after.set(k, json(v));
  }
  return after;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

test("merging is what the naive model says, whatever the keys are called", () => {
  fc.assert(
    fc.property(state, fc.array(change, { minLength: 1, maxLength: 4 }), (start, patches) => {
      let merged = section(start);
      let model = modelOf(start);
      for (const patch of patches) {
        merged = merge(merged, patch, 2);
        model = modelMerge(model, patch);
      }
      assert.deepEqual(modelOf(merged.state), model);
    }),
    { numRuns: 500 },
  );
});

test("merging changes neither what was there nor what it was given", () => {
  fc.assert(
    fc.property(state, change, (start, patch) => {
      const before = section(start);
      const text = json([before, patch]);
      merge(before, patch, 2);
      assert.equal(json([before, patch]), text);
    }),
  );
});

test("metadata has the shape of the state, with the time of the last change at each leaf", () => {
  fc.assert(
    fc.property(state, change, (start, patch) => {
      const merged = merge(section(start, 1), patch, 2);
      const blank = (value: JsonValue): JsonValue =>
        JSON.parse(json(value).replaceAll(/\{"timestamp":[12]\}/g, "0")) as JsonValue;
      assert.deepEqual(modelOf(plain(blank(merged.metadata))), modelOf(plain(blank(stamps(merged.state, 1)))));
    }),
  );
});

test("only what was sent gets a new time", () => {
  const start = section(plain({ a: 1, b: { c: 2, d: [1, 2] } }), 1);
  const { metadata } = merge(start, plain({ b: { d: [7] }, e: [{ f: 1 }] }), 9);
  assert.deepEqual(metadata, {
    a: { timestamp: 1 },
    b: { c: { timestamp: 1 }, d: [{ timestamp: 9 }] },
    e: [{ f: { timestamp: 9 } }],
  });
});

test("a device that applies the difference to what it reports has what is desired, and there is none left", () => {
  fc.assert(
    fc.property(state, state, (wanted, reported) => {
      const desired = section(wanted);
      const found = difference(desired, reported);
      const applied = merge(section(reported), found?.state ?? {}, 2);
      assert.equal(difference(desired, applied.state), null);
      // What is only reported stays; so the desired state is within what is reported now.
      assert.deepEqual(modelOf(merge(applied, wanted, 3).state), modelOf(applied.state));
    }),
    { numRuns: 500 },
  );
});

test("nothing differs from itself, and what is only reported never counts", () => {
  fc.assert(
    fc.property(state, state, (wanted, more) => {
      const withMore = { ...more, ...wanted };
      assert.equal(difference(section(wanted), wanted), null);
      assert.equal(difference(section(wanted), plain(withMore)), null);
    }),
  );
});

const DIFFERENCES: readonly (readonly [what: string, desired: string, reported: string, found: string | null])[] = [
  ["a value that is not reported", '{"a":1}', "{}", '{"a":1}'],
  ["another value", '{"a":1}', '{"a":2}', '{"a":1}'],
  ["another type", '{"a":1}', '{"a":"1"}', '{"a":1}'],
  ["deep, with its path only", '{"a":{"b":{"c":1,"d":2}}}', '{"a":{"b":{"c":1,"d":3}}}', '{"a":{"b":{"d":2}}}'],
  ["an array counts as a whole", '{"a":[1,2]}', '{"a":[1,3]}', '{"a":[1,2]}'],
  ["an array's order counts", '{"a":[1,2]}', '{"a":[2,1]}', '{"a":[1,2]}'],
  ["an object where a value is reported", '{"a":{"b":1}}', '{"a":5}', '{"a":{"b":1}}'],
  ["a value where an object is reported", '{"a":5}', '{"a":{"b":1}}', '{"a":5}'],
  ["an empty object that is not reported", '{"a":{}}', "{}", '{"a":{}}'],
  ["an empty object, with more reported", '{"a":{}}', '{"a":{"b":1}}', null],
  ["keys in another order", '{"a":1,"b":[{"c":1,"d":2}]}', '{"b":[{"d":2,"c":1}],"a":1}', null],
  ["numbers are compared, not their text", '{"a":1.0}', '{"a":1}', null],
  ["numbers beyond a double", '{"a":12345678901234567890}', '{"a":12345678901234567891}', '{"a":12345678901234567890}'],
  ["the same number beyond a double", '{"a":12345678901234567890}', '{"a":12345678901234567890}', null],
  ["a key of every object", '{"toString":1,"__proto__":{"a":1}}', "{}", '{"toString":1,"__proto__":{"a":1}}'],
];

for (const [what, desired, reported, found] of DIFFERENCES) {
  test(`difference: ${what}`, () => {
    const result = difference(section(exact(desired) as JsonObject), exact(reported) as JsonObject);
    assert.equal(result === null ? null : json(result.state), found);
  });
}
