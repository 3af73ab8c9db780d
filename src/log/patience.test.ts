/** Records that nobody waits for: they go with what somebody waits for, or a moment later by themselves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene, bytesOf, readAll } from "./log.fixture.ts";
import type { Log } from "./log.ts";

const ROOMY = { batchBytesMax: 4_000, groupBytesMax: 8_000, segmentBytesMax: 20_000, pendingBytesMax: 16_000 };
const syncs = (scene: Scene): number => scene.metrics.value("tidewire_log_syncs_total") ?? 0;

function patiently(log: Log, text: string): number {
  const bytes = bytesOf(text);
  const at = log.reserve(bytes.length);
  log.buffer.set(bytes, at);
  return log.commitPatiently();
}

async function opened(scene: Scene): Promise<Log> {
  return scene.drive(scene.open());
}

test("three hundred in a second are four syncs or five, and none waits longer than its patience", async () => {
  const scene = new Scene(ROOMY);
  const log = await opened(scene);
  const since: number[] = [];
  let longest = 0;
  log.onDurable((durable) => {
    for (const at of since.splice(0, durable - (log.next - since.length))) {
      longest = Math.max(longest, scene.clock.monotonic() - at);
    }
  });
  for (let n = 0; n < 300; n++) {
    patiently(log, `client ${n}`);
    since.push(scene.clock.monotonic());
    if (n % 3 === 2) await scene.clock.run(10);
  }
  await scene.clock.run(300);
  assert.equal(log.durable, 300);
  assert.ok(syncs(scene) <= 5, `${syncs(scene)} syncs`);
  assert.ok(longest >= 200 && longest <= 260, `the longest waited ${longest} ms`);
});

test("what somebody waits for takes them along, in their order, at once", async () => {
  const scene = new Scene(ROOMY);
  const log = await opened(scene);
  patiently(log, "a client came");
  patiently(log, "another came");
  await scene.clock.run(5);
  assert.equal(log.durable, 0);
  assert.equal(log.append(bytesOf("reading")), 2);
  await scene.clock.run(5);
  assert.deepEqual([log.durable, syncs(scene)], [3, 1]);
  await scene.clock.run(1_000);
  assert.equal(syncs(scene), 1, "nothing is left that would ask for another");
  const texts = (await readAll(log.readBatches(0))).map(([, text]) => text);
  assert.deepEqual(texts, ["a client came", "another came", "reading"]);
});

test("what comes while others are written has its own patience, and who waits for it ends that", async () => {
  const scene = new Scene(ROOMY);
  const log = await opened(scene);
  let came = -1;
  const cancel = log.onDurable(() => {
    if (came < 0) came = patiently(log, "came during a sync");
  });
  log.append(bytesOf("reading"));
  await scene.clock.run(20);
  cancel();
  assert.deepEqual([came, log.durable], [1, 1]);
  log.hurry(0); // on disk already
  await scene.clock.run(20);
  assert.equal(log.durable, 1);
  log.hurry(came);
  await scene.clock.run(20);
  assert.equal(log.durable, 2);
});

test("flush and close wait for nobody's patience", async () => {
  const scene = new Scene(ROOMY);
  const log = await opened(scene);
  patiently(log, "one");
  const before = scene.clock.monotonic();
  await scene.settle(log);
  assert.ok(scene.clock.monotonic() - before < 100);
  assert.equal(log.durable, 1);
  patiently(log, "two");
  await scene.drive(log.close());
  assert.equal((await opened(scene)).next, 2);
});

test("a batch that is full waits no longer", async () => {
  const scene = new Scene({ ...ROOMY, batchBytesMax: 200 });
  const log = await opened(scene);
  for (let n = 0; n < 10; n++) patiently(log, "x".repeat(40));
  await scene.clock.run(10);
  assert.equal(log.durable, 10);
});

test("after a failed write patience brings nothing back", async () => {
  let failing = false;
  const scene = new Scene(ROOMY, (happening) => (failing && happening === "sync" ? "EIO" : null));
  const log = await opened(scene);
  failing = true;
  log.append(bytesOf("lost"));
  patiently(log, "lost as well");
  await assert.rejects(scene.settle(log));
  failing = false;
  await scene.clock.run(1_000);
  assert.equal(log.durable, 0);
  await scene.drive(log.close());
});

test("a power cut takes what nobody was promised, and only the end of it", async () => {
  for (let promised = 0; promised <= 12; promised++) {
    const scene = new Scene(ROOMY);
    const log = await opened(scene);
    for (let n = 0; n < 12; n++) {
      if (n === promised) log.append(bytesOf(`${n}`));
      else patiently(log, `${n}`);
      if (n === promised) await scene.clock.run(20);
    }
    const { durable } = log;
    assert.equal(durable, promised === 12 ? 0 : promised + 1, "on disk with all before it");
    scene.disk.powerCut();
    scene.disk.restart();
    const again = await opened(scene);
    const kept = (await readAll(again.readBatches(0))).map(([, text]) => text);
    assert.deepEqual(
      kept,
      Array.from({ length: durable }, (_, n) => `${n}`),
    );
    await scene.drive(again.close());
  }
});
