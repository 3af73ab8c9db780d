/**
 * Sealed generations into files, and files into larger ones. Each step writes files, syncs them, then the manifest, then
 * drops what is not needed any more; killed anywhere, the next start finds either what was or what is.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Logger } from "../../base/mod.ts";
import { ROLLUPS, ROLLUP_WIDTH } from "../../telemetry/mod.ts";
import type { Rollup } from "../../telemetry/mod.ts";
import type { OnColdStep } from "./cold-folder.ts";
import type { ColdContent, FileEntry, PointFile, PointKind, StateFile, StateKind } from "./cold-files.ts";
import type { ColdStore } from "./cold-store.ts";
import { eachChunk } from "./columns.ts";
import type { Sealed } from "./generations.ts";
import { Layout, generationPoints, quoted } from "./layout.ts";
import { inTransaction } from "./open.ts";
import { DAY, partsOf, within } from "./periods.ts";
import type { DayRows, Part } from "./periods.ts";
import {
  GENERATION_STRIDE,
  mergedRollup,
  numbersAsRollup,
  packedRollup,
  textsAsRollup,
  unpackedRollup,
} from "./rollup.ts";
import { dropGeneration } from "./schema.ts";
import { States, newestOfAll, newestSequences } from "./states.ts";

export interface CompactionOptions {
  readonly cold: ColdStore;
  /** Of its own: a statement may take seconds. */
  readonly connection: DuckDBConnection;
  readonly logger: Logger;
  readonly onStep?: OnColdStep;
}

/**
 * Version 2 has delta and byte-stream encodings for what a dictionary does not fit. Row groups of this size are
 * DuckDB's own: smaller ones take more bytes (1.01 instead of 0.95 a point at half), larger ones make one series slower.
 */
const PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE 122880";

export class Compaction {
  readonly #options: CompactionOptions;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** The generation's rows are in files afterwards, and its tables are gone. `latest`: what is known of it by then. */
  async compact(sealed: Sealed, latest: () => Sealed): Promise<void> {
    const { cold } = this.#options;
    const added: PointFile[] = [];
    const { content } = cold.folder;
    if (content.generation >= sealed.number) return await this.#drop(sealed); // only that failed the last time
    await this.#writing(async (write) => {
      for (const kind of ["numbers", "texts"] as const) added.push(...(await this.#points(kind, sealed.number, write)));
      added.push(...(await this.#rollups(sealed.number, write)));
      const states = await this.#states(content, sealed, write);
      await this.#step("publish");
      await cold.change((now) => ({
        ...now,
        log: latest().log,
        offset: latest().below,
        generation: sealed.number,
        series: sealed.series,
        points: [...now.points, ...added],
        states,
      }));
    });
    await this.#drop(sealed);
  }

  async #drop(sealed: Sealed): Promise<void> {
    const { cold, connection } = this.#options;
    await this.#step("drop");
    await cold.folder.sync();
    await cold.unread();
    await inTransaction(connection, dropGeneration(sealed.number));
    await this.tidy();
  }

  /** One file instead of several of the same kind and period. */
  async merge(files: readonly PointFile[]): Promise<void> {
    const { cold } = this.#options;
    const { kind, period } = files[0]!;
    if (await cold.verify(files, true)) return; // damage must not be merged into what is whole
    const from = `read_parquet([${files.map((file) => quoted(cold.folder.pathOf(file))).join(", ")}]`;
    await this.#writing(async (write) => {
      const merged = await write.points(kind, period, mergeOf(kind, from));
      const rows = files.reduce((sum, file) => sum + file.rows, 0);
      if ((kind === "numbers" || kind === "texts") && merged.rows !== rows) {
        throw new Error(`${merged.rows} of ${rows} rows came out of a merge`);
      }
      await this.#step("publish");
      const gone = new Set(files.map(({ name }) => name));
      await cold.change((now) => ({
        ...now,
        points: [...now.points.filter(({ name }) => !gone.has(name)), merged],
      }));
    });
    await this.tidy();
  }

  /** Removes files that are named no more and that nobody reads. */
  async tidy(): Promise<void> {
    await this.#step("tidy");
    await this.#options.cold.unread();
    await this.#options.cold.folder.removeUnnamed();
  }

  async #points(kind: "numbers" | "texts", generation: number, write: Writer): Promise<PointFile[]> {
    const relation = generationPoints(kind, generation);
    const files: PointFile[] = [];
    const rowsByDay = await this.#days(`SELECT time FROM ${kind}_${generation}`, "time");
    for (const part of partsOf(kind, rowsByDay)) {
      const rows =
        `SELECT series, ${generation}::INTEGER AS generation, time, value FROM (${relation}) ` +
        `WHERE ${within("time", part)} ORDER BY series, time, arrival`;
      files.push(await write.points(kind, part.period, rows));
    }
    const written = files.reduce((sum, file) => sum + file.rows, 0);
    const given = rowsByDay.reduce((sum, { rows }) => sum + rows, 0);
    if (written !== given) throw new Error(`${written} of ${given} rows came into files`);
    return files;
  }

  /** Minutes from points, hours from minutes, days from hours. */
  async #rollups(generation: number, write: Writer): Promise<PointFile[]> {
    const arrival = `${generation * GENERATION_STRIDE} + rowid`;
    const points = (kind: string, part: Part): string =>
      `SELECT series, time, value, ${arrival} AS arrival FROM ${kind}_${generation} WHERE ${within("time", part)}`;
    let finer: PointFile[] = [];
    const all: PointFile[] = [];
    for (const rollup of ROLLUPS) {
      const from =
        rollup === "1m"
          ? `SELECT time FROM numbers_${generation} UNION ALL SELECT time FROM texts_${generation}`
          : `SELECT bucket AS time FROM ${this.#read(finer)}`;
      const rowsByDay = finer.length === 0 && rollup !== "1m" ? [] : await this.#days(from, "time");
      const made: PointFile[] = [];
      for (const part of partsOf(rollup, rowsByDay)) {
        const relation =
          rollup === "1m"
            ? `${numbersAsRollup(rollup, points("numbers", part))} UNION ALL ${textsAsRollup(rollup, points("texts", part))}`
            : `SELECT * FROM (${coarser(rollup, unpackedRollup(this.#read(finer)))}) WHERE ${within("bucket", part)}`;
        made.push(
          await write.points(rollup, part.period, `${packedRollup(mergedRollup(relation))} ORDER BY series, bucket`),
        );
      }
      all.push(...made);
      finer = made;
    }
    return all;
  }

  async #states(content: ColdContent, sealed: Sealed, write: Writer): Promise<readonly StateFile[]> {
    const { cold, logger } = this.#options;
    const states = await States.open(cold.folder, content, logger, true);
    const kept = content.states.filter(({ kind }) => kind === "series" && !states.damaged.includes("series"));
    const from = states.damaged.includes("series") ? 0 : content.series;
    const made: StateFile[] = [];
    if (sealed.series > from) {
      const range = `id >= ${from} AND id < ${sealed.series}`;
      made.push(
        await write.state(
          "series",
          `SELECT id, thing, measurement, field, type FROM series WHERE ${range} ORDER BY id`,
        ),
      );
    }
    const sequences = newestSequences(states, [sealed.number]);
    if (sequences !== null) {
      made.push(await write.state("sequences", `SELECT source, outbox, state FROM (${sequences}) ORDER BY turn`));
    }
    const until = new Layout([{ number: sealed.number }], content, (file) => cold.folder.pathOf(file));
    made.push(await write.state("latest", `${newestOfAll(states, until)} ORDER BY series`));
    return [...kept, ...made];
  }

  async #days(relation: string, column: string): Promise<readonly DayRows[]> {
    const found: DayRows[] = [];
    const day = `${column} // ${DAY}`;
    const sql = `SELECT (${day})::DOUBLE, count(*)::DOUBLE FROM (${relation}) GROUP BY ${day}`;
    await eachChunk(this.#options.connection, sql, ([dayOf, rows], count) => {
      for (let row = 0; row < count; row++) found.push({ day: dayOf![row] as number, rows: rows![row] as number });
    });
    return found;
  }

  #read(files: readonly PointFile[]): string {
    const paths = files.map((file) => quoted(this.#options.cold.folder.pathOf(file)));
    return `read_parquet([${paths.join(", ")}])`;
  }

  /** What `work` has written is removed where it fails. */
  async #writing(work: (write: Writer) => Promise<void>): Promise<void> {
    const { cold, connection } = this.#options;
    const write = new Writer(cold, connection, (step) => this.#step(step));
    try {
      await work(write);
    } catch (error) {
      await write.undo();
      throw error;
    }
  }

  async #step(step: string): Promise<void> {
    await this.#options.onStep?.(step);
  }
}

/** Names, writes, checks and syncs the files of one step. */
class Writer {
  readonly #cold: ColdStore;
  readonly #connection: DuckDBConnection;
  readonly #step: (step: string) => Promise<void>;
  readonly #written: string[] = [];
  readonly #number: string;

  constructor(cold: ColdStore, connection: DuckDBConnection, step: (step: string) => Promise<void>) {
    this.#cold = cold;
    this.#connection = connection;
    this.#step = step;
    this.#number = String(cold.folder.nextNumber).padStart(8, "0");
  }

  async points(kind: PointKind, period: string, rows: string): Promise<PointFile> {
    const time = kind === "numbers" || kind === "texts" ? "time" : "bucket";
    const measures = `min(${time})::DOUBLE, max(${time})::DOUBLE, min(series)::DOUBLE, max(series)::DOUBLE`;
    const { entry, found } = await this.#write(`${kind}-${period}`, rows, measures);
    const [timeMin = 0, timeMax = 0, seriesMin = 0, seriesMax = 0] = found;
    return { ...entry, kind, period, timeMin, timeMax, seriesMin, seriesMax };
  }

  async state(kind: StateKind, rows: string): Promise<StateFile> {
    const { entry } = await this.#write(kind, rows, "0");
    return { ...entry, kind };
  }

  async undo(): Promise<void> {
    const named = new Set(
      [...this.#cold.folder.content.points, ...this.#cold.folder.content.states].map(({ name }) => name),
    );
    for (const name of this.#written) {
      if (!named.has(name)) await rm(join(this.#cold.folder.path, name), { force: true });
    }
  }

  async #write(
    stem: string,
    rows: string,
    measures: string,
  ): Promise<{ readonly entry: FileEntry; readonly found: readonly number[] }> {
    const name = `${stem}-${this.#number}-${this.#written.length}.parquet`;
    const path = quoted(join(this.#cold.folder.path, name));
    this.#written.push(name);
    await this.#step(`write ${stem}`);
    await this.#connection.run(`COPY (${rows}) TO ${path} (${PARQUET})`);
    await this.#step(`sync ${stem}`);
    const sealed = await this.#cold.folder.seal(name);
    const found: number[] = [];
    // Read back: what cannot be read must be known while the rows are still elsewhere.
    await eachChunk(this.#connection, `SELECT count(*)::DOUBLE, ${measures} FROM read_parquet(${path})`, (columns) => {
      for (const column of columns) found.push(column[0] as number);
    });
    const [count = 0, ...measured] = found;
    return { entry: { ...sealed, rows: count }, found: measured };
  }
}

function mergeOf(kind: PointKind, from: string): string {
  if (kind !== "numbers" && kind !== "texts") {
    return `${packedRollup(mergedRollup(unpackedRollup(`${from})`)))} ORDER BY series, bucket`;
  }
  return (
    `SELECT series, generation, time, value FROM ${from}, file_row_number = true) ` +
    "ORDER BY series, time, generation, file_row_number"
  );
}

/** Partial aggregates of a finer rollup, by the buckets of a coarser one. */
function coarser(rollup: Rollup, relation: string): string {
  return `SELECT * REPLACE (bucket - bucket % ${ROLLUP_WIDTH[rollup]} AS bucket) FROM (${relation})`;
}
