import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { validateRule } from "../validate.ts";
import { defaultRules } from "../defaults.ts";
import { measuredBy } from "./measured.ts";
import type { Measured } from "./measured.ts";

describe("what a rule's alert measures", () => {
  const measured = (sql: string, more: object = {}): Measured | null => {
    const alert = { severity: "info", summary: "s", ...more };
    return measuredBy({ ...validateRule("r", { sql, actions: [{ alert }] }), createdAt: 0, fromOffset: 0 });
  };

  test("field, measurement and both numbers follow from WHERE, the topic and clearWhen", () => {
    assert.deepEqual(
      measured("SELECT * FROM 'telemetry/+/system/cpu' WHERE cpu.percent > 90 AND other < 3", {
        clearWhen: "cpu.percent < 80",
      }),
      {
        field: "cpu.percent",
        measurement: "system/cpu",
        raise: [{ field: "cpu.percent", operator: ">", value: 90 }],
        clear: [{ field: "cpu.percent", operator: "<", value: 80 }],
      },
    );
  });

  test("of several fields the one that the value shows", () => {
    const found = measured("SELECT * FROM 'telemetry/#' WHERE on = 1 AND t > 5", { value: "${round(t)} °C" });
    assert.deepEqual([found?.field, found?.measurement], ["t", null]);
  });

  test("where nothing is compared, what the value shows", () => {
    assert.deepEqual(measured("SELECT * FROM 'plant/+' WHERE state = 'hot'", { value: "${t}" })?.field, "t");
  });

  test("silence measures nothing; what its value names is what is drawn, up to where it ends", () => {
    const value = "${cpu.percent} %";
    const expected = { field: "cpu.percent", measurement: "system", raise: [], clear: [] };
    assert.deepEqual(measured("SELECT * FROM 'telemetry/+/system' ABSENT FOR '2 minutes'", { value }), expected);
    assert.deepEqual(measured("SELECT * FROM 'telemetry/+/system'", { absentSeconds: 60, value }), expected);
  });

  test("nothing to draw: silence, texts, expressions that speak of a statement's variables", () => {
    assert.equal(measured("SELECT * FROM 'a'", { absentSeconds: 60 }), null);
    assert.equal(measured("SELECT * FROM 'a' WHERE state = 'hot'"), null);
    assert.equal(measured("SET @x = n SELECT * FROM 'a' WHERE @x > 5"), null);
  });

  test("all rules of a fresh platform that raise alerts have a chart", () => {
    const raising = defaultRules().filter(({ actions }) => actions.some((action) => "alert" in action));
    for (const rule of raising) {
      const found = measuredBy({ ...rule, createdAt: 0, fromOffset: 0 });
      assert.deepEqual([found?.measurement, found?.raise[0]?.value], ["system", 90], rule.ruleName);
    }
  });
});
