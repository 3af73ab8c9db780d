/** The records of a data folder's log for `tidewire log tail` and `export`: found, filtered, and what is damaged told. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ForgottenThings, TidewireError, reasonOf, topicMatches } from "../base/mod.ts";
import type { Logger, Metrics } from "../base/mod.ts";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import { LogReader } from "../log/mod.ts";
import type { Gap } from "../log/mod.ts";
import { ForgetBook, forgottenIn } from "../cloud/forget/mod.ts";
import { RecordError, recordFilter, skipForgotten } from "../wire/record/mod.ts";
import { lineOf } from "./log-lines.ts";
import type { LogLine } from "./log-lines.ts";
import type { Place } from "./log-options.ts";

export interface Wanted {
  readonly topic?: string;
  readonly client?: string;
  /** Session notes too. */
  readonly all: boolean;
  readonly from?: Place;
  readonly to?: Place;
}

/** What was received before a time is in a batch that was closed at most this much later: appends wait for one sync. */
const CLOSED_LATER_MAX = 60_000;
/** How far back is looked first for the last records that match; each time four times as far. */
const BACK_AT_FIRST = 1_024;

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
const UNCOUNTED: Metrics = { counter: () => ({ value: 0 }), gauge: () => ({ value: 0 }), observe: () => {} };

export class LogRecords {
  readonly #reader: LogReader;
  readonly #wanted: Wanted;
  readonly #accepts: (bytes: Uint8Array, from: number, to: number) => boolean;
  readonly #tell: (text: string) => void;
  /** Of forgotten things nobody is given records. */
  readonly #skips: (offset: number, bytes: Uint8Array, from: number, to: number) => boolean;
  /** Ranges and records that are there and cannot be read. */
  readonly #damage: { count: number };

  private constructor(
    reader: LogReader,
    wanted: Wanted,
    tell: (text: string) => void,
    damage: { count: number },
    skips: (offset: number, bytes: Uint8Array, from: number, to: number) => boolean,
  ) {
    this.#reader = reader;
    this.#wanted = wanted;
    this.#tell = tell;
    this.#damage = damage;
    const { topic } = wanted;
    this.#accepts = topic === undefined ? () => true : recordFilter((name) => topicMatches(topic, name));
    this.#skips = skips;
  }

  /** `tell`: of what is damaged. Throws DATA_FOLDER_UNUSABLE, LOG_FOLDER_UNUSABLE, LOG_NEWER. Changes nothing. */
  static async open(data: string, wanted: Wanted, tell: (text: string) => void): Promise<LogRecords> {
    const folder = join(data, "log");
    if (!existsSync(folder)) throw unusable(data, "it holds no log");
    const damage = { count: 0 };
    const onGap = (gap: Gap): void => {
      damage.count++;
      tell(sentenceOfGap(gap));
    };
    try {
      const directory = await openLogDirectory(folder);
      const ports = { directory, crc32: fileCrc32, logger: SILENT, metrics: UNCOUNTED, onGap };
      const reader = await LogReader.open(ports);
      const things = forgottenIn(
        await ForgetBook.read(join(data, "forgotten.json"), SILENT),
        (await reader.identity()) ?? "",
      );
      return new LogRecords(reader, wanted, tell, damage, skipForgotten(new ForgottenThings(things)));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EACCES") throw unusable(data, reasonOf(error));
      throw error;
    }
  }

  get damaged(): boolean {
    return this.#damage.count > 0;
  }

  end(): Promise<number> {
    return this.#reader.end();
  }

  /** The offsets that hold all that `from` and `to` ask for. */
  async range(): Promise<{ readonly from: number; readonly below: number }> {
    const { from, to } = this.#wanted;
    const end = await this.end();
    const first = this.#reader.first;
    const asked = from === undefined ? first : await this.#offsetOf(from, 0);
    if (asked < first) this.#tell(`Offsets ${asked} to ${first - 1} are no longer kept.`);
    const below = to === undefined ? end : Math.min(end, await this.#offsetOf(to, CLOSED_LATER_MAX));
    return { from: Math.max(first, asked), below };
  }

  /** What is wanted of [from, below), in order. */
  async *read(from: number, below: number): AsyncGenerator<readonly LogLine[]> {
    for await (const batch of this.#reader.readBatches(from, below)) {
      const lines: LogLine[] = [];
      batch.locate((offset, bytes, start, end) => {
        if (!this.#accepts(bytes, start, end) || this.#skips(offset, bytes, start, end)) return;
        const line = this.#lineOf(offset, bytes.slice(start, end)); // it outlives the batch
        if (line !== null && this.#wants(line)) lines.push(line);
      });
      if (lines.length > 0) yield lines;
    }
  }

  /** The last `count` that are wanted below `below`: looked for from the end, so that a large log is not read. */
  async last(count: number, below: number): Promise<readonly LogLine[]> {
    const { first } = this.#reader;
    let found: readonly LogLine[] = [];
    let high = below;
    for (let back = BACK_AT_FIRST; high > first && found.length < count; back *= 4) {
      const low = Math.max(first, high - back);
      let part: LogLine[] = [];
      for await (const lines of this.read(low, high)) part = [...part, ...lines].slice(-count);
      found = [...part, ...found].slice(-count);
      high = low;
    }
    return count === 0 ? [] : found;
  }

  async #offsetOf(place: Place, later: number): Promise<number> {
    return "offset" in place ? place.offset : this.#reader.offsetAt(place.time + later);
  }

  #wants(line: LogLine): boolean {
    const { client, from, to, all } = this.#wanted;
    if (line.kind === "note" && !all) return false;
    if (from !== undefined && "time" in from && line.time < from.time) return false;
    if (to !== undefined && "time" in to && line.time >= to.time) return false;
    const { clientId } = line.kind === "note" ? line.note : line.message;
    return client === undefined || clientId === client || (line.kind === "message" && line.message.thing === client);
  }

  #lineOf(offset: number, record: Uint8Array): LogLine | null {
    try {
      return lineOf(offset, record);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.#damage.count++;
      this.#tell(`Offset ${offset} is left out: ${reasonOf(error)}.`);
      return null;
    }
  }
}

function unusable(path: string, reason: string): TidewireError {
  return new TidewireError("DATA_FOLDER_UNUSABLE", { path, reason });
}

function sentenceOfGap({ segment, reason, position, from, below }: Gap): string {
  const range = `Offsets ${from} to ${below - 1} are left out`;
  if (reason === "removed by retention") return `${range}: they were removed by retention meanwhile.`;
  if (reason === "segment missing") return `${range}: the segment that held them is missing.`;
  return `${range}: ${segment} is damaged at byte ${position} (${reason}).`;
}
