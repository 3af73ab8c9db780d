/**
 * Sealed generations into files, and files into larger ones. Each step writes files, syncs them, then the manifest, then
 * drops what is not needed any more; killed anywhere, the next start finds either what was or what is.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Logger } from "../../base/mod.ts";
import { ROLLUPS, ROLLUP_WIDTH } from "../../telemetry/mod.ts";
import type { Rollup } from "../../telemetry/mod.ts";
import type { OnColdStep } from "./cold-folder.ts";
import type { ColdContent, PointFile, PointKind, StateFile } from "./cold-files.ts";
import type { ColdStore } from "./cold-store.ts";
import { eachChunk } from "./columns.ts";
import { scaleOf } from "./decimals.ts";
import { Writer } from "./file-writer.ts";
import type { Rows } from "./file-writer.ts";
import type { Sealed } from "./generations.ts";
import { Layout, generationPoints, pointsIn, quoted, unifying, unpackedParts } from "./layout.ts";
import { inTransaction } from "./open.ts";
import { DAY, partsOf, within } from "./periods.ts";
import type { DayRows, Merge, Part } from "./periods.ts";
import {
  generationNumbers,
  mergedRollup,
  numbersAsRollup,
  packedRollup,
  textsAsRollup,
  unpackedRollup,
} from "./rollup.ts";
import { dropGeneration } from "./schema.ts";
import { RETIRED_SERIES, States, newestOfAll, newestSequences } from "./states.ts";

export interface CompactionOptions {
  readonly cold: ColdStore;
  /** Of its own: a statement may take seconds. */
  readonly connection: DuckDBConnection;
  readonly logger: Logger;
  readonly onStep?: OnColdStep;
}

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
      const scale =
        kind === "numbers" ? await scaleOf(this.#options.connection, this.#read(files, unifying(files))) : null;
      const merged = await write.points(kind, period, this.#merged(kind, files), { inMinutes, scale });
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
          const points = (of: readonly PointFile[], kind: "numbers" | "texts"): string =>
            `SELECT * FROM (${pointsIn(this.#readNumbered(of), kind)}) WHERE ${range}`;
          const parts: string[] = [];
          if (numbers.length > 0) parts.push(numbersAsRollup("1m", points(numbers, "numbers")));
          if (texts.length > 0) parts.push(textsAsRollup("1m", points(texts, "texts")));
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
      const left = `FROM ${from} WHERE NOT ${retired} ORDER BY file_row_number`;
      const isRaw = file.kind === "numbers" || file.kind === "texts";
      const others = isRaw
        ? pointRows(file.kind, (value) => `SELECT series, generation, time, ${value} ${left}`)
        : `SELECT * EXCLUDE (file_row_number) ${left}`;
      const made = rows === file.rows ? [] : [await write.points(file.kind, file.period, others, file)];
      const kept = made[0]?.rows ?? 0;
      if (kept + rows !== file.rows) throw new Error(`${kept} of ${file.rows - rows} rows are left where ${rows} go`);
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
    const scale = kind === "numbers" ? await scaleOf(this.#options.connection, `numbers_${generation}`) : null;
    for (const part of partsOf(kind, rowsByDay)) {
      const rows = pointRows(
        kind,
        (value) =>
          `SELECT series, ${generation}::INTEGER AS generation, time, ${value} FROM (${relation}) ` +
          `WHERE ${within("time", part)} ORDER BY series, time, arrival`,
      );
      files.push(await write.points(kind, part.period, rows, { inMinutes, scale }));
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
            : mergedRollup(
                `SELECT * FROM (${coarser(rollup, unpackedRollup(source, true))}) WHERE ${within("bucket", part)}`,
              );
        made.push(await write.points(rollup, part.period, packedRows(relation)));
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

  #readNumbered(files: readonly PointFile[]): string {
    return this.#read(files, `, file_row_number = true${unifying(files)}`);
  }

  #merged(kind: PointKind, files: readonly PointFile[]): Rows {
    if (kind !== "numbers" && kind !== "texts") {
      return rollupRows(unpackedParts(files, (some) => this.#read(some)).join(" UNION ALL "));
    }
    const order = "series, time, generation, file_row_number";
    return pointRows(
      kind,
      (value) => `SELECT series, generation, time, ${value} FROM ${this.#readNumbered(files)} ORDER BY ${order}`,
    );
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

/** `select`: with the column `value`, of numbers in the type that they are given. */
function pointRows(kind: PointKind, select: (value: string) => string): Rows {
  return kind === "numbers" ? (type) => select(`value::${type} AS value`) : select("value");
}

/** What a file of rollups holds of these partial aggregates. */
function rollupRows(relation: string): string {
  return packedRows(mergedRollup(relation));
}

/** … of what is one row per series and bucket already. */
function packedRows(relation: string): string {
  return `${packedRollup(relation)} ORDER BY series, bucket`;
}

function generationAsRollup(rollup: Rollup, generation: number, part: Part): string {
  const points = (kind: "numbers" | "texts"): string =>
    `SELECT * FROM (${generationPoints(kind, generation)}) WHERE ${within("time", part)}`;
  const texts = mergedRollup(textsAsRollup(rollup, points("texts")));
  return `${generationNumbers(rollup, generation, points("numbers"))} UNION ALL ${texts}`; // a series has either
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
