import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { openDataFolder } from "./data-folder.ts";

function inTemporaryFolder(run: (folder: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-"));
    try {
      await run(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

test(
  "a new folder is made, private, and may be taken again once released",
  inTemporaryFolder((folder) => {
    const path = join(folder, "a", "b");
    const first = openDataFolder(path);
    assert.equal(statSync(path).mode & 0o777, 0o700);
    first.release();
    openDataFolder(path).release();
  }),
);

test(
  "a second process is refused and told who holds the folder; the lock ends with its holder, even by SIGKILL",
  inTemporaryFolder(async (folder) => {
    const module = join(import.meta.dirname, "data-folder.ts");
    const code = `const { openDataFolder } = await import(${JSON.stringify(module)}); globalThis.held = openDataFolder(${JSON.stringify(folder)}); console.log("held"); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(holder.stdout, "data");
    assert.throws(
      () => openDataFolder(folder),
      (error) =>
        isTidewireError(error) && error.code === "DATA_FOLDER_LOCKED" && error.message.includes(String(holder.pid)),
    );
    holder.kill("SIGKILL");
    await once(holder, "exit");
    openDataFolder(folder).release();
  }),
);

test(
  "a path that is a file is refused with a sentence",
  inTemporaryFolder((folder) => {
    const path = join(folder, "file");
    writeFileSync(path, "");
    assert.throws(
      () => openDataFolder(path),
      (error) => isTidewireError(error) && error.code === "DATA_FOLDER_UNUSABLE",
    );
  }),
);
