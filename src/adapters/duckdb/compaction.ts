/**
 * Sealed generations into files, and files into larger ones. Each step writes files, syncs them, then the manifest, then
 * drops what is not needed any more; killed anywhere, the next start finds either what was or what is.
 */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Logger } from "../../base/mod.ts";
import { ROLLUPS, ROLLUP_WIDTH } from "../../telemetry/mod.ts";
import type { Rollup } from "../../telemetry/mod.ts";
import type { OnColdStep } from "./cold-folder.ts";
import { ROW_GROUP_ROWS } from "./cold-files.ts";
import type { ColdContent, FileEntry, PointFile, PointKind, StateFile, StateKind } from "./cold-files.ts";
import type { ColdStore } from "./cold-store.ts";
import { eachChunk } from "./columns.ts";
import type { Sealed } from "./generations.ts";
import { Layout, generationPoints, pointsIn, quoted, unpackedParts } from "./layout.ts";
import { inTransaction } from "./open.ts";
import { DAY, partsOf, within } from "./periods.ts";
import type { DayRows, Merge, Part } from "./periods.ts";
import { mergedRollup, numbersAsRollup, packedRollup, textsAsRollup, unpackedRollup } from "./rollup.ts";
import { dropGeneration } from "./schema.ts";
import { RETIRED_SERIES, States, newestOfAll, newestSequences } from "./states.ts";

export interface CompactionOptions {
  readonly cold: ColdStore;
  /** Of its own: a statement may take seconds. */
  readonly connection: DuckDBConnection;
  readonly logger: Logger;
  readonly onStep?: OnColdStep;
}

/**
 * Measured with 1-decimal values, bytes per point (4 series with common times, no jitter / 50 ms / 1 s; one series, a reading a
 * minute for a year, no jitter / 50 ms / 1 s):
 *
 *   version 1, dictionaries up to 8,192           0.95   1.21   1.41      3.81   4.12   4.12
 *   version 2 (delta), likewise                   0.95   2.05   1.82      1.08   1.96   2.46
 *   version 1, DuckDB's limit (24,576)            0.95   2.04   1.41
 *   zstd level 9, 19                              0.94   0.91 at 3 times the work
 *   row groups of 61,440, 30,720                  1.01   1.14
 *
 * Times that the fields of a message share are repeated byte by byte for zstd only when stored plainly; times that nobody
 * shares are better told as differences. Which it is, the sizes of both say; the second is tried where the first is large.
 */
const POINTS = "PARQUET_VERSION v1, DICTIONARY_SIZE_LIMIT 8192";
const POINTS_DELTA = "PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 8192";
/** Those in which numbers are written. */
export const POINT_ENCODINGS: readonly string[] = [POINTS, POINTS_DELTA];
/** Rollups, names and states: 12 bytes a row instead of 16 to 22 (hours of one series), half a byte instead of 7 (names). */
const OTHERS = "PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1";
/** Bytes per row of numbers below which another encoding is not tried. */
const SMALL_ROW = 1.5;

/** Minutes of fewer points take as much room as the points, and are made only when the points go. */
const MINUTE_POINTS_MIN = 20;
/** Points that are rolled up at once. */
const ROLL_UP_ROWS = 4_000_000;

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
      const inMinutes = await this.#isDense(sealed.number);
      for (const kind of ["numbers", "texts"] as const) {
        added.push(...(await this.#points(kind, sealed.number, inMinutes, write)));
      }
      added.push(...(await this.#rollups(inMinutes ? ROLLUPS : ["1h", "1d"], sealed.number, write)));
      const retired = await this.#retired();
      const states = await this.#states(content, sealed, retired, write);
      await this.#step("publish");
      await cold.change((now) => ({
        ...now,
        log: latest().log,
        offset: latest().below,
        generation: sealed.number,
        series: sealed.series,
        points: [...now.points, ...added],
        states,
        retired,
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

  /** One file instead of several of the same kind. */
  async merge({ period, files }: Merge): Promise<void> {
    const { cold } = this.#options;
    const { kind, inMinutes } = files[0]!;
    if (await cold.verify(files, true)) return; // damage must not be merged into what is whole
    await this.#writing(async (write) => {
      const merged = await write.points(kind, period, this.#merged(kind, files), inMinutes);
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

  /**
   * Files of points become files of minutes, which are kept for longer. `change` does the rest of what retention wants
   * in the same step.
   */
  async rollUp(files: readonly PointFile[], change: (content: ColdContent) => ColdContent): Promise<void> {
    const { cold } = this.#options;
    await this.#writing(async (write) => {
      const made: PointFile[] = [];
      for (const period of new Set(files.map((file) => file.period))) {
        const own = files.filter((file) => file.period === period);
        const [numbers, texts] = [
          own.filter(({ kind }) => kind === "numbers"),
          own.filter(({ kind }) => kind === "texts"),
        ];
        for (const range of seriesRanges(own)) {
          const points = (of: readonly PointFile[]): string =>
            `SELECT * FROM (${pointsIn(this.#read(of, ", file_row_number = true"))}) WHERE ${range}`;
          const parts: string[] = [];
          if (numbers.length > 0) parts.push(numbersAsRollup("1m", points(numbers)));
          if (texts.length > 0) parts.push(textsAsRollup("1m", points(texts)));
          const file = await write.points("1m", period, rollupRows(parts.join(" UNION ALL ")));
          if (file.rows > 0) made.push(file);
        }
      }
      await this.#step("publish");
      await cold.change((now) => {
        const next = change(now);
        return { ...next, points: [...next.points, ...made] };
      });
    });
    await this.tidy();
  }

  /** Rewrites the files that have rows of retired series without those. What was done by a crash need not be done again. */
  async erase(): Promise<void> {
    const { cold } = this.#options;
    const { retired, erased } = cold.folder.content;
    const known = new Set(erased);
    const gone = retired.filter((id) => !known.has(id));
    if (gone.length === 0) return;
    const [first, last] = [gone[0]!, gone.at(-1)!];
    for (const file of cold.folder.content.points) {
      if (file.seriesMax < first || file.seriesMin > last || (await cold.verify([file], true))) continue;
      await this.#eraseFrom(file, `series IN (${gone.join(", ")})`);
    }
    await this.#writing(async (write) => {
      const { content } = cold.folder;
      const latest = (await States.open(cold.folder, content, this.#options.logger, true)).of("latest");
      const columns = "series, time, arrival, value, text";
      const rows = `SELECT ${columns} FROM ${latest} WHERE series NOT IN (${retired.join(", ")}) ORDER BY series`;
      const made = latest === null ? [] : [await write.state("latest", rows)];
      await this.#step("publish");
      await cold.change((now) => ({
        ...now,
        states: [...now.states.filter(({ kind }) => kind !== "latest"), ...made],
        erased: retired,
      }));
    });
    await cold.change((content) => ({ ...content })); // `.previous` names them no more, so they can go
    await this.tidy();
  }

  async #eraseFrom(file: PointFile, retired: string): Promise<void> {
    const { cold, connection } = this.#options;
    const from = this.#read([file], ", file_row_number = true");
    let rows = 0;
    await eachChunk(connection, `SELECT count(*)::DOUBLE FROM ${from} WHERE ${retired}`, ([counts]) => {
      rows = counts![0] as number;
    });
    if (rows === 0) return;
    await this.#writing(async (write) => {
      const others = `SELECT * EXCLUDE (file_row_number) FROM ${from} WHERE NOT ${retired} ORDER BY file_row_number`;
      const made =
        rows === file.rows
          ? []
          : [await write.points(file.kind, file.period, others, file.inMinutes, file.extremeTimes)];
      const left = made[0]?.rows ?? 0;
      if (left + rows !== file.rows) throw new Error(`${left} of ${file.rows - rows} rows are left where ${rows} go`);
      await this.#step("publish");
      await cold.change((now) =>
        now.points.some(({ name }) => name === file.name)
          ? { ...now, points: [...now.points.filter(({ name }) => name !== file.name), ...made] }
          : now,
      );
    });
  }

  /** Removes files that are named no more and that nobody reads. */
  async tidy(): Promise<void> {
    await this.#step("tidy");
    await this.#options.cold.unread();
    await this.#options.cold.folder.removeUnnamed();
  }

  async #points(
    kind: "numbers" | "texts",
    generation: number,
    inMinutes: boolean,
    write: Writer,
  ): Promise<PointFile[]> {
    const relation = generationPoints(kind, generation);
    const files: PointFile[] = [];
    const rowsByDay = await this.#days(`SELECT time FROM ${kind}_${generation}`);
    for (const part of partsOf(kind, rowsByDay)) {
      const rows =
        `SELECT series, ${generation}::INTEGER AS generation, time, value FROM (${relation}) ` +
        `WHERE ${within("time", part)} ORDER BY series, time, arrival`;
      files.push(await write.points(kind, part.period, rows, inMinutes));
    }
    const written = files.reduce((sum, file) => sum + file.rows, 0);
    const given = rowsByDay.reduce((sum, { rows }) => sum + rows, 0);
    if (written !== given) throw new Error(`${written} of ${given} rows came into files`);
    return files;
  }

  /** The finest from points, hours from minutes where there are such, days from hours. */
  async #rollups(rollups: readonly Rollup[], generation: number, write: Writer): Promise<PointFile[]> {
    let finer: PointFile[] | null = null;
    const all: PointFile[] = [];
    for (const rollup of rollups) {
      const source = finer === null ? null : this.#read(finer);
      const made: PointFile[] = [];
      for (const part of partsOf(rollup, await this.#days(timesOf(generation, source)))) {
        const relation =
          source === null
            ? generationAsRollup(rollup, generation, part)
            : `SELECT * FROM (${coarser(rollup, unpackedRollup(source, true))}) WHERE ${within("bucket", part)}`;
        made.push(await write.points(rollup, part.period, rollupRows(relation)));
      }
      all.push(...made);
      finer = made;
      if (made.length === 0) break; // not a single point
    }
    return all;
  }

  /** Points that share a minute with others, on average: whether minutes are much smaller than points. */
  async #isDense(generation: number): Promise<boolean> {
    let dense = false;
    const minute = `hash(series, time // ${ROLLUP_WIDTH["1m"]})`;
    await eachChunk(
      this.#options.connection,
      `SELECT count(*)::DOUBLE, approx_count_distinct(${minute})::DOUBLE FROM numbers_${generation}`,
      ([rows, distinct]) => {
        dense = (rows![0] as number) >= MINUTE_POINTS_MIN * (distinct![0] as number);
      },
    );
    return dense;
  }

  async #states(
    content: ColdContent,
    sealed: Sealed,
    retired: readonly number[],
    write: Writer,
  ): Promise<readonly StateFile[]> {
    const { cold, logger } = this.#options;
    const states = await States.open(cold.folder, content, logger, true);
    // Before the manifest passes the offset up to which a thing is forgotten, its names are out of the files.
    const anew = states.damaged.includes("series") || retired.length > content.retired.length;
    const kept = anew ? [] : content.states.filter(({ kind }) => kind === "series");
    const from = anew ? 0 : content.series;
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
    const own = cold.layout.generations.filter(({ number }) => number === sealed.number);
    const until = new Layout(own, content, (file) => cold.folder.pathOf(file));
    made.push(await write.state("latest", `${newestOfAll(states, until)} ORDER BY series`));
    return [...kept, ...made];
  }

  async #retired(): Promise<readonly number[]> {
    const ids: number[] = [];
    await eachChunk(this.#options.connection, `${RETIRED_SERIES} ORDER BY id`, ([column], rows) => {
      for (let row = 0; row < rows; row++) ids.push(column![row] as number);
    });
    return ids;
  }

  async #days(times: string): Promise<readonly DayRows[]> {
    const found: DayRows[] = [];
    const day = `time // ${DAY}`;
    const sql = `SELECT (${day})::DOUBLE, count(*)::DOUBLE FROM (${times}) GROUP BY ${day}`;
    await eachChunk(this.#options.connection, sql, ([dayOf, rows], count) => {
      for (let row = 0; row < count; row++) found.push({ day: dayOf![row] as number, rows: rows![row] as number });
    });
    return found;
  }

  #read(files: readonly PointFile[], options = ""): string {
    const paths = files.map((file) => quoted(this.#options.cold.folder.pathOf(file)));
    return `read_parquet([${paths.join(", ")}]${options})`;
  }

  #merged(kind: PointKind, files: readonly PointFile[]): string {
    if (kind !== "numbers" && kind !== "texts") {
      return rollupRows(unpackedParts(files, (some) => this.#read(some)).join(" UNION ALL "));
    }
    const from = this.#read(files, ", file_row_number = true");
    return `SELECT series, generation, time, value FROM ${from} ORDER BY series, time, generation, file_row_number`;
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

interface Encoded {
  readonly name: string;
  readonly bytes: number;
  readonly rows: number;
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

  async points(
    kind: PointKind,
    period: string,
    rows: string,
    inMinutes = true,
    extremeTimes = kind !== "numbers" && kind !== "texts",
  ): Promise<PointFile> {
    const time = kind === "numbers" || kind === "texts" ? "time" : "bucket";
    const measures = `min(${time})::DOUBLE, max(${time})::DOUBLE, min(series)::DOUBLE, max(series)::DOUBLE`;
    const encodings = {
      numbers: POINT_ENCODINGS,
      texts: [POINTS],
      "1m": [OTHERS],
      "1h": [OTHERS],
      "1d": [OTHERS],
    };
    const { entry, found } = await this.#write(`${kind}-${period}`, rows, measures, encodings[kind]);
    const [timeMin = 0, timeMax = 0, seriesMin = 0, seriesMax = 0] = found.map((value) => value ?? 0);
    return { ...entry, kind, period, timeMin, timeMax, seriesMin, seriesMax, inMinutes, extremeTimes };
  }

  async state(kind: StateKind, rows: string): Promise<StateFile> {
    const { entry } = await this.#write(kind, rows, "0", [OTHERS]);
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
    encodings: readonly string[],
  ): Promise<{ readonly entry: FileEntry; readonly found: readonly (number | null)[] }> {
    const name = await this.#smallest(stem, rows, encodings);
    await this.#step(`sync ${stem}`);
    const sealed = await this.#cold.folder.seal(name);
    const found: (number | null)[] = [];
    // Read back: what cannot be read must be known while the rows are still elsewhere.
    const readBack = `SELECT count(*)::DOUBLE, ${measures} FROM read_parquet(${this.#quoted(name)})`;
    await eachChunk(this.#connection, readBack, (columns) => {
      for (const column of columns) found.push(column[0] as number | null);
    });
    const [read = 0, ...measured] = found;
    return { entry: { ...sealed, rows: read ?? 0 }, found: measured };
  }

  /** In the first of the encodings, or in one that takes less room. */
  async #smallest(stem: string, rows: string, [first, ...others]: readonly string[]): Promise<string> {
    let best = await this.#encode(stem, rows, first!);
    for (const encoding of others) {
      if (best.bytes <= SMALL_ROW * best.rows) break;
      // Sorted once: this is made of the one before.
      const other = await this.#encode(stem, `SELECT * FROM read_parquet(${this.#quoted(best.name)})`, encoding);
      const worse = other.bytes < best.bytes ? best : other;
      if (worse === best) best = other;
      await rm(join(this.#cold.folder.path, worse.name), { force: true });
    }
    return best.name;
  }

  async #encode(stem: string, rows: string, encoding: string): Promise<Encoded> {
    const name = `${stem}-${this.#number}-${this.#written.length}.parquet`;
    this.#written.push(name);
    await this.#step(`write ${stem}`);
    const { rowsChanged } = await this.#connection.run(
      `COPY (${rows}) TO ${this.#quoted(name)} (FORMAT parquet, COMPRESSION zstd, ${encoding}, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    );
    const { size } = await stat(join(this.#cold.folder.path, name));
    return { name, bytes: size, rows: rowsChanged };
  }

  #quoted(name: string): string {
    return quoted(join(this.#cold.folder.path, name));
  }
}

/** What a file of rollups holds of these partial aggregates. */
function rollupRows(relation: string): string {
  return `${packedRollup(mergedRollup(relation))} ORDER BY series, bucket`;
}

function generationAsRollup(rollup: Rollup, generation: number, part: Part): string {
  const points = (kind: "numbers" | "texts"): string =>
    `SELECT * FROM (${generationPoints(kind, generation)}) WHERE ${within("time", part)}`;
  return `${numbersAsRollup(rollup, points("numbers"))} UNION ALL ${textsAsRollup(rollup, points("texts"))}`;
}

/** `SELECT time …` of a generation's points, or of the buckets in files. */
function timesOf(generation: number, files: string | null): string {
  if (files !== null) return `SELECT bucket AS time FROM ${files}`;
  return `SELECT time FROM numbers_${generation} UNION ALL SELECT time FROM texts_${generation}`;
}

/** Conditions that divide the points of files into parts that can be added up in memory. */
function seriesRanges(files: readonly PointFile[]): readonly string[] {
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const from = Math.min(...files.map(({ seriesMin }) => seriesMin));
  const below = Math.max(...files.map(({ seriesMax }) => seriesMax)) + 1;
  const parts = Math.max(1, Math.min(Math.ceil(rows / ROLL_UP_ROWS), below - from));
  const bound = (part: number): number => from + Math.floor(((below - from) * part) / parts);
  return Array.from({ length: parts }, (_, part) => `series >= ${bound(part)} AND series < ${bound(part + 1)}`);
}

/** Partial aggregates of a finer rollup, by the buckets of a coarser one. */
function coarser(rollup: Rollup, relation: string): string {
  return `SELECT * REPLACE (bucket - bucket % ${ROLLUP_WIDTH[rollup]} AS bucket) FROM (${relation})`;
}
