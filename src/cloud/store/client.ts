/** The platform's side of the store: starts the process, keeps it running, asks it. */
import { nameOfServer } from "../../adapters/postgres/server-url.ts";
import type { PostgresServerAddress } from "../../adapters/postgres/mod.ts";
import { TidewireError, minutes, seconds } from "../../base/mod.ts";
import type { Cancel, Clock, EpochMs, Limits, Logger, Metrics, Millis, Random, Scheduler } from "../../base/mod.ts";
import { NOTHING_ARCHIVED } from "../../archive/mod.ts";
import type { ArchiveProgress } from "../../archive/mod.ts";
import type { TimeRange, UserRelation, UserSnapshot } from "../../adapters/duckdb/mod.ts";
import { NO_EXTENT } from "../../telemetry/mod.ts";
import type { LatestValue, SeriesQuery, SeriesResult, StoreExtent } from "../../telemetry/mod.ts";
import { ArchiveMetrics } from "./archive-metrics.ts";
import { StoreChild } from "./child.ts";
import type { ChildEvents, ChildExit, StoreProcess } from "./child.ts";
import type { LivePoints } from "./live.ts";
import { fieldNameOf, storeRulesOf } from "./orders.ts";
import type { RuleLike } from "./orders.ts";
import type {
  Answers,
  ArchiveOrder,
  Erased,
  ForgetOrder,
  FromStore,
  Keeping,
  ParquetAnswer,
  Question,
  StoreProgress,
  StoreRule,
} from "./protocol.ts";
import { QuestionBook } from "./question-book.ts";
import { StoreMetrics } from "./store-metrics.ts";

export interface StoreClientOptions {
  /** `…/telemetry.duckdb`; its folder is made. */
  readonly databasePath: string;
  /** Points go to this server instead. While it is away they wait in the log. */
  readonly postgres?: PostgresServerAddress | null;
  /** The folder of the log's segments. */
  readonly logFolder: string;
  /** The event archive; without it, or with `null`, there is none. */
  readonly archive?: ArchiveOrder | null;
  /** Where compiled sources are kept; nobody else may write there. Default: the environment's NODE_COMPILE_CACHE. */
  readonly compileCacheFolder?: string;
  /** Starts the store process; default: forks it. */
  readonly startChild?: (events: ChildEvents) => StoreProcess;
  readonly limits: Limits;
  readonly keeping: Keeping;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface StoreStatus {
  readonly state: "starting" | "ready" | "restarting" | "closed";
  /** Why it is not ready, or what it waits for; null where all is well. */
  readonly reason: string | null;
  /** Everything below is stored; null until it was ready once. */
  readonly offset: number | null;
  /** Everything below is in the store of record: the log may forget it. 0 until that is known. */
  readonly forgettable: number;
  /** Durable records that are not stored yet. */
  readonly lag: number;
  readonly rows: number;
  readonly series: number;
  readonly things: number;
  /** `null` where there is no event archive. The log must keep what lies above its offset. */
  readonly archive: ArchiveStatus | null;
  readonly restarts: number;
  /** Why the file was made anew since the platform started; null where it was not. */
  readonly rebuilt: string | null;
  /** Why its offset was set anew: the log is another one, or has lost its end. Null where it was right. */
  readonly realigned: string | null;
  readonly extent: StoreExtent;
  readonly pid: number | null;
}

export interface ArchiveStatus extends Omit<ArchiveProgress, "counters"> {
  /** Durable messages that are not archived yet. */
  readonly lag: number;
}

const RESTART_DELAY_MIN: Millis = seconds(1) / 4;
const RESTART_DELAY_MAX: Millis = seconds(30);
/** Crashes in a row, none with a commit between, before the file is blamed … */
const CRASHES_BEFORE_DISTRUST = 3;
/** … and how often it may be: if a new file does not help, another will not either. */
const DISTRUST_PERIOD: Millis = minutes(60);
/** News of `durable` are sent at most so often. */
const DURABLE_PERIOD: Millis = 50;
const CLOSE_TIMEOUT: Millis = seconds(10);
/** Signals of a program that fell, not of one that was killed. */
const CRASH_SIGNALS: readonly (string | null)[] = ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"];

type Phase = StoreStatus["state"];

export class StoreClient {
  readonly #options: StoreClientOptions;
  readonly #metrics: StoreMetrics;
  readonly #archiveMetrics: ArchiveMetrics | null = null;
  readonly #questions: QuestionBook;
  readonly #watched = new Set<string>();
  /** Who waits for a thing's join point. */
  readonly #joining = new Map<string, ((at: EpochMs) => void)[]>();
  readonly #pointsListeners = new Set<(points: LivePoints) => void>();
  readonly #rejoinListeners = new Set<(thing: string, at: EpochMs) => void>();
  readonly #committedListeners = new Set<(offset: number) => void>();
  readonly #erasedListeners = new Set<(erased: Erased) => void>();
  #forgotten: readonly ForgetOrder[] = [];
  #forgottenSent: readonly ForgetOrder[] = [];
  #held = 0;
  #phase: Phase = "starting";
  #child: StoreProcess | null = null;
  #rules: readonly StoreRule[] | null = null;
  /** Null until the platform has told it. */
  #durable: number | null = null;
  #durableSent: number | null = null;
  #cancelDurable: Cancel | null = null;
  #cancelRestart: Cancel = () => {};
  #progress: StoreProgress | null = null;
  #archived: ArchiveProgress | null = null;
  #reason: string | null = "it is starting";
  #rebuilt: string | null = null;
  /** Why the database server is waited for. */
  #waiting: string | null = null;
  #fatal: Extract<FromStore, { type: "fatal" }> | null = null;
  #restarts = 0;
  #failuresInRow = 0;
  #crashesInRow = 0;
  #distrustedAt: Millis | null = null;
  #started: { resolve: () => void; reject: (error: unknown) => void } | null = null;
  #exited: (() => void) | null = null;

  constructor(options: StoreClientOptions) {
    this.#options = options;
    const { metrics, limits, scheduler } = options;
    this.#metrics = new StoreMetrics(metrics, {
      lag: () => this.status().lag,
      rows: () => this.#progress?.rows ?? 0,
      series: () => this.#progress?.series ?? 0,
      up: () => (this.#phase === "ready" ? 1 : 0),
      extent: () => this.status().extent,
    });
    if ((options.archive ?? null) !== null) {
      this.#archiveMetrics = new ArchiveMetrics(metrics, () => this.#archiveStatus());
    }
    this.#questions = new QuestionBook(limits.telemetry, scheduler, this.#metrics);
  }

  /**
   * Resolves when it answers, or waits for a database server that is away. Throws DATABASE_UNUSABLE or DATABASE_UNREACHABLE
   * where the file or the server cannot be used at the first start.
   */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#started = { resolve, reject };
      this.#fork();
    });
  }

  /** All rules; those without a `telemetry` action, and disabled ones, are left out. Nothing is stored before the first call. */
  setRules(rules: readonly RuleLike[]): void {
    this.#rules = storeRulesOf(rules);
    if (this.#phase === "ready") this.#child?.send({ type: "rules", rules: this.#rules });
  }

  /** Everything below `offset` is on disk in the log. Cheap: may be called after every sync. */
  durable(offset: number): void {
    this.#durable = Math.max(this.#durable ?? 0, offset);
    if (this.#cancelDurable === null) this.#sendDurable();
  }

  /** While any are held, the store is told of nothing new in the log, and so reads nothing above what it was told. */
  holdDurable(): Cancel {
    this.#held++;
    return () => {
      this.#held--;
      if (this.#cancelDurable === null) this.#sendDurable();
    };
  }

  /**
   * All things that are forgotten and whose records are still in the log. The store goes on, also after it was started again, with
   * what is wanted of them, and says so to `onErased`. What lies above the offset of a new one must be held back.
   */
  setForgotten(things: readonly ForgetOrder[]): void {
    this.#forgotten = things;
    if (this.#phase === "ready") this.#child?.send({ type: "forget things", things });
  }

  onErased(listener: (erased: Erased) => void): Cancel {
    return subscribe(this.#erasedListeners, listener);
  }

  /** Throws QUERY_TOO_SLOW, or STORE_UNAVAILABLE (retryable), as all questions do. */
  query(query: SeriesQuery): Promise<SeriesResult> {
    return this.#ask({ kind: "query", query });
  }

  /** The answer as a Parquet file. */
  parquet(query: SeriesQuery): Promise<ParquetAnswer> {
    return this.#ask({ kind: "parquet", query });
  }

  /** Of every field the newest stored value. */
  async latest(thing: string): Promise<readonly LatestValue[]> {
    return (await this.#ask({ kind: "latest", thing })).values;
  }

  /**
   * Of each thing the newest values of `fields` (`measurement/field`: `system/cpu.percent`) that it has, in that order.
   * A thing that has none of them gets up to `otherwise` of its own numbers, so that no known device stays blank.
   */
  headline(
    things: readonly string[],
    fields: readonly string[],
    otherwise: number = fields.length,
  ): Promise<ReadonlyMap<string, readonly LatestValue[]>> {
    return this.#ask({ kind: "headline", things, wanted: fields.map(fieldNameOf), otherwise });
  }

  /** Archives what is durable now, within a few seconds; the offset below which everything is archived then. */
  archiveNow(): Promise<number | null> {
    return this.#ask({ kind: "archive" });
  }

  /** Puts the files of these relations into `folder` and says how they are read; for one user's query. */
  snapshot(folder: string, relations: readonly UserRelation[], range: TimeRange): Promise<UserSnapshot> {
    return this.#ask({ kind: "snapshot", folder, relations, range });
  }

  /** All things that have stored values. */
  things(): Promise<readonly string[]> {
    return this.#ask({ kind: "things" });
  }

  /**
   * Every point of the thing that is committed after this resolves is given to the listeners of `onPoints`, and all that
   * was committed before is seen by `query`. Watching twice is harmless.
   */
  watch(thing: string): Promise<EpochMs> {
    const { scheduler, limits } = this.#options;
    if (this.#phase === "closed") return Promise.reject(unavailable("it is closed"));
    return new Promise<EpochMs>((resolve, reject) => {
      const waiting = this.#joining.get(thing) ?? [];
      this.#joining.set(thing, waiting);
      const joined = (at: EpochMs): void => {
        cancel();
        resolve(at);
      };
      const cancel = scheduler.after(limits.telemetry.queryTimeout, () => {
        waiting.splice(waiting.indexOf(joined), 1);
        reject(unavailable("the watch was not confirmed in time; it goes on as soon as the store is back"));
      });
      waiting.push(joined);
      this.#watched.add(thing);
      if (this.#phase === "ready") this.#child?.send({ type: "watch", thing });
    });
  }

  unwatch(thing: string): void {
    if (this.#watched.delete(thing) && this.#phase === "ready") this.#child?.send({ type: "unwatch", thing });
  }

  onPoints(listener: (points: LivePoints) => void): Cancel {
    return subscribe(this.#pointsListeners, listener);
  }

  /**
   * Points of a watched thing were committed that `onPoints` did not get (the process was restarted, or there were too
   * many at once): a viewer must query again; from `at` on the watch is whole.
   */
  onRejoin(listener: (thing: string, at: EpochMs) => void): Cancel {
    return subscribe(this.#rejoinListeners, listener);
  }

  /** After each commit: everything below `offset` is stored and can be asked for. */
  onCommitted(listener: (offset: number) => void): Cancel {
    return subscribe(this.#committedListeners, listener);
  }

  status(): StoreStatus {
    const progress = this.#progress;
    return {
      state: this.#phase,
      reason: this.#waiting ?? (this.#phase === "ready" ? null : this.#reason),
      offset: progress?.offset ?? null,
      forgettable: progress?.forgettable ?? 0,
      lag: Math.max(0, (this.#durable ?? 0) - (progress?.offset ?? 0)),
      rows: progress?.rows ?? 0,
      series: progress?.series ?? 0,
      things: progress?.things ?? 0,
      archive: this.#archiveStatus(),
      restarts: this.#restarts,
      rebuilt: this.#rebuilt,
      realigned: progress?.realigned ?? null,
      extent: progress?.extent ?? NO_EXTENT,
      pid: this.#child?.pid ?? null,
    };
  }

  #archiveStatus(): ArchiveStatus | null {
    if ((this.#options.archive ?? null) === null) return null;
    const { counters: _, ...archive } = this.#archived ?? NOTHING_ARCHIVED;
    return { ...archive, lag: Math.max(0, (this.#durable ?? 0) - (archive.offset ?? 0)) };
  }

  /** Lets the process commit what it has read, and ends it. */
  async close(): Promise<void> {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#reason = "it is closed";
    this.#cancelRestart();
    this.#cancelDurable?.();
    this.#questions.failAll(unavailable("it is closing"));
    this.#started?.reject(unavailable("it was closed before it was ready"));
    const child = this.#child;
    if (child === null) return;
    child.send({ type: "close" });
    await new Promise<void>((resolve) => {
      const cancel = this.#options.scheduler.after(CLOSE_TIMEOUT, () => child.kill());
      this.#exited = () => {
        cancel();
        resolve();
      };
    });
  }

  #fork(): void {
    const { databasePath, postgres = null, logFolder, limits, keeping, archive = null } = this.#options;
    const { compileCacheFolder, startChild } = this.#options;
    this.#metrics.started();
    this.#archiveMetrics?.started();
    const distrust = this.#distrust();
    this.#fatal = null;
    const events = { news: (news: FromStore) => this.#take(news), exit: (exit: ChildExit) => this.#ended(exit) };
    const child = startChild?.(events) ?? new StoreChild(events, compileCacheFolder);
    this.#child = child;
    const forgotten = (this.#forgottenSent = this.#forgotten);
    child.send({ type: "open", databasePath, postgres, logFolder, limits, keeping, archive, distrust, forgotten });
  }

  #distrust(): string | null {
    if (this.#fatal?.cause === "useless") return this.#fatal.reason;
    if (this.#crashesInRow < CRASHES_BEFORE_DISTRUST) return null;
    if ((this.#options.postgres ?? null) !== null) return null; // a server that stands is not what makes us fall
    const now = this.#options.clock.monotonic();
    if (this.#distrustedAt !== null && now - this.#distrustedAt < DISTRUST_PERIOD) return null;
    this.#distrustedAt = now;
    return `the store fell ${this.#crashesInRow} times in a row with it`;
  }

  #ended(exit: ChildExit): void {
    this.#child = null;
    this.#waiting = null;
    this.#exited?.();
    if (this.#phase === "closed") return;
    const { logger, scheduler, random } = this.#options;
    this.#reason = this.#fatal?.reason ?? `it ended unexpectedly (${exit.signal ?? `status ${exit.code}`})`;
    this.#questions.failSent(unavailable(this.#reason));
    if (this.#started !== null && this.#fatal?.cause === "environment") {
      this.#phase = "closed";
      this.#started.reject(this.#unusable(this.#reason));
      return;
    }
    this.#phase = "restarting";
    this.#restarts++;
    this.#metrics.restarts.value++;
    this.#failuresInRow++;
    const fell =
      this.#fatal === null
        ? exit.code !== null || CRASH_SIGNALS.includes(exit.signal)
        : this.#fatal.cause === "unknown";
    if (fell) this.#crashesInRow++;
    const longest = Math.min(RESTART_DELAY_MIN * 2 ** (this.#failuresInRow - 1), RESTART_DELAY_MAX);
    const delay = longest * (0.5 + random.next() / 2);
    const { code, signal, stderr } = exit;
    logger.error("The store process ended and is started again", { reason: this.#reason, code, signal, stderr, delay });
    this.#cancelRestart = scheduler.after(delay, () => this.#fork());
  }

  #unusable(reason: string): TidewireError {
    const { databasePath: path, postgres = null } = this.#options;
    if (postgres === null) return new TidewireError("DATABASE_UNUSABLE", { name: "telemetry", path, reason });
    return new TidewireError("DATABASE_UNREACHABLE", { server: nameOfServer(postgres), reason });
  }

  #take(news: FromStore): void {
    switch (news.type) {
      case "ready":
        this.#ready(news.progress, news.rebuilt);
        break;
      case "waiting":
        this.#wait(news.reason);
        break;
      case "committed":
        this.#committed(news.progress);
        break;
      case "archived":
        this.#archived = news.progress;
        this.#archiveMetrics?.take(news.progress.counters);
        break;
      case "progress":
        this.#progress = news.progress;
        break;
      case "erased":
        for (const listener of this.#erasedListeners) listener(news);
        break;
      case "watching":
        this.#join(news.thing, news.at);
        break;
      case "points":
        if (this.#watched.has(news.thing)) for (const listener of this.#pointsListeners) listener(news);
        break;
      case "skipped":
        this.#rejoin(news.thing, news.at);
        break;
      case "answer":
        this.#questions.answer(news.id, news.value);
        break;
      case "refused":
        this.#questions.refuse(news.id, new TidewireError(news.code, news.details));
        break;
      case "log":
        this.#options.logger[news.level](news.message, news.fields);
        break;
      case "fatal":
        this.#fatal = news;
        break;
    }
  }

  #ready(progress: StoreProgress, rebuilt: string | null): void {
    const child = this.#child;
    if (child === null || this.#phase === "closed") return;
    this.#phase = "ready";
    this.#rebuilt = rebuilt ?? this.#rebuilt;
    this.#progress = progress;
    if (this.#forgotten !== this.#forgottenSent) child.send({ type: "forget things", things: this.#forgotten });
    if (this.#rules !== null) child.send({ type: "rules", rules: this.#rules });
    for (const thing of this.#watched) child.send({ type: "watch", thing });
    this.#durableSent = null;
    this.#sendDurable();
    this.#questions.connect((order) => child.send(order));
    this.#started?.resolve();
    this.#started = null;
  }

  /** The platform does not wait along at its start: what is published meanwhile is safe in the log. */
  #wait(reason: string | null): void {
    this.#waiting = reason;
    if (reason === null) return;
    this.#started?.resolve();
    this.#started = null;
  }

  #committed(progress: StoreProgress): void {
    this.#progress = progress;
    this.#failuresInRow = 0;
    this.#crashesInRow = 0;
    this.#metrics.take(progress.counters);
    for (const listener of this.#committedListeners) listener(progress.offset);
  }

  /** A join point that nobody waits for: the process was started again under a watch. */
  #join(thing: string, at: EpochMs): void {
    const waiting = this.#joining.get(thing) ?? [];
    this.#joining.delete(thing);
    if (waiting.length === 0) this.#rejoin(thing, at);
    for (const joined of waiting) joined(at);
  }

  #rejoin(thing: string, at: EpochMs): void {
    if (this.#watched.has(thing)) for (const listener of this.#rejoinListeners) listener(thing, at);
  }

  #sendDurable(): void {
    this.#cancelDurable?.();
    this.#cancelDurable = null;
    if (this.#held > 0 || this.#phase !== "ready" || this.#durable === null) return;
    if (this.#durable === this.#durableSent) return;
    this.#child?.send({ type: "durable", offset: this.#durable });
    this.#durableSent = this.#durable;
    this.#cancelDurable = this.#options.scheduler.after(DURABLE_PERIOD, () => this.#sendDurable());
  }

  #ask<Q extends Question>(question: Q): Promise<Answers[Q["kind"]]> {
    if (this.#phase === "closed") return Promise.reject(unavailable("it is closed"));
    return this.#questions.ask(question);
  }
}

function subscribe<L>(listeners: Set<L>, listener: L): Cancel {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function unavailable(reason: string): TidewireError {
  return new TidewireError("STORE_UNAVAILABLE", { reason });
}
