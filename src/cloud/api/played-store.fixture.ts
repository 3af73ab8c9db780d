import type { Cancel, EpochMs } from "../../base/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import type { LatestValue, SeriesResult } from "./contract.ts";
import type { LivePoints, ParquetAnswer, TelemetryPort } from "./ports.ts";

/** A store that is told what it holds, and remembers what it was asked. */
export class PlayedStore implements TelemetryPort {
  readonly values = new Map<string, LatestValue[]>();
  readonly queries: SeriesQuery[] = [];
  /** What an answer holds besides what was asked. */
  answer: ((query: SeriesQuery) => Partial<SeriesResult>) | null = null;
  /** Things that are watched now. */
  readonly watched = new Set<string>();
  /** What the next questions fail with. */
  failure: Error | null = null;
  /** Watches wait for this. */
  gate: Promise<void> = Promise.resolve();
  readonly #points = new Set<(points: LivePoints) => void>();
  readonly #rejoins = new Set<(thing: string, at: EpochMs) => void>();

  async query(query: SeriesQuery): Promise<SeriesResult> {
    this.#fail();
    this.queries.push(query);
    const { thing, from, to, window, aggregate } = query;
    const about = { thing, from, to, window, aggregate, level: "raw", incomplete: false } as const;
    return { ...about, series: [], truncated: false, ...this.answer?.(query) };
  }

  async parquet(query: SeriesQuery): Promise<ParquetAnswer> {
    const { truncated, incomplete, level } = await this.query(query);
    return { bytes: Uint8Array.of(0x50, 0x41, 0x52, 0x31), truncated, incomplete, level };
  }

  async latest(thing: string): Promise<readonly LatestValue[]> {
    this.#fail();
    return this.values.get(thing) ?? [];
  }

  async headline(things: readonly string[]): Promise<ReadonlyMap<string, readonly LatestValue[]>> {
    this.#fail();
    return new Map(things.flatMap((thing) => (this.values.has(thing) ? [[thing, this.values.get(thing)!]] : [])));
  }

  async watch(thing: string): Promise<EpochMs> {
    this.watched.add(thing);
    await this.gate;
    this.#fail();
    return 1000;
  }

  unwatch(thing: string): void {
    this.watched.delete(thing);
  }

  onPoints(listener: (points: LivePoints) => void): Cancel {
    this.#points.add(listener);
    return () => this.#points.delete(listener);
  }

  onRejoin(listener: (thing: string, at: EpochMs) => void): Cancel {
    this.#rejoins.add(listener);
    return () => this.#rejoins.delete(listener);
  }

  commit(points: LivePoints): void {
    for (const listener of this.#points) listener(points);
  }

  rejoin(thing: string, at: EpochMs): void {
    for (const listener of this.#rejoins) listener(thing, at);
  }

  get listeners(): number {
    return this.#points.size + this.#rejoins.size;
  }

  #fail(): void {
    if (this.failure !== null) throw this.failure;
  }
}
