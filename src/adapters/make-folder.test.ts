import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { writeDocument } from "./document-files.ts";
import { makeFolder } from "./make-folder.ts";

test("all that are missing are made, with the mode that is asked for; what is there stays as it is", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-"));
  const modeOf = (path: string): number => statSync(join(folder, path)).mode & 0o777;
  try {
    makeFolder(join(folder, "a", "b"));
    makeFolder(join(folder, "a", "b", "c", "d"), 0o755);
    makeFolder(join(folder, "a"), 0o755);
    const open = 0o755 & ~process.umask();
    assert.deepEqual(["a", "a/b", "a/b/c", "a/b/c/d"].map(modeOf), [0o700, 0o700, open, open]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("`tidewire pull` into a place where no folder can be is refused with a sentence", () => {
  assert.throws(
    () => writeDocument("/proc/config", "rules/a.yaml", {}),
    (error) => isTidewireError(error) && /\/proc\/config[\s\S]*no folder can be made in \/proc/.test(error.message),
  );
});
