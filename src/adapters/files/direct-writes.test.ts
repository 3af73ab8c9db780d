import assert from "node:assert/strict";
import { constants } from "node:fs";
import { mkdtemp, open, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { PADDING } from "../../log/mod.ts";
import { SimRandom } from "../../../sim/world.ts";
import { openLogDirectory } from "./log-directory.ts";

const NAME = "00000000000000000000.seg";
const LARGE = 200_000;

async function temporary(context: TestContext, parent = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(parent, "tidewire-direct-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Whether this folder's file system takes writes past its cache at all. */
async function isTaken(folder: string): Promise<boolean> {
  const path = join(folder, "probe");
  const { O_RDWR, O_CREAT, O_DIRECT } = constants;
  const handle = await open(path, O_RDWR | O_CREAT | O_DIRECT).catch(() => null);
  await handle?.close();
  await rm(path, { force: true });
  return handle !== null;
}

test("a large write fills its last block with padding, which the next write covers and the end of the file takes away", async (context) => {
  const folder = await temporary(context);
  if (!(await isTaken(folder))) return context.skip("this file system has no writes past its cache");
  const path = join(folder, NAME);
  const file = await (await openLogDirectory(folder)).open(NAME, "create");
  await file.write(Uint8Array.of(9), 0);
  await file.writeDurably([new Uint8Array(LARGE - 1).fill(1)], 1);
  const padded = await readFile(path);
  assert.equal(padded.length, Math.ceil(LARGE / 4096) * 4096);
  assert.ok(padded.subarray(LARGE).every((byte) => byte === PADDING));
  await file.writeDurably([Uint8Array.of(2, 2, 2)], LARGE);
  const covered = await readFile(path);
  assert.deepEqual([...covered.subarray(LARGE - 1, LARGE + 4)], [1, 2, 2, 2, PADDING]);
  await file.close();
  assert.equal((await stat(path)).size, LARGE + 3);
});

test("small and large writes in any order, read meanwhile: the file holds what was written", async (context) => {
  const folder = await temporary(context);
  for (let seed = 1; seed <= 12; seed++) {
    const random = new SimRandom(seed);
    const directory = await openLogDirectory(folder);
    const name = `${String(seed).padStart(20, "0")}.seg`;
    let file = await directory.open(name, "create");
    const reader = await directory.open(name, "read");
    let expected = Buffer.from(random.bytes(random.below(5_000)));
    await file.write(expected, 0);
    for (let step = 0; step < 40; step++) {
      if (random.chance(0.1)) {
        await file.close();
        assert.equal(await reader.size(), expected.length);
        file = await directory.open(name, "append");
      }
      const large = random.chance(0.6) ? 60_000 + random.below(100_000) : random.below(3_000);
      const whole = Buffer.from(random.bytes(large));
      const cut = random.below(large + 1);
      await file.writeDurably([whole.subarray(0, cut), whole.subarray(cut)], expected.length);
      expected = Buffer.concat([expected, whole]);
      const from = random.chance(0.3) ? 0 : Math.max(0, expected.length - 9_000);
      const into = new Uint8Array(expected.length - from);
      assert.equal(await reader.read(into, from), into.length);
      assert.ok(Buffer.compare(into, expected.subarray(from)) === 0, `seed ${seed}, step ${step}`);
    }
    await Promise.all([file.close(), reader.close()]);
    assert.ok(expected.equals(await readFile(join(folder, name))));
  }
});

test("a write over what is there already begins in the middle of a block and keeps what stands before it", async (context) => {
  const directory = await openLogDirectory(await temporary(context));
  const file = await directory.open(NAME, "create");
  await file.writeDurably([new Uint8Array(10_000).fill(1)], 0);
  await file.writeDurably([new Uint8Array(LARGE).fill(2)], 5_000);
  await file.writeDurably([new Uint8Array(LARGE).fill(3)], 5_000);
  const into = new Uint8Array(5_001);
  await file.read(into, 0);
  assert.ok(into.subarray(0, 5_000).every((byte) => byte === 1));
  assert.equal(into[5_000], 3);
  await file.close();
});

test("a large write behind the end of the file is refused: what would stand before it is nobody's", async (context) => {
  const folder = await temporary(context);
  if (!(await isTaken(folder))) return context.skip("this file system has no writes past its cache");
  const file = await (await openLogDirectory(folder)).open(NAME, "create");
  await file.write(Uint8Array.of(1), 0);
  await assert.rejects(file.writeDurably([new Uint8Array(LARGE)], 5_000), /ends before 5000/);
  await file.close();
});

test("where a file system has no writes past its cache, large ones go through it", async (context) => {
  const folder = await temporary(context, "/dev/shm");
  const file = await (await openLogDirectory(folder)).open(NAME, "create");
  await file.write(Uint8Array.of(1), 0);
  await file.writeDurably([new Uint8Array(LARGE - 1).fill(1)], 1);
  await file.writeDurably([new Uint8Array(LARGE + 9).fill(2)], LARGE);
  await file.close();
  const content = await readFile(join(folder, NAME));
  assert.equal(content.length, 2 * LARGE + 9);
  assert.deepEqual([content[LARGE - 1], content[LARGE]], [1, 2]);
});
