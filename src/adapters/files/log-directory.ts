/** The log's folder on a real file system. */
import { constants } from "node:fs";
import { open, mkdir, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import { writeThenSync } from "../../log/mod.ts";
import type { Crc32, LogDirectory, LogFile } from "../../log/mod.ts";
import { syncFolder } from "../sync-folder.ts";
import { DirectWrites } from "./direct-writes.ts";
import type { DirectFile } from "./direct-writes.ts";

/**
 * On Linux each write is durable when it returns (`O_DSYNC`, as if fdatasync followed), so that a group of batches takes one
 * trip to the thread pool and back: a busy event loop makes every trip a turn long. macOS means less by that flag.
 */
const WRITES_ARE_DURABLE = process.platform === "linux";
const THROUGH = WRITES_ARE_DURABLE ? constants.O_DSYNC : 0;
const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = constants;
const FLAGS = { read: O_RDONLY, append: O_RDWR | THROUGH, create: O_RDWR | O_CREAT | O_EXCL | THROUGH };
const QUARANTINE = "quarantine";

/** zlib's, which uses the processor's own instructions: 4 GB/s. */
export const fileCrc32: Crc32 = (bytes, seed) => crc32(bytes, seed);

/** Makes the folder, private to this user, where there is none. Rejects with the system's error. */
export async function openLogDirectory(path: string): Promise<LogDirectory> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncParents(path, made);
  const direct = new DirectWrites();
  return {
    list: () => listFiles(path),
    open: async (name, mode) => {
      if (mode === "create") await mkdir(join(path, name, ".."), { recursive: true, mode: 0o700 });
      const handle = await open(join(path, name), FLAGS[mode], 0o600);
      return wrap(handle, direct.file(join(path, name), handle));
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

function wrap(handle: FileHandle, direct: DirectFile): LogFile {
  /** Behind the last byte that was written. */
  let end = 0;
  const file: LogFile = {
    write: async (bytes, position) => {
      end = Math.max(end, position + bytes.length);
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    writeDurably: async (parts, position) => {
      if (!WRITES_ARE_DURABLE) return await writeThenSync(file, parts, position);
      end = position + parts.reduce((sum, part) => sum + part.length, 0);
      if (!(await direct.write(parts, position))) await writeAll(handle, parts, position);
    },
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
    close: async () => {
      try {
        await direct.close(end);
      } finally {
        await handle.close();
      }
    },
  };
  return file;
}

async function writeAll(handle: FileHandle, parts: readonly Uint8Array[], position: number): Promise<void> {
  let { bytesWritten } = await handle.writev(parts, position);
  for (const part of parts) {
    // A write may end early, at a full disk above all: the next attempt says why.
    for (let done = Math.min(bytesWritten, part.length); done < part.length;) {
      done += (await handle.write(part, done, part.length - done, position + done)).bytesWritten;
    }
    bytesWritten = Math.max(0, bytesWritten - part.length);
    position += part.length;
  }
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

function unlessMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
  throw error;
}
