/**
 * The messages of a span of time, each once and in the order of the log: from the archive's files what lies below the offset that
 * the archive has reached, from the log what comes after. Reads a data folder whose platform may run or not, and changes nothing.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { EventScan } from "../../adapters/duckdb/mod.ts";
import type { ScannedEvent } from "../../adapters/duckdb/mod.ts";
import { readArchiveCatalog } from "../../adapters/files/mod.ts";
import type { ArchivedFile, CatalogContent } from "../../archive/mod.ts";
import { mib, reasonOf } from "../../base/mod.ts";
import type { EpochMs, ForgottenThings, Message } from "../../base/mod.ts";
import type { LogReader } from "../../log/mod.ts";
import { RecordError, readRecord, recordFilter, skipForgotten } from "../../wire/record/mod.ts";
import { inOrderOfOffset } from "./merge.ts";
import { SILENT, openPastLog } from "./open-log.ts";
import type { PastLog } from "./open-log.ts";

/** DuckDB's own; a row group of the archive has at most 16 MiB. */
const SCAN_MEMORY = mib(256);
/** What was received before a time is in a batch that was closed at most this much later: appends wait for one sync. */
const CLOSED_LATER_MAX = 60_000;
/** Files may be merged or moved away while they are read: how often the catalog is asked again. */
const ATTEMPTS_MAX = 5;

export interface PastWanted {
  /** Accepted in [from, to). */
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Topic filters by which the archive may skip what nobody wants. */
  readonly filters: readonly string[];
  readonly wants: (topic: string) => boolean;
  /** Only what this thing published; null: of all. */
  readonly thing: string | null;
}

export interface PastCounts {
  /** Records of the log that were looked at. */
  log: number;
  /** Rows that came out of the archive's files. */
  archive: number;
  /** Of things that are forgotten. */
  forgotten: number;
  /** Records that this program cannot read. */
  unreadable: number;
}

/** Must not keep the message: its payload is valid until it returns. */
export type TakeMessage = (offset: number, message: Message) => void;

export interface PastProgress {
  readonly offset: number;
  readonly counts: Readonly<PastCounts>;
}

/** Called between batches; where it is false nothing more is read. */
export type GoOn = (progress: PastProgress) => boolean | Promise<boolean>;

export class PastMessages {
  readonly counts: PastCounts = { log: 0, archive: 0, forgotten: 0, unreadable: 0 };
  /** Sentences on what is not there; bounded by files and gaps, of which the first are kept. */
  readonly notes: string[];
  readonly #data: string;
  readonly #log: LogReader;
  readonly #identity: string | null;
  readonly #forgotten: ForgottenThings;
  readonly #wanted: PastWanted;
  /** Every message below was given. */
  #next = 0;

  private constructor(data: string, { log, identity, forgotten }: PastLog, wanted: PastWanted, notes: string[]) {
    this.#data = data;
    this.#log = log;
    this.#identity = identity;
    this.#forgotten = forgotten;
    this.#wanted = wanted;
    this.notes = notes;
  }

  /** Throws DATA_FOLDER_UNUSABLE, LOG_FOLDER_UNUSABLE, LOG_NEWER. */
  static async open(data: string, wanted: PastWanted): Promise<PastMessages> {
    const notes: string[] = [];
    const opened = await openPastLog(data, ({ from, below, reason }) =>
      note(notes, `Offsets ${from} to ${below - 1} of the log are left out: ${reason}.`),
    );
    return new PastMessages(data, opened, wanted, notes);
  }

  /** All of them. */
  async each(take: TakeMessage, progress: GoOn): Promise<"all" | "stopped"> {
    const goOn = (): boolean | Promise<boolean> => progress({ offset: this.#next, counts: this.counts });
    const archived = await this.#archived(take, goOn);
    if (archived === "stopped") return "stopped";
    return this.#logged(take, goOn);
  }

  // ── archive ──────────────────────────────────────────────────────────────────────────────────

  async #archived(take: TakeMessage, goOn: () => boolean | Promise<boolean>): Promise<"all" | "stopped"> {
    for (let attempt = 1; ; attempt++) {
      const content = await this.#catalog();
      const logBegins = this.#log.first;
      if (content === null || content.offset === null) {
        if (logBegins > 0) this.#note(`The log begins at offset ${logBegins}, and nothing older is archived.`);
        return "all";
      }
      const files = this.#filesOf(content, attempt === 1);
      if (files.length === 0 && attempt === 1 && content.files.length === 0) this.#note("The archive is empty.");
      const scan = await EventScan.open(SCAN_MEMORY);
      try {
        if ((await this.#scanned(scan, files, content.offset, take, goOn)) === "stopped") return "stopped";
        this.#next = Math.max(this.#next, content.offset);
        return "all";
      } catch (error) {
        // A file that was merged with others meanwhile: the catalog names the new one, and what was given is not given again.
        if (attempt === ATTEMPTS_MAX || !isMissing(error)) throw error;
      } finally {
        scan.close();
      }
    }
  }

  async #scanned(
    scan: EventScan,
    files: readonly ArchivedFile[],
    below: number,
    take: TakeMessage,
    goOn: () => boolean | Promise<boolean>,
  ): Promise<"all" | "stopped"> {
    const { from, to, filters, wants, thing } = this.#wanted;
    const read = (file: ArchivedFile): AsyncGenerator<readonly ScannedEvent[]> =>
      scan.read(join(this.#data, "archive", file.name), {
        filters,
        from,
        to,
        fromOffset: this.#next,
        belowOffset: Math.min(below, file.below),
      });
    for await (const events of inOrderOfOffset(files, read)) {
      for (const { offset, message } of events) {
        this.#next = offset + 1;
        this.counts.archive++;
        if (this.#forgotten.skips(offset, message)) this.counts.forgotten++;
        else if (wants(message.topic) && isOf(message, thing)) take(offset, message);
      }
      if (!(await goOn())) return "stopped";
    }
    return "all";
  }

  /** Null where there is no archive, or it is of another log. */
  async #catalog(): Promise<CatalogContent | null> {
    const folder = join(this.#data, "archive");
    if (!existsSync(folder)) return null;
    const content = await readArchiveCatalog(folder, SILENT);
    if (content === "damaged") this.#note("The archive's catalog is damaged; its files are left out.");
    if (content === null || content === "damaged" || content.identity !== this.#identity) return null;
    return content;
  }

  /** Those that may hold what is wanted, oldest first; on the others a note where something is missed. */
  #filesOf(content: CatalogContent, tell: boolean): ArchivedFile[] {
    const { from, to } = this.#wanted;
    const own = content.files.filter(({ log }) => log === content.log);
    const within = content.files.filter(({ timeFrom, timeTo }) => timeTo >= from && timeFrom < to);
    const oldest = Math.min(...own.map(({ timeFrom }) => timeFrom));
    const usable = within.filter((file) => file.log === content.log && file.tier === "warm" && file.damaged === null);
    if (tell) {
      if (oldest > from && Number.isFinite(oldest)) {
        this.#note(`The archive begins on ${new Date(oldest).toISOString().slice(0, 16)}Z; there is nothing older.`);
      }
      const rows = (some: readonly ArchivedFile[]): number => some.reduce((sum, file) => sum + file.rows, 0);
      const cold = within.filter(({ tier, damaged }) => tier === "cold" && damaged === null);
      if (cold.length > 0) this.#note(`${rows(cold)} messages lie in the cold tier and are left out.`);
      const damaged = within.filter((file) => file.damaged !== null);
      if (damaged.length > 0) this.#note(`${rows(damaged)} messages lie in damaged files and are left out.`);
      const foreign = within.filter(({ log, tier }) => log !== content.log && tier === "warm");
      if (foreign.length > 0) this.#note(`${rows(foreign)} messages of a log before this one are left out.`);
    }
    return usable.toSorted((a, b) => a.from - b.from);
  }

  // ── log ──────────────────────────────────────────────────────────────────────────────────────

  async #logged(take: TakeMessage, goOn: () => boolean | Promise<boolean>): Promise<"all" | "stopped"> {
    const { from, to, wants, thing } = this.#wanted;
    const end = await this.#log.end();
    const first = this.#log.first;
    if (this.#next > 0 && first > this.#next)
      this.#note(`Offsets ${this.#next} to ${first - 1} are in neither archive nor log.`);
    const begin = Math.max(this.#next, first, await this.#log.offsetAt(from));
    const below = Math.min(end, await this.#log.offsetAt(to + CLOSED_LATER_MAX));
    const filter = recordFilter(wants);
    const skips = skipForgotten(this.#forgotten);
    for await (const batch of this.#log.readBatches(begin, below)) {
      batch.locate((offset, bytes, start, stop) => {
        this.counts.log++;
        if (!filter(bytes, start, stop)) return;
        if (skips(offset, bytes, start, stop)) {
          this.counts.forgotten++;
          return;
        }
        const message = this.#read(bytes.subarray(start, stop));
        if (message === null || message.receivedAt < from || message.receivedAt >= to) return;
        if (isOf(message, thing)) take(offset, message);
      });
      this.#next = batch.baseOffset + batch.count;
      if (!(await goOn())) return "stopped";
    }
    return "all";
  }

  #read(record: Uint8Array): Message | null {
    try {
      return readRecord(record);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.counts.unreadable++;
      return null;
    }
  }

  #note(text: string): void {
    note(this.notes, text);
  }
}

const NOTES_MAX = 50;

function note(notes: string[], text: string): void {
  if (notes.length < NOTES_MAX) notes.push(text);
}

function isOf(message: Message, thing: string | null): boolean {
  return thing === null || (message.thing ?? message.clientId) === thing;
}

function isMissing(error: unknown): boolean {
  return /No files found|No such file|Cannot open file/i.test(reasonOf(error));
}
