import assert from "node:assert/strict";
import { test } from "node:test";
import {
  RANGES,
  EDGE_DELAY,
  rangeByName,
  spanOf,
  viewOf,
  viewTo,
  windowFor,
  windowStart,
  windowText,
  zoomTo,
} from "./ranges.ts";

test("up to 15 minutes every reading is drawn; beyond, about one point per pixel", () => {
  for (const { name, span } of RANGES) {
    const window = windowFor(span, 600);
    if (name === "5m" || name === "15m") assert.equal(window, null);
    else assert.ok(span / window! <= 600 && span / window! >= 200, `${name}: ${span / window!} points`);
  }
});

test("a wider chart gets finer windows, never finer than a second", () => {
  assert.equal(windowFor(3_600_000, 400), 10_000);
  assert.equal(windowFor(3_600_000, 1000), 5000);
  assert.equal(windowFor(900_001, 100_000), 1000);
});

test("windows are written as the API reads them", () => {
  assert.deepEqual([10_000, 300_000, 3_600_000, 86_400_000].map(windowText), ["10s", "5m", "1h", "1d"]);
  assert.equal(windowStart(12_345, 5000), 10_000);
});

test("following, the right edge moves with the server's clock; fixed, nothing moves", () => {
  const range = rangeByName("5m");
  const follow = { kind: "follow", range } as const;
  assert.deepEqual(spanOf(follow, 1_000_000), { from: 700_000 - EDGE_DELAY, to: 1_000_000 - EDGE_DELAY });
  const fixed = zoomTo(follow, 10_000, 40_000);
  assert.deepEqual(spanOf(fixed, 5), { from: 10_000, to: 40_000 });
});

test("a drag of nothing still shows something, from either side", () => {
  const view = { kind: "follow", range: rangeByName("1h") } as const;
  assert.deepEqual(spanOf(zoomTo(view, 9000, 9000), 0), { from: 8000, to: 10_000 });
  assert.deepEqual(spanOf(zoomTo(view, 40_000, 10_000), 0), { from: 10_000, to: 40_000 });
});

test("an unknown range in the address is the shortest one", () => {
  assert.equal(rangeByName("12 years").name, "5m");
  assert.equal(rangeByName(null).name, "5m");
});

test("an address that asks for another stretch of time moves the page; what it shows already does not", () => {
  const fixed = viewOf("1h", { from: 1_000, to: 2_000 });
  assert.equal(fixed.kind, "fixed");
  assert.equal(viewTo(fixed, "1h", { from: 1_000, to: 2_000 }), null);
  assert.deepEqual(viewTo(fixed, "1h", { from: 3_000, to: 4_000 }), { ...fixed, from: 3_000, to: 4_000 });
  const hour = viewOf("1h", null);
  assert.equal(viewTo(hour, "1h", null), null);
  assert.equal(viewTo(hour, null, null), null, "an address that says no range leaves it");
  assert.deepEqual(viewTo(hour, "24h", null), viewOf("24h", null));
  const live = viewTo(fixed, "1h", null)!;
  assert.deepEqual(live, { kind: "follow", range: fixed.range });
  assert.equal(viewTo(live, "1h", null), null);
  assert.deepEqual(viewTo(live, "1h", { from: 1_000, to: 2_000 }), fixed);
});
