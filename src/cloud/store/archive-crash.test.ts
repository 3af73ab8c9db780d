/** Killed before any of its steps to the disk, the archive goes on with every message once. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FolderObjects } from "../../adapters/objects/mod.ts";
import type { ArchiveFolder, CatalogStore } from "../../archive/mod.ts";
import { days } from "../../base/mod.ts";
import type { Objects } from "../../base/mod.ts";
import { ArchiveWorld, START } from "./archive.fixture.ts";
import type { WorldOptions } from "./archive.fixture.ts";

/** After `left` calls that change something, nothing more happens: as if the process were gone. */
class Guillotine {
  left: number;
  fallen = false;

  constructor(left: number) {
    this.left = left;
  }

  async #before(): Promise<void> {
    if (this.fallen || this.left-- <= 0) {
      this.fallen = true;
      throw new Error("killed");
    }
  }

  folder = (real: ArchiveFolder): ArchiveFolder => ({
    ...real,
    publish: async (from, to) => {
      await this.#before();
      await real.publish(from, to);
      await this.#before();
    },
    remove: async (name) => {
      await this.#before();
      await real.remove(name);
    },
    digest: async (name, signal) => {
      await this.#before();
      return real.digest(name, signal);
    },
  });

  store = (real: CatalogStore): CatalogStore => ({
    load: () => real.load(),
    save: async (content) => {
      await this.#before();
      await real.save(content);
      await this.#before();
    },
  });

  objects(real: Objects): Objects {
    return {
      name: real.name,
      put: async (key, source, signal) => {
        await this.#before();
        await real.put(key, source, signal);
        await this.#before();
      },
      facts: (key) => real.facts(key),
      get: (key) => real.get(key),
      list: (prefix) => real.list(prefix),
      remove: async (key) => {
        await this.#before();
        await real.remove(key);
      },
    };
  }
}

const LIMITS_SMALL = {
  limits: { mergeFilesMin: 3, stepRowsMax: 25, retryDelayMin: 1, retryDelayMax: 1, flushTimeout: 400 },
};

/** Each death takes a second; `ARCHIVE_KILLS=all` dies before every step. */
const STRIDE = process.env["ARCHIVE_KILLS"] === "all" ? 1 : 5;

/** Steps, merges, moves to the cold tier; whether it came to its end. */
async function story(world: ArchiveWorld, options: WorldOptions): Promise<void> {
  await world.open(options);
  for (let n = 0; n < 4; n++) {
    if (world.log.durable < 80) world.log.fill(20, { receivedAt: START + days(n < 2 ? 0 : 1) });
    await world.flush();
  }
  await world.archive.tidy();
}

test("killed before any step to the disk, every message is archived once", { timeout: 240_000 }, async () => {
  let deaths = 0;
  for (let at = 0; ; at += STRIDE) {
    const world = await ArchiveWorld.make();
    const bucket = mkdtempSync(join(tmpdir(), "tidewire-cold-"));
    try {
      world.clock.jump(days(10));
      const objects = new FolderObjects(bucket);
      const settings = { warm: days(1) };
      const guillotine = new Guillotine(at);
      const { folder, store } = guillotine;
      const deadly = { ...LIMITS_SMALL, settings, folder, store, objects: guillotine.objects(objects) };
      await story(world, deadly).catch((error: unknown) => assert.match(String(error), /killed/));
      await world.close();
      await story(world, { ...LIMITS_SMALL, settings, objects });
      const offsets = (await world.offsets()).toSorted((a, b) => a - b);
      assert.deepEqual(
        offsets,
        Array.from({ length: world.log.durable }, (_, n) => n),
        `killed at ${at}`,
      );
      const { damagedFiles, problem, coldFiles } = world.archive.progress();
      assert.deepEqual([damagedFiles, problem], [0, null], `killed at ${at}`);
      assert.ok(coldFiles > 0);
      if (!guillotine.fallen) break;
      deaths++;
    } finally {
      await world.end();
      rmSync(bucket, { recursive: true, force: true });
    }
  }
  assert.ok(deaths * STRIDE > 20, `${deaths} deaths`);
});
