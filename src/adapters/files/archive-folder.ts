/** The archive's folder on a real file system. */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import type { ArchiveFolder, Digest } from "../../archive/mod.ts";
import { mib } from "../../base/mod.ts";
import { syncFolder } from "../sync-folder.ts";

const READ_BYTES = mib(1);

/** Makes the folder, private to this user, where there is none. Rejects with the system's error. */
export async function openArchiveFolder(given: string): Promise<ArchiveFolder> {
  const root = resolve(given);
  await mkdir(root, { recursive: true, mode: 0o700 });
  const at = (name: string): string => {
    const path = join(root, name);
    if (!path.startsWith(`${root}/`)) throw new Error(`'${name}' is no name of a file in the archive`);
    return path;
  };
  return {
    list: () => listFiles(root),
    place: async (name) => {
      await makeFolder(root, dirname(at(name)));
      return at(name);
    },
    digest: (name, signal) => fileDigest(at(name), signal),
    publish: async (from, to) => {
      await syncFile(at(from));
      await makeFolder(root, dirname(at(to)));
      await rename(at(from), at(to));
      await syncFolder(dirname(at(to)));
    },
    read: (name, from, below) => readRange(at(name), from, below),
    write: async (name, content) => {
      await makeFolder(root, dirname(at(name)));
      return writeAll(at(name), content);
    },
    remove: (name) => rm(at(name), { force: true }),
    freeBytes: async () => {
      const { bavail, bsize } = await statfs(root);
      return bavail * bsize;
    },
  };
}

async function listFiles(root: string): Promise<{ name: string; bytes: number }[]> {
  const found: { name: string; bytes: number }[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const facts = await stat(path).catch(unlessMissing);
    if (facts !== undefined) found.push({ name: relative(root, path), bytes: facts.size });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A new folder is an entry of its parent, which nobody else syncs. */
async function makeFolder(root: string, folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made === undefined) return;
  for (let below = folder; below.length >= made.length && below !== root; below = dirname(below)) {
    await syncFolder(dirname(below));
  }
}

/** SHA-256 of what is on the disk; `null` where there is no such file. */
async function fileDigest(path: string, signal?: AbortSignal): Promise<Digest | null> {
  const handle = await open(path, "r").catch(unlessMissing);
  if (handle === undefined) return null;
  try {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let bytes = 0;
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, bytes);
      if (bytesRead === 0) return { bytes, sha256: hash.digest("hex") };
      hash.update(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** Of what passes by, which is not kept. */
export async function digestOf(content: AsyncIterable<Uint8Array>): Promise<Digest> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const part of content) {
    hash.update(part);
    bytes += part.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

async function readRange(path: string, from: number, below: number): Promise<Uint8Array> {
  const handle = await open(path, "r");
  try {
    const bytes = new Uint8Array(below - from);
    for (let done = 0; done < bytes.length;) {
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, from + done);
      if (bytesRead === 0) throw new Error(`${path} is shorter than it was`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

async function writeAll(path: string, content: AsyncIterable<Uint8Array>): Promise<Digest> {
  const handle = await open(path, "w", 0o600);
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const part of content) {
      await writeFully(handle, part, bytes);
      hash.update(part);
      bytes += part.length;
    }
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    await handle.close();
  }
}

async function writeFully(handle: FileHandle, part: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < part.length;) {
    const { bytesWritten } = await handle.write(part, done, part.length - done, position + done);
    done += bytesWritten;
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.chmod(0o600); // whatever the umask of its writer made of it
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
  throw error;
}
