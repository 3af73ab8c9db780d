import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { minutes } from "../../base/mod.ts";
import { chartSvg } from "./chart-svg.ts";
import type { AlertChart } from "./chart-svg.ts";
import { timeTicks, valueLabel, valueTicks, wallIn } from "./ticks.ts";

const TO = Date.UTC(2026, 10, 22, 14, 0);
const FROM = TO - minutes(120);
const TIMES = Array.from({ length: 121 }, (_, i) => FROM + minutes(i));

const CHART: AlertChart = {
  title: "CPU at 97 % on pi-1",
  subtitle: "pi-1 · cpu.percent",
  severity: "critical",
  unit: "%",
  zone: "UTC",
  from: FROM,
  to: TO,
  firing: { from: TO - minutes(30), to: null },
  thresholds: [
    { label: "raised at 90", value: 90, kind: "raise" },
    { label: "clear at 80", value: 80, kind: "clear" },
  ],
  times: TIMES,
  values: TIMES.map((_, i) => (i < 90 ? 60 : 97)),
};

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Strict enough for what we write: each tag closed, each attribute quoted, nothing unescaped between. */
function parsed(svg: string): Element[] {
  const found: Element[] = [];
  const open: string[] = [];
  const rest = svg.replaceAll(
    /<(\/?)([a-z]+)((?: [a-zA-Z0-9:-]+="[^"<&]*(?:&[a-z]+;[^"<&]*)*")*)(\/?)>([^<]*)/g,
    (...match) => {
      const [, close, name, attributes, empty, text] = match as unknown as string[];
      assert.doesNotMatch(text!.replaceAll(/&(?:amp|lt|gt|quot);/g, ""), /&/);
      if (close === "/") assert.equal(open.pop(), name);
      else {
        if (empty === "") open.push(name!);
        const pairs = [...attributes!.matchAll(/([a-zA-Z0-9:-]+)="([^"]*)"/g)].map(([, key, value]) => [key!, value!]);
        found.push({ name: name!, attributes: Object.fromEntries(pairs) as Record<string, string>, text: text! });
      }
      return "";
    },
  );
  assert.equal(rest, "");
  assert.deepEqual(open, []);
  return found;
}

const ofClass = (elements: readonly Element[], name: string): Element[] =>
  elements.filter(({ attributes }) => attributes["class"]?.split(" ").includes(name) === true);
const number = (element: Element, name: string): number => Number(element.attributes[name]);

describe("the chart of an alert", () => {
  test("shows the line, both thresholds where they belong, the firing span, title, unit and times with their zone", () => {
    const elements = parsed(chartSvg(CHART));
    const words = elements.filter(({ name }) => name === "text").map(({ text }) => text);
    for (const expected of ["CPU at 97 % on pi-1", "pi-1 · cpu.percent, %", "raised at 90", "clear at 80", "13:00"]) {
      assert.ok(words.includes(expected), expected);
    }
    assert.ok(words.includes("22 Nov 2026, times in UTC · firing since 13:30"));
    const [raise] = ofClass(elements, "raise");
    const [clear] = ofClass(elements, "clear");
    assert.ok(number(raise!, "y1") < number(clear!, "y1"));
    const [line] = ofClass(elements, "values");
    const points = line!.attributes["points"]!.split(" ").map((pair) => pair.split(",").map(Number));
    assert.equal(points.length, 121);
    assert.ok(points[0]![1]! > number(clear!, "y1") && points[120]![1]! < number(raise!, "y1"));
    const [span] = ofClass(elements, "firing");
    assert.equal(number(span!, "x"), points[90]![0]);
    assert.equal(number(span!, "x") + number(span!, "width"), points[120]![0]);
  });

  test("of one that is over, the span ends and the foot says from when to when, with the day where it is another", () => {
    const firing = { from: TO - minutes(30), to: TO - minutes(10) };
    assert.match(chartSvg({ ...CHART, firing }), /firing 13:30 to 13:50</);
    const from = TO - minutes(60 * 48);
    assert.match(
      chartSvg({ ...CHART, from, firing: { from, to: null } }),
      /20 Nov to 22 Nov 2026, times in UTC · firing since 20 Nov 14:00</,
    );
  });

  test("where nothing was heard the line is broken; a reading alone is a dot", () => {
    const kept = TIMES.filter((_, i) => i < 40 || i === 60 || i > 80);
    const elements = parsed(chartSvg({ ...CHART, times: kept, values: kept.map(() => 50) }));
    assert.deepEqual(
      ofClass(elements, "values").map(({ name }) => name),
      ["polyline", "circle", "polyline"],
    );
  });

  test("what a device or a user wrote stays text, and what XML cannot hold is gone", () => {
    const title = `<script>alert("1")</script> & ]]> \u0000\u001b \ud800 ${"x".repeat(500)}`;
    const svg = chartSvg({ ...CHART, title, subtitle: title });
    parsed(svg);
    assert.doesNotMatch(svg, /<script/);
    assert.ok(svg.isWellFormed());
  });

  test("any numbers give a drawing without NaN, within its edges, and of a bounded size", () => {
    const value = fc.double({ noNaN: true, min: -1e300, max: 1e300 });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 500 }),
        fc.array(value, { maxLength: 3 }),
        fc.integer({ min: 1, max: 4e10 }),
        (values, lines, span) => {
          const times = values.map((_, i) => TO - span + (span * i) / values.length);
          const thresholds = lines.map((one) => ({ label: String(one), value: one, kind: "raise" as const }));
          const svg = chartSvg({ ...CHART, from: TO - span, to: TO, times, values, thresholds });
          assert.doesNotMatch(svg, /NaN|Infinity/);
          assert.ok(svg.length < 64_000);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("ticks", () => {
  test("numbers that a person would choose", () => {
    assert.deepEqual(valueTicks(48.3, 101.2, 5), [60, 80, 100]);
    assert.deepEqual(valueTicks(0.012, 0.051, 4), [0.02, 0.03, 0.04, 0.05]);
    assert.equal(valueLabel(0.1 + 0.2, [0.1, 0.2, 0.3]), "0.3");
    assert.equal(valueLabel(2_500_000, [2_000_000, 2_500_000]), "2.5e+6");
  });

  test("times by the clock, days where the span is long", () => {
    assert.deepEqual(
      timeTicks(TO - minutes(120), TO, 7).map(({ label }) => label),
      ["12:00", "12:30", "13:00", "13:30", "14:00"],
    );
    assert.deepEqual(
      timeTicks(TO - minutes(60 * 72), TO, 4).map(({ label }) => label),
      ["20 Nov", "21 Nov", "22 Nov"],
    );
  });
});

describe("times in somebody's zone", () => {
  const foot = (svg: string): string => parsed(svg).findLast(({ name }) => name === "text")!.text;

  test("the foot, and the ticks at whole hours there", () => {
    const svg = chartSvg({ ...CHART, zone: "Asia/Kolkata" });
    assert.match(foot(svg), /22 Nov 2026, times in Asia\/Kolkata · firing since 19:00$/);
    const labels = timeTicks(FROM, TO, 7, wallIn("Asia/Kolkata")).map(({ label }) => label);
    assert.deepEqual(labels, ["17:30", "18:00", "18:30", "19:00", "19:30"]);
    assert.match(foot(chartSvg(CHART)), /times in UTC · firing since 13:30$/);
  });

  test("another day there is another day; days begin at midnight there", () => {
    const late = Date.UTC(2026, 10, 22, 23, 30);
    const chart = {
      ...CHART,
      zone: "Europe/Berlin",
      from: late - minutes(120),
      to: late,
      firing: { from: late, to: null },
    };
    assert.match(foot(chartSvg(chart)), /^22 Nov to 23 Nov 2026, times in Europe\/Berlin · firing since 00:30$/);
    const ticks = timeTicks(late - minutes(1440 * 6), late, 7, wallIn("Europe/Berlin"));
    assert.deepEqual(ticks[0], { at: Date.UTC(2026, 10, 17, 23), label: "18 Nov" });
  });

  test("where clocks are set back, each tick says what the wall showed", () => {
    const change = Date.UTC(2026, 9, 25, 1);
    const wall = wallIn("Europe/Berlin");
    const ticks = timeTicks(change - minutes(60), change + minutes(60), 7, wall).map(({ label }) => label);
    assert.deepEqual(ticks, ["02:00", "02:30", "02:00", "02:30", "03:00"]);
    assert.equal(wall(change - 1), Date.UTC(2026, 9, 25, 3) - 1);
  });
});
