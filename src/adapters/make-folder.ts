/** Folders one below the other: Node's `recursive` never returns below /proc, where a missing parent is never made. */
import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Those that are missing, private to this user unless told otherwise. Throws an `Error` whose message is a reason in words. */
export function makeFolder(path: string, mode = 0o700): void {
  const missing: string[] = [];
  let at = resolve(path);
  for (; !isThere(at); at = dirname(at)) missing.push(at);
  for (const folder of missing.reverse()) make(folder, mode);
}

function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // what hides it refuses to make it, too
  }
}

function make(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && isThere(folder)) return; // another process was faster
    throw inWords(error, folder);
  }
}

/** What the system says about `path`, as a clause for people. */
export function inWords(error: unknown, path: string): unknown {
  const parent = dirname(path);
  const known: Readonly<Record<string, string>> = {
    ENOENT: `no folder can be made in ${parent}`,
    ENOTDIR: `${parent} is no folder`,
    EEXIST: `${path} is there and leads nowhere`,
    EACCES: `this user may not write to ${parent}`,
    EPERM: `the system does not permit it in ${parent}`,
    EROFS: `${parent} is on a file system that is read-only`,
    ENOSPC: `the disk of ${parent} is full`,
    EDQUOT: `this user's quota of the disk of ${parent} is used up`,
  };
  const { code } = error as NodeJS.ErrnoException;
  const words = code === undefined ? undefined : known[code];
  return words === undefined ? error : new Error(words, { cause: error });
}
