/**
 * Events as Parquet, written by DuckDB: a database in memory of its own, apart from the telemetry's, which reaches no
 * file but the archive's. Plain encodings and zstd: what pandas, Spark and every other reader knows.
 */
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { EventFileFacts, EventFormat, EventStep } from "../../archive/mod.ts";
import { THING_TOPICS, kib, mib } from "../../base/mod.ts";
import type { Bytes, ForgottenMessages } from "../../base/mod.ts";
import { EVENT_COLUMNS, EventRows, ROWS_TABLE, SOURCES_TABLE } from "./event-rows.ts";

export interface EventFormatOptions {
  /** The archive's folder. */
  readonly folder: string;
  readonly memoryBytes: Bytes;
}

/** A row group is what a reader must have in memory at least, and what it can skip. */
const ROW_GROUP_BYTES = mib(16);
const ROW_GROUP_ROWS_MAX = 122_880;
const ROW_GROUP_ROWS_MIN = 2_048;

/** Joins build their table from the right side, so that the rows keep their order. */
const IN_ORDER = "SET disabled_optimizers = 'join_order,build_side_probe_side'";

export class DuckEventFormat implements EventFormat {
  readonly #instance: DuckDBInstance;
  readonly #steps: DuckDBConnection;
  readonly #others: DuckDBConnection;

  private constructor(instance: DuckDBInstance, steps: DuckDBConnection, others: DuckDBConnection) {
    this.#instance = instance;
    this.#steps = steps;
    this.#others = others;
  }

  static async open({ folder, memoryBytes }: EventFormatOptions): Promise<DuckEventFormat> {
    const instance = await DuckDBInstance.create(":memory:", {
      threads: "1", // the second core is the broker's
      memory_limit: `${Math.floor(memoryBytes / kib(1))}KiB`,
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      temp_directory: "",
    });
    try {
      const steps = await instance.connect();
      await steps.run(IN_ORDER);
      await steps.run(`SET allowed_directories = [${text(`${folder}/`)}]`);
      await steps.run("SET enable_external_access = false");
      await steps.run("SET lock_configuration = true");
      return new DuckEventFormat(instance, steps, await instance.connect());
    } catch (error) {
      instance.closeSync();
      throw error;
    }
  }

  async begin(): Promise<EventStep> {
    await this.#steps.run(ROWS_TABLE);
    await this.#steps.run(SOURCES_TABLE);
    const connection = this.#steps;
    return new EventRows(connection, await connection.createAppender("step_rows"), {
      write: (day, path, rowBytes) =>
        copy(
          connection,
          `SELECT ${EVENT_COLUMNS} FROM step_rows JOIN step_sources ON step_sources.id = step_rows.source WHERE step_rows.day = ${day}`,
          path,
          rowBytes,
        ),
      discard: async () => {
        await connection.run("DROP TABLE IF EXISTS step_rows");
        await connection.run("DROP TABLE IF EXISTS step_sources");
      },
    });
  }

  async merge(sources: readonly string[], path: string): Promise<EventFileFacts> {
    const files = `read_parquet([${sources.map(text).join(", ")}], hive_partitioning = false)`;
    const sizes = await this.#others.runAndReadAll(
      `SELECT sum(total_uncompressed_size)::DOUBLE, (SELECT count(*)::DOUBLE FROM ${files}) FROM parquet_metadata([${sources.map(text).join(", ")}])`,
    );
    const [bytes, rows] = [Number(sizes.value(0, 0)), Number(sizes.value(1, 0))];
    return copy(this.#others, `SELECT * FROM ${files}`, path, bytes / Math.max(1, rows));
  }

  async count(path: string, what: ForgottenMessages): Promise<number> {
    const rows = await this.#others.runAndReadAll(
      `SELECT count(*)::DOUBLE FROM read_parquet(${text(path)}, hive_partitioning = false) WHERE ${forgotten(what)}`,
    );
    return Number(rows.value(0, 0));
  }

  async without(source: string, what: ForgottenMessages, path: string): Promise<EventFileFacts> {
    const file = `read_parquet(${text(source)}, hive_partitioning = false, file_row_number = true)`;
    const sizes = await this.#others.runAndReadAll(
      `SELECT sum(total_uncompressed_size)::DOUBLE / max(num_rows) FROM parquet_metadata(${text(source)}), parquet_file_metadata(${text(source)})`,
    );
    const others = `SELECT * EXCLUDE (file_row_number) FROM ${file} WHERE NOT ${forgotten(what)} ORDER BY file_row_number`;
    return copy(this.#others, others, path, Number(sizes.value(0, 0)));
  }

  async inspect(path: string): Promise<EventFileFacts> {
    const file = `read_parquet(${text(path)}, hive_partitioning = false)`;
    await this.#others.run(`SELECT bit_xor(hash(columns(*))) FROM ${file}`); // every page
    return factsOf(this.#others, path);
  }

  close(): void {
    this.#steps.closeSync();
    this.#others.closeSync();
    this.#instance.closeSync();
  }
}

async function copy(
  connection: DuckDBConnection,
  select: string,
  path: string,
  rowBytes: Bytes,
): Promise<EventFileFacts> {
  const rows = Math.floor(ROW_GROUP_BYTES / Math.max(1, rowBytes));
  const group = Math.min(ROW_GROUP_ROWS_MAX, Math.max(ROW_GROUP_ROWS_MIN, rows));
  await connection.run(
    `COPY (${select}) TO ${text(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${group}, USE_TMP_FILE false)`,
  );
  return factsOf(connection, path);
}

async function factsOf(connection: DuckDBConnection, path: string): Promise<EventFileFacts> {
  const facts = await connection.runAndReadAll(
    `SELECT count(*)::DOUBLE, min(epoch_ms("time"))::DOUBLE, max(epoch_ms("time"))::DOUBLE FROM read_parquet(${text(path)}, hive_partitioning = false)`,
  );
  const [rows, timeFrom, timeTo] = [0, 1, 2].map((column) => Number(facts.value(column, 0)));
  return { rows: rows!, timeFrom: timeFrom!, timeTo: timeTo! };
}

/** As `ForgottenThings.skips` says it; columns may be null. */
function forgotten({ thing, below, until }: ForgottenMessages): string {
  const named = THING_TOPICS.flatMap((root) => [
    `topic = ${text(root + thing)}`,
    `starts_with(topic, ${text(`${root}${thing}/`)})`,
  ]);
  const when = below === null ? `epoch_ms("time") <= ${until}` : `"offset" < ${below}`;
  return `(${when} AND (coalesce(thing, client) = ${text(thing)} OR ${named.join(" OR ")}))`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
