/**
 * The times of the points in a generation's tables. A part of a plan takes 0.3 ms also where it has no row of the range, and most
 * questions about the past want none of the newest hour.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { EpochMs } from "../../base/mod.ts";
import type { PointBatch } from "../../telemetry/mod.ts";
import { eachChunkAtOnce } from "./columns.ts";

interface Span {
  first: EpochMs;
  last: EpochMs;
}

export class TableTimes {
  readonly #spans = { numbers: nothing(), texts: nothing() };

  static async of(connection: DuckDBConnection, generation: number): Promise<TableTimes> {
    const times = new TableTimes();
    for (const kind of ["numbers", "texts"] as const) {
      const sql = `SELECT min(time)::DOUBLE, max(time)::DOUBLE FROM ${kind}_${generation}`;
      await eachChunkAtOnce(connection, sql, ([first, last]) => {
        if (first![0] === null) return;
        widen(times.#spans[kind], first![0] as number);
        widen(times.#spans[kind], last![0] as number);
      });
    }
    return times;
  }

  /** Before a commit shows its rows to anybody. */
  take({ times, count, textTimes }: PointBatch): void {
    const { numbers, texts } = this.#spans;
    for (let row = 0; row < count; row++) widen(numbers, times[row]!);
    for (const time of textTimes) widen(texts, time);
  }

  /** Whether there may be rows with from <= time < to. */
  overlap(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): boolean {
    const { first, last } = this.#spans[kind];
    return first < to && last >= from;
  }
}

function nothing(): Span {
  return { first: Infinity, last: -Infinity };
}

function widen(span: Span, time: EpochMs): void {
  if (time < span.first) span.first = time;
  if (time > span.last) span.last = time;
}
