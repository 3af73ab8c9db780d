/**
 * The embedded telemetry store: newest points in DuckDB, the others in Parquet files. One writer, a few readers, all in
 * the process that opened it.
 */
import { existsSync } from "node:fs";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { reasonOf } from "../../base/mod.ts";
import type { Limits, Millis, Scheduler } from "../../base/mod.ts";
import { LEVELS, LatestBook, SeriesBook, answerSeries } from "../../telemetry/mod.ts";
import type {
  Commit,
  DiskRoom,
  FieldName,
  LatestValue,
  LatestValues,
  Retention,
  Retired,
  SequenceRow,
  SeriesQuery,
  SeriesResult,
  StoreExtent,
  TelemetryStore,
} from "../../telemetry/mod.ts";
import { ColdFolder } from "./cold-folder.ts";
import type { OnColdStep } from "./cold-folder.ts";
import { ColdStore } from "./cold-store.ts";
import type { StoreView } from "./cold-store.ts";
import { appendPoints, appendSequences, appendSeries } from "./columns.ts";
import { startGenerations } from "./generations.ts";
import type { Generations, Sealed } from "./generations.ts";
import { Keeper } from "./keeper.ts";
import { quoted } from "./layout.ts";
import type { Generation } from "./layout.ts";
import { inTransaction, isEnvironment, openFile } from "./open.ts";
import type { FileOptions, OpenFile } from "./open.ts";
import { ReaderPool } from "./reader-pool.ts";
import { newGeneration } from "./schema.ts";
import { DuckSeriesReader } from "./series-reader.ts";
import { States, loadLatest, loadSequences, loadSeries, retireSeries } from "./states.ts";
import { TableTimes } from "./table-times.ts";

export interface DuckStoreOptions extends Omit<FileOptions, "folders" | "upgrade"> {
  /** `…/telemetry`: the Parquet files and their manifest. */
  readonly folder: string;
  /** Where the rows of tables are written for readers in other processes; without it they cannot be. */
  readonly snapshotFolder?: string;
  readonly limits: Limits["telemetry"];
  readonly retention: Retention;
  /** For all files together. */
  readonly room: DiskRoom;
  readonly scheduler: Scheduler;
  readonly onStep?: OnColdStep;
}

/** Queries that run at once; more wait. Each may use a core. */
const READERS = 2;

export class DuckStore implements TelemetryStore {
  readonly series: SeriesBook;
  /** Why the file was made anew; null where it was not. */
  readonly rebuilt: string | null;
  readonly #instance: DuckDBInstance;
  readonly #writer: DuckDBConnection;
  readonly #readers: ReaderPool;
  readonly #latest: LatestBook;
  readonly #cold: ColdStore;
  readonly #options: DuckStoreOptions;
  readonly #keeper: Keeper;
  /** Rejects where DuckDB's file is found to be damaged outside of any question. */
  readonly damaged: Promise<never>;
  /** As they were at the start. */
  readonly #sequences: readonly SequenceRow[];
  #generation: number;
  /** Of the open one. */
  #times: TableTimes;
  #offset: number | null;
  #log: string | null;
  /** Rows of points and texts in tables, by generation. */
  readonly #tableRows: Map<number, number>;
  /** Rows of all three tables of the open generation; what seals it. */
  #openRows = 0;
  #openedAt: Millis;
  #closed = false;
  /** A generation is sealed in the database, and the keeper does not have it yet. */
  #retiring = false;
  /** Who waits for `erased`; bounded by the things that are being forgotten. */
  readonly #erasing: (() => void)[] = [];

  private constructor(parts: OpenParts, readers: ReaderPool, options: DuckStoreOptions) {
    const { file, cold, series, latest, generations } = parts;
    this.#options = options;
    this.#instance = file.instance;
    this.#writer = file.writer;
    this.rebuilt = parts.rebuilt;
    this.#readers = readers;
    this.series = series;
    this.#latest = latest;
    this.#cold = cold;
    this.#sequences = parts.sequences;
    let damage: (error: unknown) => void = () => {};
    this.damaged = new Promise<never>((_, reject) => (damage = reject));
    this.damaged.catch(() => {}); // whoever waits for it is told as well
    this.#keeper = new Keeper({
      ...options,
      cold,
      connection: parts.background,
      sealed: generations.sealed,
      bytesMax: parts.bytesMax,
      onDamage: damage,
      mayErase: () => !this.#retiring,
      onErased: () => this.#tellErased(),
    });
    this.#generation = generations.open;
    this.#times = parts.tables.at(-1)!.times;
    this.#offset = generations.offset;
    this.#log = generations.log;
    this.#tableRows = parts.tableRows;
    this.#openRows = parts.openRows;
    this.#openedAt = options.clock.monotonic();
  }

  /**
   * Throws DATABASE_UNUSABLE where the machine refuses the file, MANIFEST_NEWER where another version wrote the folder.
   * A damaged database is moved aside and made anew from the files (see `rebuilt`); the log has the rest.
   */
  static async open(options: DuckStoreOptions): Promise<DuckStore> {
    const folder = await ColdFolder.open(options);
    const folders = [folder.path, ...(options.snapshotFolder === undefined ? [] : [options.snapshotFolder])];
    const fileOptions = { ...options, folders, upgrade: !folder.begun };
    const isNew = !existsSync(options.path);
    const first = await openFile(fileOptions);
    const missing = isNew && folder.begun ? "it was gone" : null;
    try {
      return await DuckStore.#load({ ...first, rebuilt: first.rebuilt ?? missing ?? folder.lost }, folder, options);
    } catch (error) {
      first.instance.closeSync();
      if (first.rebuilt !== null || isEnvironment(reasonOf(error))) throw error;
      const distrust = `its content cannot be used (${reasonOf(error).split("\n")[0]})`;
      return await DuckStore.#load(await openFile({ ...fileOptions, distrust }), folder, options);
    }
  }

  get offset(): number | null {
    return this.#offset;
  }

  get log(): string | null {
    return this.#log;
  }

  get forgettable(): number {
    return this.#cold.folder.content.log === this.#log ? this.#cold.folder.forgettable : 0;
  }

  get rows(): number {
    let rows = this.#cold.layout.sizeOf("raw").rows;
    for (const { number } of this.#cold.layout.generations) rows += this.#tableRows.get(number) ?? 0;
    return rows;
  }

  things(): readonly string[] {
    return this.series.things();
  }

  async follow(log: string, offset: number): Promise<void> {
    this.#log = log;
    if (this.#offset === null || this.#offset === offset) return; // the next commit says it
    const [below, name] = [Math.trunc(offset), quoted(log)];
    // Files first: from then on a start with nothing but them asks this log for what they lack.
    await this.#cold.follow(log, below);
    await inTransaction(this.#writer, [
      `UPDATE progress SET log_offset = ${below}, log = ${name}`,
      `UPDATE generations SET below = ${below}, log = ${name} WHERE below IS NOT NULL`,
    ]);
    this.#keeper.follow(log, below);
    this.#offset = below;
    this.#openedAt = Number.NEGATIVE_INFINITY; // what the other log brought is in no log any more: into files soon
  }

  loadSequences(): Promise<readonly SequenceRow[]> {
    return Promise.resolve(this.#sequences);
  }

  async commit({ points, sequences, offset }: Commit): Promise<void> {
    const writer = this.#writer;
    const generation = this.#generation;
    const rows = points.rows + sequences.length;
    const seals = this.#sealsAfter(rows);
    const log = this.#log === null ? "NULL" : quoted(this.#log);
    this.#times.take(points);
    await writer.run("BEGIN");
    await appendSeries(writer, this.series.takeNew());
    await appendPoints(writer, generation, points);
    await appendSequences(writer, generation, sequences);
    await writer.run(`UPDATE progress SET log_offset = ${Math.trunc(offset)}, log = ${log}`);
    if (seals) {
      await writer.run(
        `UPDATE generations SET below = ${Math.trunc(offset)}, series = ${this.series.size}, log = ${log} WHERE number = ${generation}`,
      );
      for (const statement of newGeneration(generation + 1)) await writer.run(statement);
    }
    await writer.run("COMMIT");
    this.#offset = offset;
    this.#openRows += rows;
    this.#tableRows.set(generation, (this.#tableRows.get(generation) ?? 0) + points.rows);
    this.#latest.apply(points);
    if (seals) this.#next({ number: generation, below: offset, series: this.series.size, log: this.#log });
  }

  async retire(thing: string): Promise<Retired> {
    const series = this.series.find(thing, null, null).map(({ id }) => id);
    if (series.length === 0 || this.#offset === null) return { series: 0, points: 0 };
    const points = await this.#pointsOf(series);
    const [number, below] = [this.#generation, Math.trunc(this.#offset)];
    const log = this.#log === null ? "NULL" : quoted(this.#log);
    const sealed = { number, below, series: this.series.size, log: this.#log };
    // Sealed at once: from the next manifest on its names and, soon after, its rows are in no file.
    this.#retiring = true;
    await inTransaction(this.#writer, [
      retireSeries(`id IN (${series.join(", ")})`),
      `UPDATE generations SET below = ${below}, series = ${sealed.series}, log = ${log} WHERE number = ${number}`,
      ...newGeneration(number + 1),
    ]);
    this.#latest.forget(this.series.retire(thing));
    this.#next(sealed);
    this.#retiring = false;
    return { series: series.length, points };
  }

  async erased(): Promise<void> {
    while (!this.#isErased()) await new Promise<void>((resolve) => this.#erasing.push(resolve));
  }

  /** What `work` reads stays in place until it is done; an aborted `signal` interrupts it inside DuckDB. */
  read<T>(work: (connection: DuckDBConnection, view: StoreView) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#cold.reading((view) => this.#readers.use((connection) => work(connection, view), signal));
  }

  async query(query: SeriesQuery, signal?: AbortSignal): Promise<SeriesResult> {
    return this.read(
      (connection, view) => answerSeries(new DuckSeriesReader(connection, view, this.series), query),
      signal,
    );
  }

  latest(thing: string): LatestValues {
    return { thing, values: this.#latest.of(thing) };
  }

  headline(things: readonly string[], wanted: readonly FieldName[], otherwise: number): Map<string, LatestValue[]> {
    return this.#latest.headline(things, wanted, otherwise);
  }

  extent(): StoreExtent {
    const { layout } = this.#cold;
    const levels = Object.fromEntries(LEVELS.map((level) => [level, layout.sizeOf(level)])) as StoreExtent["levels"];
    return {
      levels,
      generations: layout.generations.length,
      quarantined: layout.content.quarantined.length,
      ...this.#keeper.work,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#keeper.close();
    this.#readers.close();
    this.#writer.closeSync();
    this.#instance.closeSync();
  }

  /** Series are retired together with their generation: once that is in files, the manifest knows of them. */
  #isErased(): boolean {
    const { retired, erased } = this.#cold.folder.content;
    return retired.length === erased.length && erased.length === this.series.retiredCount;
  }

  #tellErased(): void {
    for (const resolve of this.#erasing.splice(0)) resolve();
  }

  async #pointsOf(series: readonly number[]): Promise<number> {
    const ever = 9_000_000_000_000_000;
    return this.read(async (connection, view) => {
      const relations = [await view.numbers(-ever, ever), await view.texts(-ever, ever)];
      const counts = relations.map(
        (rows) => `SELECT count(*) AS n FROM (${rows}) WHERE series IN (${series.join(", ")})`,
      );
      const sum = await connection.runAndReadAll(`SELECT sum(n)::DOUBLE FROM (${counts.join(" UNION ALL ")})`);
      return Number(sum.value(0, 0));
    });
  }

  #sealsAfter(rows: number): boolean {
    const { generationRowsMax, generationAgeMax } = this.#options.limits;
    const all = this.#openRows + rows;
    if (all === 0) return false;
    return all >= generationRowsMax || this.#options.clock.monotonic() - this.#openedAt >= generationAgeMax;
  }

  #next(sealed: Sealed): void {
    for (const number of this.#tableRows.keys()) {
      if (number <= this.#cold.folder.content.generation) this.#tableRows.delete(number);
    }
    this.#keeper.take(sealed);
    this.#generation = sealed.number + 1;
    this.#openRows = 0;
    this.#openedAt = this.#options.clock.monotonic();
    this.#times = new TableTimes();
    this.#cold.opened({ number: this.#generation, times: this.#times });
  }

  static async #load(file: OpenFile, folder: ColdFolder, options: DuckStoreOptions): Promise<DuckStore> {
    const { writer } = file;
    const states = await States.open(folder, folder.content, options.logger);
    const generations = await startGenerations(writer, folder.content, states);
    const numbers = [...generations.sealed.map(({ number }) => number), generations.open];
    const tables: Generation[] = [];
    for (const number of numbers) tables.push({ number, times: await TableTimes.of(writer, number) });
    const cold = new ColdStore(folder, options, tables);
    const series = new SeriesBook(options.limits);
    await loadSeries(writer, series);
    const latest = new LatestBook(series);
    await loadLatest(writer, states, cold.layout, (row) => latest.load(row));
    const tableRows = new Map<number, number>();
    for (const number of numbers) tableRows.set(number, await rowsIn(writer, ["numbers", "texts"], number));
    const openRows = await rowsIn(writer, ["numbers", "texts", "sequences"], generations.open);
    const sequences = await loadSequences(writer, states, numbers);
    const background = await file.instance.connect();
    const { room } = options;
    const bytesMax = "bytes" in room ? room.bytes : (await folder.diskBytes()) * room.diskShare;
    const loaded = { cold, tables, sequences, series, latest, generations, tableRows, openRows, background, bytesMax };
    const parts = { file, rebuilt: file.rebuilt, ...loaded };
    return new DuckStore(parts, await ReaderPool.open(file.instance, READERS), options);
  }
}

interface OpenParts {
  readonly file: OpenFile;
  readonly rebuilt: string | null;
  readonly cold: ColdStore;
  readonly tables: readonly Generation[];
  readonly sequences: readonly SequenceRow[];
  readonly background: DuckDBConnection;
  readonly bytesMax: number;
  readonly series: SeriesBook;
  readonly latest: LatestBook;
  readonly generations: Generations;
  readonly tableRows: Map<number, number>;
  readonly openRows: number;
}

async function rowsIn(connection: DuckDBConnection, tables: readonly string[], generation: number): Promise<number> {
  const counts = tables.map((table) => `(SELECT count(*) FROM ${table}_${generation})`);
  const result = await connection.runAndReadAll(`SELECT (${counts.join(" + ")})::DOUBLE`);
  return Number(result.value(0, 0));
}
