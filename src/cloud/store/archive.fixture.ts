/** An archive on a real folder, written by DuckDB, behind a log in memory. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { DuckEventFormat } from "../../adapters/duckdb/mod.ts";
import { digestOf, openArchiveCatalog, openArchiveFolder } from "../../adapters/files/mod.ts";
import { systemScheduler } from "../../adapters/system.ts";
import { Archive } from "../../archive/mod.ts";
import type { ArchiveFolder, ArchiveOptions, ArchiveSettings, ArchiveSource, CatalogStore } from "../../archive/mod.ts";
import { ForgottenThings, LIMITS, days, gib, hours, minutes } from "../../base/mod.ts";
import type { Limits, Message, Objects } from "../../base/mod.ts";
import { messageRecordBytes, skipForgotten, writeMessageRecord } from "../../wire/record/mod.ts";

/** 2026-11-22T10:00:00Z */
export const START = 1_795_341_600_000;

export function event(n: number, more: Partial<Message> = {}): Message {
  return {
    topic: `line/${n % 3}/press`,
    payload: new TextEncoder().encode(JSON.stringify({ n })),
    qos: 1,
    retain: false,
    clientId: `client-${n % 3}`,
    thing: n % 3 === 0 ? null : `press-${n % 3}`,
    receivedAt: START + n,
    properties: null,
    ...more,
  };
}

/** A log in memory: what was never kept, and what was removed, is `null`. */
export class MemoryLog implements ArchiveSource {
  records: (Uint8Array | null)[] = [];
  id = "log-1";
  /** Offset of the oldest kept record. */
  from = 0;
  batch = 100;

  append(message: Message): number {
    const bytes = new Uint8Array(messageRecordBytes(message));
    writeMessageRecord(bytes, 0, message);
    return this.records.push(bytes) - 1;
  }

  fill(count: number, more: Partial<Message> = {}): void {
    for (let i = 0; i < count; i++) this.append(event(this.records.length, more));
  }

  get durable(): number {
    return this.records.length;
  }

  async first(): Promise<number> {
    return this.from;
  }

  async identity(): Promise<string> {
    return this.id;
  }

  leftOut(): number {
    return 0;
  }

  async *readBatches(
    from: number,
    below: number,
  ): AsyncGenerator<{
    baseOffset: number;
    count: number;
    locate(take: (offset: number, bytes: Uint8Array, from: number, to: number) => void): void;
  }> {
    let at = Math.max(from, this.from);
    while (at < below) {
      if (this.records[at] === null) {
        at++;
        continue;
      }
      const baseOffset = at;
      while (at < below && at < baseOffset + this.batch && this.records[at] !== null) at++;
      const kept = this.records.slice(baseOffset, at);
      yield {
        baseOffset,
        count: kept.length,
        locate: (take) => kept.forEach((bytes, i) => take(baseOffset + i, bytes!, 0, bytes!.length)),
      };
    }
  }
}

export interface WorldOptions {
  readonly settings?: Partial<ArchiveSettings>;
  readonly limits?: Partial<Limits["archive"]>;
  readonly objects?: Objects;
  readonly folder?: (real: ArchiveFolder) => ArchiveFolder;
  readonly store?: (real: CatalogStore) => CatalogStore;
}

/** One life after the other of an archive in the same folder. */
export class ArchiveWorld {
  readonly root: string;
  readonly clock = new SimClock();
  readonly logger = new SimLogger();
  readonly log = new MemoryLog();
  readonly forgotten = new ForgottenThings();
  #format: DuckEventFormat | null = null;
  #archive: Archive | null = null;

  private constructor(root: string) {
    this.root = root;
    this.clock.jump(START + hours(1) - this.clock.now());
  }

  static async make(): Promise<ArchiveWorld> {
    return new ArchiveWorld(await mkdtemp(join(tmpdir(), "tidewire-archive-")));
  }

  get folder(): string {
    return join(this.root, "archive");
  }

  get archive(): Archive {
    return this.#archive!;
  }

  /** `start: false`: nothing runs by itself. */
  async open(options: WorldOptions = {}): Promise<Archive> {
    await this.close();
    const folder = await openArchiveFolder(this.folder);
    const store = await openArchiveCatalog(this.folder, this.logger);
    this.#format = await DuckEventFormat.open({ folder: this.folder, memoryBytes: LIMITS.archive.writerBytesMax });
    const all: ArchiveOptions = {
      settings: {
        every: minutes(15),
        keep: null,
        bytesMax: null,
        warm: days(30),
        cacheBytesMax: gib(1),
        ...options.settings,
      },
      source: this.log,
      format: this.#format,
      folder: options.folder?.(folder) ?? folder,
      store: options.store?.(store) ?? store,
      objects: options.objects ?? null,
      digestOf,
      busy: () => false,
      skips: skipForgotten(this.forgotten),
      limits: { ...LIMITS.archive, diskFreeBytesMin: 1, flushPeriodMin: 0, flushTimeout: 20_000, ...options.limits },
      clock: this.clock,
      scheduler: systemScheduler,
      logger: this.logger,
      onChange: () => {},
    };
    this.#archive = await Archive.open(all);
    this.#archive.start();
    return this.#archive;
  }

  /** Archives all that the log has. */
  async flush(): Promise<void> {
    this.archive.durable(this.log.durable);
    await this.archive.flush();
  }

  async close(): Promise<void> {
    await this.#archive?.close();
    this.#format?.close();
    this.#archive = null;
    this.#format = null;
  }

  async end(): Promise<void> {
    await this.close();
    await rm(this.root, { recursive: true, force: true });
  }

  /** Everything that the archive gives for all times, as DuckDB reads it. */
  async rows(columns = '"offset"'): Promise<readonly unknown[][]> {
    const files = await this.archive.eventFiles(0, Number.MAX_SAFE_INTEGER);
    try {
      return files.paths.length === 0 ? [] : await readParquet(files.paths, columns);
    } finally {
      files.release();
    }
  }

  async offsets(): Promise<readonly number[]> {
    return (await this.rows('"offset"::DOUBLE')).map(([offset]) => offset as number);
  }
}

/** Rows in the order of the files and of the rows in them. */
export async function readParquet(paths: readonly string[], columns: string): Promise<readonly unknown[][]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    const list = paths.map((path) => `'${path}'`).join(", ");
    const result = await connection.runAndReadAll(`SELECT ${columns} FROM read_parquet([${list}])`);
    return result.getRowsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
