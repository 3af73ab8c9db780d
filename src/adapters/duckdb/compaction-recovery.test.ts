import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { days } from "../../base/mod.ts";
import { START, StoreFolder, aMoment, commit, compacted, everything } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";
import { SMALL, STATE, answersAsThe, fill, inFolder, readingsOf, told } from "./compaction.scenario.ts";

describe("killed at any step", () => {
  test("the next start answers as before, with nothing lost and nothing doubled", { timeout: 300_000 }, () =>
    inFolder(async (folder) => {
      const copies = await mkdtemp(join(tmpdir(), "tidewire-copies-"));
      try {
        const readings = readingsOf(4, 1_400, days(1));
        const seen = new Set<string>();
        const deaths: { step: string; folder: string; committed: number }[] = [];
        let done = 0;
        // What lies on disk at a step is what a killed process leaves there.
        const onStep = async (step: string): Promise<void> => {
          const what = `${step.replaceAll(/-\d.*$/g, "")} at ${done}`;
          if (seen.has(what)) return;
          seen.add(what);
          const copy = join(copies, String(deaths.length));
          deaths.push({ step, folder: copy, committed: done });
          await cp(folder.folder, copy, { recursive: true });
        };
        folder.clock.advance(days(10));
        const store = await folder.open({ ...SMALL, onStep });
        for (const end of [700, 1_400]) {
          for (let at = done; at < end; at += 100) {
            await commit(store, readings.slice(at, at + 100), at + 100, [{ ...STATE, state: `${at + 100}:` }]);
          }
          done = end;
          await compacted(store);
        }
        while (store.extent().levels.raw.files > 2) await aMoment(); // merged
        await folder.close(store);
        assert.ok(deaths.length >= 30, `${deaths.length} steps`); // some 45; fewer where merges wait for each other
        const check = async ({ step, folder: copy, committed }: (typeof deaths)[number]): Promise<void> => {
          const after = new StoreFolder(copy);
          const next = await after.open(SMALL);
          assert.equal(next.rebuilt, null, step);
          const from = next.offset ?? 0;
          assert.ok(from >= committed, `${step}: ${from} of ${committed}`);
          await fill(next, readings, from);
          await answersAsThe(readings, next);
          assert.deepEqual([next.rows, next.offset], [readings.length, readings.length], step);
          await after.remove();
        };
        // Mostly they wait for the disk.
        const lane = async (): Promise<void> => {
          for (let death = deaths.pop(); death !== undefined; death = deaths.pop()) await check(death);
        };
        await Promise.all([lane(), lane(), lane(), lane()]);
      } finally {
        await rm(copies, { recursive: true, force: true });
      }
    }),
  );
});

describe("the database is gone, and the log has only the rest", () => {
  for (const [what, harm] of [
    ["deleted", (path: string) => rm(path)],
    ["damaged", (path: string) => writeFile(path, Buffer.alloc(50_000, "rubbish "))],
    ["older than the files", null],
  ] as const) {
    test(`${what}: files and the log's rest give the same answers, states and numbers`, () =>
      inFolder(async (folder) => {
        let store = await folder.open(SMALL);
        const readings = readingsOf(5, 3_000);
        await fill(store, readings.slice(0, 1_000));
        await compacted(store);
        await folder.close(store);
        const old = await readFile(folder.path);
        store = await folder.open(SMALL);
        await fill(store, readings, 1_000);
        await compacted(store);
        const latest = store.latest("a");
        const { forgettable } = store;
        assert.ok(forgettable > 1_200);
        await folder.close(store);
        if (harm === null) await writeFile(folder.path, old);
        else await harm(folder.path);
        store = await folder.open(SMALL);
        assert.notEqual(store.rebuilt, null);
        const offset = store.offset ?? 0;
        assert.ok(offset >= forgettable, "it asks for nothing that the log may have forgotten");
        assert.deepEqual(await store.loadSequences(), [{ ...STATE, state: `${offset}:` }]);
        await fill(store, readings, offset);
        await answersAsThe(readings, store);
        assert.deepEqual(store.latest("a"), latest);
        assert.equal(store.rows, 3_000);
      }));
  }

  test("the newest manifest is damaged: the one before it counts, and the log still has what it lacks", () =>
    inFolder(async (folder) => {
      let store = await folder.open(SMALL);
      const readings = readingsOf(6, 4_000);
      await fill(store, readings);
      await compacted(store);
      const { forgettable } = store;
      await folder.close(store);
      await writeFile(join(folder.coldPath, "manifest.json"), "rubbish");
      store = await folder.open(SMALL);
      const offset = store.offset ?? 0;
      assert.ok(offset >= forgettable, `${offset}: the log may have forgotten what is below ${forgettable}`);
      await fill(store, readings, offset);
      await compacted(store);
      await answersAsThe(readings, store);
      assert.equal(store.rows, 4_000);
    }));

  test("both manifests are damaged: files that nobody can explain are kept aside, never served", () =>
    inFolder(async (folder) => {
      let store = await folder.open(SMALL);
      const readings = readingsOf(7, 2_000);
      await fill(store, readings);
      await compacted(store);
      await folder.close(store);
      for (const name of ["manifest.json", "manifest.json.previous"]) await writeFile(join(folder.coldPath, name), "x");
      store = await folder.open(SMALL);
      assert.match(store.rebuilt ?? "", /manifest|generations/);
      assert.equal(store.offset, null);
      const aside = (await readdir(folder.coldPath)).find((name) => name.startsWith("lost-"));
      assert.ok((await readdir(join(folder.coldPath, aside!))).length > 10);
      await fill(store, readings);
      await answersAsThe(readings, store);
    }));
});

describe("a database of format 1", () => {
  test("is taken over with all its points, names and states, in one step, and compacted", () =>
    inFolder(async (folder) => {
      const readings = readingsOf(8, 2_000);
      await writeFormat1(folder.path, readings);
      let store = await folder.open(SMALL);
      assert.equal(store.rebuilt, null);
      assert.equal(store.offset, 2_000);
      assert.equal(store.forgettable, 0);
      await answersAsThe(readings, store);
      await compacted(store);
      await answersAsThe(readings, store);
      assert.deepEqual(await store.loadSequences(), [{ ...STATE, state: "9:" }]);
      await folder.close(store);
      await rm(folder.path);
      store = await folder.open(SMALL);
      assert.equal(store.offset, 2_000);
      await answersAsThe(readings, store);
      assert.deepEqual(await store.loadSequences(), [{ ...STATE, state: "9:" }]);
    }));
});

describe("damaged files", () => {
  async function filled(folder: StoreFolder, readings: readonly Reading[]): Promise<void> {
    const store = await folder.open(SMALL);
    await fill(store, readings);
    await compacted(store);
    await folder.close(store);
  }

  for (const [what, harm] of [
    ["a flipped bit", flip],
    ["a cut end", async (path: string) => writeFile(path, (await readFile(path)).subarray(0, -5))],
    ["a file that is gone", (path: string) => rm(path)],
  ] as const) {
    test(`${what}: never served, told, and answers that need it say that they are incomplete`, () =>
      inFolder(async (folder) => {
        await filled(folder, readingsOf(9, 2_000));
        const name = (await readdir(folder.coldPath)).find((one) => one.startsWith("numbers-2026-01-01"));
        await harm(join(folder.coldPath, name!));
        let store = await folder.open(SMALL);
        for (let round = 0; round < 2; round++) {
          const answer = await store.query(everything("a"));
          assert.equal(answer.incomplete, true);
          const later = await store.query({ ...everything("a"), from: START + days(1) });
          assert.equal(later.incomplete, false);
          assert.equal(store.extent().quarantined, 1);
          await folder.close(store);
          store = await folder.open(SMALL);
        }
        const kept = await readdir(join(folder.coldPath, "quarantine"));
        assert.deepEqual(kept, what === "a file that is gone" ? [] : [name]);
        assert.ok(folder.logger.lines.some(({ message }) => message.includes("incomplete")));
      }));
  }

  test("a file that rots while the platform runs is found by the daily comparison, without a query", () =>
    inFolder(async (folder) => {
      await filled(folder, readingsOf(10, 2_000));
      const store = await folder.open(SMALL);
      await store.query(everything("a")); // compared, and believed from now on
      for (let i = 0; i < 50; i++) await aMoment();
      const name = (await readdir(folder.coldPath)).find((one) => one.startsWith("1h-"));
      await flip(join(folder.coldPath, name!));
      folder.clock.advance(days(1));
      while (store.extent().quarantined === 0) await aMoment();
      await told(folder, "error", "damaged");
    }));
});

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[Math.floor(bytes.length / 2)]! ^= 0x10;
  await writeFile(path, bytes);
}

/** As Tidewire 0.1 made it. */
async function writeFormat1(path: string, readings: readonly Reading[]): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  for (const statement of [
    "CREATE TABLE format (version INTEGER NOT NULL)",
    "INSERT INTO format VALUES (1)",
    "CREATE TABLE series (id INTEGER NOT NULL, thing VARCHAR NOT NULL, measurement VARCHAR NOT NULL, field VARCHAR NOT NULL, type VARCHAR NOT NULL)",
    "CREATE TABLE points (series INTEGER NOT NULL, time BIGINT NOT NULL, value DOUBLE NOT NULL)",
    "CREATE TABLE texts (series INTEGER NOT NULL, time BIGINT NOT NULL, value VARCHAR NOT NULL)",
    "CREATE TABLE latest (series INTEGER NOT NULL, time BIGINT NOT NULL, value DOUBLE, text VARCHAR)",
    "CREATE TABLE sequences (source VARCHAR NOT NULL, outbox VARCHAR NOT NULL, state VARCHAR)",
    "CREATE TABLE progress (log_offset BIGINT NOT NULL, points_covered BIGINT NOT NULL, texts_covered BIGINT NOT NULL)",
    `INSERT INTO progress VALUES (${readings.length}, 0, 0)`,
    "INSERT INTO sequences VALUES ('thing a', 'o', '8:'), ('thing b', 'o', '1:'), ('thing a', 'o', '9:'), ('thing b', 'o', NULL)",
  ]) {
    await connection.run(statement);
  }
  const ids = new Map<string, number>();
  const points = await connection.createAppender("points");
  const texts = await connection.createAppender("texts");
  for (const { thing, measurement, field, time, value } of readings) {
    const key = `'${thing}', '${measurement}', '${field}', '${typeof value}'`;
    let id = ids.get(key);
    if (id === undefined) {
      ids.set(key, (id = ids.size));
      await connection.run(`INSERT INTO series VALUES (${id}, ${key})`);
    }
    const appender = typeof value === "string" ? texts : points;
    appender.appendInteger(id);
    appender.appendBigInt(BigInt(time));
    if (typeof value === "string") appender.appendVarchar(value);
    else appender.appendDouble(Number(value));
    appender.endRow();
  }
  points.closeSync();
  texts.closeSync();
  connection.closeSync();
  instance.closeSync();
}
