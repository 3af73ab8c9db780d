/**
 * A folder or a bucket with backups: every content once, compressed, under its SHA-256; and a snapshot for each backup, which says
 * what lay where. So each backup is whole, and costs only what has changed.
 *
 *     tidewire-backup.json            the format
 *     objects/ab/abcd….zst            contents
 *     snapshots/2026-11-22T02-00-00-000Z.json
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { LIMITS, TidewireError, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Clock, Objects, Scheduler } from "../../base/mod.ts";
import { openObjects } from "../objects/mod.ts";
import type { ColdPlace } from "../objects/mod.ts";
import { readBucket, writeBucket } from "./bucket-place.ts";
import { readFolder, writeFolder } from "./folder-place.ts";
import { MARK } from "./place.ts";
import type { BackupPlace } from "./place.ts";

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
const SNAPSHOT_NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/;
/** What is read from a damaged or foreign file before it is given up. */
const SNAPSHOT_BYTES_MAX = 512 * 1024 * 1024;

export interface BackupPorts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** In place of what the configuration says: a test's. */
  readonly objects?: Objects;
}

export class BackupRepository {
  readonly #place: BackupPlace;
  /** Contents that are there. */
  #known: Set<string> | null = null;
  /** Those of this run, where no other is trusted. */
  readonly #trusted: Set<string> | null;

  private constructor(place: BackupPlace, trusted: Set<string> | null = null) {
    this.#place = place;
    this.#trusted = trusted;
  }

  /**
   * Opens it for writing, alone. `anew`: what is there already is written again, because some of it may be damaged. Throws
   * BACKUP_UNUSABLE where it holds something else, or somebody else writes.
   */
  static async open(where: ColdPlace, ports: BackupPorts, anew = false): Promise<BackupRepository> {
    const place =
      where.kind === "folder"
        ? await writeFolder(where.path)
        : await writeBucket(await bucketOf(where, ports), ports.clock);
    try {
      if (!(await hasFormat(place))) await place.write(MARK, `${JSON.stringify({ format: FORMAT })}\n`);
      return new BackupRepository(place, anew ? new Set() : null);
    } catch (error) {
      await place.close();
      throw error;
    }
  }

  /** Opens it for reading, which may happen while a backup is being written. Throws BACKUP_UNUSABLE where there is none. */
  static async read(where: ColdPlace, ports: BackupPorts): Promise<BackupRepository> {
    const place = where.kind === "folder" ? readFolder(where.path) : await readBucket(await bucketOf(where, ports));
    if (await hasFormat(place)) return new BackupRepository(place);
    throw new TidewireError("BACKUP_UNUSABLE", { path: place.name, reason: "there is no backup in it" });
  }

  /** Of the folder that it is; null where it is in a bucket. */
  get folder(): string | null {
    return this.#place.folder;
  }

  /** For copies that are to be kept. */
  get workFolder(): string {
    return this.#place.workFolder;
  }

  close(): Promise<void> {
    return this.#place.close();
  }

  /** Oldest first. */
  async names(): Promise<string[]> {
    const names = (await this.#place.list("snapshots/")).map((key) => /^snapshots\/(.+)\.json$/.exec(key)?.[1] ?? "");
    return names.filter((name) => SNAPSHOT_NAME.test(name)).sort();
  }

  /** Throws BACKUP_DAMAGED where it is not what was written. */
  async snapshot(name: string): Promise<Snapshot> {
    const fail = (reason: string): TidewireError => new TidewireError("BACKUP_DAMAGED", { name, reason });
    const content = SNAPSHOT_NAME.test(name) ? await this.#place.read(snapshotKey(name)) : null;
    if (content === null) {
      throw new TidewireError("BACKUP_UNUSABLE", { path: this.#place.name, reason: `it has no backup '${name}'` });
    }
    const text = await textOf(content, SNAPSHOT_BYTES_MAX);
    if (text === null) throw fail("its list of files is too large");
    const [checksum, body] = splitOnce(text);
    if (checksum !== sha256Of(body)) throw fail("its list of files does not match its checksum");
    return JSON.parse(body) as Snapshot;
  }

  /** The newest that can be read; null where there is none. */
  async newest(): Promise<Snapshot | null> {
    for (const name of (await this.names()).reverse()) {
      const snapshot = await this.snapshot(name).catch((error: unknown) => {
        if (isUnreachable(error)) throw error;
        return null;
      });
      if (snapshot !== null) return snapshot;
    }
    return null;
  }

  async has(sha256: string): Promise<boolean> {
    return (this.#trusted ?? (await this.#contents())).has(sha256);
  }

  /** Keeps what the file has in its first `bytes`; durable when it resolves. */
  async keep(
    file: string,
    bytes: number,
  ): Promise<{ readonly sha256: string; readonly bytes: number; readonly added: number }> {
    const temporary = join(this.#place.workFolder, `new-${process.pid}`);
    const { pass, result } = meter();
    const content = bytes === 0 ? Readable.from([]) : createReadStream(file, { end: bytes - 1 });
    await pipeline(content, pass, compressor(), createWriteStream(temporary, { mode: 0o600 }));
    const read = result();
    const known = this.#trusted ?? (await this.#contents());
    if (known.has(read.sha256)) {
      await rm(temporary);
      return { ...read, added: 0 };
    }
    const added = await this.#place.keep(objectKey(read.sha256), temporary);
    known.add(read.sha256);
    return { ...read, added };
  }

  /** From here on the backup is there. Throws BACKUP_FAILED where a content has gone meanwhile. */
  async add(snapshot: Omit<Snapshot, "name">): Promise<Snapshot> {
    const name = new Date(snapshot.takenAt).toISOString().replaceAll(/[:.]/g, "-");
    const whole: Snapshot = { name, ...snapshot };
    const body = JSON.stringify(whole);
    this.#known = null; // who removes objects by a rule of the bucket does not ask
    const known = await this.#contents();
    const gone = snapshot.files.find(({ sha256 }) => !known.has(sha256));
    if (gone !== undefined) {
      const reason = `the content of ${gone.path} was removed while the backup was being written`;
      throw new TidewireError("BACKUP_FAILED", { path: this.#place.name, reason });
    }
    await this.#place.write(snapshotKey(name), `${sha256Of(body)}\n${body}`);
    return whole;
  }

  /** Writes a content to a new file, and checks it on the way. Throws BACKUP_DAMAGED. */
  async extract(snapshot: string, file: BackupFile, to: string): Promise<void> {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await this.#read(snapshot, file, createWriteStream(to, { flags: "wx", mode: file.mode }));
    await chmod(to, file.mode);
    const handle = await open(to, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Reads all of the backup back. Throws OBJECTS_UNAVAILABLE and OBJECTS_REFUSED: that is no damage. */
  async *verify(name: string): AsyncGenerator<Problem> {
    let snapshot: Snapshot;
    try {
      snapshot = await this.snapshot(name);
    } catch (error) {
      if (isUnreachable(error)) throw error;
      yield { snapshot: name, path: null, reason: reasonOf(error) };
      return;
    }
    for (const file of snapshot.files) {
      try {
        await this.#read(name, file, null);
      } catch (error) {
        if (isUnreachable(error)) throw error;
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
    for (const name of old) await this.#place.remove(snapshotKey(name));
    this.#known = null;
    for (const key of await this.#place.list("objects/")) {
      const sha256 = CONTENT.exec(key)?.[1];
      if (sha256 === undefined || !named.has(sha256)) await this.#place.remove(key);
    }
    return old;
  }

  async #read(snapshot: string, file: BackupFile, into: NodeJS.WritableStream | null): Promise<void> {
    const damaged = (reason: string): TidewireError =>
      new TidewireError("BACKUP_DAMAGED", { name: snapshot, reason: `${file.path}: ${reason}` });
    const content = await this.#place.read(objectKey(file.sha256));
    if (content === null) throw damaged("its content is missing");
    const { pass, result } = meter();
    const sink = into ?? new Writable({ write: (_chunk, _encoding, done) => done() });
    try {
      await pipeline(content, createZstdDecompress(), pass, sink);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "ENOSPC" || code === "EACCES" || code === "EEXIST" || isTidewireError(error)) throw error;
      throw damaged(reasonOf(error));
    }
    const { bytes, sha256 } = result();
    if (bytes !== file.bytes || sha256 !== file.sha256) throw damaged("its content does not match its checksum");
  }

  async #contents(): Promise<Set<string>> {
    if (this.#known !== null) return this.#known;
    const names = (await this.#place.list("objects/")).map((key) => CONTENT.exec(key)?.[1]);
    return (this.#known = new Set(names.filter((name) => name !== undefined)));
  }
}

const CONTENT = /^objects\/[0-9a-f]{2}\/([0-9a-f]{64})\.zst$/;

function objectKey(sha256: string): string {
  return `objects/${sha256.slice(0, 2)}/${sha256}.zst`;
}

function snapshotKey(name: string): string {
  return `snapshots/${name}.json`;
}

async function bucketOf(where: ColdPlace, { scheduler, objects }: BackupPorts): Promise<Objects> {
  return objects ?? (await openObjects(where, LIMITS.archive, { scheduler }));
}

/** A bucket that does not answer says nothing about what is in it. */
function isUnreachable(error: unknown): boolean {
  return isTidewireError(error) && (error.code === "OBJECTS_UNAVAILABLE" || error.code === "OBJECTS_REFUSED");
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

/** False where there is no mark at all. */
async function hasFormat(place: BackupPlace): Promise<boolean> {
  const unusable = (reason: string): TidewireError =>
    new TidewireError("BACKUP_UNUSABLE", { path: place.name, reason });
  const mark = await place.read(MARK);
  if (mark === null) return false;
  let format: unknown;
  try {
    ({ format } = JSON.parse((await textOf(mark, MARK_BYTES_MAX)) ?? "") as { format?: unknown });
  } catch (error) {
    throw unusable(`${MARK} cannot be read: ${reasonOf(error)}`);
  }
  if (format !== FORMAT) throw unusable(`it has format ${String(format)}; this Tidewire knows ${FORMAT}`);
  return true;
}

const MARK_BYTES_MAX = 1_000;

/** Null where it is longer. */
async function textOf(content: Readable, bytesMax: number): Promise<string | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of content as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) {
      content.destroy();
      return null;
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function sha256Of(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf("\n");
  return at < 0 ? ["", text] : [text.slice(0, at), text.slice(at + 1)];
}
