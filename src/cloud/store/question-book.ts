/** Questions on their way to the store: bounded, each with a time limit, kept while the process is being started. */
import { TidewireError, seconds } from "../../base/mod.ts";
import type { Limits, Millis, Scheduler } from "../../base/mod.ts";
import type { Answers, Question, ToStore } from "./protocol.ts";
import type { StoreMetrics } from "./store-metrics.ts";

interface Waiting {
  readonly question: Question;
  /** Whether a process has got it; one that has not can still be asked of the next. */
  sent: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The process stops a slow query itself; if it does not even say so, it hangs. */
const GRACE: Millis = seconds(2);

export class QuestionBook {
  readonly #limits: Limits["telemetry"];
  readonly #scheduler: Scheduler;
  readonly #metrics: StoreMetrics;
  readonly #waiting = new Map<number, Waiting>();
  #send: ((order: ToStore) => void) | null = null;
  #lastId = 0;

  constructor(limits: Limits["telemetry"], scheduler: Scheduler, metrics: StoreMetrics) {
    this.#limits = limits;
    this.#scheduler = scheduler;
    this.#metrics = metrics;
  }

  async ask<Q extends Question>(question: Q): Promise<Answers[Q["kind"]]> {
    this.#metrics.queries.value++;
    const id = ++this.#lastId;
    let cancel = (): void => {};
    try {
      return await new Promise<Answers[Q["kind"]]>((resolve, reject) => {
        const { queriesWaitingMax, queryTimeout } = this.#limits;
        if (this.#waiting.size >= queriesWaitingMax) {
          reject(new TidewireError("STORE_UNAVAILABLE", { reason: `${queriesWaitingMax} questions wait already` }));
          return;
        }
        this.#waiting.set(id, {
          question,
          sent: false,
          resolve: (value) => resolve(value as Answers[Q["kind"]]),
          reject,
        });
        cancel = this.#scheduler.after(queryTimeout + GRACE, () => this.#late(id));
        this.#dispatch(id);
      });
    } catch (error) {
      this.#metrics.queriesFailed.value++;
      throw error;
    } finally {
      cancel();
    }
  }

  /** A process is ready: it gets what waits. */
  connect(send: (order: ToStore) => void): void {
    this.#send = send;
    for (const id of this.#waiting.keys()) this.#dispatch(id);
  }

  answer(id: number, value: unknown): void {
    this.#take(id)?.resolve(value);
  }

  refuse(id: number, error: unknown): void {
    this.#take(id)?.reject(error);
  }

  /** The process is gone, and with it what it was asked. */
  failSent(error: unknown): void {
    this.#send = null;
    for (const [id, { sent }] of this.#waiting) if (sent) this.refuse(id, error);
  }

  failAll(error: unknown): void {
    this.#send = null;
    for (const id of this.#waiting.keys()) this.refuse(id, error);
  }

  #dispatch(id: number): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || this.#send === null) return;
    waiting.sent = true;
    this.#send({ type: "ask", id, question: waiting.question });
  }

  #late(id: number): void {
    if (this.#waiting.get(id)?.sent === true) this.#send?.({ type: "forget", id });
    const seconds = (this.#limits.queryTimeout + GRACE) / 1000;
    this.refuse(id, new TidewireError("STORE_UNAVAILABLE", { reason: `it did not answer within ${seconds} s` }));
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}
