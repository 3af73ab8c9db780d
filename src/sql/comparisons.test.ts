import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { comparisonsIn, comparisonsOf, fieldOf } from "./comparisons.ts";

describe("what a condition holds against numbers", () => {
  const CASES: readonly (readonly [sql: string, found: readonly string[]])[] = [
    ["SELECT * FROM 'a' WHERE cpu.percent > 90", ["cpu.percent > 90"]],
    ["SELECT * FROM 'a' WHERE 90 < cpu.percent", ["cpu.percent > 90"]],
    ["SELECT * FROM 'a' WHERE t <= -40.5 OR t >= 85", ["t <= -40.5", "t >= 85"]],
    ["SELECT * FROM 'a' WHERE s = 'on' AND cast(n AS decimal) > 5", ["n > 5"]],
    ["SELECT * FROM 'a' WHERE NOT (n > 5)", []],
    ["SELECT * FROM 'a' WHERE a + b > 5", []],
    ["SELECT * FROM 'a' WHERE n > m", []],
    ["SELECT * FROM 'a'", []],
    ["SELECT avg(n) AS mean FROM 'a' GROUP BY TUMBLE('1 minute') HAVING avg(n) > 7", ["n > 7"]],
    ["SELECT * FROM 'a' WHERE a > 1 THEN b > 2 WITHIN '1 minute'", ["a > 1", "b > 2"]],
  ];
  for (const [sql, found] of CASES) {
    test(sql, () => {
      const told = comparisonsOf(sql).map(({ field, operator, value }) => `${field} ${operator} ${value}`);
      assert.deepEqual(told, found);
    });
  }

  test("an expression by itself", () => {
    assert.deepEqual(comparisonsIn("a.b < 80"), [{ field: "a.b", operator: "<", value: 80 }]);
    assert.equal(fieldOf("round(a.b * 9 / 5)"), "a.b");
    assert.equal(fieldOf("a + b"), null);
  });
});
