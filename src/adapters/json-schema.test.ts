import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../base/mod.ts";
import { SchemaFault, compileSchema } from "./json-schema.ts";

const WEATHER: JsonObject = {
  type: "object",
  required: ["temperature"],
  properties: {
    temperature: { type: "number", minimum: -60, maximum: 100, "x-unit": "°C" },
    station: { type: "string", pattern: "^[a-z]+-\\d{1,3}$" },
    at: { type: "string", format: "date-time" },
  },
  additionalProperties: false,
};

function faultOf(schema: JsonObject): string {
  try {
    compileSchema(schema);
  } catch (error) {
    assert.ok(error instanceof SchemaFault, String(error));
    return `${error.at}: ${error.message}`;
  }
  return assert.fail("it was taken");
}

test("what fits, and why what does not fit does not", () => {
  const check = compileSchema(WEATHER);
  assert.equal(check({ temperature: 20, station: "roof-7", at: "2026-11-22T08:00:00Z" }), null);
  assert.equal(check({ temperature: 101 }), "/temperature must be <= 100");
  assert.equal(check({}), "it must have required property 'temperature'");
  assert.equal(check({ temperature: 1, x: 1 }), "it must NOT have additional properties: x");
  assert.match(check({ temperature: 1, station: "roof-7\n" })!, /^\/station must match pattern/);
  assert.match(check({ temperature: 1, at: "2026-02-30T08:00:00Z" })!, /format "date-time"/);
  for (const other of [null, 7, "x", [1]]) assert.equal(check(other), "it must be object");
});

test("draft 07 where the schema says so, another draft not at all", () => {
  const old = {
    $schema: "http://json-schema.org/draft-07/schema#",
    items: [{ type: "string" }],
    additionalItems: false,
  };
  assert.equal(compileSchema(old)(["a"]), null);
  assert.notEqual(compileSchema(old)(["a", 1]), null);
  assert.match(faultOf({ $schema: "http://json-schema.org/draft-04/schema#" }), /^\$schema: /);
});

test("a schema refers to itself within a tree of values", () => {
  const tree = {
    $ref: "#/$defs/node",
    $defs: {
      node: { type: "object", properties: { left: { $ref: "#/$defs/node" }, right: { $ref: "#/$defs/node" } } },
    },
  };
  const check = compileSchema(tree);
  assert.equal(check({ left: { right: {} } }), null);
  assert.equal(check({ left: { right: 7 } }), "/left/right must be object");
});

test("mistyped keywords and wrong values are told with their place", () => {
  assert.match(faultOf({ type: "object", proprties: {} }), /unknown keyword: "proprties"/);
  assert.match(faultOf({ properties: { a: { type: "nummber" } } }), /^properties\.a\.type: /);
  assert.match(faultOf({ properties: { a: { format: "phone" } } }), /unknown format "phone"/);
});

test("hostile schemas: references outward, endless and multiplying ones, costly patterns and comparisons", () => {
  assert.match(faultOf({ $ref: "https://elsewhere.example/x.json" }), /^\$ref: only what is within/);
  assert.match(faultOf({ properties: { a: { $ref: "file:///etc/passwd" } } }), /^properties\.a\.\$ref: /);
  assert.match(faultOf({ $ref: "#" }), /refers to itself/);
  const doubling = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [
      `d${i}`,
      { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
    ]),
  );
  assert.match(faultOf({ $ref: "#/$defs/d0", $defs: { ...doubling, d30: {} } }), /more than 500 times/);
  assert.match(
    faultOf({ anyOf: [{ properties: { a: { $ref: "#" } } }, { properties: { a: { $ref: "#" } } }] }),
    /more than 500 times/,
  );
  assert.match(faultOf({ uniqueItems: true }), /^uniqueItems: it needs a maxItems/);
  let deep: JsonObject = {};
  for (let i = 0; i < 40; i++) deep = { not: deep };
  assert.match(faultOf(deep), /nested deeper/);
  assert.match(faultOf({ pattern: "(?=a)b" }), /linear time/);
  const check = compileSchema({ pattern: "^(a+)+$" });
  assert.equal(check("a".repeat(10_000)), null);
  assert.match(check(`${"a".repeat(10_000)}b`)!, /must match pattern/);
  assert.match(compileSchema({ pattern: "(x{500}y|x{501}z){2}" })("x".repeat(500_000))!, /cost too much/);
});
