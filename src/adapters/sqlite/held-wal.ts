/**
 * A second name for SQLite's write-ahead log, as long as a database is open. A connection that ends without `closeDatabase`
 * (its thread was ended or ran out of memory, its process came to an end, somebody looked into the file with `sqlite3`) runs a checkpoint
 * of its own and removes the log: under this name it is still there, and says which pages that checkpoint wrote.
 */
import { linkSync, readFileSync, rmSync, statSync } from "node:fs";
import { readWal } from "./wal-file.ts";
import type { WalFrame } from "./wal-file.ts";

const nameOf = (path: string): string => `${path}-wal.held`;

/** To be called while the log is there. */
export function holdWal(path: string): void {
  if (isSameFile(path)) return;
  rmSync(nameOf(path), { force: true });
  try {
    linkSync(`${path}-wal`, nameOf(path));
  } catch {
    // A file system without second names: then such an end looks like damage.
  }
}

/** What the log held when it was removed; nothing where it is there still, and speaks for itself. */
export function heldFrames(path: string): readonly WalFrame[] {
  if (isSameFile(path) || statSync(nameOf(path), { throwIfNoEntry: false }) === undefined) return [];
  return readWal(readFileSync(nameOf(path))).frames;
}

export function releaseWal(path: string): void {
  if (!isSameFile(path)) rmSync(nameOf(path), { force: true });
}

function isSameFile(path: string): boolean {
  const held = statSync(nameOf(path), { throwIfNoEntry: false });
  const wal = statSync(`${path}-wal`, { throwIfNoEntry: false });
  return held !== undefined && held.ino === wal?.ino && held.dev === wal.dev;
}
