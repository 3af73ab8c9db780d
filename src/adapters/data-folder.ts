/** The folder that one platform or one agent owns: made private, checked for use, and locked while the process lives. */
import { accessSync, chmodSync, constants, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TidewireError, mib, reasonOf } from "../base/mod.ts";
import { inWords, makeFolder } from "./make-folder.ts";

/** What the files take that SQLite and the log keep beside those that are there: with less, a start ends in the middle. */
const ROOM_BYTES = mib(1);

export interface DataFolder {
  readonly path: string;
  release(): void;
}

/** Throws DATA_FOLDER_UNUSABLE or DATA_FOLDER_LOCKED. */
export function openDataFolder(path: string): DataFolder {
  makeUsable(path);
  const lock = acquireLock(path);
  try {
    proveRoom(path);
  } catch (error) {
    lock.close();
    throw error;
  }
  return {
    path,
    release: () => lock.close(),
  };
}

function makeUsable(path: string): void {
  try {
    makeFolder(path);
    const folder = statSync(path);
    if (!folder.isDirectory()) throw new Error("it is not a folder");
    const user = process.geteuid?.() ?? folder.uid;
    if (user !== 0 && folder.uid !== user) throw new Error(`it belongs to another user (uid ${folder.uid})`);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    chmodSync(path, 0o700);
  } catch (error) {
    throw unusable(path, inWords(error, join(path, "lock")));
  }
}

/** By writing: free space is one reason of several, and the file system alone knows of quotas. */
function proveRoom(path: string): void {
  const probe = join(path, "lock.probe");
  try {
    writeFileSync(probe, Buffer.alloc(ROOM_BYTES), { mode: 0o600, flush: true });
  } catch (error) {
    throw unusable(path, inWords(error, probe));
  } finally {
    rmSync(probe, { force: true });
  }
}

function unusable(path: string, cause: unknown): TidewireError {
  return new TidewireError("DATA_FOLDER_UNUSABLE", { path, reason: reasonOf(cause) }, { cause });
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
    if (!/locked|busy/i.test(reason)) throw unusable(path, inWords(error, join(path, "lock")));
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
