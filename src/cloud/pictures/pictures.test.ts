import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimClock } from "../../../sim/world.ts";
import { sealingWith } from "../../adapters/sealing.ts";
import { days, hours, minutes } from "../../base/mod.ts";
import type { Alert, Measured } from "../../rules/mod.ts";
import { chartOf, queryOf } from "./alert-chart.ts";
import { PictureLinks } from "./picture-links.ts";

const NOW = Date.UTC(2026, 10, 22, 14, 0);

const ALERT = {
  id: "hot.pi-1.7",
  rule: "hot",
  key: "pi-1",
  thing: "pi-1",
  source: "rule",
  severity: "warning",
  state: "active",
  phase: "firing",
  summary: "Hot",
  value: "97.5 °C",
  threshold: "90 °C",
  labels: {},
  since: NOW - minutes(10),
  raisedAt: NOW - minutes(5),
  lastSeenAt: NOW,
  resolvedAt: null,
  acknowledgedAt: null,
  acknowledgedBy: null,
  assignee: null,
  snoozedUntil: null,
  flapping: false,
  count: 3,
} as const satisfies Alert;

const MEASURED: Measured = {
  field: "t",
  measurement: "system",
  raise: [{ operator: ">", value: 90 }],
  clear: [{ operator: "<", value: 80 }],
};

const series = (measurement: string, times: readonly number[], values: readonly number[]) =>
  ({ measurement, field: "t", type: "number", times, values }) as const;

describe("what the chart of an alert shows", () => {
  test("two hours before it began until now; of one that is over a little more than its end", () => {
    const { from, to, window, points } = queryOf(ALERT, MEASURED, NOW);
    assert.deepEqual([from, to, window, points], [ALERT.since - hours(2), NOW, null, 500]);
    const over = { ...ALERT, state: "resolved", phase: "resolved", resolvedAt: NOW } as const;
    assert.equal(queryOf(over, MEASURED, NOW + days(3)).to, NOW + minutes(15));
  });

  test("the unit is what the rule's own words say, else what a schema says of the field", () => {
    const shown = [series("system", [NOW - 1], [1])];
    const told = { zone: "UTC", unit: "K" };
    assert.equal(chartOf(ALERT, MEASURED, shown, NOW, told)!.unit, "°C");
    assert.equal(chartOf({ ...ALERT, value: "97.5", threshold: null }, MEASURED, shown, NOW, told)!.unit, "K");
  });

  test("of a long one the side that crosses the line, in windows", () => {
    const { window, aggregate, points } = queryOf(ALERT, MEASURED, NOW + days(2));
    assert.equal(aggregate, "max");
    assert.equal(points, undefined);
    assert.ok(window! > minutes(10) && window! % 1000 === 0);
    const low: Measured = { ...MEASURED, raise: [{ operator: "<", value: 5 }] };
    assert.equal(queryOf(ALERT, low, NOW + days(2)).aggregate, "min");
  });

  test("both thresholds, the unit, the rule's own measurement, and the reading that raised it where the store is behind", () => {
    const stored = [series("other", [NOW], [1]), series("system", [NOW - minutes(20), NOW - minutes(12)], [70, 88])];
    const chart = chartOf(ALERT, MEASURED, stored, NOW)!;
    assert.deepEqual(chart.values, [70, 88, 97.5]);
    assert.equal(chart.times[2], ALERT.raisedAt);
    assert.equal(chart.unit, "°C");
    assert.deepEqual(
      chart.thresholds.map(({ label }) => label),
      ["raised at 90", "clear at 80"],
    );
    assert.equal(chart.firing.to, null);
  });

  test("as of a moment before it was over it still fires; without readings there is no chart", () => {
    const over = { ...ALERT, resolvedAt: NOW + minutes(5) };
    const stored = [series("system", [NOW - minutes(1), NOW + minutes(1)], [91, 92])];
    const chart = chartOf(over, MEASURED, stored, NOW)!;
    assert.deepEqual([chart.firing.to, chart.values], [null, [91]]);
    assert.equal(chartOf(ALERT, MEASURED, [], NOW), null);
    assert.equal(chartOf(ALERT, MEASURED, [{ ...stored[0]!, type: "string" }], NOW), null);
  });

  test("where the rule compares nothing, the threshold that it names", () => {
    const stored = [series("system", [NOW], [91])];
    const chart = chartOf(ALERT, { ...MEASURED, raise: [], clear: [] }, stored, NOW)!;
    assert.deepEqual(chart.thresholds, [{ label: "raised at 90", value: 90, kind: "raise" }]);
  });
});

describe("links to pictures", () => {
  const clock = new SimClock(NOW);
  const sealing = sealingWith(new Uint8Array(32).fill(7));
  const links = new PictureLinks({ clock, keyedHash: (text) => sealing.hmac(text) });
  const momentOf = (link: string) => {
    const { searchParams, pathname } = new URL(link);
    const [at, until, key] = ["at", "until", "key"].map((name) => searchParams.get(name)!) as [string, string, string];
    return { alert: decodeURIComponent(pathname.split("/")[2]!), at: Number(at), until: Number(until), key };
  };

  test("good for a week, for one alert and one moment, by this platform's key only", () => {
    const moment = momentOf(links.link("https://tide.example/base", "hot.a%2Fb.7", NOW).replace("/base", ""));
    assert.equal(moment.alert, "hot.a%2Fb.7");
    links.check(moment);
    const other = sealingWith(new Uint8Array(32).fill(8));
    const foreign = new PictureLinks({ clock, keyedHash: (text) => other.hmac(text) });
    const invalid = { code: "LINK_INVALID" };
    assert.throws(() => foreign.check(moment), invalid);
    for (const change of [{ alert: "hot.pi-2.7" }, { at: NOW + 1 }, { until: moment.until + 1 }, { key: "" }]) {
      assert.throws(() => links.check({ ...moment, ...change }), invalid, JSON.stringify(change));
    }
    clock.advance(days(7) - 1);
    links.check(moment);
    clock.advance(1);
    assert.throws(() => links.check(moment), invalid);
  });
});
