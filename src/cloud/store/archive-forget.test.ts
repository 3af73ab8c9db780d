/** A thing is forgotten in the event archive: here, in the cold tier, and wherever a crash comes between. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FolderObjects } from "../../adapters/objects/mod.ts";
import type { ArchiveFolder, CatalogStore } from "../../archive/mod.ts";
import { days } from "../../base/mod.ts";
import { ArchiveWorld, START } from "./archive.fixture.ts";
import type { WorldOptions } from "./archive.fixture.ts";

const THING = "press-1";

/** 60 messages of three publishers over three days: every third is the thing's, by its certificate or by the topic. */
function fill(world: ArchiveWorld, from = 0): void {
  for (let n = from; n < from + 60; n++) {
    const about = n % 6 === 1 ? { topic: `telemetry/${THING}/m`, thing: "gateway" } : {};
    world.log.append({
      topic: `line/${n % 3}`,
      payload: new TextEncoder().encode(String(n)),
      qos: 1,
      retain: false,
      clientId: `c${n % 3}`,
      thing: n % 3 === 1 ? THING : n % 3 === 0 ? null : "press-2",
      receivedAt: START + days(Math.floor((n % 60) / 20)) + n,
      properties: null,
      ...about,
    });
  }
}

const isForgotten = (n: number): boolean => n % 3 === 1;

function kept(count: number, below: number): readonly number[] {
  return Array.from({ length: count }, (_, n) => n).filter((n) => n >= below || !isForgotten(n));
}

async function offsets(world: ArchiveWorld): Promise<readonly number[]> {
  return (await world.offsets()).toSorted((a, b) => a - b);
}

function forget(world: ArchiveWorld, below: number) {
  world.forgotten.set([{ thing: THING, below }]);
  return world.archive.forget({ id: 1, thing: THING, below, requestedAt: START + days(20) });
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".parquet"))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function inWorld(work: (world: ArchiveWorld, bucket: string) => Promise<void>): Promise<void> {
  const world = await ArchiveWorld.make();
  const bucket = mkdtempSync(join(tmpdir(), "tidewire-cold-"));
  try {
    await work(world, bucket);
  } finally {
    await world.end();
    rmSync(bucket, { recursive: true, force: true });
  }
}

test("its messages go from files here and in the cold tier, those that the log still has are never archived, later ones are", () =>
  inWorld(async (world, bucket) => {
    world.clock.jump(days(4));
    const options: WorldOptions = { objects: new FolderObjects(bucket), settings: { warm: days(2) } };
    await world.open(options);
    fill(world);
    await world.flush();
    await world.archive.tidy();
    assert.ok(world.archive.progress().coldFiles > 0);
    fill(world, 60); // in the log only
    assert.deepEqual(await forget(world, 120), { events: 20, files: 3, damaged: [] });
    fill(world, 120);
    await world.flush();
    assert.deepEqual(await offsets(world), kept(180, 120));
    await world.archive.tidy();
    const all = [...filesIn(world.folder), ...filesIn(bucket)].map((path) => readFileSync(path, "latin1"));
    const saying = all.filter((text) => text.includes(THING)).length;
    assert.equal(saying, 3, "three days of later messages, and no other file");
    assert.equal(await forget(world, 120), null, "again it is nothing");
    await world.open(options);
    assert.equal(await forget(world, 120), null, "also after a restart");
    assert.deepEqual(await offsets(world), kept(180, 120));
  }));

test("a file of nothing else goes as a whole; while a reader holds an old file, it is not done", () =>
  inWorld(async (world) => {
    await world.open();
    for (let n = 0; n < 5; n++) {
      world.log.fill(1, { thing: THING, receivedAt: START });
    }
    await world.flush();
    const reader = await world.archive.eventFiles(0, START * 2);
    await assert.rejects(forget(world, 5), /still read/);
    assert.equal(readdirSync(join(world.folder, "day=2026-11-22")).length, 1, "the reader goes on with it");
    reader.release();
    assert.notEqual(await forget(world, 5), null);
    assert.deepEqual([await offsets(world), filesIn(world.folder)], [[], []]);
  }));

test("of a log that was lost, what was received before the request goes", () =>
  inWorld(async (world) => {
    await world.open();
    fill(world);
    await world.flush();
    world.log.records = [];
    world.log.id = "log-2";
    fill(world);
    fill(world, 60);
    await world.flush();
    world.forgotten.set([{ thing: THING, below: 30 }]);
    await world.archive.forget({ id: 7, thing: THING, below: 30, requestedAt: START + days(20) });
    assert.deepEqual(
      await offsets(world),
      [...kept(60, 60), ...kept(120, 30)].toSorted((a, b) => a - b),
    );
  }));

/** After `left` calls that change something, nothing more happens: as if the process were gone. */
function guillotine(left: number) {
  let fallen = false;
  const before = async (): Promise<void> => {
    if (fallen || left-- <= 0) {
      fallen = true;
      throw new Error("killed");
    }
  };
  return {
    fallen: () => fallen,
    folder: (real: ArchiveFolder): ArchiveFolder => ({
      ...real,
      publish: async (from, to) => {
        await before();
        await real.publish(from, to);
      },
      remove: async (name) => {
        await before();
        await real.remove(name);
      },
    }),
    store: (real: CatalogStore): CatalogStore => ({
      load: () => real.load(),
      save: async (content) => {
        await before();
        await real.save(content);
      },
    }),
  };
}

test(
  "killed before any of its steps, the next start finishes it, and every other message is there once",
  { timeout: 120_000 },
  async () => {
    let deaths = 0;
    for (let at = 0; ; at += 2) {
      let came = false;
      await inWorld(async (world, bucket) => {
        world.clock.jump(days(4));
        const objects = new FolderObjects(bucket);
        const options: WorldOptions = { objects, settings: { warm: days(2) } };
        await world.open(options);
        fill(world);
        await world.flush();
        await world.archive.tidy();
        const deadly = guillotine(at);
        await world.open({ ...options, folder: deadly.folder, store: deadly.store });
        await forget(world, 60).catch(() => {});
        await world.open(options);
        await forget(world, 60);
        assert.deepEqual(await offsets(world), kept(60, 60), `killed at ${at}`);
        assert.equal(world.archive.progress().damagedFiles, 0);
        await world.archive.tidy();
        const all = [...filesIn(world.folder), ...filesIn(bucket)].map((path) => readFileSync(path, "latin1"));
        assert.equal(all.filter((text) => text.includes(THING)).length, 0, `killed at ${at}`);
        came = !deadly.fallen();
        if (!came) deaths++;
      });
      if (came) break;
    }
    assert.ok(deaths > 3, `${deaths} deaths`);
  },
);
