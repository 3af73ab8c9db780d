import assert from "node:assert/strict";
import { test } from "node:test";
import { bearerOf, cookieOf } from "./session.ts";

test("headers: bearer token and cookie are found, and nothing else is", () => {
  assert.equal(bearerOf("Bearer abc"), "abc");
  assert.equal(bearerOf("bearer  abc"), "abc");
  assert.equal(bearerOf("Basic abc"), null);
  assert.equal(bearerOf(undefined), null);
  assert.equal(cookieOf("a=1; tw_session=x.y=z; b=2", "tw_session"), "x.y=z");
  assert.equal(cookieOf("xtw_session=1", "tw_session"), null);
});
