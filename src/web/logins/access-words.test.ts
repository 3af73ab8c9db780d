import assert from "node:assert/strict";
import { test } from "node:test";
import { changesFrom, endOf, shortId, standingOf } from "./access-words.ts";

const NOW = 1_800_000_000_000;
const DAY = 86_400_000;

test("only an active certificate within its time is good; one that ends soon, or waits for somebody, is a warning", () => {
  const said = (status: string, days: number) => Object.values(standingOf(status, NOW + days * DAY, NOW)).join(" ");
  assert.equal(said("ACTIVE", 30), "active good");
  assert.equal(said("ACTIVE", 3), "active warning");
  assert.equal(said("ACTIVE", 0), "expired warning");
  assert.equal(said("ACTIVE", -3), "expired warning");
  assert.equal(said("REVOKED", 30), "revoked off");
  assert.equal(said("INACTIVE", -3), "inactive off");
  assert.equal(said("PENDING_ACTIVATION", 30), "waits to be activated warning");
  assert.equal(said("SOMETHING_NEW", 30), "something_new off");
});

test("what is revoked stays so; all others can be", () => {
  assert.deepEqual(changesFrom("REVOKED"), []);
  assert.deepEqual(changesFrom("ACTIVE"), ["INACTIVE", "REVOKED"]);
  for (const status of ["INACTIVE", "PENDING_ACTIVATION"]) assert.deepEqual(changesFrom(status), ["ACTIVE", "REVOKED"]);
});

test("ends are said from now on, and ids are cut", () => {
  assert.match(endOf(NOW + 5 * DAY, NOW), /^expires in 5\sd/);
  assert.match(endOf(NOW - 5 * DAY, NOW), /^expired 5\sd/);
  assert.equal(shortId("0123456789abcdef".repeat(4)), "0123456789ab…");
});
