/** Users' queries as metrics: how many, how they ended, what they took. */
import { isTidewireError } from "../../base/mod.ts";
import type { Counter, ErrorCode, Metrics, Millis } from "../../base/mod.ts";
import type { AnswerDone } from "./worker.ts";

export interface AskGauges {
  readonly running: () => number;
  readonly waiting: () => number;
  readonly processes: () => number;
}

/** Reasons of a refusal that have a counter of their own; all others are "other". */
const CODES: readonly ErrorCode[] = [
  "QUERY_SQL_INVALID",
  "QUERY_NOT_ALLOWED",
  "QUERY_FAILED",
  "QUERY_TOO_SLOW",
  "QUERY_TOO_MUCH_MEMORY",
  "QUERY_ANSWER_TOO_LARGE",
  "QUERY_BUSY",
  "STORE_UNAVAILABLE",
];

export class AskMetrics {
  readonly #answered: Counter;
  readonly #brokenOff: Counter;
  readonly #abandoned: Counter;
  readonly #refused: ReadonlyMap<ErrorCode, Counter>;
  readonly #other: Counter;
  readonly #rows: Counter;
  readonly #bytes: Counter;
  readonly #seconds: Counter;
  readonly #waitSeconds: Counter;
  readonly #started: Counter;
  readonly #killed: Counter;

  constructor(metrics: Metrics, gauges: AskGauges) {
    const counter = (name: string, help: string, labels: Readonly<Record<string, string>> = {}): Counter =>
      metrics.counter({ name: `tidewire_query_${name}`, help, labels });
    const refused = (reason: string): Counter =>
      counter("refused_total", "Users' queries that were refused or stopped before an answer began, by reason.", {
        reason,
      });
    this.#answered = counter("answered_total", "Users' queries that were answered whole.");
    this.#brokenOff = counter("ended_early_total", "Users' queries that ended without a whole answer.");
    this.#abandoned = counter("abandoned_total", "Users' queries whose client went away before the answer began.");
    this.#refused = new Map(CODES.map((code) => [code, refused(code)]));
    this.#other = refused("other");
    this.#rows = counter("rows_total", "Rows of users' queries.");
    this.#bytes = counter("bytes_total", "Bytes of users' queries' answers.");
    this.#seconds = counter("seconds_total", "Seconds that users' queries ran.");
    this.#waitSeconds = counter("wait_seconds_total", "Seconds until the first byte of an answer, or its refusal.");
    this.#started = counter("processes_started_total", "Processes that were started for users' queries.");
    this.#killed = counter("processes_killed_total", "Processes that were ended with their query.");
    const observe = (name: string, help: string, read: () => number): void =>
      metrics.observe({ name: `tidewire_query_${name}`, help }, read);
    observe("running", "Users' queries that run now.", gauges.running);
    observe("waiting", "Users' queries that wait for their turn.", gauges.waiting);
    observe("processes", "Processes that answer users' queries.", gauges.processes);
  }

  /** `error` null: its client went away. */
  refused(error: unknown): void {
    if (error === null) this.#abandoned.value++;
    else ((isTidewireError(error) ? this.#refused.get(error.code) : undefined) ?? this.#other).value++;
  }

  waited(time: Millis): void {
    this.#waitSeconds.value += time / 1000;
  }

  ended(done: AnswerDone | null, time: Millis): void {
    this.#seconds.value += time / 1000;
    if (done === null) {
      this.#brokenOff.value++;
      return;
    }
    this.#answered.value++;
    this.#rows.value += done.rows;
    this.#bytes.value += done.bytes;
  }

  started(): void {
    this.#started.value++;
  }

  killed(): void {
    this.#killed.value++;
  }
}
