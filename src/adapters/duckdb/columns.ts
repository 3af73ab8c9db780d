/** Rows to and from DuckDB as data chunks: columns of up to 2,048 values, which is what makes it fast. */
import { BIGINT, DOUBLE, DuckDBDataChunk, INTEGER, VARCHAR } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBType, DuckDBValue } from "@duckdb/node-api";
import type { PointBatch, SequenceRow, SeriesEntry } from "../../telemetry/mod.ts";

/** DuckDB's vector size; a data chunk holds no more. */
const CHUNK = 2048;

const POINT_COLUMNS = [INTEGER, BIGINT, DOUBLE];
const TEXT_COLUMNS = [INTEGER, BIGINT, VARCHAR];
const SERIES_COLUMNS = [INTEGER, VARCHAR, VARCHAR, VARCHAR, VARCHAR];
const SEQUENCE_COLUMNS = [VARCHAR, VARCHAR, VARCHAR];

export async function appendPoints(
  connection: DuckDBConnection,
  generation: number,
  points: PointBatch,
): Promise<void> {
  const { series, times, values } = points;
  await append(connection, `numbers_${generation}`, POINT_COLUMNS, points.count, [
    (row) => series[row]!,
    (row) => BigInt(times[row]!),
    (row) => values[row]!,
  ]);
  await append(connection, `texts_${generation}`, TEXT_COLUMNS, points.texts.length, [
    (row) => points.textSeries[row]!,
    (row) => BigInt(points.textTimes[row]!),
    (row) => points.texts[row]!,
  ]);
}

export async function appendSeries(connection: DuckDBConnection, entries: readonly SeriesEntry[]): Promise<void> {
  await append(connection, "series", SERIES_COLUMNS, entries.length, [
    (row) => entries[row]!.id,
    (row) => entries[row]!.thing,
    (row) => entries[row]!.measurement,
    (row) => entries[row]!.field,
    (row) => entries[row]!.type,
  ]);
}

export async function appendSequences(
  connection: DuckDBConnection,
  generation: number,
  rows: readonly SequenceRow[],
): Promise<void> {
  await append(connection, `sequences_${generation}`, SEQUENCE_COLUMNS, rows.length, [
    (row) => rows[row]!.source,
    (row) => rows[row]!.outbox,
    (row) => rows[row]!.state,
  ]);
}

/** Reads a whole result, chunk by chunk; values as DuckDB gives them, so cast BIGINT to DOUBLE in the statement. */
export async function eachChunk(
  connection: DuckDBConnection,
  sql: string,
  take: (columns: readonly (readonly DuckDBValue[])[], rows: number) => void,
): Promise<void> {
  const result = await connection.stream(sql);
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    take(chunk.getColumns(), chunk.rowCount);
  }
}

export async function append(
  connection: DuckDBConnection,
  table: string,
  types: readonly DuckDBType[],
  count: number,
  columns: readonly ((row: number) => DuckDBValue)[],
): Promise<void> {
  if (count === 0) return;
  const appender = await connection.createAppender(table);
  try {
    for (let from = 0; from < count; from += CHUNK) {
      const rows = Math.min(CHUNK, count - from);
      const chunk = DuckDBDataChunk.create(types, rows);
      for (let column = 0; column < columns.length; column++) {
        const vector = chunk.getColumnVector(column);
        const valueAt = columns[column]!;
        for (let row = 0; row < rows; row++) vector.setItem(row, valueAt(from + row));
        vector.flush();
      }
      appender.appendDataChunk(chunk);
    }
  } finally {
    appender.closeSync(); // flushes into the open transaction
  }
}
