/**
 * Backups in a bucket. Buckets have no locks: who writes leaves a mark first and looks for those of others then, so of two that begin at
 * once at most one goes on. A mark counts for a day after it was last renewed, or until its process is gone, where that can be told.
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { TidewireError, days, hours } from "../../base/mod.ts";
import type { Clock, EpochMs, Millis, ObjectSource, Objects } from "../../base/mod.ts";
import type { BackupPlace } from "./place.ts";

const WRITING = "writing/";
const MARK_KEPT: Millis = days(1);
const MARK_RENEWED: Millis = hours(1);

/** Who writes. */
interface WriterMark {
  readonly at: EpochMs;
  readonly host: string;
  readonly pid: number;
}

/** For reading, which may happen while a backup is being written. */
export async function readBucket(objects: Objects): Promise<BackupPlace> {
  return new BucketPlace(objects, null, "");
}

/** For writing, alone. */
export async function writeBucket(objects: Objects, clock: Clock): Promise<BackupPlace> {
  const writer = new Writer(objects, clock);
  await writer.begin();
  return new BucketPlace(objects, writer, await mkdtemp(join(tmpdir(), "tidewire-backup-")));
}

class BucketPlace implements BackupPlace {
  readonly name: string;
  readonly folder = null;
  readonly workFolder: string;
  readonly #objects: Objects;
  readonly #writer: Writer | null;

  constructor(objects: Objects, writer: Writer | null, workFolder: string) {
    this.name = objects.name;
    this.workFolder = workFolder;
    this.#objects = objects;
    this.#writer = writer;
  }

  async list(prefix: string): Promise<readonly string[]> {
    return allOf(this.#objects.list(prefix));
  }

  async read(key: string): Promise<Readable | null> {
    if ((await this.#objects.facts(key)) === null) return null;
    return Readable.from(this.#objects.get(key), { objectMode: false });
  }

  async keep(key: string, file: string): Promise<number> {
    await this.#writer?.renew();
    const handle = await open(file, "r");
    try {
      const { size } = await stat(file);
      const read: ObjectSource["read"] = async (from, below) => {
        const part = new Uint8Array(below - from);
        const { bytesRead } = await handle.read(part, 0, part.length, from);
        return part.subarray(0, bytesRead);
      };
      await this.#objects.put(key, { bytes: size, sha256: await sha256Of(file), read });
      await rm(file);
      return size;
    } finally {
      await handle.close();
    }
  }

  async write(key: string, text: string): Promise<void> {
    await this.#writer?.renew();
    await this.#objects.put(key, sourceOf(text));
  }

  async remove(key: string): Promise<void> {
    await this.#objects.remove(key);
  }

  async close(): Promise<void> {
    if (this.#writer === null) return;
    await rm(this.workFolder, { recursive: true, force: true });
    await this.#writer.end();
  }
}

class Writer {
  readonly #objects: Objects;
  readonly #clock: Clock;
  readonly #key = `${WRITING}${randomBytes(8).toString("hex")}.json`;
  #markedAt: EpochMs = 0;

  constructor(objects: Objects, clock: Clock) {
    this.#objects = objects;
    this.#clock = clock;
  }

  /** Throws BACKUP_UNUSABLE where somebody else writes. */
  async begin(): Promise<void> {
    await this.#mark();
    for await (const key of this.#objects.list(WRITING)) {
      if (key === this.#key) continue;
      const other = await this.#read(key);
      if (other === null || this.#isOver(other)) {
        await this.#objects.remove(key);
        continue;
      }
      await this.end();
      const since = new Date(other.at).toISOString();
      const reason = `another backup is being written to it, by process ${other.pid} of ${other.host}, ${since}; if that is not so, remove its object ${key}`;
      throw new TidewireError("BACKUP_UNUSABLE", { path: this.#objects.name, reason });
    }
  }

  async renew(): Promise<void> {
    if (this.#clock.now() - this.#markedAt >= MARK_RENEWED) await this.#mark();
  }

  async end(): Promise<void> {
    await this.#objects.remove(this.#key);
  }

  async #mark(): Promise<void> {
    const mark: WriterMark = { at: this.#clock.now(), host: hostname(), pid: process.pid };
    await this.#objects.put(this.#key, sourceOf(JSON.stringify(mark)));
    this.#markedAt = mark.at;
  }

  /** Null where it has just gone, or is no mark. */
  async #read(key: string): Promise<WriterMark | null> {
    if ((await this.#objects.facts(key)) === null) return null;
    const parts = await allOf(this.#objects.get(key));
    try {
      const mark = JSON.parse(Buffer.concat(parts).toString("utf8")) as Partial<WriterMark>;
      const { at, host, pid } = mark;
      return typeof at === "number" && typeof host === "string" && typeof pid === "number" ? { at, host, pid } : null;
    } catch {
      return null;
    }
  }

  #isOver({ at, host, pid }: WriterMark): boolean {
    return this.#clock.now() - at > MARK_KEPT || (host === hostname() && !isRunning(pid));
  }
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function sourceOf(text: string): ObjectSource {
  const bytes = Buffer.from(text);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes: bytes.length, sha256, read: async (from, below) => bytes.subarray(from, below) };
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}
