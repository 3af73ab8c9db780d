/** Which tables and files hold the points at one moment, and the text behind FROM for a range of them. Immutable. */
import type { EpochMs } from "../../base/mod.ts";
import { ROLLUP_WIDTH } from "../../telemetry/mod.ts";
import type { Level, Rollup } from "../../telemetry/mod.ts";
import { levelOf } from "./cold-files.ts";
import type { ColdContent, PointFile, PointKind, Quarantined } from "./cold-files.ts";
import type { TableTimes } from "./table-times.ts";
import { GENERATION_STRIDE, numbersAsRollup, textsAsRollup, unpackedRollup } from "./rollup.ts";

/** A pair of tables in DuckDB, `numbers_<number>` and `texts_<number>`. */
export interface Generation {
  /** 1, 2, 3 …; files hold the smaller ones. */
  readonly number: number;
  readonly times: TableTimes;
}

/** Whole buckets; of points that are in tables, only those of [pointsFrom, pointsTo). */
export interface RollupRange {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly pointsFrom: EpochMs;
  readonly pointsTo: EpochMs;
}

/** Where a relation has no rows at all. */
const EMPTY_TYPES = {
  numbers: "NULL::INTEGER AS series, NULL::BIGINT AS time, NULL::DOUBLE AS value, NULL::BIGINT AS arrival",
  texts: "NULL::INTEGER AS series, NULL::BIGINT AS time, NULL::VARCHAR AS value, NULL::BIGINT AS arrival",
} as const;

export class Layout {
  readonly generations: readonly Generation[];
  readonly content: ColdContent;
  readonly #pathOf: (file: PointFile) => string;

  constructor(generations: readonly Generation[], content: ColdContent, pathOf: (file: PointFile) => string) {
    this.generations = generations;
    this.content = content;
    this.#pathOf = pathOf;
  }

  /** Files of a kind that have rows with from <= time < to. */
  files(kind: PointKind, from: EpochMs, to: EpochMs): readonly PointFile[] {
    return this.content.points.filter((file) => file.kind === kind && file.timeMin < to && file.timeMax >= from);
  }

  /** Those of them whose points no file of minutes has. */
  pointsOnly(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): readonly PointFile[] {
    return this.files(kind, from, to).filter(({ inMinutes }) => !inMinutes);
  }

  /** Whether points of [from, to) are known to be damaged, and are not in the relations. */
  missing(kind: PointKind, from: EpochMs, to: EpochMs, wanted: (file: PointFile) => boolean): boolean {
    return this.content.quarantined.some(
      ({ file }) => file.kind === kind && file.timeMin < to && file.timeMax >= from && wanted(file),
    );
  }

  /** The same moment, less what has turned out to be damaged. */
  without(quarantined: readonly Quarantined[]): Layout {
    const bad = new Set(quarantined.map(({ file }) => file.name));
    const points = this.content.points.filter(({ name }) => !bad.has(name));
    return new Layout(this.generations, { ...this.content, points, quarantined }, this.#pathOf);
  }

  /** Points before this may have been removed by retention. */
  knownFrom(level: Level): EpochMs {
    return this.content.knownFrom[level];
  }

  /** `SELECT series, time, value, arrival …`: all rows of those tables and files that overlap [from, to). */
  points(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): string {
    const parts = this.#tables(kind, from, to).map(({ number }) => generationPoints(kind, number));
    const files = this.files(kind, from, to);
    if (files.length > 0) parts.push(this.#filePoints(files));
    if (parts.length === 0) return `SELECT * FROM (SELECT ${EMPTY_TYPES[kind]}) WHERE false`;
    return parts.join(" UNION ALL ");
  }

  /** The same of tables alone; null where none has such rows. */
  tablePoints(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): string | null {
    const parts = this.#tables(kind, from, to).map(({ number }) => generationPoints(kind, number));
    return parts.length === 0 ? null : parts.join(" UNION ALL ");
  }

  /**
   * `SELECT ROLLUP_COLUMNS …`: partial aggregates of numbers or of texts, several per (series, bucket); buckets of files that
   * overlap [from, to), which may hold the others, too.
   */
  rollup(rollup: Rollup, kind: "numbers" | "texts", { from, to, pointsFrom, pointsTo }: RollupRange): string {
    const start = from - ROLLUP_WIDTH[rollup] + 1;
    const asRollup = kind === "numbers" ? numbersAsRollup : textsAsRollup;
    const asked = `time >= ${pointsFrom} AND time < ${pointsTo}`;
    const parts = this.#tables(kind, pointsFrom, pointsTo).map(({ number }) =>
      asRollup(rollup, `${generationPoints(kind, number)} WHERE ${asked}`),
    );
    const files = this.files(rollup, start, to);
    parts.push(...unpackedParts(files, (some) => this.#parquet(some, "")));
    const points = rollup === "1m" ? this.pointsOnly(kind, start, to) : [];
    if (points.length > 0) parts.push(asRollup(rollup, this.#filePoints(points)));
    if (parts.length > 0) return parts.join(" UNION ALL ");
    return `SELECT * FROM (${numbersAsRollup(rollup, `SELECT ${EMPTY_TYPES.numbers}`)}) WHERE false`;
  }

  pathsOf(files: readonly PointFile[]): readonly string[] {
    return files.map((file) => this.#pathOf(file));
  }

  /** How much a level takes. */
  sizeOf(level: Level): { readonly files: number; readonly bytes: number; readonly rows: number } {
    const files = this.content.points.filter(({ kind }) => levelOf(kind) === level);
    const sum = (of: (file: PointFile) => number): number => files.reduce((total, file) => total + of(file), 0);
    return { files: files.length, bytes: sum(({ bytes }) => bytes), rows: sum(({ rows }) => rows) };
  }

  #tables(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): readonly Generation[] {
    return this.generations.filter(({ times }) => times.overlap(kind, from, to));
  }

  #filePoints(files: readonly PointFile[]): string {
    const kind = files[0]!.kind === "texts" ? "texts" : "numbers";
    return pointsIn(this.#parquet(files, `, file_row_number = true${unifying(files)}`), kind);
  }

  #parquet(files: readonly PointFile[], options: string): string {
    return `read_parquet([${files.map((file) => quoted(this.#pathOf(file))).join(", ")}]${options})`;
  }
}

/** Rollups of files with and of files without the times of their extremes. */
export function unpackedParts(
  files: readonly PointFile[],
  read: (files: readonly PointFile[]) => string,
): readonly string[] {
  return [true, false].flatMap((extremeTimes) => {
    const some = files.filter((file) => file.extremeTimes === extremeTimes);
    return some.length === 0 ? [] : [unpackedRollup(read(some), extremeTimes)];
  });
}

/** Types of several files become one that has all their values; else all would be cast to that of the first. */
export const UNIFYING = ", union_by_name = true";

export function unifying(files: readonly PointFile[]): string {
  return files.every(({ scale }) => scale === files[0]!.scale) ? "" : UNIFYING;
}

/** `SELECT series, time, value, arrival …` of `read_parquet(…, file_row_number = true)`. */
export function pointsIn(files: string, kind: "numbers" | "texts"): string {
  const value = kind === "numbers" ? "value::DOUBLE AS value" : "value";
  return `SELECT series, time, ${value}, generation::BIGINT * ${GENERATION_STRIDE} + file_row_number AS arrival FROM ${files}`;
}

export function generationPoints(kind: "numbers" | "texts", generation: number): string {
  const arrival = `${generation * GENERATION_STRIDE} + rowid`;
  return `SELECT series, time, value, ${arrival} AS arrival FROM ${kind}_${generation}`;
}

/** A text of our own as SQL: paths may hold quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
