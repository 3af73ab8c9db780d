/** One asking process as its owner sees it: asked step by step, its answer a stream with back-pressure, killed at any moment. */
import { Readable } from "node:stream";
import { TidewireError } from "../../base/mod.ts";
import type { Parameters, TimeRange, UserRelation } from "../../adapters/duckdb/mod.ts";
import type { AskerEvents, AskerProcess } from "./child.ts";
import type { FromAsker, RunOrder, ToAsker } from "./protocol.ts";

export interface AnswerDone {
  readonly bytes: number;
  readonly rows: number;
  readonly truncated: boolean;
}

/** What a statement reads. */
export interface Checked {
  readonly relations: readonly UserRelation[];
  /** Of telemetry and rollups: nothing outside of it can matter. */
  readonly range: TimeRange;
}

/** What the worker is waiting for, or is in the middle of. */
type State =
  | { readonly is: "idle" }
  /** The next step's news. */
  | { readonly is: "asked"; readonly resolve: (news: FromAsker) => void; readonly reject: (error: unknown) => void }
  | { readonly is: "answering"; readonly stream: Readable; received: number; done: AnswerDone | null }
  | { readonly is: "dead"; readonly reason: unknown };

export type StartAsker = (events: AskerEvents) => AskerProcess;

export class Worker {
  readonly #process: AskerProcess;
  #state: State = { is: "idle" };
  #onEnd: (done: AnswerDone | null) => void = () => {};
  /** Bytes that were faster than the news that they come: one chunk, the pipe waits. */
  readonly #early: Uint8Array[] = [];

  private constructor(start: StartAsker) {
    this.#process = start({
      news: (news) => this.#news(news),
      bytes: (bytes) => this.#bytes(bytes),
      exit: (reason) => this.kill(unavailable(`the process that answered it ended: ${reason}`)),
    });
  }

  static async start(start: StartAsker): Promise<Worker> {
    const worker = new Worker(start);
    await worker.#expect("ready");
    return worker;
  }

  get alive(): boolean {
    return this.#state.is !== "dead";
  }

  /** What the statement reads; throws the refusal. */
  async check(sql: string, parameters: Parameters): Promise<Checked> {
    const { relations, range } = await this.#step({ type: "check", sql, parameters }, "checked");
    return { relations, range };
  }

  /**
   * The answer, once its first bytes are there; throws the refusal. `onEnd` is called once: with what was answered, or null
   * where it broke off, and then the worker is dead.
   */
  run(order: RunOrder, onEnd: (done: AnswerDone | null) => void): Promise<Readable> {
    return new Promise((resolve, reject) => {
      if (this.#state.is === "dead") {
        reject(this.#state.reason);
        return;
      }
      // In the call itself, not after an `await`: the news that it is done may come in the same turn.
      const begin = (news: FromAsker): void => {
        if (news.type === "refused") reject(errorOf(news));
        else resolve(this.#begin(news, onEnd));
      };
      this.#state = { is: "asked", resolve: begin, reject };
      this.#process.send(order);
    });
  }

  /** Ends the process at once, and whatever it was asked with `reason`. */
  kill(reason: unknown): void {
    const state = this.#state;
    if (state.is === "dead") return;
    this.#state = { is: "dead", reason };
    this.#process.kill();
    if (state.is === "asked") state.reject(reason);
    if (state.is !== "answering") return;
    state.stream.destroy(reason instanceof Error ? reason : new Error(String(reason)));
    this.#ended(null);
  }

  #begin(news: FromAsker, onEnd: (done: AnswerDone | null) => void): Readable {
    const stream: Readable = new Readable({
      read: () => this.#process.resume(),
      destroy: (error, callback) => {
        this.#abandon(stream, error);
        callback(error);
      },
    });
    stream.on("error", () => {}); // whoever reads it hears of it, too; nobody must
    this.#onEnd = onEnd;
    this.#state = { is: "answering", stream, received: 0, done: null };
    for (const bytes of this.#early.splice(0)) this.#bytes(bytes);
    if (news.type === "done") this.#news(news); // nothing at all: no rows of NDJSON
    return stream;
  }

  async #step<T extends FromAsker["type"]>(order: ToAsker, wanted: T): Promise<Extract<FromAsker, { type: T }>> {
    const news = await this.#ask(order);
    if (news.type === "refused") throw errorOf(news);
    if (news.type !== wanted) throw new Error(`an asking process said '${news.type}' instead of '${wanted}'`);
    return news as Extract<FromAsker, { type: T }>;
  }

  async #expect(wanted: FromAsker["type"]): Promise<void> {
    const news = await this.#wait();
    if (news.type !== wanted) throw new Error(`an asking process said '${news.type}' instead of '${wanted}'`);
  }

  #ask(order: ToAsker): Promise<FromAsker> {
    const waiting = this.#wait();
    this.#process.send(order);
    return waiting;
  }

  #wait(): Promise<FromAsker> {
    return new Promise((resolve, reject) => {
      if (this.#state.is === "dead") reject(this.#state.reason);
      else this.#state = { is: "asked", resolve, reject };
    });
  }

  #news(news: FromAsker): void {
    const state = this.#state;
    if (state.is === "asked") {
      this.#state = { is: "idle" };
      state.resolve(news);
    } else if (state.is === "answering" && news.type === "done") {
      state.done = news;
      this.#finish(state);
    } else if (news.type === "refused") this.kill(errorOf(news)); // in the middle of an answer, or of its own
  }

  #bytes(bytes: Uint8Array): boolean {
    const state = this.#state;
    if (state.is === "answering") {
      state.received += bytes.length;
      const more = state.stream.push(bytes);
      this.#finish(state);
      return more;
    }
    this.#early.push(bytes);
    return false;
  }

  #finish(state: Extract<State, { is: "answering" }>): void {
    if (state.done === null || state.received < state.done.bytes) return;
    this.#state = { is: "idle" };
    state.stream.push(null);
    this.#ended(state.done);
  }

  /** The reader went away; an answer that was given whole is not abandoned. */
  #abandon(stream: Readable, error: Error | null): void {
    if (this.#state.is === "answering" && this.#state.stream === stream)
      this.kill(error ?? unavailable("nobody waits for the answer"));
  }

  #ended(done: AnswerDone | null): void {
    const onEnd = this.#onEnd;
    this.#onEnd = () => {};
    onEnd(done);
  }
}

function errorOf({ code, details }: Extract<FromAsker, { type: "refused" }>): TidewireError {
  return new TidewireError(code, details);
}

function unavailable(reason: string): TidewireError {
  return new TidewireError("STORE_UNAVAILABLE", { reason });
}
