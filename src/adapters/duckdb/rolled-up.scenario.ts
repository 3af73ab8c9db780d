/** Points in several generations with their rollups as tables: what compaction leaves, without files. */
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { LIMITS } from "../../base/mod.ts";
import { PointBatch, ROLLUPS, ROLLUP_WIDTH, SeriesBook, answerSeries, typeOf } from "../../telemetry/mod.ts";
import type { Level, SeriesQuery, SeriesResult } from "../../telemetry/mod.ts";
import { ROW_GROUP_ROWS } from "./cold-files.ts";
import { appendPoints } from "./columns.ts";
import { generationPoints } from "./layout.ts";
import { mergedRollup, numbersAsRollup, textsAsRollup } from "./rollup.ts";
import { newGeneration } from "./schema.ts";
import { DuckSeriesReader } from "./series-reader.ts";
import type { Relations } from "./series-reader.ts";
import type { Reading } from "./store.scenario.ts";

export class RolledUp {
  /** What retention has removed. The tables keep it, so that an answer that uses it is noticed. */
  knownFrom: ReadonlyMap<Level, number> = new Map();
  /**
   * What a plan believes is read: as much as it is; or nothing, so that the points themselves are taken; or so many
   * points that coarser levels are always worth it.
   */
  believed: "true" | "nothing" | "too many points" = "too many points";
  readonly series = new SeriesBook(LIMITS.telemetry);
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #batches: Readonly<Record<"numbers" | "texts", Batch[]>> = { numbers: [], texts: [] };
  #generations = 0;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  static async make(): Promise<RolledUp> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await instance.connect();
    await connection.run("CREATE TABLE generations (number INTEGER, below BIGINT, series INTEGER, log VARCHAR)");
    return new RolledUp(instance, connection);
  }

  /** One generation, sealed. */
  async add(points: PointBatch): Promise<void> {
    const number = ++this.#generations;
    this.#batches.numbers.push(
      new Batch(points.series.subarray(0, points.count), points.times.subarray(0, points.count)),
    );
    this.#batches.texts.push(new Batch(points.textSeries, points.textTimes));
    for (const statement of newGeneration(number)) await this.#connection.run(statement);
    await appendPoints(this.#connection, number, points);
    for (const level of ROLLUPS) {
      const numbers = numbersAsRollup(level, generationPoints("numbers", number));
      const texts = textsAsRollup(level, generationPoints("texts", number));
      const partials = `${mergedRollup(numbers)} UNION ALL ${mergedRollup(texts)} ORDER BY series, bucket`;
      await this.#connection.run(`CREATE TABLE rollup_${level}_${number} AS ${partials}`);
    }
  }

  async addReadings(readings: readonly Reading[]): Promise<void> {
    const points = new PointBatch();
    for (const { thing, measurement, field, time, value } of readings) {
      const id = this.series.resolve(this.series.measurement(thing, measurement), field, typeOf(value));
      if (typeof value === "string") points.addText(id, time, value);
      else points.add(id, time, Number(value));
    }
    await this.add(points);
  }

  ask(query: SeriesQuery): Promise<SeriesResult> {
    return answerSeries(this.reader(), query);
  }

  reader(): DuckSeriesReader {
    const all = (of: (generation: number) => string): string =>
      Array.from({ length: this.#generations }, (_, i) => of(i + 1)).join(" UNION ALL ");
    const relations: Relations = {
      incomplete: false,
      knownFrom: (level) => this.knownFrom.get(level) ?? 0,
      numbers: async () => all((generation) => generationPoints("numbers", generation)),
      texts: async () => all((generation) => generationPoints("texts", generation)),
      columns: async () => null,
      tellsExtremes: () => true,
      rollup: async (level) => all((generation) => `SELECT * FROM rollup_${level}_${generation}`),
      isEmpty: (kind, from, to) => this.#batches[kind].every((batch) => batch.between(from, to) === 0),
      rowsRead: (level, kind, from, to, low, high) => {
        const width = level === "raw" ? 1 : ROLLUP_WIDTH[level];
        if (this.believed === "nothing") return 0;
        if (this.believed === "too many points") return ((to - from) / width) * 1e6;
        return this.#batches[kind].reduce((sum, batch) => sum + batch.rowsRead(width, from, to, low, high), 0);
      },
    };
    return new DuckSeriesReader(this.#connection, relations, this.series);
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

/** What of one generation can be said without looking at its points, as of a file. */
class Batch {
  readonly #times: Float64Array;
  #low = Infinity;
  #high = -Infinity;

  constructor(series: ArrayLike<number>, times: ArrayLike<number>) {
    this.#times = Float64Array.from(times).sort();
    for (let i = 0; i < series.length; i++) {
      this.#low = Math.min(this.#low, series[i]!);
      this.#high = Math.max(this.#high, series[i]!);
    }
  }

  between(from: number, to: number): number {
    return this.#countBelow(to) - this.#countBelow(from);
  }

  rowsRead(width: number, from: number, to: number, low: number, high: number): number {
    const overlap = Math.min(high, this.#high) - Math.max(low, this.#low) + 1;
    if (overlap <= 0) return 0;
    const share = (this.between(from, to) * overlap) / (this.#high - this.#low + 1);
    return Math.max(ROW_GROUP_ROWS, Math.min(share, ((to - from) / width) * overlap));
  }

  #countBelow(time: number): number {
    let [low, high] = [0, this.#times.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#times[middle]! < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
