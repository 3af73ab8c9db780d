/** The thread of the fleet's index as the platform sees it. One that dies is started again, each time a little later. */
import { Worker } from "node:worker_threads";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Cancel, Counter, ErrorCode, Logger, Metrics } from "../../base/mod.ts";
import type { FromSearchThread, SearchOrder, SearchResults, SearchThreadStart } from "./search-protocol.ts";

/** Orders under way; the platform waits for its own, so the rest are people's questions. */
const PENDING_MAX = 200;
/** Until a thread that died is started again; twice as long each time, unless it lived longer than the longest. */
const RESTART_MS = { min: 500, max: 60_000 };

export interface SearchLinkOptions {
  readonly path: string;
  readonly tenant?: string;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  readonly restartMs?: { readonly min: number; readonly max: number };
  readonly spawn?: (start: SearchThreadStart) => Worker;
}

export class SearchLink {
  readonly #o: SearchLinkOptions;
  readonly #restarts: Counter;
  readonly #listeners = new Set<() => void>();
  #thread: Thread;
  #startedAt = 0;
  #delayMs: number;
  #timer: NodeJS.Timeout | null = null;
  #closing = false;

  constructor(options: SearchLinkOptions) {
    this.#o = options;
    this.#delayMs = (options.restartMs ?? RESTART_MS).min;
    this.#restarts = options.metrics?.counter({
      name: "tidewire_search_restarts_total",
      help: "Times that the thread of the fleet's index died and was started again",
    }) ?? { value: 0 };
    this.#thread = this.#started();
  }

  /** Settled with whether the index has everything; of the thread that is there now, or was last. */
  get ready(): Promise<boolean> {
    return this.#thread.ready;
  }

  get pending(): number {
    return this.#thread.pending;
  }

  /** Why nothing can be asked now; null where it can. */
  get problem(): string | null {
    return this.#thread.ended;
  }

  /** Told when a thread has taken the place of one that died, and what was on its way to that one is lost. */
  onRestart(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Throws what the index refuses, TOO_MANY_REQUESTS, or SEARCH_UNAVAILABLE. */
  ask<O extends SearchOrder>(order: O): Promise<SearchResults[O["order"]]> {
    return this.#thread.ask(order);
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#thread.close();
  }

  #started(): Thread {
    this.#startedAt = performance.now();
    const { path, tenant = "default", logger, spawn = spawned } = this.#o;
    return new Thread(spawn({ path, tenant }), logger, (reason) => this.#died(reason));
  }

  #died(reason: string): void {
    if (this.#closing) return;
    const { min, max } = this.#o.restartMs ?? RESTART_MS;
    if (performance.now() - this.#startedAt > max) this.#delayMs = min;
    const inMs = this.#delayMs;
    this.#delayMs = Math.min(2 * inMs, max);
    this.#o.logger.error("The fleet's index has ended, and is started again", { reason, inMs });
    this.#timer = setTimeout(() => this.#again(), inMs);
    this.#timer.unref();
  }

  #again(): void {
    this.#restarts.value++;
    this.#thread = this.#started();
    for (const listener of this.#listeners) listener();
  }
}

function spawned(start: SearchThreadStart): Worker {
  return new Worker(new URL("search-thread.ts", import.meta.url), { workerData: start, execArgv: [], name: "search" });
}

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

class Thread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly ready: Promise<boolean>;
  #started: (complete: boolean) => void = () => {};
  #failed: (error: unknown) => void = () => {};
  #id = 0;
  ended: string | null = null;

  constructor(worker: Worker, logger: Logger, died: (reason: string) => void) {
    this.ready = new Promise<boolean>((resolve, reject) => {
      this.#started = resolve;
      this.#failed = reject;
    });
    this.ready.catch(() => {}); // whoever asks hears of it
    this.#worker = worker;
    worker.on("message", (news: FromSearchThread) => this.#take(news, logger));
    worker.on("error", (error) => this.#end(reasonOf(error)));
    worker.on("exit", () => {
      this.#end("its thread ended");
      died(this.ended!); // not before: until now it has the file open
    });
  }

  get pending(): number {
    return this.#pending.size;
  }

  ask<O extends SearchOrder>(order: O): Promise<SearchResults[O["order"]]> {
    return new Promise((resolve, reject) => {
      if (this.ended !== null) return reject(new TidewireError("SEARCH_UNAVAILABLE", { reason: this.ended }));
      if (order.order === "answer" && this.#pending.size >= PENDING_MAX) {
        return reject(new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a second" }));
      }
      const id = ++this.#id;
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, order });
    });
  }

  async close(): Promise<void> {
    if (this.ended === null) await this.ask({ order: "close" }).catch(() => {});
    await this.#worker.terminate();
  }

  #take(news: FromSearchThread, logger: Logger): void {
    if (news.type === "ready") {
      if (news.replaced !== null) logger.warn("The fleet's index is made anew", { reason: news.replaced });
      return this.#started(news.complete);
    }
    const pending = this.#pending.get(news.id);
    this.#pending.delete(news.id);
    if (news.type === "done") pending?.resolve(news.result as never);
    else if (news.code === null) pending?.reject(new TidewireError("SEARCH_UNAVAILABLE", { reason: news.reason }));
    else pending?.reject(new TidewireError(news.code as ErrorCode, news.details));
  }

  #end(reason: string): void {
    if (this.ended !== null) return;
    this.ended = reason;
    const error = new TidewireError("SEARCH_UNAVAILABLE", { reason });
    this.#failed(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
