/**
 * Backs up a data folder while the platform runs on it, without asking it: what is a view of the log is taken before the
 * log, so that after a restore the log has all that a view may name, and brings it up to date.
 */
import { existsSync } from "node:fs";
import { readFile, readdir, rm, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { DatabaseSync, backup } from "node:sqlite";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import { PADDING_BYTES_MAX } from "../../log/mod.ts";
import { VERSION } from "../version.ts";
import type { BackupFile, BackupRepository, Snapshot } from "./repository.ts";

export interface BackupOptions {
  readonly data: string;
  readonly repository: BackupRepository;
  readonly now: EpochMs;
}

export interface Taken {
  readonly snapshot: Snapshot;
  /** Of all files. */
  readonly bytes: number;
  /** What the repository grew by. */
  readonly added: number;
}

/**
 * What is not taken: locks, what SQLite has beside its file (the copy has all of it), the view that DuckDB holds, what queries
 * have linked, copies of what is in the cold tier, the program's own log, and files that are being written.
 */
const LEFT_OUT =
  /^(?:before-upgrade-from-\d+|asking|archive\/cache|telemetry\.duckdb[^/]*)\/|(?:^|\/)(?:lock|lock-journal|lock\.pid|lock\.probe|runtime\.json|platform\.log[^/]*|agent\.log[^/]*|telemetry\.duckdb[^/]*|[^/]*\.db-(?:wal|shm|journal|pages|wal\.held|wal\.damaged-\d+)|[^/]*\.(?:tmp|new))$/;
const DATABASE = /\.db$/;
/** Taken last: the chain's end that `people.db` names must be in it. */
const AUDIT = /^audit\/\d{8}\.jsonl$/;
const SEGMENT = /^log\/\d{20}\.seg$/;
/** They name the files beside them, which are never changed, only replaced. */
const MANIFEST = /(?:^|\/)manifest[^/]*$/;
/** Retention and compaction may remove what was just listed; each is rare. */
const TRIES = 5;

class Changed extends Error {}

/** Throws DATA_FOLDER_UNUSABLE where there is no platform's folder, BACKUP_FAILED where it changes all the time. */
export async function takeBackup(options: BackupOptions): Promise<Taken> {
  if (!existsSync(join(options.data, "registry.db"))) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: options.data, reason: "it holds no platform's data" });
  }
  const before = await options.repository.newest();
  for (let attempt = 1; ; attempt++) {
    try {
      return await new Taking(options, before).run();
    } catch (error) {
      if (!(error instanceof Changed)) throw error;
      if (attempt === TRIES) throw new TidewireError("BACKUP_FAILED", { path: options.data, reason: error.message });
    }
  }
}

class Taking {
  readonly #options: BackupOptions;
  /** What the backup before had, by path. */
  readonly #before: ReadonlyMap<string, BackupFile>;
  readonly #files: BackupFile[] = [];
  #added = 0;

  constructor(options: BackupOptions, before: Snapshot | null) {
    this.#options = options;
    this.#before = new Map(before?.files.map((file) => [file.path, file]));
  }

  async run(): Promise<Taken> {
    const { repository, now, data } = this.#options;
    const segments = await segmentsOf(data);
    const paths = await this.#list();
    const manifests = await this.#read(paths.filter((path) => MANIFEST.test(path)));
    for (const path of paths) {
      if (DATABASE.test(path)) await this.#takeDatabase(path);
      else if (!SEGMENT.test(path) && !AUDIT.test(path)) await this.#take(path);
    }
    for (const [path, content] of manifests) {
      if (!content.equals(await readFile(join(data, path)).catch(() => Buffer.alloc(0))))
        throw new Changed(`${path} changes`);
    }
    for (const path of [...segments, ...paths.filter((one) => AUDIT.test(one))]) await this.#take(path);
    // What a view was behind by may just have left the log.
    const left = segments.find((path) => !existsSync(join(data, path)));
    if (left !== undefined) throw new Changed(`${left} was removed meanwhile`);
    const files = this.#files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const snapshot = await repository.add({ takenAt: now, version: VERSION, files });
    return { snapshot, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), added: this.#added };
  }

  async #list(): Promise<string[]> {
    const { data, repository } = this.#options;
    const own = repository.folder;
    const entries = await readdir(data, { withFileTypes: true, recursive: true });
    const paths = entries
      .filter((entry) => entry.isFile() && (own === null || !join(entry.parentPath, entry.name).startsWith(own + sep)))
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(data.length + (data.endsWith(sep) ? 0 : 1))
          .replaceAll(sep, "/"),
      );
    return paths.filter((path) => !LEFT_OUT.test(path)).sort();
  }

  async #read(paths: readonly string[]): Promise<Map<string, Buffer>> {
    const contents = new Map<string, Buffer>();
    for (const path of paths) contents.set(path, await readFile(join(this.#options.data, path)).catch(missing));
    return contents;
  }

  /** A consistent copy, however much is written to it meanwhile. */
  async #takeDatabase(path: string): Promise<void> {
    const { data, repository } = this.#options;
    const copy = join(repository.workFolder, `database-${process.pid}.db`);
    await rm(copy, { force: true });
    try {
      const database = new DatabaseSync(join(data, path), { readOnly: true, timeout: 5_000 });
      try {
        // All pages in one step: between steps another process may write, and it would begin anew, again and again.
        await backup(database, copy, { rate: 2_147_483_647 });
      } finally {
        database.close();
      }
      await this.#keep(path, copy, (await stat(copy)).size, null);
    } catch (error) {
      throw new TidewireError("BACKUP_FAILED", { path, reason: reasonOf(error) }, { cause: error });
    } finally {
      for (const name of [copy, `${copy}-wal`, `${copy}-shm`, `${copy}-journal`]) await rm(name, { force: true });
    }
  }

  async #take(path: string): Promise<void> {
    const { data, repository } = this.#options;
    const file = join(data, path);
    const { size, mtimeMs, mode } = await stat(file).catch(missing);
    const same = this.#before.get(path);
    if (same?.bytes === size && same.modifiedMs === mtimeMs && (await repository.has(same.sha256))) {
      this.#files.push({ ...same, mode: mode & 0o777 });
      return;
    }
    await this.#keep(path, file, size, mtimeMs);
  }

  /** The first `size` bytes: what a log segment grows by meanwhile comes with the next backup. */
  async #keep(path: string, file: string, size: number, modifiedMs: number | null): Promise<void> {
    const { mode } = await stat(join(this.#options.data, path)).catch(missing);
    const { sha256, bytes, added } = await this.#options.repository.keep(file, size).catch(missing);
    // A segment's padding goes when the next one is begun.
    const isPadding = SEGMENT.test(path) && size - bytes < PADDING_BYTES_MAX;
    if (bytes !== size && !isPadding) throw new Changed(`${path} became shorter while it was read`);
    this.#added += added;
    this.#files.push({ path, bytes, sha256, mode: mode & 0o777, modifiedMs });
  }
}

/** Those with records, oldest first: the last one grows, and the one that was made ahead of it is still empty. */
async function segmentsOf(data: string): Promise<string[]> {
  const found = (await readdir(join(data, "log")).catch(() => [])).map((name) => `log/${name}`);
  const names = found.filter((name) => SEGMENT.test(name)).sort();
  const sizes = await Promise.all(
    names.map(async (name) => [name, (await stat(join(data, name)).catch(missing)).size] as const),
  );
  return sizes.filter(([, size], i) => i === 0 || size > EMPTY_SEGMENT_BYTES).map(([name]) => name);
}

/** A segment's header and nothing else (docs/internals/log-format.md). */
const EMPTY_SEGMENT_BYTES = 64;

function missing(error: unknown): never {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") throw new Changed(error.message);
  throw error;
}
