import assert from "node:assert/strict";
import { test } from "node:test";
import { logDirectoryContract } from "../src/log/log-directory.contract.ts";
import { SimDisk } from "./disk.ts";
import type { DiskFault } from "./disk.ts";
import { SimRandom } from "./world.ts";

logDirectoryContract("simulated files", () => Promise.resolve(new SimDisk({ random: new SimRandom(1) }).folder()));
logDirectoryContract("simulated files with padding", () =>
  Promise.resolve(new SimDisk({ random: new SimRandom(1), pads: true }).folder()),
);

const A = new Uint8Array(40).fill(1);
const B = new Uint8Array(40).fill(2);

/** Writes A and syncs it, writes B, then the power goes; what is left of the file. */
async function afterPowerCut(seed: number): Promise<Uint8Array> {
  const disk = new SimDisk({ random: new SimRandom(seed) });
  const folder = disk.folder();
  const file = await folder.open("f", "create");
  await folder.sync();
  await file.write(A, 0);
  await file.sync();
  await file.write(B, 40);
  disk.powerCut();
  disk.restart();
  return disk.bytesOf("f");
}

test("a power cut keeps what was synced, and the rest whole, torn or not at all", async () => {
  const seen = { whole: 0, torn: 0, none: 0 };
  for (let seed = 1; seed <= 200; seed++) {
    const left = await afterPowerCut(seed);
    assert.deepEqual(left.slice(0, 40), A);
    const there = left.slice(40).filter((byte) => byte === 2).length;
    seen[there === 40 ? "whole" : there === 0 ? "none" : "torn"]++;
    assert.deepEqual(left, await afterPowerCut(seed), "the same seed tells the same story");
  }
  assert.ok(seen.whole > 20 && seen.torn > 20 && seen.none > 20, JSON.stringify(seen));
});

test("a file whose folder was not synced may be gone after a power cut", async () => {
  const there: boolean[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const disk = new SimDisk({ random: new SimRandom(seed) });
    await disk.folder().open("f", "create");
    disk.powerCut();
    there.push(disk.names.includes("f"));
  }
  assert.ok(there.includes(true) && there.includes(false));
});

test("after a failed sync the file reads as if all were well, and a later sync does not help", async () => {
  let lost = 0;
  for (let seed = 1; seed <= 40; seed++) {
    let failing: DiskFault | null = null;
    const disk = new SimDisk({
      random: new SimRandom(seed),
      fault: (operation) => (operation === "sync" ? failing : null),
    });
    const folder = disk.folder();
    const file = await folder.open("f", "create");
    await folder.sync();
    await file.write(A, 0);
    failing = "EIO";
    await assert.rejects(file.sync(), /EIO/);
    failing = null;
    const into = new Uint8Array(40);
    await file.read(into, 0);
    assert.deepEqual(into, A);
    await file.sync();
    disk.powerCut();
    disk.restart();
    if (Buffer.compare(disk.bytesOf("f"), A) !== 0) lost++;
  }
  assert.ok(lost > 5 && lost < 40, `${lost}`);
});

test("a killed process leaves its writes visible, and its calls without an answer", async () => {
  const disk = new SimDisk({ random: new SimRandom(1) });
  const file = await disk.folder().open("f", "create");
  await file.write(A, 0);
  disk.kill();
  let answered = false;
  void file.sync().then(() => (answered = true));
  disk.restart();
  const again = await disk.folder().open("f", "read");
  assert.equal(await again.size(), 40);
  assert.ok(!answered);
});
