/** Opening the file: settings, format, and what to do with one that is damaged or was written by a newer Tidewire. */
import { existsSync } from "node:fs";
import { chmod, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Clock, Logger } from "../../base/mod.ts";
import { quoted } from "./layout.ts";
import { SCHEMA, SCHEMA_VERSION, UPGRADE_FROM_1 } from "./schema.ts";

export interface FileOptions {
  readonly path: string;
  /** DuckDB's own memory, without Node's. */
  readonly memoryBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absolute paths of folders that statements may read and write. */
  readonly folders: readonly string[];
  /** Whether a file of format 1 is taken over: not where its points may be in files already. */
  readonly upgrade: boolean;
  /** Why the present file is not to be trusted; it is then moved aside unread. */
  readonly distrust?: string;
}

export interface OpenFile {
  readonly instance: DuckDBInstance;
  readonly writer: DuckDBConnection;
  /** Why the file had to be made anew; null where it was fine, or there was none. */
  readonly rebuilt: string | null;
}

/** A view can be rebuilt, so more than this many damaged files are not worth their space. */
const ASIDE_MAX = 3;

/**
 * What the machine or this DuckDB refuses says nothing about the file: moving it aside would not help, and would cost a
 * rebuild. Texts of DuckDB 1.5 and strerror.
 */
const ENVIRONMENT =
  /options were not recognized|unrecognized configuration parameter|Failed to set config|lock on file|Conflicting lock|Permission denied|No space left|Is a directory|Not a directory|Too many open files|Read-only file system|Cannot allocate memory|Out of Memory|could not be created|No such file or directory/i;

class NewerFormat extends Error {}

/** Throws DATABASE_UNUSABLE where the machine refuses; any other trouble ends in a fresh file and a reason. */
export async function openFile(options: FileOptions): Promise<OpenFile> {
  let rebuilt: string | null = null;
  if (options.distrust !== undefined && existsSync(options.path)) {
    rebuilt = options.distrust;
    await moveAside(options, rebuilt);
  }
  if (rebuilt === null && !existsSync(options.path) && existsSync(`${options.path}.wal`)) {
    await moveAside(options, "its write-ahead log lay there alone"); // would be replayed into the new file
  }
  try {
    return { ...(await openOnce(options)), rebuilt };
  } catch (error) {
    if (rebuilt !== null || isEnvironment(reasonOf(error)) || !existsSync(options.path))
      throw unusable(options.path, error);
    rebuilt = error instanceof NewerFormat ? error.message : `it is damaged (${reasonOf(error)})`;
    await moveAside(options, rebuilt);
  }
  try {
    return { ...(await openOnce(options)), rebuilt };
  } catch (error) {
    throw unusable(options.path, error);
  }
}

/** Whether DuckDB's words say that the file's bytes are not those that were written. */
export function isDamage(reason: string): boolean {
  return /checksum|corrupt|Could not read enough bytes/i.test(reason);
}

/** Whether DuckDB's words blame the machine or the settings, not the file. */
export function isEnvironment(reason: string): boolean {
  return ENVIRONMENT.test(reason);
}

async function openOnce({
  path,
  memoryBytes,
  folders,
  upgrade,
  logger,
}: FileOptions): Promise<Omit<OpenFile, "rebuilt">> {
  const instance = await DuckDBInstance.create(path, {
    threads: "1", // the second core is the broker's
    memory_limit: `${Math.floor(memoryBytes / 1024)}KiB`,
    // A small write-ahead log is replayed in a fraction of a second.
    checkpoint_threshold: "16MiB",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    max_temp_directory_size: "2GiB",
  });
  try {
    const writer = await instance.connect();
    await writer.run(`SET allowed_directories = [${folders.map((folder) => quoted(`${folder}/`)).join(", ")}]`);
    await writer.run("SET enable_external_access = false"); // queries reach no other file
    // Files never change under their names; 1 ms of each small question. Since DuckDB 1.5 it gives way to `memory_limit`.
    await writer.run("SET GLOBAL parquet_metadata_cache = true");
    if ((await prepareSchema(writer, upgrade)) === "upgraded")
      logger.info("The telemetry database was upgraded", { path });
    await chmod(path, 0o600);
    return { instance, writer };
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}

async function prepareSchema(writer: DuckDBConnection, upgrade: boolean): Promise<"as it was" | "upgraded"> {
  const tables = await writer.runAndReadAll("SELECT count(*)::INTEGER FROM duckdb_tables() WHERE NOT internal");
  if (tables.value(0, 0) === 0) {
    await inTransaction(writer, SCHEMA);
    return "as it was";
  }
  const format = await writer.runAndReadAll("SELECT version FROM format");
  const version = format.currentRowCount === 1 ? Number(format.value(0, 0)) : Number.NaN;
  if (version === SCHEMA_VERSION) return "as it was";
  if (version === 1 && upgrade) {
    await inTransaction(writer, UPGRADE_FROM_1);
    return "upgraded";
  }
  if (version > SCHEMA_VERSION) throw new NewerFormat(`it has the newer format ${version}`);
  throw new Error("its format is not known");
}

export async function inTransaction(connection: DuckDBConnection, statements: readonly string[]): Promise<void> {
  await connection.run("BEGIN");
  for (const statement of statements) await connection.run(statement);
  await connection.run("COMMIT");
}

/** Renames the file and its write-ahead log to `….damaged-<time>`; of several only the newest are kept. */
async function moveAside({ path, clock, logger }: FileOptions, reason: string): Promise<void> {
  const stamp = new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  let aside = `${path}.damaged-${stamp}`;
  for (let n = 2; existsSync(aside) || existsSync(`${aside}.wal`); n++) aside = `${path}.damaged-${stamp}-${n}`;
  if (existsSync(path)) await rename(path, aside);
  if (existsSync(`${path}.wal`)) await rename(`${path}.wal`, `${aside}.wal`);
  logger.error("The telemetry database was moved aside and is rebuilt from files and log", { path, aside, reason });
  const folder = dirname(path);
  const all = (await readdir(folder)).filter(
    (name) => name.startsWith(`${basename(path)}.damaged-`) && !name.endsWith(".wal"),
  );
  for (const old of all.sort().slice(0, -ASIDE_MAX)) {
    logger.warn("An old damaged telemetry database was deleted", { file: old });
    await rm(join(folder, old), { force: true });
    await rm(join(folder, `${old}.wal`), { force: true });
  }
}

function unusable(path: string, error: unknown): TidewireError {
  return new TidewireError(
    "DATABASE_UNUSABLE",
    { name: "telemetry", path, reason: reasonOf(error).split("\n")[0] ?? "" },
    { cause: error },
  );
}
