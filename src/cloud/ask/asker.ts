/**
 * Users' queries: a few processes, one query in each, the rest waits in turn. A query that takes too long, whose client goes
 * away, or that its process does not survive is ended by ending the process; ingestion and the store never notice.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { TidewireError } from "../../base/mod.ts";
import type { Cancel, Clock, Limits, Logger, Metrics, Millis, Scheduler } from "../../base/mod.ts";
import type { Parameters, TimeRange, UserRelation, UserSnapshot } from "../../adapters/duckdb/mod.ts";
import { AskMetrics } from "./metrics.ts";
import type { AnswerFormat, RunOrder } from "./protocol.ts";
import { Worker } from "./worker.ts";
import type { AnswerDone, StartAsker } from "./worker.ts";

export interface AskRequest {
  readonly sql: string;
  readonly parameters: Parameters;
  readonly format: AnswerFormat;
  /** The plan instead of the rows. */
  readonly explain: boolean;
  /** Of a JSON answer. */
  readonly rowsMax: number;
  /** From the moment it runs to its last byte. */
  readonly timeout: Millis;
}

export interface AskAnswer {
  /** The bytes in the format that was asked for. */
  readonly stream: Readable;
  /** Files that should have been read are damaged. */
  readonly incomplete: boolean;
}

const NOTHING: UserSnapshot = { views: [], incomplete: false };

export interface AskOptions {
  /** Its own; emptied at the start. In the file system of the data folder, so that files can be linked. */
  readonly folder: string;
  readonly start: StartAsker;
  /** Puts the files of these relations into `folder` and says how they are read. */
  readonly snapshot: (folder: string, relations: readonly UserRelation[], range: TimeRange) => Promise<UserSnapshot>;
  readonly limits: Limits["asking"];
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface Waiting {
  readonly go: () => void;
  readonly refuse: (error: unknown) => void;
}

interface Idle {
  readonly worker: Worker;
  readonly cancel: Cancel;
}

export class Asker {
  readonly #options: AskOptions;
  readonly #metrics: AskMetrics;
  /** Bounded by `queriesRunningMax`. */
  readonly #idle: Idle[] = [];
  readonly #busy = new Set<Worker>();
  /** Bounded by `queriesWaitingMax`. */
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #folders = 0;
  #closed = false;

  constructor(options: AskOptions) {
    this.#options = options;
    this.#metrics = new AskMetrics(options.metrics, {
      running: () => this.#running,
      waiting: () => this.#waiting.length,
      processes: () => this.#busy.size + this.#idle.length,
    });
  }

  /** What a run before this one may have left. */
  async start(): Promise<void> {
    await rm(this.#options.folder, { recursive: true, force: true });
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
  }

  /**
   * The answer, once its first bytes are there; destroying it ends the query. Throws QUERY_… refusals, STORE_UNAVAILABLE
   * (retryable), or what `signal` was aborted with.
   */
  async ask(request: AskRequest, signal: AbortSignal): Promise<AskAnswer> {
    const { clock } = this.#options;
    const begun = clock.monotonic();
    try {
      await this.#turn(signal);
      return await this.#run(request, signal);
    } catch (error) {
      this.#metrics.refused(signal.aborted ? null : error);
      throw error;
    } finally {
      this.#metrics.waited(clock.monotonic() - begun);
    }
  }

  /** Ends everything that runs. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = unavailable("it is closing");
    for (const { refuse } of this.#waiting.splice(0)) refuse(reason);
    for (const { worker, cancel } of this.#idle.splice(0)) {
      cancel();
      worker.kill(reason);
    }
    for (const worker of this.#busy) worker.kill(reason);
    await rm(this.#options.folder, { recursive: true, force: true });
  }

  /** Resolves when a query may run; the caller then holds one of the places. */
  async #turn(signal: AbortSignal): Promise<void> {
    const { limits, scheduler } = this.#options;
    signal.throwIfAborted();
    if (this.#closed) throw unavailable("it is closed");
    if (this.#running < limits.queriesRunningMax) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= limits.queriesWaitingMax) {
      throw busy(`${this.#running} queries run and ${this.#waiting.length} wait already`);
    }
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        cancel();
        signal.removeEventListener("abort", aborted);
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
      };
      const waiting: Waiting = {
        go: () => {
          leave();
          resolve();
        },
        refuse: (error) => {
          leave();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      };
      const aborted = (): void => waiting.refuse(signal.reason);
      const cancel = scheduler.after(limits.queryWaitMax, () =>
        waiting.refuse(busy(`it waited ${limits.queryWaitMax / 1000} s for its turn`)),
      );
      signal.addEventListener("abort", aborted);
      this.#waiting.push(waiting);
    });
  }

  /** Gives the place to the next one, or back. */
  #leave(): void {
    const next = this.#waiting[0];
    if (next === undefined) this.#running--;
    else next.go();
  }

  async #run(request: AskRequest, signal: AbortSignal): Promise<AskAnswer> {
    const { scheduler } = this.#options;
    const begun = this.#options.clock.monotonic();
    let worker: Worker | null = null;
    let stopped: Error | null = null;
    const stop = (reason: Error): void => {
      stopped ??= reason;
      worker?.kill(reason);
    };
    const late = new TidewireError("QUERY_TOO_SLOW", { limit: `${request.timeout / 1000} s` });
    const cancel = scheduler.after(request.timeout, () => stop(late));
    const aborted = (): void => stop(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    signal.addEventListener("abort", aborted);
    const folder = join(this.#options.folder, String(++this.#folders));
    const end = (done: AnswerDone | null): void => {
      cancel();
      signal.removeEventListener("abort", aborted);
      if (worker !== null) this.#release(worker);
      this.#metrics.ended(done, this.#options.clock.monotonic() - begun);
      void this.#remove(folder);
      this.#leave();
    };
    try {
      worker = await this.#take();
      if (stopped !== null) throw stopped as Error;
      return await this.#answer(worker, request, folder, end);
    } catch (error) {
      if (stopped !== null) worker?.kill(stopped);
      end(null);
      throw stopped ?? error;
    }
  }

  /** `end` is called by the worker once there is an answer; where this throws, by the caller. */
  async #answer(
    worker: Worker,
    request: AskRequest,
    folder: string,
    end: (done: AnswerDone | null) => void,
  ): Promise<AskAnswer> {
    const { parameters, format, explain, rowsMax } = request;
    const { relations, range } = await worker.check(request.sql, parameters);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const snapshot = relations.length === 0 ? NOTHING : await this.#options.snapshot(folder, relations, range);
    const { views, incomplete } = snapshot;
    const order: RunOrder = { type: "run", folder, views, parameters, format, explain, rowsMax, incomplete };
    return { stream: await worker.run(order, end), incomplete };
  }

  async #take(): Promise<Worker> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.cancel();
      if (!idle.worker.alive) continue;
      this.#busy.add(idle.worker);
      return idle.worker;
    }
    this.#metrics.started();
    const worker = await Worker.start(this.#options.start);
    this.#busy.add(worker);
    if (this.#closed) worker.kill(unavailable("it is closing"));
    return worker;
  }

  #release(worker: Worker): void {
    this.#busy.delete(worker);
    if (!worker.alive) {
      this.#metrics.killed();
      return;
    }
    if (this.#closed) return worker.kill(unavailable("it is closing"));
    const { scheduler, limits } = this.#options;
    const cancel = scheduler.after(limits.idleMax, () => {
      this.#idle.splice(this.#idle.indexOf(idle), 1);
      worker.kill(unavailable("nobody asks"));
    });
    const idle: Idle = { worker, cancel };
    this.#idle.push(idle);
  }

  async #remove(folder: string): Promise<void> {
    try {
      await rm(folder, { recursive: true, force: true });
    } catch (error) {
      this.#options.logger.warn("The files of a query could not be removed; the next start does it", { folder, error });
    }
  }
}

function busy(reason: string): TidewireError {
  return new TidewireError("QUERY_BUSY", { reason });
}

function unavailable(reason: string): TidewireError {
  return new TidewireError("STORE_UNAVAILABLE", { reason });
}
