import assert from "node:assert/strict";
import { test } from "node:test";
import { connectionsWithin, descriptorLimit } from "./descriptors.ts";

test("connections leave room for files; where little is allowed, half of it", () => {
  assert.equal(connectionsWithin(1_048_576, 20_000), 20_000);
  assert.equal(connectionsWithin(Infinity, 20_000), 20_000);
  assert.equal(connectionsWithin(20_000, 20_000), 18_500);
  assert.equal(connectionsWithin(1_024, 20_000), 512);
});

test("a system that does not tell its limit has none", () => {
  assert.equal(descriptorLimit("/nowhere/limits"), Infinity);
  assert.ok(descriptorLimit() > 100);
});
