/**
 * What lies in `data/telemetry/`: Parquet files, and the content of the manifest that names them.
 *
 *   kind        one file per            rows, sorted
 *   numbers     day, month or year *    series, generation, time, value          by series, time, arrival
 *   texts       day, month or year *    the same; `value` is a string
 *   1m          day, month or year *    partial aggregates (`rollup.ts`)         by series, bucket; see `inMinutes`
 *   1h          month or year *
 *   1d          year
 *   series      range of numbers        id, thing, measurement, field, type      by id
 *   sequences   all                     source, outbox, state                    in the order of last use
 *   latest      all                     series, generation, time, value, text    by series
 *
 * `time` and `bucket` are epoch milliseconds, UTC. Numbers that are decimals with few digits after the point are kept as such
 * (DECIMAL, `scale` in the manifest), others as DOUBLE; either way every bit of the DOUBLE comes back (of -0, 0). * Where one generation has points on many days (a device with a
 * wrong clock, an upload of years), all but the fullest days share a file per year, so that the number of files is bounded.
 * Small files of a month or year that is over become one, where what leaves by retention leaves much later or never.
 */
import type { EpochMs } from "../../base/mod.ts";
import { LEVELS } from "../../telemetry/mod.ts";
import type { Level, Rollup } from "../../telemetry/mod.ts";

export type PointKind = "numbers" | "texts" | Rollup;
export type StateKind = "series" | "sequences" | "latest";

export const POINT_KINDS: readonly PointKind[] = ["numbers", "texts", "1m", "1h", "1d"];
export const STATE_KINDS: readonly StateKind[] = ["series", "sequences", "latest"];

/** What is read of a file at least, and what its statistics are about. */
export const ROW_GROUP_ROWS = 122_880;
/** Of decimals: differences lose a hundredth of a byte a point by it, and are read from the group's beginning. */
export const DECIMAL_GROUP_ROWS = 30_720;

/** Of one file; what can be said without opening it. */
export interface FileEntry {
  /** Inside the folder. A name is never used twice. */
  readonly name: string;
  readonly rows: number;
  readonly bytes: number;
  /** Of the whole file, hexadecimal. */
  readonly sha256: string;
}

export interface PointFile extends FileEntry {
  readonly kind: PointKind;
  /** `2026-01-31`, `2026-01` or `2026`. */
  readonly period: string;
  /** Of `time` or `bucket`: smallest and largest. */
  readonly timeMin: EpochMs;
  readonly timeMax: EpochMs;
  readonly seriesMin: number;
  readonly seriesMax: number;
  /** Whether its points are in files of one minute as well; where they are not, minutes are made of points when asked for. */
  readonly inMinutes: boolean;
  /** Of numbers: how many decimals `value` has, a DECIMAL then; null where it is a DOUBLE. */
  readonly scale: number | null;
  /** Of rollups: whether it says when the lowest and the highest points were. */
  readonly extremeTimes: boolean;
}

export interface StateFile extends FileEntry {
  readonly kind: StateKind;
}

/** A file that is not what was written, or is gone. Its points are known to be missing. */
export interface Quarantined {
  readonly file: PointFile;
  readonly at: EpochMs;
  readonly reason: string;
}

export interface ColdContent {
  /** Identity of the log that `offset` counts in; null until one was seen. */
  readonly log: string | null;
  /** Everything below is in files, or was removed by retention. */
  readonly offset: number;
  /** The newest generation whose rows are in files; 0: none. */
  readonly generation: number;
  /** How many series names the files hold. */
  readonly series: number;
  readonly points: readonly PointFile[];
  readonly states: readonly StateFile[];
  readonly quarantined: readonly Quarantined[];
  /** By level: points before this time may have been removed by retention. */
  readonly knownFrom: Readonly<Record<Level, EpochMs>>;
  /** When the clock was last believed; retention does nothing right after a jump (`retention.ts`). */
  readonly trustedAt: EpochMs | null;
  /** Numbers of series of forgotten things, whose names no file has any more … */
  readonly retired: readonly number[];
  /** … and those of them of which no file has a row any more. */
  readonly erased: readonly number[];
}

export const COLD_FORMAT = "tidewire-telemetry";
/** 2: numbers may be decimals. */
export const COLD_VERSION = 2;

export const EMPTY_CONTENT: ColdContent = {
  log: null,
  offset: 0,
  generation: 0,
  series: 0,
  points: [],
  states: [],
  quarantined: [],
  knownFrom: { raw: 0, "1m": 0, "1h": 0, "1d": 0 },
  trustedAt: null,
  retired: [],
  erased: [],
};

export function levelOf(kind: PointKind): Level {
  return kind === "numbers" || kind === "texts" ? "raw" : kind;
}

const NAME = /^[0-9a-z][0-9a-z.-]{0,100}\.parquet$/;
const PERIOD = /^\d{4}(-\d{2}(-\d{2})?)?$/;

/** Whether a file in the folder can be one of ours. */
export function isColdFile(name: string): boolean {
  return NAME.test(name);
}

/** Throws where `content` is none that this version wrote: file names become paths, numbers become statements. */
export function validateContent(content: unknown): ColdContent {
  const given = record(content);
  const known = record(given["knownFrom"]);
  return {
    log: given["log"] === null ? null : text(given["log"]),
    offset: count(given["offset"]),
    generation: count(given["generation"]),
    series: count(given["series"]),
    points: list(given["points"]).map(pointFile),
    states: list(given["states"]).map(stateFile),
    quarantined: list(given["quarantined"]).map((entry) => {
      const { file, at, reason } = record(entry);
      return { file: pointFile(file), at: integer(at), reason: text(reason) };
    }),
    knownFrom: Object.fromEntries(LEVELS.map((level) => [level, integer(known[level])])) as ColdContent["knownFrom"],
    trustedAt: given["trustedAt"] === null ? null : integer(given["trustedAt"]),
    retired: list(given["retired"] ?? []).map(count), // not there: written before anything could be forgotten
    erased: list(given["erased"] ?? []).map(count),
  };
}

function pointFile(value: unknown): PointFile {
  const given = record(value);
  return {
    ...fileEntry(value),
    kind: oneOf(POINT_KINDS, given["kind"]),
    period: matching(PERIOD, given["period"]),
    timeMin: integer(given["timeMin"]),
    timeMax: integer(given["timeMax"]),
    seriesMin: count(given["seriesMin"]),
    seriesMax: count(given["seriesMax"]),
    inMinutes: given["inMinutes"] === true,
    scale: given["scale"] === undefined || given["scale"] === null ? null : count(given["scale"]), // not there: version 1
    extremeTimes: given["extremeTimes"] === true, // not there: written before it was kept
  };
}

function stateFile(value: unknown): StateFile {
  return { ...fileEntry(value), kind: oneOf(STATE_KINDS, record(value)["kind"]) };
}

function fileEntry(value: unknown): FileEntry {
  const given = record(value);
  return {
    name: matching(NAME, given["name"]),
    rows: count(given["rows"]),
    bytes: count(given["bytes"]),
    sha256: matching(/^[0-9a-f]{64}$/, given["sha256"]),
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("not an object");
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("not a list");
  return value as readonly unknown[];
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new Error("not a text");
  return value;
}

function matching(pattern: RegExp, value: unknown): string {
  const found = text(value);
  if (!pattern.test(found)) throw new Error(`'${found.slice(0, 100)}' is not like ${pattern.source}`);
  return found;
}

function integer(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw new Error(`${String(value)} is no integer`);
  return value as number;
}

function count(value: unknown): number {
  const found = integer(value);
  if (found < 0) throw new Error(`${found} is negative`);
  return found;
}

function oneOf<K extends string>(known: readonly K[], value: unknown): K {
  const found = known.find((one) => one === value);
  if (found === undefined) throw new Error(`'${String(value)}' is none of ${known.join(", ")}`);
  return found;
}
