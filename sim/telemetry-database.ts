/** A telemetry store whose file survives its process: a commit is on disk as a whole, or it never was. */
import { LIMITS } from "../src/base/mod.ts";
import type { Scheduler } from "../src/base/mod.ts";
import { LatestBook, NO_EXTENT, SeriesBook } from "../src/telemetry/mod.ts";
import type { Commit, SequenceRow, SeriesEntry, TelemetryStore } from "../src/telemetry/mod.ts";
import type { Life } from "./life.ts";
import type { SimRandom } from "./world.ts";

export interface StoredRow {
  readonly thing: string;
  readonly measurement: string;
  readonly field: string;
  readonly time: number;
  readonly value: number | string;
}

export class SimTelemetryDatabase {
  readonly #random: SimRandom;
  readonly #series: SeriesEntry[] = [];
  /** By source and outbox, in the order of last use. */
  readonly #sequences = new Map<string, SequenceRow>();
  offset: number | null = null;
  log: string | null = null;
  rows = 0;
  /** The disk takes no commit. */
  broken = false;
  /** Longest time that a half of a commit takes, in milliseconds. */
  latencyMax = 20;
  /** Told in the moment in which rows are on disk. */
  onRows: (rows: readonly StoredRow[], offset: number) => void = () => {};

  constructor(random: SimRandom) {
    this.#random = random;
  }

  /** Its file is gone: a view of the log, which can be made anew. No process may have it open. */
  wipe(): void {
    this.#series.length = 0;
    this.#sequences.clear();
    this.offset = null;
    this.log = null;
    this.rows = 0;
  }

  /** As one life of the store process sees it. */
  open(life: Life, scheduler: Scheduler): TelemetryStore {
    const series = new SeriesBook(LIMITS.telemetry);
    for (const entry of this.#series) series.load(entry.id, entry);
    const latest = new LatestBook(series);
    const offset = (): number | null => this.offset;
    const rows = (): number => this.rows;
    let log = this.log;
    return {
      get offset() {
        return offset();
      },
      get rows() {
        return rows();
      },
      get forgettable() {
        return offset() ?? 0;
      },
      get log() {
        return log;
      },
      follow: (other) => {
        log = other;
        return Promise.resolve();
      },
      extent: () => NO_EXTENT,
      series,
      loadSequences: () => Promise.resolve([...this.#sequences.values()]),
      commit: async (commit) => {
        await life.wait(scheduler, this.#random.below(this.latencyMax));
        if (this.broken) throw new Error("IO Error: No space left on device");
        this.#apply(commit, series);
        this.log = log;
        latest.apply(commit.points);
        await life.wait(scheduler, this.#random.below(this.latencyMax));
      },
      retire: () => Promise.reject(new Error("nobody is forgotten in the simulated store")),
      erased: () => Promise.resolve(),
      query: () => Promise.reject(new Error("nobody queries the simulated store")),
      latest: (thing) => ({ thing, values: latest.of(thing) }),
      headline: () => new Map(),
      close: () => Promise.resolve(),
    };
  }

  #apply({ points, sequences, offset }: Commit, series: SeriesBook): void {
    this.#series.push(...series.takeNew());
    for (const row of sequences) {
      const key = `${row.source}\n${row.outbox}`;
      this.#sequences.delete(key);
      if (row.state !== null) this.#sequences.set(key, row);
    }
    const rows: StoredRow[] = [];
    const add = (id: number, time: number, value: number | string): void => {
      const { thing, measurement, field } = series.entry(id);
      rows.push({ thing, measurement, field, time, value });
    };
    for (let i = 0; i < points.count; i++) add(points.series[i]!, points.times[i]!, points.values[i]!);
    for (let i = 0; i < points.texts.length; i++) add(points.textSeries[i]!, points.textTimes[i]!, points.texts[i]!);
    this.offset = offset;
    this.rows += rows.length;
    this.onRows(rows, offset);
  }
}
