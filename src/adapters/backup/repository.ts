/**
 * A folder with backups: every content once, compressed, under its SHA-256; and a snapshot for each backup, which says
 * what lay where. So each backup is whole, and costs only what has changed.
 *
 *     tidewire-backup.json            the format
 *     objects/ab/abcd….zst            contents
 *     snapshots/2026-11-22T02-00-00-000Z.json
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { chmod, mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { TidewireError, isTidewireError, reasonOf } from "../../base/mod.ts";
import { openDataFolder } from "../data-folder.ts";
import type { DataFolder } from "../data-folder.ts";

export interface BackupFile {
  /** Below the data folder, with slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Permission bits. */
  readonly mode: number;
  /** As of the backup; a file that still has it, and its length, is not read again. Null where it must always be. */
  readonly modifiedMs: number | null;
}

export interface Snapshot {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  /** The Tidewire that took it. */
  readonly version: string;
  readonly files: readonly BackupFile[];
}

/** What `verify` found wrong. */
export interface Problem {
  readonly snapshot: string;
  /** Null where it is the snapshot itself. */
  readonly path: string | null;
  readonly reason: string;
}

const FORMAT = 1;
const MARK = "tidewire-backup.json";
const SNAPSHOT_NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/;
/** What is read from a damaged or foreign file before it is given up. */
const SNAPSHOT_BYTES_MAX = 512 * 1024 * 1024;

export class BackupRepository {
  readonly path: string;
  readonly #release: () => void;

  private constructor(path: string, release: () => void) {
    this.path = path;
    this.#release = release;
  }

  /** Opens it for writing, alone. A folder that is there and is no repository has to be empty. */
  static async open(path: string): Promise<BackupRepository> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const marked = existsSync(join(path, MARK));
    if (!marked && (await readdir(path)).some((name) => !name.startsWith("lock"))) {
      throw new TidewireError("BACKUP_UNUSABLE", { path, reason: "it holds other files and no backup" });
    }
    if (marked) await checkFormat(path);
    let lock: DataFolder;
    try {
      lock = openDataFolder(path);
    } catch (error) {
      if (!isTidewireError(error) || error.code !== "DATA_FOLDER_LOCKED") throw error;
      throw new TidewireError(
        "BACKUP_UNUSABLE",
        { path, reason: "another backup is being written to it" },
        { cause: error },
      );
    }
    for (const folder of ["objects", "snapshots"]) await mkdir(join(path, folder), { recursive: true, mode: 0o700 });
    if (!marked) await writeDurably(join(path, MARK), `${JSON.stringify({ format: FORMAT })}\n`);
    return new BackupRepository(path, () => lock.release());
  }

  /** Opens it for reading, which may happen while a backup is being written. Throws BACKUP_UNUSABLE where there is none. */
  static async read(path: string): Promise<BackupRepository> {
    if (!existsSync(join(path, MARK)))
      throw new TidewireError("BACKUP_UNUSABLE", { path, reason: "there is no backup in it" });
    await checkFormat(path);
    return new BackupRepository(path, () => {});
  }

  close(): void {
    this.#release();
  }

  /** Oldest first. */
  async names(): Promise<string[]> {
    const names = (await readdir(join(this.path, "snapshots"))).filter((name) => name.endsWith(".json"));
    return names
      .map((name) => name.slice(0, -5))
      .filter((name) => SNAPSHOT_NAME.test(name))
      .sort();
  }

  /** Throws BACKUP_DAMAGED where it is not what was written. */
  async snapshot(name: string): Promise<Snapshot> {
    const path = this.#snapshotPath(name);
    const fail = (reason: string): TidewireError => new TidewireError("BACKUP_DAMAGED", { name, reason });
    if (!SNAPSHOT_NAME.test(name) || !existsSync(path)) {
      throw new TidewireError("BACKUP_UNUSABLE", { path: this.path, reason: `it has no backup '${name}'` });
    }
    if ((await stat(path)).size > SNAPSHOT_BYTES_MAX) throw fail("its list of files is too large");
    const [checksum, body] = splitOnce(await readFile(path, "utf8"));
    if (checksum !== sha256Of(body)) throw fail("its list of files does not match its checksum");
    return JSON.parse(body) as Snapshot;
  }

  /** The newest that can be read; null where there is none. */
  async newest(): Promise<Snapshot | null> {
    for (const name of (await this.names()).reverse()) {
      const snapshot = await this.snapshot(name).catch(() => null);
      if (snapshot !== null) return snapshot;
    }
    return null;
  }

  has(sha256: string): boolean {
    return existsSync(this.#objectPath(sha256));
  }

  /** Keeps what the file has in its first `bytes`; on disk when it resolves. */
  async keep(
    file: string,
    bytes: number,
  ): Promise<{ readonly sha256: string; readonly bytes: number; readonly added: number }> {
    const temporary = join(this.path, "objects", `new-${process.pid}`);
    const { pass, result } = meter();
    const content = bytes === 0 ? Readable.from([]) : createReadStream(file, { end: bytes - 1 });
    await pipeline(content, pass, compressor(), createWriteStream(temporary, { mode: 0o600 }));
    const read = result();
    const path = this.#objectPath(read.sha256);
    if (existsSync(path)) {
      await rm(temporary);
      return { ...read, added: 0 };
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await syncPath(temporary);
    const added = (await stat(temporary)).size;
    await rename(temporary, path);
    await syncPath(dirname(path));
    return { ...read, added };
  }

  /** From here on the backup is there. */
  async add(snapshot: Omit<Snapshot, "name">): Promise<Snapshot> {
    const name = new Date(snapshot.takenAt).toISOString().replaceAll(/[:.]/g, "-");
    const whole: Snapshot = { name, ...snapshot };
    const body = JSON.stringify(whole);
    await syncPath(join(this.path, "objects"));
    await writeDurably(this.#snapshotPath(name), `${sha256Of(body)}\n${body}`);
    return whole;
  }

  /** Writes a content to a new file, and checks it on the way. Throws BACKUP_DAMAGED. */
  async extract(snapshot: string, file: BackupFile, to: string): Promise<void> {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await this.#read(snapshot, file, createWriteStream(to, { flags: "wx", mode: file.mode }));
    await chmod(to, file.mode);
    await syncPath(to);
  }

  /** Reads all of the backup back. */
  async *verify(name: string): AsyncGenerator<Problem> {
    let snapshot: Snapshot;
    try {
      snapshot = await this.snapshot(name);
    } catch (error) {
      yield { snapshot: name, path: null, reason: reasonOf(error) };
      return;
    }
    for (const file of snapshot.files) {
      try {
        await this.#read(name, file, null);
      } catch (error) {
        yield { snapshot: name, path: file.path, reason: reasonOf(error) };
      }
    }
  }

  /** Removes all but the newest `count`, and the contents that nothing names any more. Returns the names that went. */
  async keepNewest(count: number): Promise<string[]> {
    const names = await this.names();
    const old = names.slice(0, Math.max(0, names.length - count));
    const named = new Set<string>();
    // One that cannot be read may name anything: then no content is removed.
    for (const name of names.slice(old.length))
      for (const { sha256 } of (await this.snapshot(name)).files) named.add(sha256);
    for (const name of old) await rm(this.#snapshotPath(name), { force: true });
    await syncPath(join(this.path, "snapshots"));
    for (const entry of await readdir(join(this.path, "objects"), { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const sha256 = /^([0-9a-f]{64})\.zst$/.exec(entry.name)?.[1];
      if (sha256 === undefined || !named.has(sha256)) await rm(join(entry.parentPath, entry.name), { force: true });
    }
    return old;
  }

  async #read(snapshot: string, file: BackupFile, into: NodeJS.WritableStream | null): Promise<void> {
    const damaged = (reason: string): TidewireError =>
      new TidewireError("BACKUP_DAMAGED", { name: snapshot, reason: `${file.path}: ${reason}` });
    const path = this.#objectPath(file.sha256);
    if (!existsSync(path)) throw damaged("its content is missing");
    const { pass, result } = meter();
    const sink = into ?? new Writable({ write: (_chunk, _encoding, done) => done() });
    try {
      await pipeline(createReadStream(path), createZstdDecompress(), pass, sink);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "ENOSPC" || code === "EACCES" || code === "EEXIST") throw error;
      throw damaged(reasonOf(error));
    }
    const { bytes, sha256 } = result();
    if (bytes !== file.bytes || sha256 !== file.sha256) throw damaged("its content does not match its checksum");
  }

  #snapshotPath(name: string): string {
    return join(this.path, "snapshots", `${name}.json`);
  }

  #objectPath(sha256: string): string {
    return join(this.path, "objects", sha256.slice(0, 2), `${sha256}.zst`);
  }
}

/** Hashes and counts what passes. */
function meter(): Meter {
  const hash = createHash("sha256");
  let bytes = 0;
  return {
    async *pass(chunks) {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        hash.update(chunk);
        yield chunk;
      }
    },
    result: () => ({ bytes, sha256: hash.digest("hex") }),
  };
}

interface Meter {
  readonly pass: (chunks: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>;
  /** Once, when all has passed. */
  readonly result: () => { readonly bytes: number; readonly sha256: string };
}

function compressor(): ReturnType<typeof createZstdCompress> {
  // A checksum of its own in each frame, so that damage is found before anything is made of it.
  return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 } });
}

async function checkFormat(path: string): Promise<void> {
  let format: unknown;
  try {
    ({ format } = JSON.parse(await readFile(join(path, MARK), "utf8")) as { format?: unknown });
  } catch (error) {
    throw new TidewireError(
      "BACKUP_UNUSABLE",
      { path, reason: `${MARK} cannot be read: ${reasonOf(error)}` },
      { cause: error },
    );
  }
  if (format === FORMAT) return;
  throw new TidewireError("BACKUP_UNUSABLE", {
    path,
    reason: `it has format ${String(format)}; this Tidewire knows ${FORMAT}`,
  });
}

async function writeDurably(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await syncPath(`${path}.new`);
  await rename(`${path}.new`, path);
  await syncPath(dirname(path));
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function sha256Of(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf("\n");
  return at < 0 ? ["", text] : [text.slice(0, at), text.slice(at + 1)];
}
