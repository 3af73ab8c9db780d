import assert from "node:assert/strict";
import { test } from "node:test";
import { hrefOf, parseRoute } from "./router.ts";
import type { Route } from "./router.ts";

const ROUTES: readonly Route[] = [
  { page: "fleet", search: "" },
  { page: "fleet", search: "pump & co" },
  { page: "thing", thing: "line:1 ä/?#", range: null },
  { page: "thing", thing: "pump", range: "6h" },
  { page: "alerts", tab: "active" },
  { page: "alerts", tab: "history" },
  { page: "alerts", tab: "silences" },
  { page: "rules", search: "" },
  { page: "rules", search: "cpu & co" },
  { page: "rule", name: "cpu_high" },
  { page: "new-rule" },
  { page: "dead-letters", receiver: null, rule: null },
  { page: "dead-letters", receiver: "webhook 0f/é&", rule: "hot" },
];

test("every page has an address that leads back to it", () => {
  for (const route of ROUTES) assert.deepEqual(parseRoute(hrefOf(route)), route);
});

test("addresses that lead nowhere say so", () => {
  for (const hash of ["#/nowhere", "#/things/", "#/things/a/b", "#/things/%E0%A4%A"]) {
    assert.equal(parseRoute(hash).page, "unknown", hash);
  }
  assert.equal(parseRoute("").page, "fleet");
});
