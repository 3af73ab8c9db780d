/** Points in several generations with their rollups as tables: what compaction leaves, without files. */
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { LIMITS } from "../../base/mod.ts";
import { PointBatch, ROLLUPS, ROLLUP_WIDTH, SeriesBook, answerSeries, typeOf } from "../../telemetry/mod.ts";
import type { Level, SeriesQuery, SeriesResult } from "../../telemetry/mod.ts";
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
  /** The points themselves are read. */
  isSmall = false;
  readonly series = new SeriesBook(LIMITS.telemetry);
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #times: Readonly<Record<"numbers" | "texts", number[]>> = { numbers: [], texts: [] };
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
    for (const time of points.times.subarray(0, points.count)) this.#times.numbers.push(time);
    this.#times.texts.push(...points.textTimes);
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
    const all = (of: (generation: number) => string): string =>
      Array.from({ length: this.#generations }, (_, i) => of(i + 1)).join(" UNION ALL ");
    const relations: Relations = {
      incomplete: false,
      knownFrom: (level) => this.knownFrom.get(level) ?? 0,
      numbers: async () => all((generation) => generationPoints("numbers", generation)),
      texts: async () => all((generation) => generationPoints("texts", generation)),
      rollup: async (level) => all((generation) => `SELECT * FROM rollup_${level}_${generation}`),
      isEmpty: (kind, from, to) => !this.#times[kind].some((time) => time >= from && time < to),
      // Or as if there were so many points that coarser levels are always worth it.
      rowsRead: (level, _, from, to) =>
        this.isSmall ? 0 : ((to - from) / (level === "raw" ? 1 : ROLLUP_WIDTH[level])) * 1e6,
    };
    return answerSeries(new DuckSeriesReader(this.#connection, relations, this.series), query);
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}
