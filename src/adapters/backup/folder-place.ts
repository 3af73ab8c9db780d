/** Backups in a folder: of another disk, or of a mounted share. */
import { createReadStream, existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { TidewireError, isTidewireError, reasonOf } from "../../base/mod.ts";
import { openDataFolder } from "../data-folder.ts";
import { makeFolder } from "../make-folder.ts";
import { MARK } from "./place.ts";
import type { BackupPlace } from "./place.ts";

/** For reading, which may happen while a backup is being written. */
export function readFolder(path: string): BackupPlace {
  return placeOf(path, () => {});
}

/** For writing, alone. A folder that is there and is no repository has to be empty. */
export async function writeFolder(path: string): Promise<BackupPlace> {
  try {
    makeFolder(path);
  } catch (error) {
    throw new TidewireError("BACKUP_UNUSABLE", { path, reason: reasonOf(error) }, { cause: error });
  }
  if (!existsSync(join(path, MARK)) && (await readdir(path)).some((name) => !name.startsWith("lock"))) {
    throw new TidewireError("BACKUP_UNUSABLE", { path, reason: "it holds other files and no backup" });
  }
  try {
    const lock = openDataFolder(path);
    for (const folder of ["objects", "snapshots"]) await mkdir(join(path, folder), { recursive: true, mode: 0o700 });
    return placeOf(path, () => lock.release());
  } catch (error) {
    if (!isTidewireError(error) || error.code !== "DATA_FOLDER_LOCKED") throw error;
    const reason = "another backup is being written to it";
    throw new TidewireError("BACKUP_UNUSABLE", { path, reason }, { cause: error });
  }
}

function placeOf(path: string, release: () => void): BackupPlace {
  const at = (key: string): string => join(path, key);
  const keep = async (key: string, file: string): Promise<number> => {
    const folder = dirname(at(key));
    const made = await mkdir(folder, { recursive: true, mode: 0o700 });
    await syncPath(file);
    const { size } = await stat(file);
    await rename(file, at(key));
    await syncPath(folder);
    if (made !== undefined) await syncPath(dirname(folder));
    return size;
  };
  return {
    name: path,
    folder: path,
    workFolder: at("objects"),
    list: async (prefix) => {
      const entries = await readdir(at(prefix), { withFileTypes: true, recursive: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => relative(path, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
        .sort();
    },
    read: async (key) => (existsSync(at(key)) ? createReadStream(at(key)) : null),
    keep,
    write: async (key, text) => {
      await writeFile(`${at(key)}.new`, text, { mode: 0o600 });
      await keep(key, `${at(key)}.new`);
    },
    remove: async (key) => {
      await rm(at(key), { force: true });
      await syncPath(dirname(at(key)));
    },
    close: async () => release(),
  };
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
