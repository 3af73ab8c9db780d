/** The store process without the process: orders in, news out. */
import { ForgottenThings, TidewireError, isTidewireError, minutes, reasonOf, seconds } from "../../base/mod.ts";
import type { Cancel, Clock, EpochMs, Limits, Logger, Millis, Scheduler } from "../../base/mod.ts";
import type { TimeRange, UserRelation, UserSnapshot } from "../../adapters/duckdb/mod.ts";
import { SequenceBook } from "../../telemetry/mod.ts";
import type { PointBatch, SeriesQuery, SeriesResult, TelemetryStore } from "../../telemetry/mod.ts";
import type { ArchiveHost } from "./archive-host.ts";
import { CompiledRules } from "./compiled-rules.ts";
import { Ingest } from "./ingest.ts";
import { LiveView } from "./live.ts";
import { MessageSink } from "./message-sink.ts";
import type { RecordAccess, RecordSource } from "./ports.ts";
import type {
  Erased,
  ForgetOrder,
  FromStore,
  ParquetAnswer,
  Question,
  StoreProgress,
  StoreRule,
  ToStore,
} from "./protocol.ts";

export interface Snapshots {
  into(
    folder: string,
    relations: readonly UserRelation[],
    range: TimeRange,
    signal: AbortSignal,
  ): Promise<UserSnapshot>;
  forget(): Promise<void>;
}

/** A snapshot that nobody has asked for in this time is not kept up. */
const SNAPSHOT_KEPT: Millis = minutes(5);

export interface ServerOptions {
  readonly store: TelemetryStore;
  /** Files for users' queries; none where another server has the points. */
  readonly snapshots?: Snapshots;
  /** Why the store's file was made anew; null where it was not. */
  readonly rebuilt: string | null;
  readonly source: RecordSource;
  readonly records: RecordAccess;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly send: (news: FromStore) => void;
  /** An answer as a Parquet file. */
  readonly parquetOf: (result: SeriesResult) => Promise<Uint8Array>;
  /** The event archive, where there is one. */
  readonly archive?: Pick<ArchiveHost, "durable" | "flush" | "forget"> | null;
  /** Shared with the archive; filled here. */
  readonly forgotten?: ForgottenThings;
  /** Whether an error of the store says that its file is damaged. */
  readonly isDamage: (reason: string) => boolean;
}

/** A query met bytes that are not those that were written; nothing of the file can be trusted any more. */
export class StoreDamaged extends Error {}

const PROGRESS_PERIOD: Millis = seconds(5);

export class StoreServer {
  readonly #options: ServerOptions;
  readonly #sink: MessageSink;
  readonly #ingest: Ingest;
  readonly #live: LiveView;
  readonly #asked = new Map<number, { readonly controller: AbortController; readonly done: Promise<void> }>();
  readonly #damaged: Promise<never>;
  #fail: (error: StoreDamaged) => void = () => {};
  #commits = 0;
  #cancelForget: Cancel = () => {};
  #told = "";
  readonly #forgotten: ForgottenThings;
  /** What was begun by this process; bounded by the book. */
  readonly #forgetting = new Set<string>();

  private constructor(options: ServerOptions, sequences: SequenceBook) {
    const { store, source, records, limits, clock, scheduler, logger } = options;
    const { forgotten = new ForgottenThings() } = options;
    this.#forgotten = forgotten;
    this.#options = options;
    this.#damaged = new Promise((_, reject) => (this.#fail = reject));
    this.#live = new LiveView(store.series, limits.telemetry.livePointsMax);
    this.#sink = new MessageSink({ records, series: store.series, sequences, forgotten, limits, clock, logger });
    this.#ingest = new Ingest({
      source,
      store,
      sink: this.#sink,
      sequences,
      limits: limits.telemetry,
      clock,
      scheduler,
      logger,
      onCommit: (_, points) => this.#committed(points),
    });
  }

  /** Durable records that are not read yet. */
  get backlog(): number {
    return this.#ingest.backlog;
  }

  static async open(options: ServerOptions): Promise<StoreServer> {
    const { store, limits } = options;
    const sequences = new SequenceBook(limits.telemetry);
    for (const row of await store.loadSequences()) sequences.load(row);
    return new StoreServer(options, sequences);
  }

  /** Runs until the order to close. Rejects where the store has failed. */
  async run(): Promise<void> {
    const { send, rebuilt, store, scheduler } = this.#options;
    send({ type: "ready", progress: this.#progress(), rebuilt });
    const stop = scheduler.every(PROGRESS_PERIOD, () => this.#tellProgress());
    try {
      await Promise.race([this.#ingest.run(), this.#damaged]);
    } finally {
      stop();
      this.#cancelForget();
    }
    const asked = [...this.#asked.values()];
    for (const { controller } of asked) controller.abort(unavailable("it is closing"));
    await Promise.all(asked.map(({ done }) => done)); // a connection in use must not be closed
    await store.close();
  }

  handle(order: Exclude<ToStore, { readonly type: "open" }>): void {
    switch (order.type) {
      case "rules":
        this.#setRules(order.rules);
        break;
      case "durable":
        this.#ingest.durable(order.offset);
        this.#options.archive?.durable(order.offset);
        break;
      case "watch":
        this.#live.watch(order.thing);
        this.#options.send({ type: "watching", thing: order.thing, at: this.#now() });
        break;
      case "unwatch":
        this.#live.unwatch(order.thing);
        break;
      case "forget things":
        this.forget(order.things);
        break;
      case "ask":
        this.#ask(order.id, order.question);
        break;
      case "forget":
        this.#asked.get(order.id)?.controller.abort(unavailable("nobody waits for the answer"));
        break;
      case "close":
        this.#ingest.close();
        break;
    }
  }

  /** All that are forgotten. Before anything is read that lies above the newest of them. */
  forget(things: readonly ForgetOrder[]): void {
    this.#forgotten.set(things.flatMap(({ thing, below }) => (below === null ? [] : [{ thing, below }])));
    for (const order of things) {
      for (const part of order.wanted) {
        const key = `${order.id} ${part}`;
        if (this.#forgetting.has(key)) continue;
        this.#forgetting.add(key);
        if (part === "telemetry") this.#forgetPoints(order);
        else this.#forgetEvents(order);
      }
    }
  }

  #forgetPoints({ id, thing, below }: ForgetOrder): void {
    const { store, send, snapshots } = this.#options;
    const tell = (removed: Erased["removed"], done: boolean): void =>
      send({ type: "erased", id, part: "telemetry", removed, done, waiting: null });
    this.#ingest.forget(thing, below, (retired) => {
      if (retired !== null) tell({ ...retired }, false);
      const left = Promise.all([store.erased(), snapshots?.forget()]);
      left.then(
        () => tell(null, true),
        (error: unknown) => this.#forgetFailed(error),
      );
    });
  }

  #forgetEvents(order: ForgetOrder): void {
    const { archive, send } = this.#options;
    const tell = (news: Pick<Erased, "removed" | "done" | "waiting">): void =>
      send({ type: "erased", id: order.id, part: "archive", ...news });
    if (archive === undefined || archive === null) tell({ removed: { events: 0 }, done: true, waiting: null });
    else archive.forget(order, tell);
  }

  /** It is begun again with the next start of this process; closing is no failure. */
  #forgetFailed(error: unknown): void {
    this.#options.logger.error("A thing is not forgotten yet; the next start of the store goes on with it", { error });
  }

  #setRules(rules: readonly StoreRule[]): void {
    const { logger } = this.#options;
    this.#ingest.setRules(
      new CompiledRules(rules, ({ ruleName }, error) => {
        logger.error("A telemetry rule does not compile and stores nothing", { rule: ruleName, error });
      }),
    );
  }

  #ask(id: number, question: Question): void {
    const controller = new AbortController();
    const done = this.#answer(id, question, controller).finally(() => this.#asked.delete(id));
    this.#asked.set(id, { controller, done });
  }

  /** Never rejects: the answer is sent, or the reason why there is none. */
  async #answer(id: number, question: Question, controller: AbortController): Promise<void> {
    const { limits, scheduler, send, logger } = this.#options;
    const { queryTimeout } = limits.telemetry;
    const late = new TidewireError("QUERY_TOO_SLOW", { limit: `${queryTimeout / 1000} s` });
    const cancel = scheduler.after(queryTimeout, () => controller.abort(late));
    try {
      send({ type: "answer", id, value: await this.#find(question, controller.signal) });
    } catch (error) {
      const ours = isTidewireError(error) ? error : unavailable(firstLine(error));
      if (!isTidewireError(error)) logger.error("A query failed", { kind: question.kind, error });
      send({ type: "refused", id, code: ours.code, details: ours.details });
      if (this.#options.isDamage(reasonOf(error))) this.#fail(new StoreDamaged(firstLine(error), { cause: error }));
    } finally {
      cancel();
    }
  }

  #find(question: Question, signal: AbortSignal): unknown {
    const { store } = this.#options;
    switch (question.kind) {
      case "query":
        return store.query(question.query, signal);
      case "parquet":
        return this.#parquet(question.query, signal);
      case "latest":
        return store.latest(question.thing);
      case "headline":
        return store.headline(question.things, question.wanted, question.otherwise);
      case "archive":
        return this.#options.archive?.flush() ?? null;
      case "things":
        return store.series.things();
      case "snapshot":
        break;
    }
    return this.#snapshot(question, signal);
  }

  #snapshot(question: Extract<Question, { kind: "snapshot" }>, signal: AbortSignal): Promise<UserSnapshot> {
    const { snapshots, scheduler, logger } = this.#options;
    if (snapshots === undefined) {
      const reason =
        "only 'things' can be asked for here: the points are in PostgreSQL, which answers SQL itself, over its view 'readings'";
      throw new TidewireError("QUERY_NOT_ALLOWED", { at: "", reason });
    }
    this.#cancelForget();
    this.#cancelForget = scheduler.after(SNAPSHOT_KEPT, () => {
      snapshots.forget().catch((error: unknown) => logger.warn("A snapshot could not be removed", { error }));
    });
    return snapshots.into(question.folder, question.relations, question.range, signal);
  }

  async #parquet(query: SeriesQuery, signal: AbortSignal): Promise<ParquetAnswer> {
    const result = await this.#options.store.query(query, signal);
    const { truncated, incomplete, level } = result;
    const bytes = await this.#options.parquetOf(result);
    signal.throwIfAborted();
    return { bytes, truncated, incomplete, level };
  }

  #committed(points: PointBatch): void {
    this.#commits++;
    const { send } = this.#options;
    send({ type: "committed", progress: this.#progress() });
    for (const news of this.#live.newsOf(points)) {
      send(news.type === "points" ? news : { ...news, at: this.#now() });
    }
  }

  /** What changes without a commit is told as well, when it has. */
  #tellProgress(): void {
    const progress = this.#progress();
    const { forgettable, extent } = progress;
    const now = JSON.stringify([forgettable, extent]);
    if (now === this.#told) return;
    this.#told = now;
    this.#options.send({ type: "progress", progress });
  }

  #progress(): StoreProgress {
    const { store } = this.#options;
    const { committed: offset, forgettable, realigned, gapRecords } = this.#ingest;
    return {
      offset,
      forgettable,
      realigned,
      extent: store.extent(),
      rows: store.rows,
      series: store.series.size,
      things: store.series.thingCount,
      counters: { ...this.#sink.counters, commits: this.#commits, gapRecords },
    };
  }

  #now(): EpochMs {
    return this.#options.clock.now();
  }
}

function unavailable(reason: string): TidewireError {
  return new TidewireError("STORE_UNAVAILABLE", { reason });
}

function firstLine(error: unknown): string {
  return reasonOf(error).split("\n")[0] ?? "";
}
