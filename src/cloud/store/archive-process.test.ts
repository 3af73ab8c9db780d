/** The archive in a real store process behind a real log, killed at any moment. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SimRandom } from "../../../sim/world.ts";
import { days, gib, seconds } from "../../base/mod.ts";
import { readParquet } from "./archive.fixture.ts";
import type { ArchiveOrder } from "./protocol.ts";
import { Platform, STORE_ALL, killStore, message, pause } from "./store.scenario.ts";

const TIMEOUT = { timeout: 120_000 };

function orderOf(platform: Platform): ArchiveOrder {
  const settings = { every: seconds(1), keep: null, bytesMax: null, warm: days(30), cacheBytesMax: gib(1) };
  return { folder: join(platform.folder, "archive"), settings, cold: null };
}

async function onPlatform(work: (platform: Platform) => Promise<void>): Promise<void> {
  const platform = await Platform.make([STORE_ALL]);
  try {
    platform.archive = orderOf(platform);
    await platform.restart();
    await work(platform);
  } finally {
    await platform.close();
  }
}

/** Resolves when everything in the log is archived. */
async function archived(platform: Platform): Promise<void> {
  await platform.log.flush();
  const { next } = platform.log;
  while ((platform.client.status().archive?.offset ?? 0) < next) {
    await platform.client.archiveNow().catch(() => null);
    await pause(20);
  }
}

async function offsetsOf(platform: Platform): Promise<readonly number[]> {
  const folder = join(platform.folder, "archive");
  const paths = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /^day=.*\.parquet$/.test(name))
    .map((name) => join(folder, name));
  const rows = await readParquet(paths, '"offset"::DOUBLE');
  return rows.map(([offset]) => offset as number).toSorted((a, b) => a - b);
}

test("messages of a running platform are archived, and its status says how far", TIMEOUT, () =>
  onPlatform(async (platform) => {
    for (let n = 0; n < 500; n++) platform.append(message({ n }));
    await archived(platform);
    const archive = platform.client.status().archive;
    assert.deepEqual([archive?.offset, archive?.rows, archive?.lag, archive?.problem], [500, 500, 0, null]);
    assert.equal(platform.metrics.value("tidewire_archive_messages_total"), 500);
  }),
);

test("killed again and again while messages come, every message is archived once", TIMEOUT, () =>
  onPlatform(async (platform) => {
    const random = new SimRandom(11);
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 2_000; n++) platform.append(message({ round, n }));
      await platform.log.flush();
      void platform.client.archiveNow().catch(() => null);
      await pause(random.below(250));
      await killStore(platform.client);
    }
    await archived(platform);
    await platform.client.close();
    const offsets = await offsetsOf(platform);
    assert.deepEqual(
      offsets,
      Array.from({ length: 8_000 }, (_, n) => n),
    );
  }),
);

test(
  "an archive that cannot be opened stops nothing else: the log keeps the messages, and health can tell",
  TIMEOUT,
  async () => {
    const platform = await Platform.make([STORE_ALL]);
    try {
      platform.archive = orderOf(platform);
      await writeFile(join(platform.folder, "archive"), "a file where the folder should be");
      await platform.restart();
      platform.append(message({ n: 1 }));
      await platform.stored();
      while ((platform.client.status().archive?.problem ?? null) === null) await pause(20);
      const { archive, offset } = platform.client.status();
      assert.deepEqual([archive?.offset, offset], [null, 1]);
      await assert.rejects(platform.client.archiveNow(), /STORE_UNAVAILABLE|cannot answer now/);
    } finally {
      await platform.close();
    }
  },
);
