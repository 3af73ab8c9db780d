/** EIO, ENOSPC and a torn write at every call that a life of the log makes to its folder, one after the other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { Scene, bytesOf, textOf } from "./log.fixture.ts";
import type { Log } from "./log.ts";
import type { DiskFault, DiskOperation } from "../../sim/disk.ts";

const EARLIER = 9;
const RECORDS = 40;
/** What a reader and retention do: where it fails, the log goes on. */
const NOT_THE_WRITERS: ReadonlySet<DiskOperation> = new Set(["read", "size", "list", "free", "open", "remove"]);

interface Life {
  readonly scene: Scene;
  /** The call that failed; `null` where the life ended before it. */
  readonly struck: () => DiskOperation | null;
  readonly calls: () => number;
}

/** A folder with two segments of an earlier life and a half-written end; in the next life, call number `failing` fails. */
async function prepared(failing: number, fault: DiskFault): Promise<Life> {
  let armed = false;
  let calls = 0;
  let struck: DiskOperation | null = null;
  const scene: Scene = new Scene({ diskFreeBytesMin: 0, retentionBytes: 1_000, recentBytesMax: 0 }, (operation) => {
    if (!armed || calls++ !== failing) return null;
    struck = operation;
    return fault;
  });
  await scene.write(Array.from({ length: EARLIER }, (_, n) => `record ${n}`));
  const newest = scene.disk.names.findLast((name) => name.endsWith(".seg") && scene.disk.bytesOf(name).length > 64)!;
  scene.disk.put(newest, Buffer.concat([scene.disk.bytesOf(newest), scene.disk.bytesOf(newest).slice(64, 100)]));
  armed = true;
  return { scene, struck: () => struck, calls: () => calls };
}

/** Everything that the log reports durable, told by the listener as the broker hears it. */
async function live({ scene, struck }: Life, acknowledged: Set<number>): Promise<Log | null> {
  let log: Log;
  try {
    log = await scene.drive(scene.open());
  } catch (error) {
    assert.ok(struck() !== null, String(error));
    return null;
  }
  let failed = false;
  log.onFailed(() => (failed = true));
  log.onDurable((durable) => {
    assert.equal(failed, false, "nothing is acknowledged after a failure");
    for (let offset = 0; offset < durable; offset++) acknowledged.add(offset);
  });
  for (let n = log.next; n < RECORDS; n++) {
    try {
      log.append(bytesOf(`record ${log.next}`));
      if (n % 3 === 0) await scene.settle(log);
      if (n === 20) await readEverything(scene, log);
      if (n === 25) await scene.drive(log.retain(12));
    } catch (error) {
      assert.ok(isTidewireError(error) || struck() !== null, String(error));
    }
  }
  await scene.settle(log).catch(() => {});
  assert.equal(log.status().state === "failed", failed);
  return log;
}

async function readEverything(scene: Scene, log: Log): Promise<void> {
  await scene.drive(log.offsetAt(scene.clock.now()));
  for (let offset = log.first; offset < log.durable; offset++) await scene.drive(log.read(offset));
  for await (const batch of log.readBatches(log.first)) assert.ok(batch.count > 0);
}

async function checkServed(log: Log, acknowledged: ReadonlySet<number>, what: string): Promise<void> {
  const served = new Map<number, string>();
  for await (const batch of log.readBatches(log.first)) batch.forEach((at, bytes) => served.set(at, textOf(bytes)));
  for (const offset of acknowledged) {
    if (offset < log.first) assert.ok(offset < 12, `${what}: retention removed offset ${offset}`);
    else assert.equal(served.get(offset), `record ${offset}`, `${what}: offset ${offset}`);
  }
  for (const [offset, text] of served) assert.equal(text, `record ${offset}`, what);
}

for (const fault of ["EIO", "ENOSPC", "torn"] as const) {
  test(`${fault} at every call in turn: no acknowledgement afterwards, reads go on, a restart serves all that was acknowledged`, async () => {
    const hit = new Map<string, number>();
    for (let failing = 0; ; failing++) {
      const life = await prepared(failing, fault);
      const { scene } = life;
      const acknowledged = new Set<number>(Array.from({ length: EARLIER }, (_, n) => n));
      const log = await live(life, acknowledged);
      const struck = life.struck();
      if (struck === null) {
        assert.ok(failing > 80, `only ${failing} calls`);
        break;
      }
      hit.set(struck, (hit.get(struck) ?? 0) + 1);
      const what = `${fault} at call ${failing}, a ${struck}`;
      if (log !== null) {
        await checkServed(log, acknowledged, `${what}, read in the same life`);
        if (NOT_THE_WRITERS.has(struck)) assert.notEqual(log.status().state, "failed", what);
        await scene.drive(log.close());
      }
      if (failing % 2 === 0) scene.disk.powerCut();
      else scene.disk.kill();
      scene.disk.restart();
      const next = log?.next ?? EARLIER;
      const again = await scene.drive(scene.open());
      assert.ok(again.next >= Math.max(...acknowledged) + 1, `${what}: an acknowledged offset would come again`);
      assert.ok(again.next <= next + 40, what);
      await checkServed(again, acknowledged, `${what}, after a restart`);
      again.append(bytesOf(`record ${again.next}`));
      await scene.settle(again);
      await scene.drive(again.close());
    }
    for (const operation of ["list", "open", "create", "write", "sync", "sync-folder", "read", "size", "remove"]) {
      assert.ok(hit.has(operation), `${operation} was never called: ${JSON.stringify([...hit])}`);
    }
  });
}
