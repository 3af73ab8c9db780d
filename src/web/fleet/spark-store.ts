/** Points of the small lines in the fleet's table: history once per visible row, then live headline values. */
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { minutes, seconds } from "../../base/mod.ts";
import type { LatestValue, SeriesResult } from "../../cloud/api/contract.ts";
import { call, withQuery } from "../api/client.ts";
import type { SparkPoint } from "../charts/sparkline.tsx";
import { windowStart, windowText } from "../charts/ranges.ts";
import type { HeadlineColumn } from "./headline.ts";

export const SPARK_SPAN = minutes(15);
export const SPARK_WINDOW = seconds(15);
/** Requests at once: the table must not keep the rest of the page waiting. */
const REQUESTS_MAX = 3;

interface Spark {
  readonly points: Signal<readonly SparkPoint[]>;
  loaded: boolean;
}

export class SparkStore {
  readonly #sparks = new Map<string, Spark>();
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;
  readonly #abort = new AbortController();

  points(thing: string, column: HeadlineColumn): Signal<readonly SparkPoint[]> {
    return this.#spark(thing, column).points;
  }

  /** To be called when the row comes into sight. */
  want(thing: string, column: HeadlineColumn): void {
    const spark = this.#spark(thing, column);
    if (spark.loaded) return;
    spark.loaded = true;
    this.#waiting.push(() => this.#load(thing, column, spark));
    this.#pump();
  }

  /** A live value: the last point of its window. */
  add(thing: string, column: HeadlineColumn, { time, value }: LatestValue): void {
    const spark = this.#sparks.get(keyOf(thing, column));
    if (spark === undefined || typeof value !== "number") return;
    spark.points.value = withPoint(spark.points.peek(), { time, value });
  }

  stop(): void {
    this.#abort.abort();
    this.#waiting.length = 0;
  }

  #spark(thing: string, column: HeadlineColumn): Spark {
    const key = keyOf(thing, column);
    let spark = this.#sparks.get(key);
    if (spark === undefined) this.#sparks.set(key, (spark = { points: signal([]), loaded: false }));
    return spark;
  }

  #pump(): void {
    while (this.#running < REQUESTS_MAX) {
      const task = this.#waiting.shift();
      if (task === undefined) return;
      this.#running++;
      void task().finally(() => {
        this.#running--;
        this.#pump();
      });
    }
  }

  async #load(thing: string, { measurement, field }: HeadlineColumn, spark: Spark): Promise<void> {
    const path = withQuery("api/series", {
      thing,
      measurement,
      fields: field,
      from: `-${SPARK_SPAN / 60_000}m`,
      to: "now",
      window: windowText(SPARK_WINDOW),
      aggregate: "avg",
    });
    try {
      const { series } = await call<SeriesResult>(path, { signal: this.#abort.signal });
      const history = (series[0]?.times ?? []).map((time, i) => ({ time, value: Number(series[0]!.values[i]) }));
      const live = spark.points.peek();
      let merged: readonly SparkPoint[] = history;
      for (const point of live) merged = withPoint(merged, point);
      spark.points.value = merged;
    } catch {
      // A missing small line is not worth a message; it is tried again with the next page.
      spark.loaded = false;
    }
  }
}

/** Adds a newest point; within one window the newest replaces the one before. */
export function withPoint(points: readonly SparkPoint[], point: SparkPoint): readonly SparkPoint[] {
  const last = points.at(-1);
  if (last !== undefined && point.time < last.time) return points;
  const same = last !== undefined && windowStart(last.time, SPARK_WINDOW) === windowStart(point.time, SPARK_WINDOW);
  const kept = same ? points.slice(0, -1) : points;
  const from = point.time - SPARK_SPAN - SPARK_WINDOW;
  return [...kept.filter(({ time }) => time >= from), point];
}

function keyOf(thing: string, { measurement, field }: HeadlineColumn): string {
  return `${thing}\t${measurement}\t${field}`;
}
