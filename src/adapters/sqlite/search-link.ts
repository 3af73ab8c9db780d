/** The thread of the fleet's index as the platform sees it. */
import { Worker } from "node:worker_threads";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { ErrorCode, Logger } from "../../base/mod.ts";
import type { FromSearchThread, SearchOrder, SearchResults, SearchThreadStart } from "./search-protocol.ts";

/** Orders under way; the platform waits for its own, so the rest are people's questions. */
const PENDING_MAX = 200;

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

export class SearchLink {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  /** Settled with whether the index has everything. */
  readonly ready: Promise<boolean>;
  #started: (complete: boolean) => void = () => {};
  #failed: (error: unknown) => void = () => {};
  #id = 0;
  #ended: string | null = null;
  #closing = false;

  constructor({ path, tenant = "default", logger }: { path: string; tenant?: string; logger: Logger }) {
    this.ready = new Promise<boolean>((resolve, reject) => {
      this.#started = resolve;
      this.#failed = reject;
    });
    this.ready.catch(() => {}); // whoever asks hears of it
    const file = new URL("search-thread.ts", import.meta.url);
    const start: SearchThreadStart = { path, tenant };
    this.#worker = new Worker(file, { workerData: start, execArgv: [], name: "search" });
    this.#worker.on("message", (news: FromSearchThread) => this.#take(news, logger));
    this.#worker.on("error", (error) => this.#end(reasonOf(error), logger));
    this.#worker.on("exit", () => this.#end("its thread ended", logger));
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Throws what the index refuses, TOO_MANY_REQUESTS, or SEARCH_UNAVAILABLE. */
  ask<O extends SearchOrder>(order: O): Promise<SearchResults[O["order"]]> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(new TidewireError("SEARCH_UNAVAILABLE", { reason: this.#ended }));
      if (order.order === "answer" && this.#pending.size >= PENDING_MAX) {
        return reject(new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a second" }));
      }
      const id = ++this.#id;
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, order });
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#ended === null) await this.ask({ order: "close" }).catch(() => {});
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

  #end(reason: string, logger: Logger): void {
    if (this.#ended !== null) return;
    this.#ended = reason;
    const error = new TidewireError("SEARCH_UNAVAILABLE", { reason });
    if (!this.#closing) logger.error("The fleet's index has ended", { reason });
    this.#failed(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
