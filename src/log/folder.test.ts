/** Folders that are not as they should be: told in one sentence, and nothing is destroyed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { fileCrc32 as crc32 } from "../adapters/files/mod.ts";
import { FORMAT_VERSION, segmentName, viewOf } from "./format.ts";
import { Scene, bytesOf, findings, numbered, readAll } from "./log.fixture.ts";

/** Thirty records in segments of a few. */
async function written(): Promise<Scene> {
  const scene = new Scene();
  await scene.write(numbered(30));
  assert.ok(scene.disk.names.length >= 5);
  return scene;
}

async function refused(scene: Scene, code: string, sentence: RegExp): Promise<void> {
  const before = scene.disk.names.map((name) => [name, scene.disk.bytesOf(name).slice()]);
  await assert.rejects(scene.drive(scene.open()), (error: unknown) => {
    assert.ok(isTidewireError(error), String(error));
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    return true;
  });
  const after = scene.disk.names.map((name) => [name, scene.disk.bytesOf(name)]);
  assert.deepEqual(after, before, "nothing was changed");
  const found = await findings(scene.disk.folder());
  assert.equal(found[0]?.kind, "unusable");
}

test("files that are not the log's are left alone, and told", async () => {
  const scene = await written();
  scene.disk.put("notes.txt", bytesOf("mine"));
  scene.disk.put("00000000000000000000.seg.bak", bytesOf("mine"));
  const log = await scene.drive(scene.open());
  assert.equal((await readAll(log.readBatches(0))).length, 30);
  const line = scene.logger.lines.find((one) => one.level === "warn");
  assert.deepEqual(line?.fields["files"], ["00000000000000000000.seg.bak", "notes.txt"]);
  assert.ok(scene.disk.names.includes("notes.txt"));
  assert.equal((await findings(scene.disk.folder())).filter((found) => found.kind === "foreign file").length, 2);
});

test("a missing segment is told at start, by readers and by verify; the others are served", async () => {
  const scene = await written();
  const [, gone, after] = scene.disk.names;
  await scene.disk.folder().remove(gone!);
  const [from, below] = [Number(gone!.slice(0, 20)), Number(after!.slice(0, 20))];
  const log = await scene.drive(scene.open());
  assert.deepEqual(scene.told("error"), ["a segment of the log is missing; what it held cannot be read"]);
  const offsets = (await readAll(log.readBatches(0))).map(([offset]) => offset);
  assert.deepEqual(
    offsets,
    Array.from({ length: 30 }, (_, i) => i).filter((i) => i < from || i >= below),
  );
  assert.equal(scene.metrics.value("tidewire_log_gap_offsets_total"), below - from);
  assert.equal(await log.read(from), null);
  const kinds = (await findings(scene.disk.folder())).map((found) => found.kind);
  assert.ok(kinds.includes("segment missing"));
  assert.ok(kinds.includes("damage"));
});

test("an empty file where a segment should be costs what it held, and goes on", async () => {
  const scene = await written();
  const name = scene.disk.names[1]!;
  scene.disk.put(name, new Uint8Array(0));
  const below = Number(scene.disk.names[2]!.slice(0, 20));
  const log = await scene.drive(scene.open());
  const offsets = (await readAll(log.readBatches(0))).map(([offset]) => offset);
  assert.deepEqual(offsets.length, 30 - (below - Number(name.slice(0, 20))));
  assert.deepEqual(scene.told("error").length, 2, "its header, and the gap");
});

test("an empty newest file, as a crash leaves it, is used again", async () => {
  const scene = await written();
  scene.disk.put(segmentName(30), new Uint8Array(0));
  const log = await scene.drive(scene.open());
  assert.equal(log.next, 30);
  log.append(bytesOf("more"));
  await scene.settle(log);
  assert.equal((await readAll(log.readBatches(0))).length, 31);
  assert.deepEqual([...scene.told("warn"), ...scene.told("error")], []);
});

test("segments of two logs are for a person to sort out", async () => {
  const scene = await written();
  const other = new Scene();
  other.random.next();
  await other.drive(other.open({ nextAtLeast: 77 }));
  scene.disk.put(segmentName(77), other.disk.bytesOf(segmentName(77)));
  await refused(
    scene,
    "LOG_FOLDER_UNUSABLE",
    /^The log folder cannot be used: it holds segments of two different logs; \S+77\.seg/,
  );
});

test("a renamed segment is for a person to sort out", async () => {
  const scene = await written();
  scene.disk.put(segmentName(77), scene.disk.bytesOf(scene.disk.names[1]!).slice());
  await refused(scene, "LOG_FOLDER_UNUSABLE", /77\.seg was renamed; it is the segment that begins at offset \d+\.$/);
});

test("a segment of a newer format is not touched", async () => {
  const scene = await written();
  const bytes = scene.disk.bytesOf(scene.disk.names.at(-1)!);
  viewOf(bytes).setUint16(8, FORMAT_VERSION + 1, true);
  viewOf(bytes).setUint32(60, crc32(bytes.subarray(0, 60)), true);
  await refused(scene, "LOG_NEWER", /has format 2; this Tidewire knows formats up to 1/);
});

test("where two segments overlap, each offset is served once, and it is told", async () => {
  const scene = await written();
  // The second segment, with the first one's batches before its own: as a copy that went wrong leaves it.
  const [first, second] = scene.disk.names as [string, string];
  const ofFirst = scene.disk.bytesOf(first);
  const ofSecond = scene.disk.bytesOf(second);
  scene.disk.put(first, new Uint8Array([...ofFirst, ...ofSecond.subarray(64)]));
  const log = await scene.drive(scene.open());
  assert.deepEqual(
    (await readAll(log.readBatches(0))).map(([offset]) => offset),
    [...numbered(30).keys()],
  );
  scene.disk.put(first, ofFirst);
  scene.disk.put(
    second,
    new Uint8Array([...ofSecond.subarray(0, 64), ...ofFirst.subarray(64), ...ofSecond.subarray(64)]),
  );
  assert.deepEqual(
    (await readAll(log.readBatches(0))).map(([offset]) => offset),
    [...numbered(30).keys()],
  );
  const damage = (await findings(scene.disk.folder())).filter((found) => found.kind === "damage");
  assert.deepEqual(
    damage.map((found) => found.reason),
    ["offsets repeated"],
  );
});

test("what was put aside is removed when the log's own records of that time would be", async () => {
  const scene = new Scene({ retentionAge: 10_000 });
  await scene.write(numbered(3));
  const name = scene.disk.names[0]!;
  scene.disk.put(name, scene.disk.bytesOf(name).slice(0, -1));
  const log = await scene.drive(scene.open());
  const aside = (): number => scene.disk.names.filter((one) => one.startsWith("quarantine/")).length;
  assert.equal(aside(), 1);
  await scene.drive(log.retain(Infinity));
  assert.equal(aside(), 1);
  await scene.clock.run(11_000);
  await scene.drive(log.retain(Infinity));
  assert.equal(aside(), 0);
});

test("without space to put the damaged end aside the log does not open, and says so", async () => {
  const scene = new Scene({}, (operation, name) =>
    operation === "write" && name.startsWith("quarantine/") ? "ENOSPC" : null,
  );
  await scene.write(numbered(3));
  const name = scene.disk.names[0]!;
  scene.disk.put(name, scene.disk.bytesOf(name).slice(0, -1));
  const before = scene.disk.bytesOf(name).slice();
  await assert.rejects(scene.drive(scene.open()), /cannot be put aside first .* free some disk space/);
  assert.deepEqual(scene.disk.bytesOf(name), before);
  assert.deepEqual(scene.disk.names, [name]);
});
