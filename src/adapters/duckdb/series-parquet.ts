/** A series answer as a Parquet file: time, thing, measurement, field, aggregate, type, value, text. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DOUBLE, DuckDBInstance, DuckDBTimestampTZValue, TIMESTAMPTZ, VARCHAR } from "@duckdb/node-api";
import type { SeriesOfResult, SeriesResult } from "../../telemetry/mod.ts";
import { append } from "./columns.ts";
import { quoted } from "./layout.ts";

const TABLE =
  "CREATE TABLE answer (time TIMESTAMPTZ NOT NULL, thing VARCHAR NOT NULL, measurement VARCHAR NOT NULL, field VARCHAR NOT NULL, aggregate VARCHAR, type VARCHAR NOT NULL, value DOUBLE, text VARCHAR)";
const TYPES = [TIMESTAMPTZ, VARCHAR, VARCHAR, VARCHAR, VARCHAR, VARCHAR, DOUBLE, VARCHAR];

/**
 * Numbers, and booleans as 0 and 1, in `value`, strings in `text`. Made by an instance of its own, in memory and without
 * our data, since DuckDB writes Parquet only to a file; the answer's limit bounds both.
 */
export async function parquetOf(result: SeriesResult): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "tidewire-answer-"));
  try {
    const instance = await DuckDBInstance.create(":memory:", {
      threads: "1",
      memory_limit: "128MiB",
      temp_directory: folder,
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    try {
      const path = join(folder, "answer.parquet");
      const connection = await instance.connect();
      await connection.run(TABLE);
      for (const series of result.series) {
        const { times } = series;
        await append(connection, "answer", TYPES, times.length, columnsOf(series, result));
      }
      await connection.run(
        `COPY (SELECT * FROM answer ORDER BY time) TO ${quoted(path)} (FORMAT parquet, COMPRESSION zstd)`,
      );
      return await readFile(path);
    } finally {
      instance.closeSync();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function columnsOf(series: SeriesOfResult, { thing, aggregate }: SeriesResult): Parameters<typeof append>[4] {
  const { times, values, measurement, field, type } = series;
  return [
    (row) => new DuckDBTimestampTZValue(BigInt(times[row]!) * 1000n),
    () => series.thing ?? thing,
    () => measurement,
    () => field,
    () => series.aggregate ?? aggregate,
    () => type,
    (row) => (typeof values[row] === "string" || values[row] === null ? null : Number(values[row])),
    (row) => (typeof values[row] === "string" ? values[row] : null),
  ];
}
