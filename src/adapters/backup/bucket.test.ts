/** Backups in a bucket: a real server (s3rver), which checks signatures and fails as it is told. */
import assert from "node:assert/strict";

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { days, hours, isTidewireError } from "../../base/mod.ts";
import { bytesOf, keysOf, sourceOf } from "../objects/objects.contract.ts";
import type { ColdPlace } from "../objects/mod.ts";
import { FaultyS3, refuse } from "../objects/s3.fixture.ts";
import type { S3Objects } from "../objects/s3.ts";
import { openRegistry } from "../sqlite/registry-store.ts";
import { backupPlace } from "./address.ts";
import { BackupRepository } from "./repository.ts";
import type { BackupPorts } from "./repository.ts";
import { restoreBackup } from "./restore.ts";
import { takeBackup } from "./take.ts";
import type { Taken } from "./take.ts";

const PLACE: ColdPlace = backupPlace("s3://archive/plant/7", { endpoint: "http://127.0.0.1:1" });

let server: FaultyS3;
let objects: S3Objects;
let folder = "";
let data = "";
let clock: SimClock;
let ports: BackupPorts;
before(async () => {
  server = await FaultyS3.start();
});
after(() => server.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-bucket-"));
  data = join(folder, "data");
  clock = new SimClock();
  objects = server.objects({ prefix: `plant/${folder.split("-").at(-1)}` });
  ports = { clock, scheduler: clock, objects };
  mkdirSync(join(data, "archive"), { recursive: true });
  openRegistry(join(data, "registry.db"), new SimLogger()).close();
  for (const name of ["a", "b", "c"]) writeFileSync(join(data, "archive", `${name}.parquet`), name.repeat(10_000));
});
afterEach(() => {
  server.fault = () => "pass";
  rmSync(folder, { recursive: true });
});

async function take(keep?: number): Promise<Taken & { readonly removed: readonly string[] }> {
  const repository = await BackupRepository.open(PLACE, ports);
  try {
    const taken = await takeBackup({ data, repository, now: clock.now() });
    return { ...taken, removed: keep === undefined ? [] : await repository.keepNewest(keep) };
  } finally {
    await repository.close();
  }
}

async function problemsOf(name: string): Promise<readonly (string | null)[]> {
  const repository = await BackupRepository.read(PLACE, ports);
  const found: (string | null)[] = [];
  for await (const { path } of repository.verify(name)) found.push(path);
  return found;
}

async function restored(name: string): Promise<Readonly<Record<string, string>>> {
  const repository = await BackupRepository.read(PLACE, ports);
  const target = join(folder, `restored-${name}`);
  await restoreBackup(repository, await repository.snapshot(name), target);
  const names = readdirSync(join(target, "archive"));
  assert.equal(statSync(join(target, "registry.db")).size > 0, true);
  return Object.fromEntries(names.map((one) => [one, readFileSync(join(target, "archive", one), "utf8")]));
}

function files(): Readonly<Record<string, string>> {
  const names = readdirSync(join(data, "archive"));
  return Object.fromEntries(names.map((one) => [one, readFileSync(join(data, "archive", one), "utf8")]));
}

function refused(code: string, said: RegExp): (error: unknown) => boolean {
  return (error) => isTidewireError(error) && error.code === code && said.test(error.message);
}

describe("backups in a bucket", () => {
  test("are whole, cost what has changed, are read back, and the old ones leave with what only they had", async () => {
    const first = await take();
    const before = files();
    assert.ok(first.added > 0);
    assert.deepEqual(await problemsOf(first.snapshot.name), []);

    clock.advance(hours(1));
    writeFileSync(join(data, "archive", "d.parquet"), "d".repeat(10_000));
    rmSync(join(data, "archive", "a.parquet"));
    server.requests.length = 0;
    const second = await take();
    assert.ok(second.added > 0 && second.added < first.added, `${second.added} after ${first.added}`);
    const puts = server.requests.filter((one) => one.startsWith("PUT") && one.includes("/objects/"));
    assert.equal(puts.length, 1, "only what is new goes out");
    assert.deepEqual(await restored(first.snapshot.name), before);
    assert.deepEqual(await restored(second.snapshot.name), files());

    clock.advance(hours(1));
    const third = await take(1);
    assert.deepEqual(third.removed, [first.snapshot.name, second.snapshot.name]);
    const named = new Set(third.snapshot.files.map(({ sha256 }) => sha256));
    assert.equal((await keysOf(objects, "objects/")).length, named.size);
    assert.deepEqual(await restored(third.snapshot.name), files());
    assert.deepEqual(await keysOf(objects, "writing/"), [], "nobody is said to write any more");
  });

  test("one that breaks off leaves those before whole; the next one goes on with what is there", async () => {
    const first = await take();
    const before = files();
    clock.advance(hours(1));
    for (const name of ["e", "f", "g"]) writeFileSync(join(data, "archive", `${name}.parquet`), name.repeat(20_000));
    let puts = 0;
    server.fault = (request, response) =>
      request.method === "PUT" && request.url!.includes("/objects/") && ++puts > 2
        ? refuse(response, 403, "AccessDenied")
        : "pass";
    await assert.rejects(take(), refused("OBJECTS_REFUSED", /AccessDenied/));
    const repository = await BackupRepository.read(PLACE, ports);
    assert.deepEqual(await repository.names(), [first.snapshot.name]);
    assert.deepEqual(await problemsOf(first.snapshot.name), []);
    assert.deepEqual(await restored(first.snapshot.name), before);

    server.fault = () => "pass";
    clock.advance(hours(1));
    const next = await take(5);
    assert.deepEqual(await problemsOf(next.snapshot.name), []);
    assert.deepEqual(await restored(next.snapshot.name), files());
  });

  test("damage at rest is found by verify, and never restored", async () => {
    server.fault = (request) =>
      request.method === "PUT" && request.url!.includes("/objects/") ? "damage-at-rest" : "pass";
    const { snapshot } = await take();
    server.fault = () => "pass";
    assert.equal((await problemsOf(snapshot.name)).length, snapshot.files.length);
    await assert.rejects(restored(snapshot.name), refused("BACKUP_DAMAGED", /./));
    assert.equal(
      readdirSync(folder).some((name) => name.startsWith("restored")),
      false,
    );
  });

  test("a bucket that does not answer is not said to be damaged", async () => {
    const { snapshot } = await take();
    server.fault = (request, response) =>
      request.url!.includes("/objects/") ? refuse(response, 403, "AccessDenied") : "pass";
    await assert.rejects(problemsOf(snapshot.name), refused("OBJECTS_REFUSED", /./));
    await assert.rejects(restored(snapshot.name), refused("OBJECTS_REFUSED", /./));
  });

  test("one writes at a time; a mark of who is gone, or has not been heard of for a day, holds up nobody", async () => {
    const writing = await BackupRepository.open(PLACE, ports);
    await assert.rejects(take(), refused("BACKUP_UNUSABLE", /another backup is being written to it, by process \d+/));
    await writing.close();
    await take();
    const mark = (host: string, pid: number, at: number) => {
      const bytes = Buffer.from(JSON.stringify({ host, pid, at }));
      return objects.put("writing/other.json", sourceOf(bytes));
    };
    await mark(hostname(), 4_194_305, clock.now()); // beyond what Linux gives
    clock.advance(hours(1));
    await take();
    await mark("another-host", 1, clock.now());
    await assert.rejects(take(), refused("BACKUP_UNUSABLE", /of another-host/));
    clock.advance(days(1) + hours(1));
    await take();
    assert.deepEqual(await keysOf(objects, "writing/"), []);
  });

  test("a content that somebody removes meanwhile is missed before the backup is said to be there", async () => {
    const first = await take();
    clock.advance(hours(1));
    const repository = await BackupRepository.open(PLACE, ports);
    const content = (await keysOf(objects, "objects/"))[0]!;
    await repository.has("");
    await objects.remove(content);
    await assert.rejects(
      takeBackup({ data, repository, now: clock.now() }),
      refused("BACKUP_FAILED", /was removed while the backup was being written/),
    );
    assert.deepEqual(await repository.names(), [first.snapshot.name]);
    await repository.close();
  });

  test("what is no backup is refused, and addresses say what they must be like", async () => {
    await assert.rejects(BackupRepository.read(PLACE, ports), refused("BACKUP_UNUSABLE", /there is no backup in it/));
    await objects.put("tidewire-backup.json", sourceOf(Buffer.from('{"format":99}')));
    await assert.rejects(take(), refused("BACKUP_UNUSABLE", /format 99/));
    assert.deepEqual(await keysOf(objects, "writing/"), []);
    assert.equal((await bytesOf(objects.get("tidewire-backup.json"))).length, 13);
    for (const bad of ["s3://", "s3://UPPER/x", "s3://bucket/../x"]) {
      assert.throws(() => backupPlace(bad, {}), refused("CONFIG_VALUE_INVALID", /like s3:\/\/bucket\/prefix/));
    }
    assert.throws(
      () => backupPlace("/mnt/x", { endpoint: "https://x" }),
      refused("CONFIG_VALUE_INVALID", /--endpoint/),
    );
    assert.deepEqual(backupPlace("s3://backups/plant-7/", { region: "eu-central-1" }), {
      kind: "s3",
      endpoint: "https://s3.eu-central-1.amazonaws.com",
      region: "eu-central-1",
      bucket: "backups",
      prefix: "plant-7",
      credentials: null,
      ca: null,
    });
  });
});
