import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { AuditFolder } from "./audit-log.ts";

async function linesIn(files: AuditFolder): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of files.lines(1)) lines.push(line.trimEnd());
  return lines.filter((line) => line !== "");
}

test("half an entry that the disk did not let be cut off at once is cut off before the next is written", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-audit-"));
  const probe = await open(join(folder, "probe"), "w");
  const handles = Object.getPrototypeOf(probe) as { datasync(): Promise<void>; truncate(): Promise<void> };
  await probe.close();
  rmSync(join(folder, "probe"));
  const files = new AuditFolder(folder);
  try {
    await files.begin("head\n");
    await files.append("one\n");
    const failing = { mock: () => Promise.reject(new Error("EIO")) };
    const sync = mock.method(handles, "datasync", failing.mock);
    const cut = mock.method(handles, "truncate", failing.mock);
    await assert.rejects(files.append("two, of which nobody was told\n"), /EIO/);
    await assert.rejects(files.append("three\n"), /EIO/, "nothing is written while it cannot be cut off");
    sync.mock.restore();
    cut.mock.restore();
    await files.append("four\n");
    assert.deepEqual(await linesIn(files), ["head", "one", "four"]);
  } finally {
    mock.restoreAll();
    await files.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
