/** Writing a small file so that a crash at any moment leaves the old content or the new, never half of one. */
import { randomBytes } from "node:crypto";
import { closeSync, fchmodSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { syncFolderNow } from "../sync-folder.ts";

/** Told before each step; a test throws from it to stand for a failure or crash there. */
export type OnStep = (step: "create" | "write" | "sync" | "rename" | "sync-folder", file: string) => void;

const TEMPORARY = /^\..+\.[0-9a-f]{16}\.tmp$/;

export function writeAtomically(folder: string, file: string, content: string, onStep: OnStep = () => {}): void {
  const temporary = join(folder, `.${file}.${randomBytes(8).toString("hex")}.tmp`);
  onStep("create", file);
  const handle = openSync(temporary, "wx", 0o600);
  try {
    onStep("write", file);
    fchmodSync(handle, 0o600); // whatever the umask made of it
    writeFileSync(handle, content);
    onStep("sync", file);
    fsyncSync(handle);
  } catch (error) {
    rmSync(temporary); // a full disk must not fill with attempts
    throw error;
  } finally {
    closeSync(handle);
  }
  onStep("rename", file);
  renameSync(temporary, join(folder, file));
  onStep("sync-folder", file);
  syncFolderNow(folder); // the new name itself must survive a power cut
}

/** Removes what a crash left behind; only files that `writeAtomically` can have made. */
export function removeTemporaryFiles(folder: string): readonly string[] {
  const left = readdirSync(folder).filter((name) => TEMPORARY.test(name));
  for (const name of left) rmSync(join(folder, name));
  return left;
}

/** Gone also after a power cut. */
export function removeDurably(folder: string, file: string): void {
  rmSync(join(folder, file), { force: true });
  syncFolderNow(folder);
}
