import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { logDirectoryContract } from "../../log/log-directory.contract.ts";
import { fileCrc32, openLogDirectory } from "./log-directory.ts";

async function temporary(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidewire-files-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "data", "log");
}

logDirectoryContract("real files", async (context) => openLogDirectory(await temporary(context)));

test("the folder and what is in it are this user's alone", async (context) => {
  const path = await temporary(context);
  const directory = await openLogDirectory(path);
  await (await directory.open("quarantine/x.cut", "create")).close();
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  assert.equal((await stat(join(path, "quarantine"))).mode & 0o777, 0o700);
  assert.equal((await stat(join(path, "quarantine/x.cut"))).mode & 0o777, 0o600);
});

test("a folder in the folder is listed as one, so that nobody takes it for a segment", async (context) => {
  const path = await temporary(context);
  const directory = await openLogDirectory(path);
  await mkdir(join(path, "00000000000000000000.seg"));
  assert.deepEqual(await directory.list(), ["00000000000000000000.seg/"]);
});

test("the checksum is CRC-32 as everyone knows it, and goes on from a seed", () => {
  const digits = new TextEncoder().encode("123456789");
  assert.equal(fileCrc32(digits), 0xcbf43926);
  assert.equal(fileCrc32(digits.subarray(4), fileCrc32(digits.subarray(0, 4))), 0xcbf43926);
});
