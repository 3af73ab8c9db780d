/** The log in use, on a simulated disk; `log.files.test.ts` has the same on a real one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import type { DiskFault } from "../../sim/disk.ts";
import { Scene, bytesOf, numbered, readAll, textOf } from "./log.fixture.ts";
import type { Log } from "./log.ts";

const code = (expected: string) => (error: unknown) => isTidewireError(error) && error.code === expected;

function entries(from: number, below: number): (readonly [number, string])[] {
  return numbered(below)
    .map((text, offset) => [offset, text] as const)
    .slice(from);
}

async function filled(scene: Scene, count: number): Promise<Log> {
  const log = await scene.drive(scene.open());
  for (const record of numbered(count)) {
    log.append(bytesOf(record));
    await scene.settle(log);
  }
  return log;
}

test("a record is durable only after the sync, and then everyone is told once", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  const told: number[] = [];
  const cancel = log.onDurable((durable) => told.push(durable));
  assert.equal(log.append(bytesOf("a")), 0);
  const at = log.reserve(3);
  log.buffer.set(bytesOf("bcd"), at);
  assert.equal(log.commit(), 1);
  assert.deepEqual([log.next, log.durable], [2, 0]);
  assert.equal(textOf((await log.read(1))!), "bcd", "what is not yet durable can be read by its offset");
  await scene.settle(log);
  assert.deepEqual([log.durable, told], [2, [2]]);
  assert.equal(scene.metrics.value("tidewire_log_syncs_total"), 1, "one sync for both");
  cancel();
  log.append(bytesOf("e"));
  await scene.settle(log);
  assert.deepEqual(told, [2]);
});

test("what gathers during a sync leaves with the next one", async () => {
  const scene = new Scene({ batchBytesMax: 1_000, groupBytesMax: 2_000, segmentBytesMax: 10_000 });
  const log = await scene.drive(scene.open());
  log.onDurable((durable) => {
    if (durable < 40) for (let i = 0; i < 20; i++) log.append(bytesOf("again"));
  });
  for (let i = 0; i < 20; i++) log.append(bytesOf("first"));
  while (log.durable < 40) await scene.clock.run(1);
  assert.equal(scene.metrics.value("tidewire_log_syncs_total"), 2);
});

test("commit without reserve, or after the buffer was taken away, is a mistake that is told", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  assert.throws(() => log.commit(), code("INTERNAL"));
  log.append(bytesOf("x"));
  log.reserve(5);
  await scene.settle(log); // the batch with the reserved place is on disk by now
  assert.throws(() => log.commit(), code("INTERNAL"));
});

test("segments follow each other, and every record is found again after a restart", async () => {
  const scene = new Scene();
  const log = await filled(scene, 30);
  assert.ok(scene.disk.names.length >= 5, scene.disk.names.join());
  assert.deepEqual(await readAll(log.readBatches(0)), entries(0, 30));
  await scene.drive(log.close());
  const again = await scene.drive(scene.open());
  assert.deepEqual([again.first, again.next, again.durable], [0, 30, 30]);
  assert.deepEqual(await readAll(again.readBatches(7, 23)), entries(7, 23));
  for (const offset of [29, 0, 13, 14, 15, 3]) assert.equal(textOf((await again.read(offset))!), numbered(30)[offset]);
  assert.equal(await again.read(30), null);
  assert.deepEqual([...scene.told("warn"), ...scene.told("error")], []);
});

test("a record larger than a batch gets one of its own; one beyond the limit is refused", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  log.append(bytesOf("small"));
  log.append(bytesOf("x".repeat(120)));
  log.append(bytesOf("small"));
  assert.throws(() => log.append(bytesOf("x".repeat(121))), code("LOG_RECORD_TOO_LARGE"));
  assert.equal(scene.metrics.value("tidewire_log_refused_total", { reason: "too-large" }), 1);
  await scene.settle(log);
  assert.deepEqual(
    (await readAll(log.readBatches(0))).map(([, text]) => text.length),
    [5, 120, 5],
  );
});

test("a backlog refuses appends until the disk has caught up", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open());
  assert.throws(() => {
    for (;;) log.append(bytesOf("x".repeat(100)));
  }, code("LOG_FULL"));
  assert.equal(log.next, 19, "2,000 bytes, lengths included");
  assert.equal(log.status().state, "ok", "the next smaller one would still fit");
  await scene.settle(log);
  log.append(bytesOf("x".repeat(100)));
  assert.equal(scene.metrics.value("tidewire_log_refused_total", { reason: "backlog" }), 1);
});

test("a disk nearly full refuses appends before a write can fail, and heals by itself", async () => {
  const scene = new Scene();
  const log = await filled(scene, 3);
  scene.freeBytes = 2_999;
  await scene.clock.run(1_000);
  assert.throws(() => log.append(bytesOf("x")), code("LOG_FULL"));
  assert.match(log.status().reason!, /disk has only/);
  scene.freeBytes = 3_500; // not yet enough: it would flutter
  await scene.clock.run(1_000);
  assert.equal(log.status().state, "full");
  scene.freeBytes = 5_000;
  await scene.clock.run(1_000);
  assert.equal(log.status().state, "ok");
  assert.equal(log.append(bytesOf("x")), 3);
  await scene.settle(log);
  assert.equal(scene.metrics.value("tidewire_log_refused_total", { reason: "disk" }), 1);
});

for (const [operation, fault] of [
  ["write", "EIO"],
  ["write", "torn"],
  ["write", "ENOSPC"],
  ["sync", "EIO"],
] as const) {
  test(`after a failed ${operation} (${fault}) nothing is acknowledged any more, and reads go on`, async () => {
    let failing: DiskFault | null = null;
    const scene = new Scene({}, (happening) => (happening === operation ? failing : null));
    const log = await filled(scene, 5);
    const failures: string[] = [];
    log.onFailed((error) => failures.push(error.code));
    failing = fault;
    log.append(bytesOf("lost"));
    await assert.rejects(scene.settle(log), code("LOG_FAILED"));
    failing = null;
    assert.deepEqual(failures, ["LOG_FAILED"]);
    assert.throws(() => log.append(bytesOf("no")), code("LOG_FAILED"));
    await assert.rejects(log.flush(), code("LOG_FAILED"));
    await scene.clock.run(60_000);
    assert.equal(log.durable, 5, "not even later");
    assert.equal(log.status().state, "failed");
    assert.deepEqual(await readAll(log.readBatches(0)), entries(0, 5));
    await scene.drive(log.close());
  });
}

test("where the next segment cannot be made for want of space, the log waits for it", async () => {
  let full = false;
  const scene = new Scene({}, (happening) => (full && happening === "create" ? "ENOSPC" : null));
  const log = await scene.drive(scene.open());
  full = true;
  for (const record of numbered(12)) log.append(bytesOf(record));
  await scene.clock.run(3_000);
  assert.ok(log.durable < 12);
  assert.equal(log.status().state, "ok");
  full = false;
  await scene.clock.run(2_000);
  assert.equal(log.durable, 12);
  await scene.drive(log.close());
  assert.deepEqual(await readAll((await scene.drive(scene.open())).readBatches(0)), entries(0, 12));
});

test("close ends the wait for space, too", async () => {
  let full = false;
  const scene = new Scene({}, (happening) => (full && happening === "create" ? "ENOSPC" : null));
  const log = await scene.drive(scene.open());
  full = true;
  for (const record of numbered(12)) log.append(bytesOf(record));
  await scene.clock.run(500);
  await scene.drive(log.close());
  assert.throws(() => log.append(bytesOf("x")), code("LOG_FAILED"));
});

test("no offset comes again that a consumer may know", async () => {
  const scene = new Scene();
  await scene.drive((await filled(scene, 5)).close());
  const log = await scene.drive(scene.open({ nextAtLeast: 9 }));
  assert.equal(log.append(bytesOf("later")), 9);
  await scene.settle(log);
  assert.ok(scene.told("error").some((line) => line.includes("lost its end")));
  assert.deepEqual(await readAll(log.readBatches(0)), [...entries(0, 5), [9, "later"]]);
  await scene.drive(log.close());
  assert.equal((await scene.drive(scene.open())).next, 10);
});

test("a log whose folder was lost goes on where its consumers stand, and says that it was lost", async () => {
  const scene = new Scene();
  const log = await scene.drive(scene.open({ nextAtLeast: 500 }));
  assert.deepEqual([log.first, log.next], [500, 500]);
  assert.deepEqual(scene.told("error"), ["the log has lost its end: a consumer was further than it is"]);
});

test("a reader knows which offsets were left out on purpose, and takes them for no gap", async () => {
  const scene = new Scene();
  await scene.write(["a", "b", "c"]);
  const log = await scene.drive(scene.open({ nextAtLeast: 9 }));
  log.append(bytesOf("d"));
  await scene.settle(log);
  const reader = await scene.drive(scene.reader());
  assert.deepEqual(await readAll(reader.readBatches(0, 10)), [
    [0, "a"],
    [1, "b"],
    [2, "c"],
    [9, "d"],
  ]);
  assert.deepEqual(
    [reader.leftOut(0, 10), reader.leftOut(0, 4), reader.leftOut(5, 7), reader.leftOut(9, 10)],
    [6, 1, 2, 0],
  );
  assert.equal(scene.metrics.value("tidewire_log_gaps_total"), 0);
  await scene.drive(log.close());
});
