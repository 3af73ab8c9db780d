/** Objects as files below a folder: another disk, or a mounted share. */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { TidewireError, isObjectKey, mib, reasonOf } from "../../base/mod.ts";
import type { ObjectFacts, ObjectSource, Objects } from "../../base/mod.ts";
import { syncFolder } from "../sync-folder.ts";

const PART_BYTES = mib(1);
const TEMPORARY = /\.[0-9a-f]{16}\.tmp$/;

export class FolderObjects implements Objects {
  readonly name: string;
  readonly #root: string;

  /** `root` must be there: one that is made anew below an empty mount point would fill the wrong disk. */
  constructor(root: string) {
    this.#root = root;
    this.name = `folder ${root}`;
  }

  async put(key: string, source: ObjectSource, signal?: AbortSignal): Promise<void> {
    const path = this.#path(key);
    await this.#attempt(key, async () => {
      await stat(this.#root);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const temporary = `${path}.${randomBytes(8).toString("hex")}.tmp`;
      try {
        await writeSynced(temporary, source, signal);
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true }); // a full disk must not fill with attempts
        throw error;
      }
      for (let folder = dirname(path); folder.length >= this.#root.length; folder = dirname(folder))
        await syncFolder(folder);
    });
  }

  facts(key: string): Promise<ObjectFacts | null> {
    return this.#attempt(key, async () => {
      await stat(this.#root); // one that is not mounted says nothing about what it holds
      const found = await stat(this.#path(key)).catch(unlessMissing);
      return found === undefined ? null : { bytes: found.size, sha256: null };
    });
  }

  async *get(key: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const handle = await this.#attempt(key, async () => {
      await stat(this.#root);
      return open(this.#path(key), "r").catch(unlessMissing);
    });
    if (handle === undefined) throw new TidewireError("NOT_FOUND", { kind: "object", name: key });
    try {
      for (let at = 0; ;) {
        signal?.throwIfAborted();
        const buffer = new Uint8Array(PART_BYTES);
        const { bytesRead } = await this.#attempt(key, () => handle.read(buffer, 0, buffer.length, at));
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    } finally {
      await handle.close();
    }
  }

  async *list(prefix: string): AsyncGenerator<string> {
    const entries = await this.#attempt(prefix, () => readdir(this.#root, { recursive: true, withFileTypes: true }));
    const keys = entries
      .filter((entry) => entry.isFile() && !TEMPORARY.test(entry.name))
      .map((entry) => relative(this.#root, join(entry.parentPath, entry.name)))
      .filter((key) => key.startsWith(prefix) && isObjectKey(key));
    yield* keys.sort();
  }

  async remove(key: string): Promise<void> {
    await this.#attempt(key, async () => {
      await stat(this.#root);
      await rm(this.#path(key), { force: true });
    });
  }

  #path(key: string): string {
    if (!isObjectKey(key))
      throw new TidewireError("OBJECTS_REFUSED", { store: this.name, reason: `'${key}' is no key` });
    return join(this.#root, key);
  }

  async #attempt<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Damaged) {
        throw new TidewireError("OBJECT_DAMAGED", { store: this.name, key, reason: error.message }, { cause: error });
      }
      if (error instanceof TidewireError || (error instanceof Error && error.name === "AbortError")) throw error;
      throw new TidewireError("OBJECTS_UNAVAILABLE", { store: this.name, reason: reasonOf(error) }, { cause: error });
    }
  }
}

class Damaged extends Error {}

async function writeSynced(path: string, source: ObjectSource, signal: AbortSignal | undefined): Promise<void> {
  const hash = createHash("sha256");
  const handle = await open(path, "wx", 0o600);
  try {
    for (let at = 0; at < source.bytes; at += PART_BYTES) {
      signal?.throwIfAborted();
      const part = await source.read(at, Math.min(at + PART_BYTES, source.bytes));
      for (let done = 0; done < part.length;) {
        done += (await handle.write(part, done, part.length - done, at + done)).bytesWritten;
      }
      hash.update(part);
    }
    if (hash.digest("hex") !== source.sha256) throw new Damaged("its source is not what it was");
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
  throw error;
}
