/** The embedded telemetry store. One writer, a few readers, all in the process that opened it. */
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { reasonOf } from "../../base/mod.ts";
import type { Limits } from "../../base/mod.ts";
import { LatestBook, SeriesBook } from "../../telemetry/mod.ts";
import type {
  Commit,
  FieldName,
  FieldType,
  LatestValue,
  LatestValues,
  SequenceRow,
  SeriesQuery,
  SeriesResult,
  TelemetryStore,
} from "../../telemetry/mod.ts";
import { appendLatest, appendPoints, appendSequences, appendSeries, eachChunk } from "./columns.ts";
import { HotSnapshot } from "./hot-snapshot.ts";
import { isEnvironment, openFile } from "./open.ts";
import type { FileOptions, OpenFile } from "./open.ts";
import { ReaderPool } from "./reader-pool.ts";
import { runSeriesQuery } from "./series-query.ts";
import type { UserRelation } from "./user-sql.ts";
import { userViews } from "./user-views.ts";
import type { UserView } from "./user-views.ts";

export interface DuckStoreOptions extends FileOptions {
  readonly limits: Limits["telemetry"];
}

/** Queries that run at once; more wait. Each may use a core. */
const READERS = 2;
/** New rows before `latest` is saved again: a start reads at most so many rows to bring it up to date. */
const SNAPSHOT_ROWS = 2_000_000;
/** Superseded rows of `sequences` before it is rewritten. */
const SEQUENCE_ROWS_SPARE = 50_000;

export class DuckStore implements TelemetryStore {
  readonly series: SeriesBook;
  /** Why the file was made anew; null where it was not. */
  readonly rebuilt: string | null;
  readonly #instance: DuckDBInstance;
  readonly #writer: DuckDBConnection;
  readonly #readers: ReaderPool;
  readonly #latest: LatestBook;
  readonly #snapshot: HotSnapshot | null;
  #offset: number | null = null;
  #points = 0;
  #texts = 0;
  #covered = 0;
  #sequenceRows = 0;
  #sequenceRowsMax = SEQUENCE_ROWS_SPARE;
  #closed = false;

  private constructor(file: OpenFile, readers: ReaderPool, { limits, snapshotFolder }: DuckStoreOptions) {
    this.#instance = file.instance;
    this.#writer = file.writer;
    this.rebuilt = file.rebuilt;
    this.#readers = readers;
    this.series = new SeriesBook(limits);
    this.#latest = new LatestBook(this.series);
    this.#snapshot = snapshotFolder === undefined ? null : new HotSnapshot(snapshotFolder);
  }

  /** Throws DATABASE_UNUSABLE where the machine refuses the file; a damaged one is moved aside (see `rebuilt`). */
  static async open(options: DuckStoreOptions): Promise<DuckStore> {
    const first = await openFile(options);
    try {
      return await DuckStore.#load(first, options);
    } catch (error) {
      first.instance.closeSync();
      if (first.rebuilt !== null || isEnvironment(reasonOf(error))) throw error;
      const distrust = `its content cannot be read (${reasonOf(error).split("\n")[0]})`;
      return await DuckStore.#load(await openFile({ ...options, distrust }), options);
    }
  }

  get offset(): number | null {
    return this.#offset;
  }

  get rows(): number {
    return this.#points + this.#texts;
  }

  things(): readonly string[] {
    return this.series.things();
  }

  async loadSequences(): Promise<readonly SequenceRow[]> {
    const newest = new Map<string, SequenceRow>();
    await eachChunk(
      this.#writer,
      "SELECT source, outbox, state FROM sequences ORDER BY rowid",
      ([sources, outboxes, states], rows) => {
        this.#sequenceRows += rows;
        for (let row = 0; row < rows; row++) {
          const source = sources![row] as string;
          const outbox = outboxes![row] as string;
          const key = JSON.stringify([source, outbox]);
          newest.delete(key); // the order of last use
          newest.set(key, { source, outbox, state: states![row] as string | null });
        }
      },
    );
    return [...newest.values()].filter(({ state }) => state !== null);
  }

  async commit({ points, sequences, offset }: Commit): Promise<void> {
    await this.#writer.run("BEGIN");
    await appendSeries(this.#writer, this.series.takeNew());
    await appendPoints(this.#writer, points);
    await this.#saveSequences(sequences);
    await this.#writer.run(`UPDATE progress SET log_offset = ${Math.trunc(offset)}`);
    await this.#writer.run("COMMIT");
    this.#offset = offset;
    this.#points += points.count;
    this.#texts += points.texts.length;
    this.#latest.apply(points);
    const snapshotRows = Math.max(SNAPSHOT_ROWS, 10 * this.series.size);
    if (this.rows - this.#covered >= snapshotRows) await this.#saveLatest();
  }

  async query(query: SeriesQuery, signal?: AbortSignal): Promise<SeriesResult> {
    const entries = this.series.find(query.thing, query.measurement, query.fields);
    const { thing, from, to, window, aggregate } = query;
    const answer = await this.#readers.use((connection) => runSeriesQuery(connection, query, entries), signal);
    return { thing, from, to, window, aggregate, ...answer };
  }

  latest(thing: string): LatestValues {
    return { thing, values: this.#latest.of(thing) };
  }

  headline(things: readonly string[], wanted: readonly FieldName[], otherwise: number): Map<string, LatestValue[]> {
    return this.#latest.headline(things, wanted, otherwise);
  }

  /**
   * Puts the files of these relations, as of the last commit, into `folder`, and says how they are read. `folder` lies in the
   * same file system as the store's `snapshotFolder`.
   */
  async snapshotInto(folder: string, relations: readonly UserRelation[]): Promise<readonly UserView[]> {
    const snapshot = this.#snapshot;
    if (snapshot === null) throw new Error("this store makes no snapshots");
    const files = await this.#readers.use((connection) => snapshot.into(folder, connection));
    return userViews(new Set(relations), { ...files, things: null });
  }

  /** Gives back the space that snapshots take. */
  async forgetSnapshot(): Promise<void> {
    await this.#snapshot?.forget();
  }

  /** Saves what makes the next start fast, and lets the file go. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.rows > this.#covered) await this.#saveLatest();
    this.#readers.close();
    this.#writer.closeSync();
    this.#instance.closeSync();
  }

  static async #load(file: OpenFile, options: DuckStoreOptions): Promise<DuckStore> {
    const store = new DuckStore(file, await ReaderPool.open(file.instance, READERS), options);
    await store.#loadAll();
    return store;
  }

  async #loadAll(): Promise<void> {
    await eachChunk(
      this.#writer,
      "SELECT id, thing, measurement, field, type FROM series ORDER BY id",
      ([ids, things, measurements, fields, types], rows) => {
        for (let row = 0; row < rows; row++) {
          this.series.load(ids![row] as number, {
            thing: things![row] as string,
            measurement: measurements![row] as string,
            field: fields![row] as string,
            type: types![row] as FieldType,
          });
        }
      },
    );
    let covered: readonly [points: number, texts: number] = [0, 0];
    await eachChunk(
      this.#writer,
      "SELECT log_offset::DOUBLE, points_covered::DOUBLE, texts_covered::DOUBLE FROM progress",
      ([offsets, points, texts]) => {
        this.#offset = offsets![0] as number;
        covered = [points![0] as number, texts![0] as number];
      },
    );
    if (this.#offset === null) throw new Error("the table progress is empty");
    if (this.#offset < 0) this.#offset = null;
    await this.#loadLatest(covered);
  }

  async #loadLatest([points, texts]: readonly [number, number]): Promise<void> {
    await this.#takeLatest("SELECT series, time::DOUBLE, value, text FROM latest");
    const newest = "max(time)::DOUBLE, arg_max(value, time::HUGEINT * 1099511627776 + rowid)";
    await this.#takeLatest(
      `SELECT series, ${newest}, NULL::VARCHAR FROM points WHERE rowid >= ${points} GROUP BY series`,
    );
    await this.#takeLatest(
      `SELECT series, max(time)::DOUBLE, NULL::DOUBLE, arg_max(value, time::HUGEINT * 1099511627776 + rowid) FROM texts WHERE rowid >= ${texts} GROUP BY series`,
    );
    await eachChunk(
      this.#writer,
      "SELECT (SELECT count(*) FROM points)::DOUBLE, (SELECT count(*) FROM texts)::DOUBLE",
      ([pointRows, textRows]) => {
        this.#points = pointRows![0] as number;
        this.#texts = textRows![0] as number;
      },
    );
    this.#covered = points + texts;
  }

  async #takeLatest(sql: string): Promise<void> {
    await eachChunk(this.#writer, sql, ([series, times, values, texts], rows) => {
      for (let row = 0; row < rows; row++) {
        this.#latest.load({
          series: series![row] as number,
          time: times![row] as number,
          value: values![row] as number | null,
          text: texts![row] as string | null,
        });
      }
    });
  }

  async #saveSequences(changed: readonly SequenceRow[]): Promise<void> {
    await appendSequences(this.#writer, changed);
    this.#sequenceRows += changed.length;
    if (this.#sequenceRows < this.#sequenceRowsMax) return;
    await this.#writer.run(
      "CREATE OR REPLACE TABLE sequences AS SELECT source, outbox, state FROM (SELECT *, rowid AS arrival FROM sequences) " +
        "QUALIFY row_number() OVER (PARTITION BY source, outbox ORDER BY arrival DESC) = 1 AND state IS NOT NULL ORDER BY arrival",
    );
    const left = await this.#writer.runAndReadAll("SELECT count(*)::DOUBLE FROM sequences");
    this.#sequenceRows = Number(left.value(0, 0));
    this.#sequenceRowsMax = this.#sequenceRows * 4 + SEQUENCE_ROWS_SPARE;
  }

  async #saveLatest(): Promise<void> {
    await this.#writer.run("BEGIN");
    await this.#writer.run("DELETE FROM latest");
    await appendLatest(this.#writer, this.#latest.rows());
    await this.#writer.run(`UPDATE progress SET points_covered = ${this.#points}, texts_covered = ${this.#texts}`);
    await this.#writer.run("COMMIT");
    this.#covered = this.rows;
  }
}
