import assert from "node:assert/strict";
import { test } from "node:test";
import type { ShadowDocument } from "../../cloud/api/contract.ts";
import { changeBetween, parseSection, rowsOf } from "./shadow-rows.ts";

test("one row per value, desired beside reported, with what differs and when it was set", () => {
  const at = (timestamp: number) => ({ timestamp });
  const document: ShadowDocument = {
    state: {
      desired: { on: true, light: { red: 255 }, list: [1, 2] },
      reported: { on: true, light: { red: 0 }, ip: "10.0.0.7" },
      delta: { light: { red: 255 }, list: [1, 2] },
    },
    metadata: {
      desired: { on: at(10), light: { red: at(20) }, list: [at(30), at(31)] },
      reported: { on: at(11), light: { red: at(5) }, ip: at(6) },
    },
    version: 4,
    timestamp: 40,
  };
  assert.deepEqual(rowsOf(document), [
    { path: "ip", desired: null, reported: '"10.0.0.7"', differs: false, changedAt: 6 },
    { path: "light.red", desired: "255", reported: "0", differs: true, changedAt: 20 },
    { path: "list", desired: "[1,2]", reported: null, differs: true, changedAt: 31 },
    { path: "on", desired: "true", reported: "true", differs: false, changedAt: 11 },
  ]);
});

test("an edited section is sent as what has changed, removed keys as null", () => {
  const before = { a: 1, b: { c: 2, d: 3 }, list: [1], gone: { x: 1 } };
  assert.deepEqual(changeBetween(before, { a: 1, b: { c: 2, d: 4, e: {} }, list: [1, 2] }), {
    gone: null,
    b: { d: 4, e: {} },
    list: [1, 2],
  });
  assert.deepEqual(changeBetween(before, before), {});
  assert.deepEqual(changeBetween({ a: { b: 1 } }, { a: 5 }), { a: 5 });
});

test("what is no object is told before it is sent", () => {
  assert.deepEqual(parseSection('{"a":1}'), { section: { a: 1 } });
  assert.ok("problem" in parseSection("{a:1}"));
  assert.ok("problem" in parseSection("[1]"));
  assert.ok("problem" in parseSection("null"));
});
