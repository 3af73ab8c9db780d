import assert from "node:assert/strict";
import { test } from "node:test";
import { withQuery } from "./client.ts";
import { codeInFragment } from "./session.ts";

test("a code is taken from the link that carries one, and from nothing else", () => {
  assert.equal(codeInFragment("#code=Ab3_-x"), "Ab3_-x");
  for (const fragment of ["", "#", "#/", "#code=", "#/things/code=5", "#code=a&b=c"]) {
    assert.equal(codeInFragment(fragment), null, fragment);
  }
});

test("a query leaves out what is not given and escapes what is", () => {
  assert.equal(withQuery("api/fleet", { search: "", cursor: null, limit: 5, x: undefined }), "api/fleet?limit=5");
  assert.equal(withQuery("api/fleet", { search: "a&b c" }), "api/fleet?search=a%26b+c");
  assert.equal(withQuery("api/fleet", {}), "api/fleet");
});
