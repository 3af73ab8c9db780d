/** One step's files: named, written in the encoding that takes least room, checked and synced. */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { DECIMAL_GROUP_ROWS, ROW_GROUP_ROWS } from "./cold-files.ts";
import type { FileEntry, PointFile, PointKind, StateFile, StateKind } from "./cold-files.ts";
import type { ColdStore } from "./cold-store.ts";
import { eachChunk } from "./columns.ts";
import { decimalType } from "./decimals.ts";
import { quoted } from "./layout.ts";

/**
 * Measured with 1-decimal values, bytes per point (4 series with common times, no jitter / 50 ms / 1 s; one series, a reading a
 * minute for a year, no jitter / 50 ms / 1 s):
 *
 *   version 1, dictionaries up to 8,192           0.95   1.21   1.41      3.81   4.12   4.12
 *   version 2 (delta), likewise                   0.95   2.05   1.82      1.08   1.96   2.46
 *   version 1, DuckDB's limit (24,576)            0.95   2.04   1.41
 *   zstd level 9, 19                              0.94   0.91 at 3 times the work
 *   row groups of 61,440, 30,720                  1.01   1.14
 *
 * Times that the fields of a message share are repeated byte by byte for zstd only when stored plainly; times that nobody
 * shares are better told as differences. Which it is, the sizes of both say; the second is tried where the first is large.
 */
const POINTS = "PARQUET_VERSION v1, DICTIONARY_SIZE_LIMIT 8192";
const POINTS_DELTA = "PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 8192";
/** Of decimals: their differences; a dictionary hides how near they are to each other. */
const DECIMALS = "PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1";
/** Names and states: half a byte a row instead of 7 (names). */
const OTHERS = "PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1";
/** Rollups are often less with dictionaries for what has few values, as the minute of an extreme: hours of a year of minutes 13.3 bytes a row
 * instead of 16.8, of a fleet's three hours 13.5 instead of 19.2; days of one device 52 instead of 30. */
const FEW_VALUES = "PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1024";
/** Bytes per row of numbers, and of a file, below which another encoding is not tried. */
const SMALL_ROW = 1.5;
const SMALL_FILE = 8 * 1024;

/** How a file is written; `scale` as of a `PointFile`. */
export interface Encoding {
  readonly options: string;
  readonly scale: number | null;
}

const DOUBLES: readonly Encoding[] = [POINTS, POINTS_DELTA].map((options) => ({ options, scale: null }));
const ROLLUPS: readonly Encoding[] = [FEW_VALUES, OTHERS].map((options) => ({ options, scale: null }));

/** All in which numbers are written. */
export const POINT_ENCODINGS: readonly Encoding[] = [...DOUBLES, { options: DECIMALS, scale: 1 }];

function typeOf({ scale }: Encoding): string {
  return scale === null ? "DOUBLE" : decimalType(scale);
}

/** A statement; of numbers for each type of `value`. */
export type Rows = string | ((type: string) => string);

interface Encoded {
  readonly name: string;
  readonly bytes: number;
  readonly rows: number;
  readonly encoding: Encoding;
}

/** Names, writes, checks and syncs the files of one step. */
export class Writer {
  readonly #cold: ColdStore;
  readonly #connection: DuckDBConnection;
  readonly #step: (step: string) => Promise<void>;
  readonly #written: string[] = [];
  readonly #number: string;

  constructor(cold: ColdStore, connection: DuckDBConnection, step: (step: string) => Promise<void>) {
    this.#cold = cold;
    this.#connection = connection;
    this.#step = step;
    this.#number = String(cold.folder.nextNumber).padStart(8, "0");
  }

  async points(
    kind: PointKind,
    period: string,
    rows: Rows,
    {
      inMinutes = true,
      extremeTimes = kind !== "numbers" && kind !== "texts",
      scale = null,
    }: Partial<Pick<PointFile, "inMinutes" | "extremeTimes" | "scale">> = {},
  ): Promise<PointFile> {
    const time = kind === "numbers" || kind === "texts" ? "time" : "bucket";
    const measures = `min(${time})::DOUBLE, max(${time})::DOUBLE, min(series)::DOUBLE, max(series)::DOUBLE`;
    const encodings = {
      numbers: scale === null ? DOUBLES : [{ options: DECIMALS, scale }, ...DOUBLES.slice(0, 1)],
      texts: [{ options: POINTS, scale: null }],
      "1m": ROLLUPS,
      "1h": ROLLUPS,
      "1d": ROLLUPS,
    };
    const { entry, found, encoding } = await this.#write(`${kind}-${period}`, rows, measures, encodings[kind]);
    const [timeMin = 0, timeMax = 0, seriesMin = 0, seriesMax = 0] = found.map((value) => value ?? 0);
    const range = { timeMin, timeMax, seriesMin, seriesMax };
    return { ...entry, kind, period, ...range, inMinutes, extremeTimes, scale: encoding.scale };
  }

  async state(kind: StateKind, rows: string): Promise<StateFile> {
    const { entry } = await this.#write(kind, rows, "0", [{ options: OTHERS, scale: null }]);
    return { ...entry, kind };
  }

  async undo(): Promise<void> {
    const named = new Set(
      [...this.#cold.folder.content.points, ...this.#cold.folder.content.states].map(({ name }) => name),
    );
    for (const name of this.#written) {
      if (!named.has(name)) await rm(join(this.#cold.folder.path, name), { force: true });
    }
  }

  async #write(
    stem: string,
    rows: Rows,
    measures: string,
    encodings: readonly Encoding[],
  ): Promise<{ readonly entry: FileEntry; readonly found: readonly (number | null)[]; readonly encoding: Encoding }> {
    const { name, encoding } = await this.#smallest(stem, rows, encodings);
    await this.#step(`sync ${stem}`);
    const sealed = await this.#cold.folder.seal(name);
    const found: (number | null)[] = [];
    // Read back: what cannot be read must be known while the rows are still elsewhere.
    const readBack = `SELECT count(*)::DOUBLE, ${measures} FROM read_parquet(${this.#quoted(name)})`;
    await eachChunk(this.#connection, readBack, (columns) => {
      for (const column of columns) found.push(column[0] as number | null);
    });
    const [read = 0, ...measured] = found;
    return { entry: { ...sealed, rows: read ?? 0 }, found: measured, encoding };
  }

  /** In the first of the encodings, or in one that takes less room. */
  async #smallest(stem: string, rows: Rows, [first, ...others]: readonly Encoding[]): Promise<Encoded> {
    let best = await this.#encode(stem, rows, first!);
    for (const encoding of others) {
      if (best.bytes <= Math.max(SMALL_FILE, SMALL_ROW * best.rows)) break;
      // Sorted once: this is made of the one before.
      const from = `FROM read_parquet(${this.#quoted(best.name)})`;
      const again: Rows =
        typeof rows === "string" ? `SELECT * ${from}` : (type) => `SELECT * REPLACE (value::${type} AS value) ${from}`;
      const other = await this.#encode(stem, again, encoding);
      const worse = other.bytes < best.bytes ? best : other;
      if (worse === best) best = other;
      await rm(join(this.#cold.folder.path, worse.name), { force: true });
    }
    return best;
  }

  async #encode(stem: string, rows: Rows, encoding: Encoding): Promise<Encoded> {
    const name = `${stem}-${this.#number}-${this.#written.length}.parquet`;
    this.#written.push(name);
    await this.#step(`write ${stem}`);
    const { rowsChanged } = await this.#connection.run(
      `COPY (${typeof rows === "string" ? rows : rows(typeOf(encoding))}) TO ${this.#quoted(name)} (FORMAT parquet, COMPRESSION zstd, ${encoding.options}, ROW_GROUP_SIZE ${encoding.scale === null ? ROW_GROUP_ROWS : DECIMAL_GROUP_ROWS})`,
    );
    const { size } = await stat(join(this.#cold.folder.path, name));
    return { name, bytes: size, rows: rowsChanged, encoding };
  }

  #quoted(name: string): string {
    return quoted(join(this.#cold.folder.path, name));
  }
}
