import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../base/mod.ts";
import type { JsonValue } from "../base/mod.ts";
import { measurementOf, pointsOf, subjectOf } from "./points.ts";
import type { PointLimits } from "./points.ts";

const NOW = 1_767_225_600_000;
const context = { topic: "telemetry/press-1/system", thing: "press-1", receivedAt: NOW };
const limits = LIMITS.telemetry;

function fieldsOf(value: JsonValue, more: Partial<PointLimits> = {}): Record<string, unknown> {
  const points = pointsOf(value, context, { ...limits, ...more });
  return Object.fromEntries(points.names.map((name, i) => [name, points.values[i]]));
}

describe("fields of a message", () => {
  const cases: readonly (readonly [title: string, value: JsonValue, fields: Record<string, unknown>])[] = [
    ["numbers, booleans and strings", { a: 1.5, b: false, c: "x" }, { a: 1.5, b: false, c: "x" }],
    ["nested objects by path", { cpu: { percent: 3, core: { a: 1 } } }, { "cpu.percent": 3, "cpu.core.a": 1 }],
    ["arrays by index", { v: [1, [2, true], { x: "y" }] }, { "v.0": 1, "v.1.0": 2, "v.1.1": true, "v.2.x": "y" }],
    ["a bare array", [4, 5], { "0": 4, "1": 5 }],
    ["null is no value", { a: null, b: { c: null }, d: 0 }, { d: 0 }],
    [
      "a number too large for a double (1e999) is skipped",
      { a: Infinity, b: -Infinity, c: Number.NaN, d: 1 },
      { d: 1 },
    ],
    ["a bare number", 23.5, { value: 23.5 }],
    ["a bare boolean", true, { value: true }],
    ["a bare string", "on", { value: "on" }],
    ["bare null", null, {}],
    ["nothing", {}, {}],
    ["ts is never a field", { ts: "yesterday", a: 1 }, { a: 1 }],
    ["a timestamp that gives the time is no field", { timestamp: NOW, a: 1 }, { a: 1 }],
    ["a timestamp that gives none is one", { timestamp: "soon", a: 1 }, { timestamp: "soon", a: 1 }],
    ["a timestamp beside a good ts is a field", { ts: NOW, timestamp: NOW, a: 1 }, { timestamp: NOW, a: 1 }],
    ["an empty or control-character name is left out", { "": 1, "a\u0000b": 2, "\ud800": 3, ok: 4 }, { ok: 4 }],
    ["U+0000 and a lone surrogate in a text become U+FFFD", { a: "x\u0000y\udc00" }, { a: "x\ufffdy\ufffd" }],
    ["__proto__ is a name like any other", JSON.parse('{"__proto__":{"a":1}}') as JsonValue, { "__proto__.a": 1 }],
  ];
  for (const [title, value, fields] of cases) test(title, () => assert.deepEqual(fieldsOf(value), fields));
});

describe("limits", () => {
  test("too many fields: the first ones stay, the others are counted", () => {
    const value = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, i]));
    const points = pointsOf(value, context, limits);
    assert.equal(points.names.length, 256);
    assert.equal(points.dropped, 44);
    assert.equal(points.names.at(-1), "f255");
  });

  test("too deep: left out and counted", () => {
    const deep = JSON.parse(`${'{"a":'.repeat(9)}1${"}".repeat(9)}`) as JsonValue;
    const points = pointsOf({ ok: 1, deep }, context, limits);
    assert.deepEqual([points.names, points.dropped], [["ok"], 1]);
    assert.deepEqual(fieldsOf({ a: { b: { c: 1 } } }, { fieldDepthMax: 3 }), { "a.b.c": 1 });
    assert.deepEqual(fieldsOf({ a: { b: { c: 1 } } }, { fieldDepthMax: 2 }), {});
  });

  test("a long array: the first items stay", () => {
    const points = pointsOf({ v: Array.from({ length: 100 }, () => 1) }, context, limits);
    assert.deepEqual([points.names.length, points.dropped], [64, 36]);
  });

  test("a long text is cut at a character, and counted", () => {
    const points = pointsOf({ a: "é".repeat(3_000) }, context, limits);
    assert.equal(points.values[0], "é".repeat(2_048));
    assert.equal(points.dropped, 1);
    assert.equal(fieldsOf({ a: "🌊🌊" }, { stringBytesMax: 7 })["a"], "🌊");
  });

  test("a long name is left out: exactly as many bytes as allowed fit", () => {
    const points = pointsOf({ ["é".repeat(128)]: 1, ["é".repeat(129)]: 2 }, context, limits);
    assert.deepEqual([points.values, points.dropped], [[1], 1]);
  });

  test("no JSON value makes it throw, and nothing exceeds a limit", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 12 }), (value) => {
        const points = pointsOf(value as JsonValue, context, { ...limits, fieldsPerMessageMax: 5, fieldDepthMax: 3 });
        assert.ok(points.names.length <= 5 && points.names.length === points.values.length);
        for (const name of points.names) assert.ok(name !== "" && Buffer.byteLength(name) <= limits.fieldNameBytesMax);
        for (const one of points.values) assert.ok(one !== null && (typeof one !== "number" || Number.isFinite(one)));
      }),
    );
  });
});

describe("the time of a message", () => {
  const day = 86_400_000;
  const cases: readonly (readonly [title: string, value: JsonValue, time: number])[] = [
    ["its ts", { ts: NOW - 5_000 }, NOW - 5_000],
    ["a fraction of a millisecond is cut", { ts: NOW - 0.5 }, NOW - 1],
    ["its timestamp", { timestamp: NOW - 7 }, NOW - 7],
    ["its timestamp as text", { timestamp: "2025-12-31T23:00:00.25+01:00" }, Date.UTC(2025, 11, 31, 22, 0, 0, 250)],
    ["ts goes before timestamp", { ts: NOW - 1, timestamp: NOW - 2 }, NOW - 1],
    ["a day ahead is still plausible", { ts: NOW + day }, NOW + day],
    ["more is not", { ts: NOW + day + 1 }, NOW],
    ["seconds instead of milliseconds are not", { ts: NOW / 1000 }, NOW],
    ["2000 is the earliest", { ts: 946_684_800_000 }, 946_684_800_000],
    ["before it is not", { ts: 946_684_799_999 }, NOW],
    ["text without a zone could mean anything", { timestamp: "2025-12-31T23:00:00" }, NOW],
    ["a day that does not exist", { timestamp: "2025-02-30T00:00:00Z" }, NOW],
    ["arrival without any", { a: 1 }, NOW],
    ["arrival for a bare value", 5, NOW],
  ];
  for (const [title, value, time] of cases) {
    test(title, () => assert.equal(pointsOf(value, context, limits).time, time));
  }
});

describe("names from the topic", () => {
  test("measurement: the rule's, else what follows the thing, else the topic", () => {
    assert.equal(pointsOf(1, { ...context, measurement: "m" }, limits).measurement, "m");
    assert.equal(pointsOf(1, context, limits).measurement, "system");
    assert.equal(measurementOf("telemetry/press-1/line/4", "press-1"), "line/4");
    assert.equal(measurementOf("telemetry/press-1", "press-1"), "telemetry/press-1");
    assert.equal(measurementOf("telemetry/press-1/", "press-1"), "telemetry/press-1/");
    assert.equal(measurementOf("telemetry/press-10/x", "press-1"), "telemetry/press-10/x");
    assert.equal(measurementOf("factory/press-1/x", "press-1"), "factory/press-1/x");
  });

  test("thing: the one the topic names, else the publisher's, else its client identifier", () => {
    const message = { topic: "telemetry/sensor-7/x", thing: "gateway", clientId: "c" };
    assert.equal(subjectOf(message), "sensor-7");
    assert.equal(subjectOf({ ...message, topic: "telemetry/sensor-7" }), "sensor-7");
    assert.equal(subjectOf({ ...message, topic: "telemetry//x" }), "gateway");
    assert.equal(subjectOf({ ...message, topic: "telemetry/a b/x" }), "gateway");
    assert.equal(subjectOf({ ...message, topic: "factory/x" }), "gateway");
    assert.equal(subjectOf({ ...message, topic: "factory/x", thing: null }), "c");
  });
});
