import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
import { SimLogger } from "../../../sim/world.ts";
import type { PointFile } from "./cold-files.ts";
import { decimalType } from "./decimals.ts";
import { POINT_ENCODINGS } from "./file-writer.ts";
import type { Encoding } from "./file-writer.ts";
import { FilePoints } from "./file-points.ts";
import type { PointColumns, PointRange } from "./file-points.ts";
import { GENERATION_STRIDE } from "./rollup.ts";

const START = 1_767_225_600_000;
type Row = readonly [series: number, generation: number, time: number, value: number];

function typeOf({ scale }: Encoding): string {
  return scale === null ? "DOUBLE" : decimalType(scale);
}

describe("points straight from files", () => {
  let folder = "";
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  let number = 0;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tidewire-file-points-"));
    instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    connection = await instance.connect();
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
    rmSync(folder, { recursive: true });
  });

  const pathOf = ({ name }: { readonly name: string }): string => join(folder, name);

  /** What `select` gives, as compaction writes it. */
  async function file(select: string, { options, scale }: Encoding, rowGroup = 2_048): Promise<PointFile> {
    const name = `numbers-${++number}.parquet`;
    await connection.run(
      `COPY (${select}) TO '${join(folder, name)}' (FORMAT parquet, COMPRESSION zstd, ${options}, ROW_GROUP_SIZE ${rowGroup})`,
    );
    const sizes = { rows: 0, bytes: statSync(join(folder, name)).size, sha256: "" };
    const range = { timeMin: 0, timeMax: 0, seriesMin: 0, seriesMax: 1e9 };
    return { name, ...sizes, ...range, kind: "numbers", period: "2026", inMinutes: false, extremeTimes: false, scale };
  }

  async function read(one: PointFile, range: PointRange, logger = new SimLogger()): Promise<readonly Row[] | null> {
    const found = await new FilePoints(pathOf, logger).read([one], range, true);
    return found === null ? null : found.flatMap(rowsOf);
  }

  function rowsOf({ series, times, values, arrivals }: PointColumns): Row[] {
    return Array.from(series, (id, i): Row => [id, arrivals[i]!, times[i]!, values[i]!]);
  }

  /** What DuckDB reads of the same file. */
  async function expected(one: PointFile, { low, high, from, to }: PointRange): Promise<readonly Row[]> {
    const arrival = `generation::BIGINT * ${GENERATION_STRIDE} + file_row_number`;
    const found = await connection.runAndReadAll(
      `SELECT series::DOUBLE, (${arrival})::DOUBLE, time::DOUBLE, value::DOUBLE FROM read_parquet('${pathOf(one)}', file_row_number = true) ` +
        `WHERE series BETWEEN ${low} AND ${high} AND time >= ${from} AND time < ${to} ORDER BY series, time, 2`,
    );
    return found.getRows() as unknown as readonly Row[];
  }

  const VALUES = fc.oneof(
    fc.integer({ min: -500, max: 500 }).map((tenths) => tenths / 10),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constant(0),
  );
  /** A common grid, jitter, and years between two points. */
  const TIMES = fc.oneof(
    fc.nat(50).map((n) => n * 10_000),
    fc.nat(3_000_000),
    fc.constantFrom(0, 86_400_000 * 365 * 70),
  );
  const ROWS = fc.array(fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 3 }), TIMES, VALUES), {
    minLength: 1,
    maxLength: 400,
  });

  for (const encoding of POINT_ENCODINGS) {
    test(`they are what DuckDB reads: any rows, any range (${encoding.options}, ${typeOf(encoding)})`, async () => {
      await fc.assert(
        fc.asyncProperty(ROWS, fc.nat(12), fc.nat(4), TIMES, TIMES, async (rows, low, more, one, other) => {
          const fits = (value: number): number =>
            encoding.scale === null ? value : Math.round((value % 1e9) * 10) / 10;
          const sql = rows.map(
            ([series, generation, time, value]) =>
              `(${series}, ${generation}, ${START + time}, ${fits(value)}::DOUBLE)`,
          );
          const relation = `(VALUES ${sql.join(", ")}) AS rows(series, generation, time, value)`;
          const written = await file(
            `SELECT series::INTEGER AS series, generation::INTEGER AS generation, time::BIGINT AS time, value::${typeOf(encoding)} AS value FROM ${relation} ORDER BY series, time, generation`,
            encoding,
          );
          const [from, to] = [START + Math.min(one, other), START + Math.max(one, other)];
          const range = { low, high: low + more, from, to };
          assert.deepEqual(await read(written, range), await expected(written, range));
          rmSync(pathOf(written));
        }),
        { numRuns: 60 },
      );
    });

    test(`also where a file has several row groups, many series, and more values than a dictionary takes (${encoding.options}, ${typeOf(encoding)})`, async () => {
      const select =
        `SELECT (range // 700)::INTEGER AS series, 1 + (range % 3)::INTEGER AS generation, ${START} + (range % 700) * 60000 + hash(range) % 50 AS time, ` +
        "(hash(range * 7) % 100000) / 7.0 AS value FROM range(30000) ORDER BY series, time";
      const written = await file(
        `SELECT series, generation, time::BIGINT AS time, value::${typeOf(encoding)} AS value FROM (${select})`,
        encoding,
        8_192,
      );
      for (const [low, high] of [
        [0, 0],
        [11, 12],
        [20, 41],
        [42, 42],
        [43, 99],
      ] as const) {
        const range = { low, high, from: START + 60_000, to: START + 500 * 60_000 };
        assert.deepEqual(await read(written, range), await expected(written, range));
      }
    });
  }

  test("a file of another kind, and one that is cut off or changed, is left to DuckDB and never answered from", async () => {
    const points =
      "SELECT (range // 50)::INTEGER AS series, 1 AS generation, range AS time, range / 10.0 AS value FROM range(1000)";
    const range = { low: 3, high: 3, from: 0, to: 1_000 };
    const kinds = [
      `SELECT * REPLACE (CASE WHEN time % 9 > 0 THEN value END AS value) FROM (${points})`,
      `SELECT * EXCLUDE (value) FROM (${points})`,
      `SELECT * REPLACE (value::VARCHAR AS value) FROM (${points})`,
    ];
    for (const select of kinds) {
      const logger = new SimLogger();
      assert.equal(await read(await file(select, POINT_ENCODINGS[0]!), range, logger), null, select);
      assert.match(JSON.stringify(logger.lines), /left to DuckDB/);
    }
    const whole = await file(points, POINT_ENCODINGS[0]!);
    assert.equal((await read(whole, range))!.length, 50);
    const bytes = readFileSync(pathOf(whole));
    truncateSync(pathOf(whole), bytes.length - 9);
    assert.equal(await read(whole, range), null);
    const changed = Buffer.from(bytes);
    changed.fill(0xff, 4, 60);
    writeFileSync(pathOf(whole), changed);
    assert.equal(await read(whole, range), null);
  });
});
