import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FolderObjects } from "../../adapters/objects/mod.ts";
import { TidewireError, days, isTidewireError } from "../../base/mod.ts";
import type { Objects } from "../../base/mod.ts";
import { ArchiveWorld, START } from "./archive.fixture.ts";
import type { WorldOptions } from "./archive.fixture.ts";

let world: ArchiveWorld;
let bucket = "";
let away = false;
beforeEach(async () => {
  world = await ArchiveWorld.make();
  bucket = await mkdtemp(join(tmpdir(), "tidewire-cold-"));
  away = false;
});
afterEach(async () => {
  await world.end();
  await rm(bucket, { recursive: true, force: true });
});

/** A store that can be away. */
function objects(): Objects {
  const real = new FolderObjects(bucket);
  const check = (): void => {
    if (away) throw new TidewireError("OBJECTS_UNAVAILABLE", { store: real.name, reason: "the network is down" });
  };
  return {
    name: real.name,
    put: async (key, source, signal) => {
      check();
      return real.put(key, source, signal);
    },
    facts: async (key) => {
      check();
      return real.facts(key);
    },
    async *get(key, signal) {
      check();
      yield* real.get(key, signal);
    },
    list: (prefix) => real.list(prefix),
    remove: async (key) => {
      check();
      return real.remove(key);
    },
  };
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, n) => n);
}

/** Five days of 20 messages each; the clock stands at the sixth. */
async function fiveDays(options: WorldOptions = {}): Promise<void> {
  await world.open({ objects: objects(), ...options, settings: { warm: days(2), ...options.settings } });
  for (let n = 0; n < 5; n++) {
    world.log.fill(20, { receivedAt: START + days(n) });
    await world.flush();
  }
  world.clock.jump(days(5));
}

function here(): readonly string[] {
  return readdirSync(world.folder, { recursive: true })
    .map(String)
    .filter((name) => /^day=.*parquet$/.test(name));
}

describe("the cold tier", () => {
  test("files move there when they are old, are verified, and are deleted here; questions reach back to them", async () => {
    await fiveDays();
    await world.archive.tidy();
    const { coldFiles, files } = world.archive.progress();
    assert.equal(files, 5);
    assert.ok(coldFiles >= 2 && coldFiles < 5, `${coldFiles}`);
    assert.equal(here().length, 5 - coldFiles);
    assert.deepEqual(await world.offsets(), upTo(100));
    assert.equal(world.archive.progress().counters.fetched, coldFiles);
    assert.deepEqual(await world.offsets(), upTo(100));
    assert.equal(world.archive.progress().counters.fetched, coldFiles, "the second time from the cache");
  });

  test("only files with events of the asked time are fetched", async () => {
    await fiveDays();
    await world.archive.tidy();
    const files = await world.archive.eventFiles(START, START + 20);
    assert.equal(files.paths.length, 1);
    files.release();
    assert.equal(world.archive.progress().counters.fetched, 1);
  });

  test("away, it delays: files stay here, health is told, nothing is lost; back, they move", async () => {
    away = true;
    await fiveDays();
    await world.archive.tidy();
    assert.equal(here().length, 5);
    assert.match(world.archive.progress().problem ?? "", /the network is down/);
    assert.deepEqual(await world.offsets(), upTo(100));
    away = false;
    await world.archive.tidy();
    assert.ok(world.archive.progress().coldFiles > 0);
    assert.equal(world.archive.progress().problem, null);
    away = true;
    const files = await world.archive.eventFiles(0, START + days(9));
    assert.ok(files.missing.every(({ reason }) => /network is down/.test(reason)));
    assert.equal(files.missing.length, world.archive.progress().coldFiles);
    files.release();
    assert.equal(world.archive.progress().damagedFiles, 0, "what cannot be reached is not damaged");
  });

  test("other bytes there than were sent: the file here is kept", async () => {
    const real = objects();
    const rotting: Objects = {
      ...real,
      get: (key, signal) => real.get(key, signal),
      put: async (key, source, signal) => {
        await real.put(key, source, signal);
        const bytes = await readFile(join(bucket, key));
        bytes[50]! ^= 4;
        await writeFile(join(bucket, key), bytes);
      },
    };
    await fiveDays({ objects: rotting });
    await world.archive.tidy();
    assert.equal(here().length, 5);
    assert.match(world.archive.progress().problem ?? "", /checksum differs/);
    assert.deepEqual(await world.offsets(), upTo(100));
  });

  test("damaged there later, it is named as missing and never served", async () => {
    await fiveDays();
    await world.archive.tidy();
    const [name] = readdirSync(bucket, { recursive: true })
      .map(String)
      .filter((file) => file.endsWith(".parquet"))
      .sort();
    const bytes = await readFile(join(bucket, name!));
    bytes[50]! ^= 4;
    await writeFile(join(bucket, name!), bytes);
    const files = await world.archive.eventFiles(0, START + days(9));
    assert.deepEqual(
      files.missing.map(({ file }) => file),
      [name],
    );
    files.release();
    assert.equal(world.archive.progress().damagedFiles, 1);
    assert.deepEqual(await world.offsets(), upTo(100).slice(20));
  });

  test("the cache is bounded: what was asked for longest ago makes room, what is read stays", async () => {
    await fiveDays();
    await world.archive.tidy();
    const one = world.archive.progress().coldBytes / world.archive.progress().coldFiles;
    await fiveDaysAgain({ cacheBytesMax: Math.ceil(one * 1.5) });
    const first = await world.archive.eventFiles(START, START + 20);
    const second = await world.archive.eventFiles(START + days(1), START + days(1) + 30);
    assert.ok(existsSync(first.paths[0]!) && existsSync(second.paths[0]!));
    first.release();
    second.release();
    const third = await world.archive.eventFiles(START, START + 20);
    third.release();
    await assert.rejects(
      world.archive.eventFiles(0, START + days(9)),
      (error) => isTidewireError(error) && error.code === "LIMIT_REACHED",
    );
    assert.ok(world.archive.progress().cachedBytes <= one * 2.1);
  });

  test("too large for this machine, files move early instead of going", async () => {
    await fiveDays({ settings: { warm: days(300), bytesMax: 1 } });
    await world.archive.tidy();
    assert.equal(here().length, 1);
    assert.equal(world.archive.progress().coldFiles, 4);
    assert.deepEqual(await world.offsets(), upTo(100));
  });

  test("its own retention: what is too old is removed there too, later if it is away", async () => {
    await fiveDays({ settings: { keep: days(4) } });
    await world.archive.tidy();
    assert.ok(readdirSync(bucket).length >= 2);
    away = true;
    world.clock.jump(days(1)); // not ahead by more than is believed
    world.clock.jump(days(1));
    await world.archive.tidy();
    world.clock.advance(days(2));
    await world.archive.tidy();
    const left = world.archive.progress().files;
    assert.ok(left < 5, `${left}`);
    away = false;
    await world.archive.tidy();
    const there = readdirSync(bucket, { recursive: true })
      .map(String)
      .filter((file) => file.endsWith(".parquet"));
    assert.equal(there.length, world.archive.progress().coldFiles);
  });
});

async function fiveDaysAgain(settings: NonNullable<WorldOptions["settings"]>): Promise<void> {
  await world.open({ objects: objects(), settings: { warm: days(2), ...settings } });
}
