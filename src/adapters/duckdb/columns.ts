/** Rows to and from DuckDB as data chunks: columns of up to 2,048 values, which is what makes it fast. */
import { BIGINT, DOUBLE, DuckDBDataChunk, INTEGER, VARCHAR } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBType, DuckDBValue, DuckDBVector } from "@duckdb/node-api";
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
  await appendNumbers(connection, `numbers_${generation}`, points);
  await append(connection, `texts_${generation}`, TEXT_COLUMNS, points.texts.length, [
    (row) => points.textSeries[row]!,
    (row) => BigInt(points.textTimes[row]!),
    (row) => points.texts[row]!,
  ]);
}

/** Most of what is ever written: whole columns at once, a tenth of the time that single values take. */
async function appendNumbers(
  connection: DuckDBConnection,
  table: string,
  { series, times, values, count }: PointBatch,
): Promise<void> {
  if (count === 0) return;
  const appender = await connection.createAppender(table);
  try {
    for (let from = 0; from < count; from += CHUNK) {
      const to = Math.min(from + CHUNK, count);
      const chunk = DuckDBDataChunk.create(POINT_COLUMNS, to - from);
      const [first, second, third] = [0, 1, 2].map((column) => chunk.getColumnVector(column));
      itemsOf(first!, Int32Array).set(series.subarray(from, to));
      putTimes(itemsOf(second!, BigInt64Array), times.subarray(from, to));
      itemsOf(third!, Float64Array).set(values.subarray(from, to));
      for (const vector of [first, second, third]) vector!.flush();
      appender.appendDataChunk(chunk);
    }
  } finally {
    appender.closeSync(); // flushes into the open transaction
  }
}

/** A fresh vector's own memory, all of it valid: the driver has no public way to fill it but one value at a time. */
function itemsOf<A>(vector: DuckDBVector, type: new (length: number) => A): A {
  const { items } = vector as unknown as { readonly items?: unknown };
  if (!(items instanceof type)) throw new Error("this version of the DuckDB driver keeps a vector's values elsewhere");
  return items;
}

/** Little-endian halves, without a BigInt per time. Times are not negative (`points.ts`). */
function putTimes(items: BigInt64Array, times: Float64Array): void {
  const halves = new Int32Array(items.buffer, items.byteOffset, items.length * 2);
  for (let i = 0; i < times.length; i++) {
    const time = times[i]!;
    halves[2 * i] = time | 0;
    halves[2 * i + 1] = Math.floor(time / 4_294_967_296);
  }
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

/** The same of a result that is small enough to be made at once: one trip to the thread pool and back instead of four. */
export async function eachChunkAtOnce(
  connection: DuckDBConnection,
  sql: string,
  take: (columns: readonly (readonly DuckDBValue[])[], rows: number) => void,
): Promise<void> {
  const result = await connection.run(sql);
  const { chunkCount } = result;
  for (let index = 0; index < chunkCount; index++) {
    const chunk = result.getChunk(index);
    take(chunk.getColumns(), chunk.rowCount);
  }
}

/** Likewise for columns of DOUBLE without NULL, each chunk as it lies in memory; false from `take` ends it. */
export async function eachNumbers(
  connection: DuckDBConnection,
  sql: string,
  columns: number,
  take: (columns: readonly Float64Array[]) => boolean,
): Promise<void> {
  const result = await connection.run(sql);
  const { chunkCount } = result;
  for (let index = 0; index < chunkCount; index++) {
    const chunk = result.getChunk(index);
    const all = Array.from({ length: columns }, (_, i) => itemsOf(chunk.getColumnVector(i), Float64Array));
    if (!take(all)) return;
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
