/**
 * The telemetry store in a PostgreSQL server. One writer, held by an advisory lock; a few readers. A server that goes away
 * is waited for: the commit that it did not answer is looked up when it is back, and written again only if it is not there.
 */
import { TidewireError, minutes, reasonOf, seconds } from "../../base/mod.ts";
import type { Clock, EpochMs, Limits, Logger, Millis, Random, Scheduler } from "../../base/mod.ts";
import { LatestBook, NO_EXTENT, SeriesBook, answerSeries } from "../../telemetry/mod.ts";
import type {
  Commit,
  FieldName,
  FieldType,
  LatestValue,
  LatestValues,
  Retired,
  SequenceRow,
  SeriesEntry,
  SeriesQuery,
  SeriesResult,
  StoreExtent,
  TelemetryStore,
} from "../../telemetry/mod.ts";
import { Keeper } from "./keeper.ts";
import { saveLatest } from "./latest-rows.ts";
import { saveSequences, saveSeries } from "./name-rows.ts";
import { MEASURE_PARTITIONS, Partitions } from "./partitions.ts";
import type { Partition } from "./partitions.ts";
import { COPY_POINTS, COPY_TEXTS, pointRows, textRows } from "./point-rows.ts";
import { ReaderPool } from "./reader-pool.ts";
import { prepare, telemetryMigrations } from "./schema.ts";
import type { Layout } from "./schema.ts";
import { PostgresSeriesReader } from "./series-reader.ts";
import { nameOfServer } from "./server-url.ts";
import type { PostgresServerAddress } from "./server-url.ts";
import { deleteRetired, pointsOf, retireSeries } from "./retired-rows.ts";
import { Session, beDurable, isPassing } from "./session.ts";
import { DROP_CHUNKS, MEASURE_CHUNKS, layoutFor } from "./timescale.ts";

export interface PostgresStoreOptions {
  readonly address: PostgresServerAddress;
  readonly limits: Limits["telemetry"];
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  /** How long points are kept, by their own time; null: for ever. */
  readonly keep: Millis | null;
  /** Told with a reason while the server is waited for, and with null when it is back. */
  readonly onWaiting?: (reason: string | null) => void;
  /** Ends the waiting: what waits then throws. */
  readonly stop?: AbortSignal;
}

const SCHEMA = "tidewire_telemetry";
/** Queries that run at once; more wait. */
const READERS = 2;
/** The largest commit takes two seconds; a server that needs longer is stuck. */
const COMMIT_TIMEOUT: Millis = seconds(20);
/** Counting the rows of the largest day. */
const COUNT_TIMEOUT: Millis = minutes(10);
/** New rows before `latest` is saved again: a start reads at most so many rows to bring it up to date. */
const SNAPSHOT_ROWS = 2_000_000;
const PAGE_ROWS = 50_000;
const RETRY_DELAY_MIN: Millis = seconds(1) / 10;
const RETRY_DELAY_MAX: Millis = seconds(10);
/** A lock that is held for longer than a server takes to notice a dead connection is another writer's. */
const LOCK_TRIES = 5;

/** Another writer has the tables. */
class LockHeld extends Error {}

export class PostgresStore implements TelemetryStore {
  readonly series: SeriesBook;
  readonly #options: PostgresStoreOptions;
  readonly #schema: string;
  readonly #readers: ReaderPool;
  readonly #latest: LatestBook;
  readonly #partitions = new Partitions();
  #layout: Layout = "partitions";
  #writer: Session | null = null;
  #offset: number | null = null;
  #log: string | null = null;
  #commits = 0;
  #arrivals = 0;
  #rows = 0;
  #covered = 0;
  /** The writer does one thing after the other: commits, and what the keeper wants. */
  #turn: Promise<unknown> = Promise.resolve();
  #keeper: Keeper | null = null;
  /** As of the last measuring. */
  #measured = { bytes: 0, files: 0 };
  #closed = false;

  private constructor(options: PostgresStoreOptions) {
    this.#options = options;
    this.#schema = options.address.schema ?? SCHEMA;
    this.series = new SeriesBook(options.limits);
    this.#latest = new LatestBook(this.series);
    this.#readers = new ReaderPool(() => this.#openReader(), READERS);
  }

  /** Waits for a server that is away. Throws DATABASE_UNREACHABLE or DATABASE_NEWER where waiting does not help. */
  static async open(options: PostgresStoreOptions): Promise<PostgresStore> {
    const store = new PostgresStore(options);
    try {
      await store.#untilDone(async () => {
        store.#writer = await store.#openWriter(true);
        await store.#loadAll(store.#writer);
      });
      store.#keeper = new Keeper({ ...options, store: store.#kept() });
      return store;
    } catch (error) {
      await store.#writer?.end();
      throw unreachable(options.address, error);
    }
  }

  get offset(): number | null {
    return this.#offset;
  }

  /** The server is the store of record. */
  get forgettable(): number {
    return this.#offset ?? 0;
  }

  get log(): string | null {
    return this.#log;
  }

  get rows(): number {
    return this.#rows;
  }

  async loadSequences(): Promise<readonly SequenceRow[]> {
    const rows = await this.#writer!.query("SELECT source, outbox, state FROM sequences ORDER BY used");
    return rows.map(([source, outbox, state]) => ({
      source: source as string,
      outbox: outbox as string,
      state: state as string,
    }));
  }

  async follow(log: string, offset: number): Promise<void> {
    if (this.#offset === null) {
      this.#log = log; // the first commit says it
      return;
    }
    await this.#alone(async () => {
      await this.#change(async (writer) => {
        await writer.query("BEGIN");
        await this.#move(writer, offset, 0, log);
      });
      this.#offset = offset;
      this.#log = log;
    });
  }

  commit(commit: Commit): Promise<void> {
    return this.#alone(() => this.#commit(commit));
  }

  async query(query: SeriesQuery, signal?: AbortSignal): Promise<SeriesResult> {
    return this.#readers.use(
      (session) => answerSeries(new PostgresSeriesReader(session, this.series, signal), query),
      signal,
    );
  }

  latest(thing: string): LatestValues {
    return { thing, values: this.#latest.of(thing) };
  }

  headline(things: readonly string[], wanted: readonly FieldName[], otherwise: number): Map<string, LatestValue[]> {
    return this.#latest.headline(things, wanted, otherwise);
  }

  async retire(thing: string): Promise<Retired> {
    const series = this.series.find(thing, null, null).map(({ id }) => id);
    if (series.length === 0 || this.#offset === null) return { series: 0, points: 0 };
    const points = await this.#readers.use((session) => pointsOf(session, series));
    await this.#alone(() =>
      this.#change(async (writer) => {
        await writer.query("BEGIN");
        await retireSeries(writer, series);
        await this.#move(writer, this.#offset!, 0, this.#log);
      }),
    );
    this.#latest.forget(this.series.retire(thing));
    return { series: series.length, points };
  }

  /** On a connection of its own: commits go on. Rows that are deleted twice are gone. */
  async erased(): Promise<void> {
    await this.#untilDone(async () => {
      const { address } = this.#options;
      const session = await Session.open({ address, name: "tidewire forget", statementTimeout: COUNT_TIMEOUT });
      try {
        await session.query(`SET search_path = ${this.#schema}`);
        const gone = await deleteRetired(session);
        if (gone === 0) return;
        await this.#alone(async () => {
          await (await this.#openedWriter()).query("UPDATE state SET row_count = row_count - $1", [gone]);
          this.#rows -= gone;
        });
      } finally {
        await session.end();
      }
    });
  }

  /** Removes the partitions that hold nothing at or after `time`; how many there were. Latest values stay. */
  async forgetBefore(time: EpochMs): Promise<number> {
    if (this.#layout === "hypertables") {
      return this.#alone(async () => {
        const writer = await this.#openedWriter();
        let dropped = 0;
        for (const table of ["points", "texts"]) dropped += (await writer.query(DROP_CHUNKS, [table, time])).length;
        return dropped;
      });
    }
    const ended = this.#partitions.endedBefore(time);
    if (ended.length === 0) return 0;
    await this.#alone(() => this.#saveLatest());
    const counter = await this.#openReader(COUNT_TIMEOUT);
    try {
      for (const partition of ended) await this.#drop(partition, counter);
    } finally {
      await counter.end();
    }
    return ended.length;
  }

  /** `files` are partitions, bytes with their indexes; both as of the last hour. */
  extent(): StoreExtent {
    const raw = { rows: this.#rows, ...this.#measured };
    return { ...NO_EXTENT, levels: { ...NO_EXTENT.levels, raw } };
  }

  /** Saves what makes the next start fast, if the server is there, and lets it go. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#keeper?.close();
    await this.#turn;
    if (this.#writer?.alive === true && this.#arrivals > this.#covered) await this.#trySaveLatest();
    await this.#readers.close();
    await this.#writer?.end();
  }

  // ── the connection ───────────────────────────────────────────────────────────────────────────

  /** Runs `work` until it succeeds or fails for a reason that stays. */
  async #untilDone(work: () => Promise<void>): Promise<void> {
    const { onWaiting, stop, logger, address } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        await work();
        if (tries > 1) {
          logger.info("PostgreSQL answers again", { server: nameOfServer(address) });
          onWaiting?.(null);
        }
        return;
      } catch (error) {
        const otherWriter = error instanceof LockHeld && (this.#commits > 0 || tries < LOCK_TRIES);
        if (!isPassing(error) && !otherWriter) throw error;
        stop?.throwIfAborted();
        this.#writer?.destroy(new Error("left after a failure", { cause: error }));
        this.#writer = null;
        const reason = `PostgreSQL: ${reasonOf(error)}`;
        if (tries === 1)
          logger.warn("PostgreSQL cannot be used and is waited for", { server: nameOfServer(address), reason });
        onWaiting?.(reason);
        await this.#pause(tries);
      }
    }
  }

  async #pause(tries: number): Promise<void> {
    const { scheduler, random, stop } = this.#options;
    const longest = Math.min(RETRY_DELAY_MIN * 2 ** Math.min(tries - 1, 10), RETRY_DELAY_MAX);
    await new Promise<void>((resolve) => {
      const cancel = scheduler.after(longest * (0.5 + random.next() / 2), resolve);
      stop?.addEventListener("abort", () => (cancel(), resolve()), { once: true });
    });
    stop?.throwIfAborted();
  }

  async #openedWriter(): Promise<Session> {
    if (this.#writer?.alive === true) return this.#writer;
    this.#writer = await this.#openWriter(false);
    const there = await this.#commitsThere(this.#writer);
    if (there !== this.#commits && there !== this.#commits + 1) {
      throw new Error(
        `the server has ${there} commits where ${this.#commits} were made: it is another one, or lost some`,
      );
    }
    return this.#writer;
  }

  async #openWriter(first: boolean): Promise<Session> {
    const { address, logger } = this.#options;
    const session = await Session.open({ address, name: "tidewire telemetry", statementTimeout: COMMIT_TIMEOUT });
    try {
      const lock = "SELECT pg_try_advisory_lock(hashtextextended('tidewire telemetry ' || $1, 0))";
      const [row] = await session.query(lock, [this.#schema]);
      if (row?.[0] !== true) throw new LockHeld("another Tidewire writes there");
      if (first) await beDurable(session, logger);
      this.#layout = await layoutFor(session, this.#schema, logger);
      await prepare(session, address, telemetryMigrations(this.#schema, this.#layout));
      if (this.#layout === "partitions") await this.#partitions.load(session);
      return session;
    } catch (error) {
      session.destroy(new Error("not taken", { cause: error }));
      throw error;
    }
  }

  async #openReader(statementTimeout = this.#options.limits.queryTimeout): Promise<Session> {
    const { address } = this.#options;
    const session = await Session.open({ address, name: "tidewire query", statementTimeout });
    await session.query(`SET search_path = ${this.#schema}; SET default_transaction_read_only = on`);
    return session;
  }

  // ── writing ──────────────────────────────────────────────────────────────────────────────────

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async #commit(commit: Commit): Promise<void> {
    const fresh = this.series.takeNew();
    await this.#change((writer) => this.#write(writer, commit, fresh));
    const { points, offset } = commit;
    this.#offset = offset;
    this.#arrivals += points.rows;
    this.#rows += points.rows;
    this.#latest.apply(points);
    if (this.#arrivals - this.#covered >= Math.max(SNAPSHOT_ROWS, 10 * this.series.size)) await this.#trySaveLatest();
  }

  /** Does one commit, once, however often the server goes away meanwhile. */
  async #change(write: (writer: Session) => Promise<void>): Promise<void> {
    let tries = 0;
    await this.#untilDone(async () => {
      const writer = await this.#openedWriter();
      // The server had committed, and fell before it could say so.
      if (tries++ > 0 && (await this.#commitsThere(writer)) === this.#commits + 1) return;
      await write(writer);
    });
    this.#commits++;
  }

  async #write(writer: Session, { points, sequences, offset }: Commit, fresh: readonly SeriesEntry[]): Promise<void> {
    const partitions = this.#layout === "partitions" ? this.#partitions.missing(points, this.#options.clock.now()) : [];
    await writer.query("BEGIN");
    await this.#partitions.make(writer, partitions);
    await saveSeries(writer, fresh);
    if (points.count > 0) await writer.copyIn(COPY_POINTS, pointRows(points, this.#arrivals));
    if (points.texts.length > 0) await writer.copyIn(COPY_TEXTS, textRows(points, this.#arrivals + points.count));
    await saveSequences(writer, sequences, this.#commits);
    await this.#move(writer, offset, points.rows, this.#log);
    this.#partitions.made(partitions);
  }

  /** The end of a transaction: the offset, and the log that it counts in. */
  async #move(writer: Session, offset: number, rows: number, log: string | null): Promise<void> {
    const moved = await writer.change(
      `UPDATE state SET log_offset = $1, log = $4, commits = commits + 1, arrivals = arrivals + $2, row_count = row_count + $2
       WHERE commits = $3`,
      [Math.trunc(offset), rows, this.#commits, log],
    );
    if (moved !== 1) throw new Error("somebody else has written to the telemetry tables");
    await writer.query("COMMIT");
  }

  async #commitsThere(session: Session): Promise<number> {
    const [row] = await session.query("SELECT commits FROM state");
    return Number(row?.[0]);
  }

  async #trySaveLatest(): Promise<void> {
    try {
      await this.#saveLatest();
    } catch (error) {
      this.#writer?.destroy(new Error("left after a failure", { cause: error })); // with the transaction that it was in
      this.#options.logger.warn("The newest values were not saved; the next start reads more rows", { error });
    }
  }

  async #saveLatest(): Promise<void> {
    if (this.#arrivals === this.#covered) return;
    const writer = await this.#openedWriter();
    await saveLatest(writer, this.#latest.rows(), this.#arrivals);
    this.#covered = this.#arrivals;
  }

  // ── what the keeper does ─────────────────────────────────────────────────────────────────────

  #kept() {
    return {
      trustedAt: async (): Promise<EpochMs | null> => {
        const [row] = await this.#readers.use((session) => session.query("SELECT trusted_at FROM state"));
        return Number(row?.[0]) < 0 ? null : Number(row?.[0]);
      },
      trust: (now: EpochMs): Promise<void> =>
        this.#alone(async () => {
          await (await this.#openedWriter()).query("UPDATE state SET trusted_at = $1", [now]);
        }),
      forgetBefore: (time: EpochMs) => this.forgetBefore(time),
      measure: () => this.#measure(),
    };
  }

  /** Counted before the writer's turn; what came late meanwhile is counted in it, with the index by arrival. */
  async #drop(partition: Partition, counter: Session): Promise<void> {
    const { table, name } = partition;
    const until = this.#arrivals;
    const [early] = await counter.query(`SELECT count(*) FROM ${name} WHERE arrival < $1`, [until]);
    await this.#alone(async () => {
      const writer = await this.#openedWriter();
      try {
        const [late] = await writer.query(`SELECT count(*) FROM ${name} WHERE arrival >= $1`, [until]);
        if (late![0] !== 0) await this.#saveLatest();
        const gone = Number(early![0]) + Number(late![0]);
        await writer.query("BEGIN");
        await writer.query(`ALTER TABLE ${table} DETACH PARTITION ${name}`);
        await writer.query(`DROP TABLE ${name}`);
        await writer.query("UPDATE state SET row_count = row_count - $1", [gone]);
        await writer.query("COMMIT");
        this.#rows -= gone;
        this.#partitions.dropped([partition]);
      } catch (error) {
        writer.destroy(new Error("left after a failure", { cause: error })); // with the transaction that it was in
        throw error;
      }
    });
  }

  async #measure(): Promise<void> {
    const sql = this.#layout === "hypertables" ? MEASURE_CHUNKS : MEASURE_PARTITIONS;
    const [row] = await this.#readers.use((session) => session.query(sql));
    this.#measured = { bytes: Number(row?.[0]), files: Number(row?.[1]) };
  }

  // ── reading at the start ─────────────────────────────────────────────────────────────────────

  async #loadAll(session: Session): Promise<void> {
    for (let next = this.series.size; ; next = this.series.size) {
      const rows = await session.query(
        "SELECT id, thing, measurement, field, type FROM series WHERE id >= $1 ORDER BY id LIMIT $2",
        [next, PAGE_ROWS],
      );
      for (const [id, thing, measurement, field, type] of rows as (readonly [
        number,
        string,
        string,
        string,
        FieldType,
      ])[]) {
        this.series.load(id, { thing, measurement, field, type });
      }
      if (rows.length < PAGE_ROWS) break;
    }
    const [state] = await session.query(
      "SELECT log_offset, commits, arrivals, row_count, latest_covers, log FROM state",
    );
    if (state === undefined) throw new Error("the table state is empty");
    const [offset, commits, arrivals, rows, covered] = state as readonly number[];
    this.#log = state[5] as string | null;
    this.#offset = offset! < 0 ? null : offset!;
    this.#commits = commits!;
    this.#arrivals = arrivals!;
    this.#rows = rows!;
    this.#covered = covered!;
    await this.#takeLatest(session, "SELECT series, time, value, text FROM latest", []);
    const newest = (table: string, columns: string): string =>
      `SELECT DISTINCT ON (series) series, time, ${columns} FROM ${table} WHERE arrival >= $1 ORDER BY series, time DESC, arrival DESC`;
    await this.#takeLatest(session, newest("points", "value, NULL::text"), [covered!]);
    await this.#takeLatest(session, newest("texts", "NULL::double precision, value"), [covered!]);
  }

  async #takeLatest(session: Session, text: string, values: readonly number[]): Promise<void> {
    type LatestTuple = readonly [number, number, number | null, string | null];
    for (const [series, time, value, words] of (await session.query(text, values)) as readonly LatestTuple[]) {
      this.#latest.load({ series, time, value, text: words });
    }
  }
}

function unreachable(address: PostgresServerAddress, error: unknown): unknown {
  if (error instanceof TidewireError) return error;
  const details = { server: nameOfServer(address), reason: reasonOf(error) };
  return new TidewireError("DATABASE_UNREACHABLE", details, { cause: error });
}
