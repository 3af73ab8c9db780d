/** Series names, de-duplication states and latest values: from files and tables at a start, into files by compaction. */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Logger } from "../../base/mod.ts";
import { RETIRED } from "../../telemetry/mod.ts";
import type { FieldType, LatestRow, SequenceRow, SeriesBook } from "../../telemetry/mod.ts";
import type { ColdContent, StateFile, StateKind } from "./cold-files.ts";
import type { ColdFolder } from "./cold-folder.ts";
import { eachChunk } from "./columns.ts";
import { generationPoints, quoted } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { instant } from "./rollup.ts";

/** State files that hold what was written; of the others is told. */
export class States {
  readonly #files: readonly StateFile[];
  readonly #folder: ColdFolder;
  readonly damaged: readonly StateKind[];

  private constructor(folder: ColdFolder, files: readonly StateFile[], damaged: readonly StateKind[]) {
    this.#folder = folder;
    this.#files = files;
    this.damaged = damaged;
  }

  static async open(folder: ColdFolder, content: ColdContent, logger: Logger, again = false): Promise<States> {
    const good: StateFile[] = [];
    const damaged: StateKind[] = [];
    for (const file of content.states) {
      const reason = await folder.faultOf(file, again);
      if (reason === null) good.push(file);
      else {
        logger.error("A file of the telemetry store's state is damaged", { file: file.name, kind: file.kind, reason });
        damaged.push(file.kind);
      }
    }
    return new States(folder, good, damaged);
  }

  /** `read_parquet(…)` of a kind's files, in the order in which they were written; null where there are none. */
  of(kind: StateKind): string | null {
    const files = this.#files.filter((file) => file.kind === kind);
    if (files.length === 0) return null;
    const paths = files.map((file) => quoted(this.#folder.pathOf(file)));
    return `read_parquet([${paths.join(", ")}], file_row_number = true)`;
  }
}

/** Names that a damaged file held are made up, so that the points keep their numbers. */
export async function seriesFromFiles(
  connection: DuckDBConnection,
  states: States,
  { series: count, retired }: Pick<ColdContent, "series" | "retired">,
): Promise<void> {
  const files = states.of("series");
  const known = files === null ? "SELECT NULL::INTEGER AS id WHERE false" : `SELECT id FROM ${files}`;
  if (files !== null) {
    await connection.run(
      `INSERT INTO series SELECT id, thing, measurement, field, type FROM ${files} WHERE id < ${count}`,
    );
  }
  await connection.run(
    `INSERT INTO series SELECT id::INTEGER, 'unknown', 'lost', id::VARCHAR, 'number' FROM range(${count}) names(id) ` +
      `WHERE id NOT IN (${known})`,
  );
  if (retired.length > 0) await connection.run(retireSeries(`id IN (${retired.join(", ")})`));
}

/** The numbers stay taken: points of others may not come to mean the forgotten thing's. */
export function retireSeries(which: string): string {
  return `UPDATE series SET thing = ${quoted(RETIRED)}, measurement = '', field = '' WHERE ${which}`;
}

/** In the database's own tables. */
export const RETIRED_SERIES = `SELECT id FROM series WHERE thing = ${quoted(RETIRED)}`;

export async function loadSeries(connection: DuckDBConnection, into: SeriesBook): Promise<void> {
  await eachChunk(
    connection,
    "SELECT id, thing, measurement, field, type FROM series ORDER BY id",
    ([ids, things, measurements, fields, types], rows) => {
      for (let row = 0; row < rows; row++) {
        into.load(ids![row] as number, {
          thing: things![row] as string,
          measurement: measurements![row] as string,
          field: fields![row] as string,
          type: types![row] as FieldType,
        });
      }
    },
  );
}

/** SELECT source, outbox, state, turn: all changes, '' where it was forgotten, `turn` in the order in which they were made. */
function sequenceChanges(states: States, generations: readonly number[]): string | null {
  const files = states.of("sequences");
  const parts = files === null ? [] : [`SELECT source, outbox, state, file_row_number AS turn FROM ${files}`];
  for (const [index, number] of generations.entries()) {
    const turn = `${(index + 1) * 4_294_967_296} + rowid`;
    parts.push(`SELECT source, outbox, coalesce(state, '') AS state, ${turn} AS turn FROM sequences_${number}`);
  }
  return parts.length === 0 ? null : parts.join(" UNION ALL ");
}

/** SELECT source, outbox, state, turn: the newest of each that was not forgotten. */
export function newestSequences(states: States, generations: readonly number[]): string | null {
  const changes = sequenceChanges(states, generations);
  if (changes === null) return null;
  return (
    `SELECT source, outbox, arg_max(state, turn) AS state, max(turn) AS turn FROM (${changes}) ` +
    "GROUP BY source, outbox HAVING arg_max(state, turn) <> ''"
  );
}

export async function loadSequences(
  connection: DuckDBConnection,
  states: States,
  generations: readonly number[],
): Promise<readonly SequenceRow[]> {
  const newest = newestSequences(states, generations);
  const found: SequenceRow[] = [];
  if (newest === null) return found;
  await eachChunk(
    connection,
    `SELECT source, outbox, state FROM (${newest}) ORDER BY turn`,
    ([sources, outboxes, state], rows) => {
      for (let row = 0; row < rows; row++) {
        found.push({ source: sources![row] as string, outbox: outboxes![row] as string, state: state![row] as string });
      }
    },
  );
  return found;
}

/** SELECT series, time, arrival, value, text: the newest of each series in these points, one row per series. */
function newestPoints(numbers: string, texts: string): string {
  const at = instant("time", "arrival");
  const newest = (value: string, relation: string): string =>
    `SELECT series, max(time) AS time, arg_max(arrival, ${at}) AS arrival, ${value} FROM (${relation}) GROUP BY series`;
  return `${newest(`arg_max(value, ${at}) AS value, NULL::VARCHAR AS text`, numbers)} UNION ALL ${newest(
    `NULL::DOUBLE AS value, arg_max(value, ${at}) AS text`,
    texts,
  )}`;
}

/** The same, of everything: the file's where there is one, and of generations that are in tables. */
export function newestOfAll(states: States, layout: Layout): string {
  const file = states.of("latest");
  const tables = layout.generations.map(({ number }) =>
    newestPoints(generationPoints("numbers", number), generationPoints("texts", number)),
  );
  const ever = 9_000_000_000_000_000;
  const parts =
    file === null
      ? [newestPoints(layout.points("numbers", -ever, ever), layout.points("texts", -ever, ever))]
      : [`SELECT series, time, arrival, value, text FROM ${file}`, ...tables];
  const at = instant("time", "arrival");
  return (
    `SELECT series, max(time) AS time, arg_max(arrival, ${at}) AS arrival, arg_max(value, ${at}) AS value, arg_max(text, ${at}) AS text ` +
    `FROM (${parts.join(" UNION ALL ")}) GROUP BY series`
  );
}

export async function loadLatest(
  connection: DuckDBConnection,
  states: States,
  layout: Layout,
  take: (row: LatestRow) => void,
): Promise<void> {
  const sql = `SELECT series, time::DOUBLE, value, text FROM (${newestOfAll(states, layout)})`;
  await eachChunk(connection, sql, ([series, times, values, texts], rows) => {
    for (let row = 0; row < rows; row++) {
      take({
        series: series![row] as number,
        time: times![row] as number,
        value: values![row] as number | null,
        text: texts![row] as string | null,
      });
    }
  });
}
