import assert from "node:assert/strict";
import { test } from "node:test";
import { hrefOf, parseRoute } from "./router.ts";
import type { Route } from "./router.ts";

const ROUTES: readonly Route[] = [
  { page: "fleet", search: "" },
  { page: "fleet", search: "pump & co" },
  { page: "thing", thing: "line:1 ä/?#", range: null },
  { page: "thing", thing: "pump", range: "6h" },
  { page: "thing", thing: "pump", range: "6h", span: { from: 1000, to: 2000 } },
  { page: "alert", id: "cpu_high.pi%2E1 & co.7" },
  { page: "alerts", tab: "active" },
  { page: "alerts", tab: "history" },
  { page: "alerts", tab: "silences" },
  { page: "rules", search: "" },
  { page: "rules", search: "cpu & co" },
  { page: "rule", name: "cpu_high" },
  { page: "new-rule" },
  { page: "retired" },
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
  for (const span of ["from=5", "from=9&to=5", "from=x&to=y", "from=1&to=9999999999999999"]) {
    assert.deepEqual(parseRoute(`#/things/pump?${span}`), { page: "thing", thing: "pump", range: null }, span);
  }
});
