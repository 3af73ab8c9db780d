import assert from "node:assert/strict";
import { test } from "node:test";
import { call, withQuery } from "./client.ts";
import { codeInFragment, refreshSession, session } from "./session.ts";

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

const INFO = { user: "administrator", kind: "token", role: null, permissions: [], things: null, session: "s" } as const;

test("several calls that are refused at once: the session has ended, and the reason stays", async (context) => {
  Object.assign(globalThis, { document: { baseURI: "http://127.0.0.1/" } }); // all of a browser that the client asks for
  context.after(() => Reflect.deleteProperty(globalThis, "document"));
  context.mock.method(globalThis, "fetch", () => Promise.resolve(Response.json({}, { status: 401 })));
  session.value = { kind: "active", info: { ...INFO, expiresAt: 1, version: "1" } };
  await Promise.allSettled([call("api/fleet"), call("api/alerts"), refreshSession()]);
  assert.deepEqual(session.value, { kind: "none", why: "expired", error: null });
});
