/** Answers of the HTTP API, counted: all by class of status, and what was refused by the error's code. */
import { ERROR_CATALOGUE } from "../../base/mod.ts";
import type { Counter, ErrorCode, Metrics, TidewireError } from "../../base/mod.ts";

const CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;

export class ResponseMetrics {
  readonly #classes: readonly Counter[];
  readonly #refusals: ReadonlyMap<ErrorCode, Counter>;

  constructor(metrics: Metrics) {
    this.#classes = CLASSES.map((status) =>
      metrics.counter({
        name: "tidewire_http_responses_total",
        help: "Answers of the HTTP API by class of status",
        labels: { status },
      }),
    );
    const codes = Object.entries(ERROR_CATALOGUE).filter(([, entry]) => entry.http !== undefined);
    this.#refusals = new Map(
      codes.map(([code]) => [
        code as ErrorCode,
        metrics.counter({
          name: "tidewire_http_refusals_total",
          help: "Requests of the HTTP API that were refused or failed, by error code",
          labels: { code },
        }),
      ]),
    );
  }

  count(status: number): void {
    const counter = this.#classes[Math.floor(status / 100) - 1];
    if (counter !== undefined) counter.value++;
  }

  countRefusal(error: TidewireError): void {
    const counter = this.#refusals.get(error.code);
    if (counter !== undefined) counter.value++;
  }
}
