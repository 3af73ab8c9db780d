import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
import { hours, minutes } from "../../base/mod.ts";
import {
  GENERATION_STRIDE,
  generationNumbers,
  mergedRollup,
  numbersAsRollup,
  packedRollup,
  unpackedRollup,
} from "./rollup.ts";
import { extremesSql, membersOf } from "./series-sql.ts";

const FROM = hours(1) * 490_000;
const BINS = 6;
const TO = FROM + BINS * hours(2);
const MEMBERS = membersOf([{ ids: [7], text: false }], false)!;

describe("a chart out of rollups", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-rollup-"));
  const [first, second, old] = ["first", "second", "old"].map((name) => join(folder, `${name}.parquet`)) as [
    string,
    string,
    string,
  ];
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
    rmSync(folder, { recursive: true });
  });

  const write = (path: string, rows: string): Promise<unknown> =>
    connection.run(`COPY (${rows}) TO '${path}' (FORMAT parquet)`);
  const packed = (where: string): string =>
    packedRollup(mergedRollup(numbersAsRollup("1h", `SELECT * FROM points WHERE ${where}`)));
  const read = (path: string, extremeTimes: boolean): string => unpackedRollup(`read_parquet('${path}')`, extremeTimes);
  async function extremes(level: "raw" | "1h", relation: string): Promise<readonly (readonly number[])[]> {
    const sql = extremesSql({ level, from: FROM, to: TO, relation }, MEMBERS, BINS);
    return (await connection.runAndReadAll(sql)).getRows().map((row) => row.map(Number));
  }

  const point = fc.tuple(fc.integer({ min: 0, max: BINS * 120 - 1 }), fc.double({ min: -5, max: 5, noNaN: true }));
  const points = fc.uniqueArray(point, { minLength: 1, maxLength: 80, selector: ([, value]) => value });

  async function fill(all: readonly (readonly [number, number])[]): Promise<void> {
    await connection.run("DELETE FROM points");
    const rows = all.map(([minute, value], arrival) => `(7, ${FROM + minute * minutes(1)}, ${value}, ${arrival})`);
    await connection.run(`INSERT INTO points VALUES ${rows.join(", ")}`);
  }

  test("of one generation, which needs half the work, is what adding its points up one by one gives", async () => {
    const tied = fc.array(fc.tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: -3, max: 3 })), {
      minLength: 1,
      maxLength: 80,
    });
    await fc.assert(
      fc.asyncProperty(tied, fc.constantFrom("1m" as const, "1h" as const, "1d" as const), async (all, rollup) => {
        await fill(all);
        const relation = `SELECT series, time, value, 3 * ${GENERATION_STRIDE} + arrival AS arrival FROM points`;
        const rows = async (sql: string): Promise<unknown> =>
          (await connection.runAndReadAll(`${packedRollup(sql)} ORDER BY bucket`)).getRows();
        const oneByOne = await rows(mergedRollup(numbersAsRollup(rollup, relation)));
        assert.deepEqual(await rows(generationNumbers(rollup, 3, relation)), oneByOne);
      }),
      { numRuns: 60 },
    );
  });

  test("has every lowest and highest point where it was, as out of the points, also after files were merged", async () => {
    await fc.assert(
      fc.asyncProperty(points, async (all) => {
        await fill(all);
        const raw = await extremes("raw", "SELECT * FROM points");
        await write(first, packed("arrival % 2 = 0"));
        await write(second, packed("arrival % 2 = 1"));
        const both = `${read(first, true)} UNION ALL ${read(second, true)}`;
        assert.deepEqual(await extremes("1h", both), raw);
        await write(old, packedRollup(mergedRollup(both)));
        assert.deepEqual(await extremes("1h", read(old, true)), raw);
      }),
      { numRuns: 25 },
    );
  });

  test("files from before the times were kept go on: the same extremes, at the beginning of their hour", async () => {
    await fc.assert(
      fc.asyncProperty(points, async (all) => {
        await fill(all);
        const raw = await extremes("raw", "SELECT * FROM points");
        await write(old, `SELECT * EXCLUDE (min_after, max_after) FROM (${packed("arrival % 2 = 0")})`);
        await write(first, packed("arrival % 2 = 1"));
        const found = await extremes("1h", `${read(old, false)} UNION ALL ${read(first, true)}`);
        assert.equal(found.length, raw.length);
        for (const [i, [group, bin, count, lowest, lowestTime, highest, highestTime]] of found.entries()) {
          const expected = raw[i]!;
          assert.deepEqual(
            [group, bin, count, lowest, highest],
            [0, 1, 2, 3, 5].map((column) => expected[column]),
          );
          for (const [time, column] of [
            [lowestTime!, 4],
            [highestTime!, 6],
          ] as const) {
            const real = expected[column]!;
            assert.ok(time === real || time === real - (real % hours(1)), `${time} for ${real}`);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});
