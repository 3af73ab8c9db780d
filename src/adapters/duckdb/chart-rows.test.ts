import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
import { chartRows } from "./chart-rows.ts";
import { extremesSql, membersOf } from "./series-sql.ts";
import type { SourcePart } from "./series-sql.ts";

const FROM = 1_767_225_600_000;
const TO = FROM + 1_000;
const PART: SourcePart = { level: "raw", from: FROM, to: TO, relation: "SELECT * FROM points" };
const POINTS = { columns: [], others: PART.relation };
const MEMBERS = membersOf([{ ids: [7], text: false }], false)!;

describe("extremes by a loop over the rows", () => {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  before(async () => {
    instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    connection = await instance.connect();
    await connection.run("CREATE TABLE points (series INTEGER, time BIGINT, value DOUBLE, arrival BIGINT)");
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });

  async function fill(points: readonly (readonly [time: number, value: number])[]): Promise<void> {
    await connection.run("DELETE FROM points");
    if (points.length === 0) return;
    const rows = points.map(([time, value], arrival) => `(7, ${FROM + time}, ${value}, ${arrival})`);
    await connection.run(`INSERT INTO points VALUES ${rows.join(", ")}, (8, ${FROM + 1}, 1e9, 1)`);
  }

  test("are those of the statement: count, lowest and highest of each bin, at a time when they were", async () => {
    const point = fc.tuple(fc.integer({ min: -50, max: 1_050 }), fc.integer({ min: -4, max: 4 }));
    await fc.assert(
      fc.asyncProperty(fc.array(point, { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), async (points, bins) => {
        await fill(points);
        const found = (await chartRows(connection, POINTS, PART, MEMBERS, bins))!;
        const stated = await connection.runAndReadAll(extremesSql(PART, MEMBERS, bins));
        const expected = stated.getRows().map((row) => [1, 2, 3, 5].map((column) => Number(row[column])));
        assert.deepEqual(
          found.bins.map(([number, { count, lowest, highest }]) => [number, count, lowest, highest]),
          expected,
        );
        for (const [, { lowest, lowestTime, highest, highestTime }] of found.bins) {
          for (const [time, value] of [
            [lowestTime, lowest],
            [highestTime, highest],
          ] as const)
            assert.ok(points.some(([at, of]) => at + FROM === time && of === value));
        }
        const inside = points.filter(([time]) => time >= 0 && time < 1_000);
        const times = inside.map(([time]) => time + FROM);
        if (found.ends === null) assert.ok(inside.length === 0 || new Set(times).size < times.length);
        else {
          const [first, last] = found.ends;
          assert.deepEqual([first.time, last.time], [Math.min(...times), Math.max(...times)]);
          assert.deepEqual([inside.find(([time]) => time + FROM === first.time)![1]], [first.value]);
          assert.deepEqual([inside.findLast(([time]) => time + FROM === last.time)![1]], [last.value]);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("of more rows than it takes there are none", async () => {
    await connection.run("DELETE FROM points");
    await connection.run(`INSERT INTO points SELECT 7, ${FROM} + range % 1000, 1, range FROM range(1000001)`);
    assert.equal(await chartRows(connection, POINTS, PART, MEMBERS, 10), null);
  });
});
