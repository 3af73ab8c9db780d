/** What comes while a group is written shares the next one's sync with what still comes, for a moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../base/mod.ts";
import { SimClock } from "../../sim/world.ts";
import { whenGathered } from "./gathering.ts";
import { Scene, bytesOf } from "./log.fixture.ts";
import type { LogLimits } from "./log.fixture.ts";
import type { Log } from "./log.ts";

const ROOMY = { batchBytesMax: 4_000, groupBytesMax: 8_000, segmentBytesMax: 40_000, pendingBytesMax: 16_000 };
const { gatherTimeMax } = LIMITS.log;
const RECORD = bytesOf("reading of 20 bytes.");

/** `syncs`: of the log, without its first. */
async function opened(limits: Partial<LogLimits> = {}): Promise<{ scene: Scene; log: Log; syncs: () => number }> {
  const scene = new Scene({ ...ROOMY, ...limits });
  const log = await scene.drive(scene.open());
  const syncs = (): number => scene.metrics.value("tidewire_log_syncs_total") ?? 0;
  return { scene, log, syncs: () => syncs() - 1 };
}

/** Two records, and once they are durable one more each turn, as a loop that always finds something to read. */
async function keepsComing(scene: Scene, log: Log, turns: number): Promise<void> {
  let left = turns;
  const turn = (): void => {
    if (left-- === 0) return;
    log.append(RECORD);
    scene.clock.defer(turn);
  };
  const cancel = log.onDurable(() => {
    cancel();
    turn();
  });
  log.append(RECORD);
  log.append(RECORD);
  await scene.clock.run(50);
}

test("what comes in turn after turn shares one sync", async () => {
  const { scene, log, syncs } = await opened();
  await keepsComing(scene, log, 20);
  assert.deepEqual([log.durable, syncs()], [22, 1]);
});

test("what keeps coming is not waited for longer than gatherTimeMax", () => {
  const clock = new SimClock();
  const defer = (task: () => void): void => void clock.after(1, task); // a turn takes a millisecond
  let bytes = 0;
  const written: number[] = [];
  whenGathered(
    { clock, scheduler: { defer }, limits: LIMITS.log },
    () => (bytes += 100),
    () => written.push(clock.monotonic()),
  );
  clock.advance(100);
  assert.deepEqual(written, [gatherTimeMax]);
});

test("enough is written at once, though more keeps coming", async () => {
  const gatherBytesMax = 5 * (4 + RECORD.length);
  const { scene, log, syncs } = await opened({ gatherBytesMax });
  await keepsComing(scene, log, 20);
  assert.equal(log.durable, 22);
  assert.ok(syncs() >= 3, `${syncs()} syncs`);
});

test("what nothing follows is written at once", async () => {
  const { scene, log, syncs } = await opened();
  const startedAt = scene.clock.monotonic();
  for (let n = 0; n < 5; n++) {
    log.append(RECORD);
    await scene.settle(log);
  }
  assert.equal(syncs(), 4);
  assert.ok(scene.clock.monotonic() - startedAt < 5 * gatherTimeMax);
});

test("closing waits for what is being gathered", async () => {
  const { scene, log } = await opened();
  log.append(RECORD);
  const cancel = log.onDurable(() => {
    cancel();
    log.append(RECORD);
  });
  await scene.clock.run(1);
  await scene.drive(log.close());
  assert.equal(log.durable, 2);
  const again = await scene.drive(scene.open());
  assert.equal(again.next, 2);
});
