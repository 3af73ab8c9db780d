import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
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

/** What is said, and what to do about it. */
function assertRefused(path: string, reason: RegExp): void {
  assert.throws(
    () => openDataFolder(path),
    (error) => {
      assert.ok(isTidewireError(error) && error.code === "DATA_FOLDER_UNUSABLE", String(error));
      assert.ok(error.message.includes(`The data folder ${path} cannot be used: `), error.message);
      assert.match(error.message, reason);
      assert.match(error.fix, /--data/);
      return true;
    },
  );
}

/** Root may do everything: his tests are `nobody` for a moment. */
function asPlainUser(work: () => void): void {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.("nobody");
  try {
    work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

test(
  "a path where no folder can be is refused with a sentence, at once",
  inTemporaryFolder((folder) => {
    const at = (name: string): string => join(folder, name);
    writeFileSync(at("file"), "");
    symlinkSync(at("nowhere"), at("link"));
    assertRefused(at("file"), /it is not a folder/);
    assertRefused(at("file/data"), /file is no folder/);
    assertRefused(at("link/data"), /link is there and leads nowhere/);
    assertRefused("/dev/null/data", /\/dev\/null is no folder/);
  }),
);

test("below /proc, where Node's recursive mkdir never returns, as well", () => {
  for (const path of ["/proc/data", "/proc/a/b/data"]) {
    const { status, stderr } = opened(path, "root", [process.execPath]);
    assert.equal(status, 1, stderr);
    assert.match(stderr, /no folder can be made in \/proc\./);
  }
});

test(
  "a folder of somebody else, or one that is read-only, is refused with a sentence",
  inTemporaryFolder((folder) => {
    asPlainUser(() => assertRefused("/usr", /it belongs to another user \(uid 0\)/));
    chmodSync(folder, 0o500);
    asPlainUser(() => assertRefused(join(folder, "new"), /this user may not write to /));
    chmodSync(folder, 0o777);
    asPlainUser(() => mkdirSync(join(folder, "own"), { mode: 0o500 }));
    assert.match(
      opened(join(folder, "own"), "plain", [process.execPath]).stderr,
      /this user may not write to \S+own\./,
    );
  }),
);

const mounts = spawnSync("unshare", ["--map-root-user", "--mount", "true"], { encoding: "utf8" });
const CANNOT_MOUNT = mounts.status === 0 ? false : `this machine lets nobody mount: ${mounts.stderr || mounts.error}`;

test(
  "a full disk, and one that is mounted read-only",
  { skip: CANNOT_MOUNT },
  inTemporaryFolder((folder) => {
    const mounted = (options: string): string[] => {
      const script = `mount -t tmpfs -o ${options} tmpfs ${folder} && exec "$@"`;
      return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", process.execPath];
    };
    assert.match(opened(folder, "root", mounted("size=512k")).stderr, new RegExp(`the disk of ${folder} is full\\.`));
    assert.match(
      opened(folder, "root", mounted("ro")).stderr,
      new RegExp(`${folder} is on a file system that is read-only\\.`),
    );
    assert.equal(opened(folder, "root", mounted("size=2m")).stderr, "");
  }),
);

/** In a process of its own: what hangs there hangs alone. */
function opened(
  path: string,
  user: "plain" | "root",
  [command, ...words]: readonly string[],
): { status: number | null; stderr: string } {
  const module = join(import.meta.dirname, "data-folder.ts");
  const code = `const { openDataFolder } = await import(${JSON.stringify(module)});
    ${user === "plain" ? 'if (process.getuid() === 0) process.setuid("nobody");' : ""}
    try { openDataFolder(${JSON.stringify(path)}); } catch (error) { console.error(error.message); process.exit(1); }`;
  const options = { timeout: 20_000, encoding: "utf8" } as const;
  return spawnSync(command!, [...words, "--input-type=module", "-e", code], options);
}
