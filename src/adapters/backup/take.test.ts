/** What a running platform does to its files between the look at them and their copy. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { PADDING, PADDING_BYTES_MAX } from "../../log/mod.ts";
import { openRegistry } from "../sqlite/registry-store.ts";
import { BackupRepository } from "./repository.ts";
import { takeBackup } from "./take.ts";
import type { Taken } from "./take.ts";

const SEGMENT = "log/00000000000000000000.seg";
const BYTES = 70_000;

/** A backup of a folder whose segment is cut to `to` bytes when its first copy begins. */
async function takeWhileCut(context: TestContext, to: number): Promise<Taken & { readonly copies: number }> {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-take-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const data = join(folder, "data");
  mkdirSync(join(data, "log"), { recursive: true });
  openRegistry(join(data, "registry.db"), new SimLogger()).close();
  const segment = join(data, SEGMENT);
  const clock = new SimClock();
  const repository = await BackupRepository.open(
    { kind: "folder", path: join(folder, "backup") },
    { clock, scheduler: clock },
  );
  context.after(() => repository.close());
  const keep = repository.keep.bind(repository);
  let copies = 0;
  repository.keep = (file, bytes) => {
    if (file === segment && ++copies === 1) truncateSync(segment, to);
    return keep(file, bytes);
  };
  writeFileSync(segment, Buffer.alloc(BYTES, PADDING));
  const taken = await takeBackup({ data, repository, now: clock.now() });
  return { ...taken, copies };
}

for (const [cut, copies] of [
  [PADDING_BYTES_MAX - 1, 1],
  [PADDING_BYTES_MAX, 2],
] as const) {
  test(`a segment that loses ${cut} bytes while it is copied is copied ${copies === 1 ? "once: that was padding" : "again"}`, async (context) => {
    const taken = await takeWhileCut(context, BYTES - cut);
    assert.equal(taken.copies, copies);
    assert.equal(taken.snapshot.files.find(({ path }) => path === SEGMENT)?.bytes, BYTES - cut);
  });
}
