import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../base/mod.ts";
import type { JsonValue } from "../base/mod.ts";
import { PayloadTemplate } from "./payload-template.ts";
import { PointBatch } from "./point-batch.ts";
import { pointsOf } from "./points.ts";
import type { Points } from "./points.ts";

const NOW = Date.UTC(2026, 10, 22);
const TS = NOW - 5_000;

function meaning(text: string): Points {
  const context = { topic: "telemetry/pump/state", thing: "pump", receivedAt: NOW };
  return pointsOf(JSON.parse(text) as JsonValue, context, LIMITS.telemetry);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Series are the places of the names in the payload that was learned. */
function learned(text: string): { readonly template: PayloadTemplate | null; readonly names: readonly string[] } {
  const points = meaning(text);
  const series = points.names.map((_, i) => i);
  return {
    template: PayloadTemplate.learn(bytesOf(text), { points, series, receivedAt: NOW }, LIMITS.telemetry),
    names: points.names,
  };
}

/** Name, value and time of each point that the template reads; null where it does not know the payload. */
function read(text: string, { template, names }: ReturnType<typeof learned>): readonly unknown[] | null {
  assert.ok(template !== null);
  const around = bytesOf(`1,{${text}},2`); // as it lies in a log: other bytes before and behind
  if (!template.read(around, 3, around.length - 3, NOW)) return null;
  const batch = new PointBatch();
  template.addTo(batch);
  assert.equal(batch.count, template.count);
  const points = Array.from({ length: batch.count }, (_, i) => [
    names[batch.series[i]!],
    batch.values[i],
    batch.times[i],
  ]);
  return points.sort(byName);
}

function meant(text: string): readonly unknown[] {
  const { names, values, time } = meaning(text);
  return names.map((name, i) => [name, Number(values[i]), time]).sort(byName);
}

function byName([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}

describe("a template of payloads", () => {
  test("reads what differs in numbers and booleans only, and nothing else", () => {
    const shape = learned(`{"ts":${TS},"temperature":20.5,"valve":{"open":true,"turns":[3,0]},"none":null}`);
    for (const same of [
      `{"ts":${TS + 1},"temperature":-0.25,"valve":{"open":false,"turns":[12,7]},"none":null}`,
      `{"ts":${TS + 1}.75,"temperature":-0,"valve":{"open":true,"turns":[0.000001,999999999999999]},"none":null}`,
    ]) {
      assert.deepEqual(read(same, shape), meant(same), same);
    }
    for (const other of [
      `{"ts":${TS},"temperature":20.5,"valve":{"open":true,"turns":[3,0]},"none":1}`,
      `{"ts":${TS},"temperature":"20.5","valve":{"open":true,"turns":[3,0]},"none":null}`,
      `{"ts":${TS}, "temperature":20.5,"valve":{"open":true,"turns":[3,0]},"none":null}`,
      `{"ts":${TS},"temperature":20.5,"valve":{"open":1,"turns":[3,0]},"none":null}`,
      `{"ts":${TS},"temperature":20.5,"valve":{"open":true,"turns":[3,0,1]},"none":null}`,
      `{"ts":${TS},"temperature":20.5,"valve":{"open":true,"turns":[3,0]},"none":null} `,
      `{"ts":${TS},"temperature":20.5,"valve":{"open":true,"turns":[3,0]},"none":null`,
    ]) {
      assert.equal(read(other, shape), null, other);
    }
  });

  test("leaves numbers to the JSON parser that are no JSON, or not exact in two steps", () => {
    const shape = learned('{"a":1}');
    for (const number of ["01", "-", "1.", ".5", "+1", "1e3", "1E3", "0x1", "1_0", "", "NaN", "1234567890123456"]) {
      assert.equal(read(`{"a":${number}}`, shape), null, number);
    }
    assert.equal(read('{"a":0.1234567890123456}', shape), null);
  });

  test("a time that is not plausible takes the long way, where it becomes the time of arrival", () => {
    const shape = learned(`{"ts":${TS},"a":1}`);
    for (const ts of [0, 17, NOW + LIMITS.telemetry.timeAheadMax + 1]) {
      assert.equal(read(`{"ts":${ts},"a":1}`, shape), null, String(ts));
    }
    const stamped = learned(`{"timestamp":${TS},"a":1}`);
    assert.deepEqual(read(`{"timestamp":${TS + 9},"a":2}`, stamped), [["a", 2, TS + 9]]);
  });

  test("is not made of what it could not read again", () => {
    for (const text of [
      '{"a":"on"}',
      '{"ts":5,"a":1}',
      '{"timestamp":5,"a":1}',
      `{"timestamp":"2026-11-22T00:00:00Z","a":1}`,
      '{"a":1,"a":2}',
      '{"a":{"b":1},"a.b":2}',
      '{"a":1e3}',
      "{}",
      "[1,2]",
      "5",
      `{${Array.from({ length: 300 }, (_, i) => `"f${i}":${i}`).join(",")}}`,
    ]) {
      assert.equal(learned(text).template, null, text);
    }
  });

  test("whatever it reads is what the JSON means", () => {
    const leaf = fc.oneof(
      fc.integer(),
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.integer({ min: -9999, max: 9999 }).map((n) => n / 10),
      fc.boolean(),
      fc.constant(null),
    );
    const name = fc.oneof(fc.constantFrom("a", "b", "ts", "timestamp", "0", "10", "ü"), fc.string({ maxLength: 4 }));
    const tree = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: "small" }, leaf, fc.array(tie("value"), { maxLength: 3 }), tie("object")),
      object: fc.dictionary(name, tie("value"), { maxKeys: 4 }),
    })).object;
    let known = 0;
    fc.assert(
      fc.property(tree, fc.array(leaf, { minLength: 1 }), fc.nat(), (value, leaves, mutation) => {
        const text = JSON.stringify(value);
        const shape = learned(text);
        if (shape.template === null) return;
        let n = 0;
        const others = JSON.stringify(JSON.parse(text), (_, old: unknown) =>
          typeof old === "number" || typeof old === "boolean" ? leaves[n++ % leaves.length] : old,
        );
        const at = mutation % text.length;
        const broken = `${text.slice(0, at)}${"0123456789.-,{}tfe"[mutation % 18]}${text.slice(at + 1)}`;
        for (const next of [text, others, broken]) {
          const found = read(next, shape);
          if (found === null) continue;
          known++;
          assert.deepEqual(found, meant(next), `${text} then ${next}`);
        }
      }),
      { numRuns: 3_000, seed: 4 },
    );
    assert.ok(known > 500, String(known));
  });
});
