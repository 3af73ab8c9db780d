/** The folder that one platform or one agent owns: made private, checked for use, and locked while the process lives. */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TidewireError, reasonOf } from "../base/mod.ts";

export interface DataFolder {
  readonly path: string;
  release(): void;
}

/** Throws DATA_FOLDER_UNUSABLE or DATA_FOLDER_LOCKED. */
export function openDataFolder(path: string): DataFolder {
  makeUsable(path);
  const lock = acquireLock(path);
  return {
    path,
    release: () => lock.close(),
  };
}

function makeUsable(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (!statSync(path).isDirectory()) throw new Error("it is not a folder");
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    chmodSync(path, 0o700);
  } catch (error) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path, reason: reasonOf(error) }, { cause: error });
  }
}

/**
 * The lock is SQLite's own file lock: the operating system drops it when the process dies, however it dies, so there is
 * no stale lock to reason about and no race between looking and taking. The pid beside it is only for the message.
 */
function acquireLock(path: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(join(path, "lock"), { timeout: 200 });
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    writeFileSync(join(path, "lock.pid"), `${process.pid}\n`, { mode: 0o600 });
    return lock;
  } catch (error) {
    lock?.close();
    const reason = reasonOf(error);
    if (!/locked|busy/i.test(reason)) {
      throw new TidewireError("DATA_FOLDER_UNUSABLE", { path, reason }, { cause: error });
    }
    throw new TidewireError("DATA_FOLDER_LOCKED", { path, pid: holderOf(path) }, { cause: error });
  }
}

/** The process that uses the folder now; null where none does, or where it has not said yet who it is. */
export function dataFolderHolder(path: string): number | null {
  if (!existsSync(join(path, "lock"))) return null;
  const probe = new DatabaseSync(join(path, "lock"), { timeout: 0 });
  try {
    probe.exec("BEGIN EXCLUSIVE; ROLLBACK");
    return null;
  } catch {
    const pid = Number(holderOf(path));
    // Between lock and name there still stands who had it before.
    return Number.isInteger(pid) && pid > 0 && isAlive(pid) ? pid : null;
  } finally {
    probe.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // somebody else's
  }
}

function holderOf(path: string): string {
  try {
    return readFileSync(join(path, "lock.pid"), "utf8").trim();
  } catch {
    return "unknown";
  }
}
