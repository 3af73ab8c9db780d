import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isTidewireError } from "../base/mod.ts";
import { evaluate, keyOf, namesOf, parseExpression } from "./series-expression.ts";

const VALUES = new Map([
  [keyOf(["power"]), 7],
  [keyOf(["flow"]), 2],
  [keyOf(["zero"]), 0],
  [keyOf(["boiler-1", "cpu.percent"]), 40],
  [keyOf(["a", "cores", "0"]), 3],
  [keyOf(["größe"]), 5],
]);

function valueOf(text: string): number | undefined {
  return evaluate(parseExpression(text), (key) => VALUES.get(key));
}

describe("an expression", () => {
  const cases: readonly (readonly [text: string, value: number | undefined])[] = [
    ["power", 7],
    ["power / flow", 3.5],
    ["power*1000/flow", 3500],
    ["power - flow - 1", 4],
    ["power - (flow - 1)", 6],
    ["1 + flow * power", 15],
    ["-flow ^ 2", 4],
    ["0 - flow ^ 2", -4],
    ["flow ^ 3 ^ zero", 2],
    ["power % 4", 3],
    ["--power", 7],
    ['"boiler-1"."cpu.percent" / 100', 0.4],
    ["a.cores.0 + 1e2", 103],
    ["größe * 2", 10],
    ["max(power, flow, 1.5) - min(power, flow)", 5],
    ["round(power / 3, 2)", 2.33],
    ["sqrt(flow * 2) + abs(-1)", 3],
    ["power / zero", undefined],
    ["ln(zero)", undefined],
    ["power + missing", undefined],
  ];
  for (const [text, value] of cases) {
    test(`${text} is ${value}`, () => assert.equal(valueOf(text), value));
  }

  test("names are told once each, with their parts", () => {
    assert.deepEqual(namesOf(parseExpression('a.x + b - a.x * "c d".y')), [["a", "x"], ["b"], ["c d", "y"]]);
  });

  const wrong: readonly (readonly [text: string, reason: RegExp])[] = [
    ["", /character 1: it ends too early/],
    ["power +", /character 8: it ends too early/],
    ["power power", /character 7: 'p' does not belong there/],
    ["(power", /it ends too early; '\)' is missing/],
    ["power )", /'\)' does not belong/],
    ["a..b", /'\.' does not belong/],
    ["1 + 2", /names no field/],
    ["median(power)", /'median' is no function; known are abs/],
    ["sqrt(1, power)", /'sqrt' takes 1 to 1/],
    ["power; drop", /';' does not belong/],
    [`${"(".repeat(300)}a${")".repeat(300)}`, /nested too deeply/],
    [`${"-".repeat(300)}a`, /nested too deeply/],
    ["a+".repeat(900) + "a", /too long/],
    ["a".repeat(3_000), /longer than 2000 characters/],
  ];
  for (const [text, reason] of wrong) {
    test(`refused: ${text.slice(0, 30)}`, () =>
      assert.throws(
        () => parseExpression(text),
        (error) => isTidewireError(error) && error.code === "REQUEST_INVALID" && reason.test(error.message),
      ));
  }

  test("no text does anything but parse or be refused", () =>
    fc.assert(
      fc.property(
        fc
          .array(
            fc.oneof(
              fc.constantFrom("a", "b1", ".", '"', "(", ")", "+", "-", "*", "^", ",", " ", "sqrt("),
              fc.string({ maxLength: 3 }),
            ),
          )
          .map((parts) => parts.join("")),
        (text) => {
          try {
            evaluate(parseExpression(text), () => 1);
          } catch (error) {
            assert.ok(isTidewireError(error), String(error));
          }
        },
      ),
      { numRuns: 2_000 },
    ));
});
