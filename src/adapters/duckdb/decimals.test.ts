import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DOUBLE, DuckDBInstance, LIST, listValue } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBDecimalValue } from "@duckdb/node-api";
import fc from "fast-check";
import { decimalType, scaleOf } from "./decimals.ts";

describe("numbers as decimals", () => {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  before(async () => {
    instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    connection = await instance.connect();
    await connection.run("CREATE TABLE numbers (value DOUBLE)");
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });

  async function scale(values: readonly number[]): Promise<number | null> {
    await connection.run("DELETE FROM numbers");
    await connection.run("INSERT INTO numbers SELECT unnest($1)", [listValue([...values])], [LIST(DOUBLE)]);
    return scaleOf(connection, "numbers");
  }

  test("as many digits as the one with the most has", async () => {
    assert.equal(await scale([1, -20, 300]), 0);
    assert.equal(await scale([20.1, 21, -0.3]), 1);
    assert.equal(await scale([20.1, 21.125]), 3);
    assert.equal(await scale([1e15, 7]), 0);
    assert.equal(await scale([-0, 0.5]), 1, "printf writes -0.0 of what is a little below zero");
    assert.equal(await scale([...Array.from({ length: 10_001 }, () => 1), 0.25]), 2, "not only of the first ones");
  });

  test("none where one of them would come back otherwise", async () => {
    for (const odd of [1 / 3, 0.1 + 0.2, 1e-5, 1e300, 2 ** 53 + 2, 5e-324])
      assert.equal(await scale([1, odd]), null, String(odd));
    assert.equal(await scale([1e15, 0.1]), null, "both at once need more than a DOUBLE has");
    assert.equal(await scale([]), null);
  });

  test("whatever the values, those of a scale come back bit by bit, in DuckDB and as integers divided again", async () => {
    const decimal = fc
      .tuple(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.nat(6))
      .map(([n, digits]) => n / 10 ** digits);
    const any = fc.oneof({ weight: 20, arbitrary: decimal }, fc.double({ noNaN: true, noDefaultInfinity: true }));
    await fc.assert(
      fc.asyncProperty(fc.array(any, { minLength: 1, maxLength: 8 }), async (values) => {
        const found = await scale(values);
        if (found === null) return;
        const type = decimalType(found);
        const rows = await connection.runAndReadAll(
          `SELECT value, value::${type}::DOUBLE, value::${type} FROM numbers`,
        );
        for (const [value, back, decimal] of rows.getRows() as [number, number, DuckDBDecimalValue][]) {
          assert.ok(Object.is(back, value + 0), `${back} of ${value}`);
          assert.ok(Object.is(Number(decimal.value) / 10 ** found, value + 0), `${decimal.value} of ${value}`);
        }
      }),
      { numRuns: 100 },
    );
  });
});
