/** The log's folder on a real file system. */
import { open, mkdir, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import type { Crc32, LogDirectory, LogFile } from "../../log/mod.ts";

const FLAGS = { read: "r", append: "r+", create: "wx+" } as const;
const QUARANTINE = "quarantine";

/** zlib's, which uses the processor's own instructions: 4 GB/s. */
export const fileCrc32: Crc32 = (bytes, seed) => crc32(bytes, seed);

/** Makes the folder, private to this user, where there is none. Rejects with the system's error. */
export async function openLogDirectory(path: string): Promise<LogDirectory> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncParents(path, made);
  return {
    list: () => listFiles(path),
    open: async (name, mode) => {
      if (mode === "create") await mkdir(join(path, name, ".."), { recursive: true, mode: 0o700 });
      return wrap(await open(join(path, name), FLAGS[mode], 0o600));
    },
    remove: (name) => rm(join(path, name)),
    rename: (from, to) => moveFile(path, from, to),
    sync: async () => {
      await syncFolder(path);
      await syncFolder(join(path, QUARANTINE)).catch(unlessMissing);
    },
    freeBytes: async () => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    },
  };
}

function wrap(handle: FileHandle): LogFile {
  return {
    write: async (bytes, position) => {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    read: async (into, position) => {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    size: async () => (await handle.stat()).size,
    truncate: (size) => handle.truncate(size),
    close: () => handle.close(),
  };
}

async function listFiles(path: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.name !== QUARANTINE) names.push(entry.isDirectory() ? `${entry.name}/` : entry.name);
    else for (const name of await readdir(join(path, QUARANTINE))) names.push(`${QUARANTINE}/${name}`);
  }
  return names;
}

/** `rename` alone would replace `to`. The folder has one writer, so nothing comes between the question and the move. */
async function moveFile(path: string, from: string, to: string): Promise<void> {
  const there = await stat(join(path, to)).catch(unlessMissing);
  if (there !== undefined) throw Object.assign(new Error(`EEXIST: ${to} exists`), { code: "EEXIST" });
  await mkdir(join(path, to, ".."), { recursive: true, mode: 0o700 });
  await rename(join(path, from), join(path, to));
}

/** New folders are entries of their parents, which nobody else syncs. `top`: the uppermost one that was made. */
async function syncParents(path: string, top: string): Promise<void> {
  for (let folder = resolve(path); folder.length >= resolve(top).length; folder = dirname(folder)) {
    await syncFolder(dirname(folder));
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
  throw error;
}
