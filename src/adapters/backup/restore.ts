/** Makes a data folder from a backup: whole, or not at all. */
import { existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { isAbsolute, join, normalize, resolve } from "node:path";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import { makeFolder } from "../make-folder.ts";
import type { BackupRepository, Snapshot } from "./repository.ts";

/** Throws DATA_FOLDER_UNUSABLE where the folder holds something, BACKUP_DAMAGED where a content is not what was backed up. */
export async function restoreBackup(repository: BackupRepository, snapshot: Snapshot, data: string): Promise<void> {
  const target = resolve(data);
  if (existsSync(target) && (await readdir(target)).length > 0) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", {
      path: data,
      reason: "it holds files, and a restore never replaces any",
    });
  }
  const parts = `${target}.restoring-${process.pid}`;
  try {
    makeFolder(parts);
  } catch (error) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: data, reason: reasonOf(error) }, { cause: error });
  }
  try {
    for (const file of snapshot.files) {
      const path = normalize(file.path);
      if (isAbsolute(path) || path.startsWith("..")) {
        throw new TidewireError("BACKUP_DAMAGED", {
          name: snapshot.name,
          reason: `it names a file outside of the folder: ${file.path}`,
        });
      }
      await repository.extract(snapshot.name, file, join(parts, path));
    }
    if (existsSync(target)) await rm(target, { recursive: true }); // it is empty
    await rename(parts, target);
  } catch (error) {
    await rm(parts, { recursive: true, force: true });
    throw error;
  }
}
