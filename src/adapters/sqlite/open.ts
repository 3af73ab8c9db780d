/** Opening one of our SQLite files: durable settings, a format version, and migrations in one transaction each. */
import { chmodSync, existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { TidewireError, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { PageChecksums } from "./page-checksums.ts";
import type { Sizes } from "./page-checksums.ts";

export interface DatabaseOptions {
  readonly path: string;
  /** What the file holds, for messages: "registry", "outbox". */
  readonly name: string;
  /** SQL per format version; index 0 brings an empty file to version 1. Never edited once released, only appended. */
  readonly migrations: readonly string[];
  /**
   * `full`: every commit is on disk when it returns. `normal`: a power cut may lose the last commits but never
   * damages the file; only for views that are rebuilt from the log.
   */
  readonly durability: "full" | "normal";
  /** Told of what was lost at the end of the write-ahead log. */
  readonly logger?: Logger;
  /** Another connection of ours to the same file, which is open for longer than this one. */
  readonly beside?: DatabaseSync;
  /** For tests. */
  readonly sizes?: Sizes;
}

/** The page checksums of the file behind each connection, and whether it is the one that ends them. */
const CHECKSUMS = new WeakMap<DatabaseSync, { readonly pages: PageChecksums; readonly ends: boolean }>();

/** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE, DATABASE_NEWER. To be closed by `closeDatabase`. */
export function openDatabase(options: DatabaseOptions): DatabaseSync {
  const { path, name, logger = null, beside, sizes } = options;
  const existed = existsSync(path);
  const shared = beside === undefined ? undefined : CHECKSUMS.get(beside)?.pages;
  const pages =
    shared ??
    checked(options, () =>
      PageChecksums.check({ path, name, logger, now: Date.now, ...(sizes === undefined ? {} : { sizes }) }),
    );
  if (shared === undefined && pages.isMissing) {
    openReady(options, existed, (database) => pages.prove(database)).close();
    checked(options, () => pages.makeAnew());
  }
  const database = openReady(options, true, (opened) => pages.begin(opened));
  CHECKSUMS.set(database, { pages, ends: shared === undefined });
  return database;
}

function openReady(options: DatabaseOptions, existed: boolean, then: (database: DatabaseSync) => void): DatabaseSync {
  const database = openFile(options);
  try {
    checked(options, () => prepare(database, options, existed));
    then(database);
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

export function closeDatabase(database: DatabaseSync): void {
  const checksums = CHECKSUMS.get(database);
  if (checksums?.ends === true && database.isOpen) checksums.pages.end(database);
  else database.close();
}

function prepare(database: DatabaseSync, options: DatabaseOptions, existed: boolean): void {
  if (!existed) chmodSync(options.path, 0o600);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(`PRAGMA synchronous = ${options.durability === "full" ? "FULL" : "NORMAL"}`);
  database.exec("PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -2000");
  migrate(database, options);
}

/** What the file system refuses is not damage. */
function checked<T>({ name, path }: DatabaseOptions, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isTidewireError(error)) throw error;
    throw new TidewireError("DATABASE_UNUSABLE", { name, path, reason: reasonOf(error) }, { cause: error });
  }
}

/** Runs `work` in one transaction; rolls back and rethrows when it throws. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    CHECKSUMS.get(database)?.pages.committed(database);
    return result;
  } catch (error) {
    // SQLite rolls back by itself on SQLITE_FULL and SQLITE_IOERR; a second ROLLBACK would hide the real error.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

function openFile(options: DatabaseOptions): DatabaseSync {
  try {
    const database = new DatabaseSync(options.path);
    database.prepare("PRAGMA schema_version").get(); // reads the header: fails here if it is not a database
    return database;
  } catch (error) {
    throw new TidewireError(
      "DATABASE_UNUSABLE",
      { name: options.name, path: options.path, reason: reasonOf(error) },
      { cause: error },
    );
  }
}

function migrate(database: DatabaseSync, options: DatabaseOptions): void {
  const version = (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
  if (version > options.migrations.length) {
    throw new TidewireError("DATABASE_NEWER", {
      name: options.name,
      path: options.path,
      version,
      known: options.migrations.length,
    });
  }
  for (let next = version; next < options.migrations.length; next++) {
    transaction(database, () => {
      database.exec(options.migrations[next]!);
      database.exec(`PRAGMA user_version = ${next + 1}`);
    });
  }
}
