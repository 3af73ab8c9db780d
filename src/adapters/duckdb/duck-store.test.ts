import assert from "node:assert/strict";
import { copyFile, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import { isDamage, isEnvironment } from "./open.ts";
import { START, StoreFolder, commit, everything, modelAnswer } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";

function reading(time: number, value: Reading["value"], more: Partial<Reading> = {}): Reading {
  return { thing: "press-1", measurement: "system", field: "cpu.percent", time: START + time, value, ...more };
}

async function inFolder(work: (folder: StoreFolder) => Promise<void>): Promise<void> {
  const folder = await StoreFolder.make();
  try {
    await work(folder);
  } finally {
    await folder.remove();
  }
}

describe("what was committed", () => {
  test("an empty store has no offset, no things and no values", () =>
    inFolder(async (folder) => {
      const store = await folder.open();
      assert.equal(store.offset, null);
      assert.equal(store.rows, 0);
      assert.equal(store.rebuilt, null);
      assert.deepEqual(store.things(), []);
      assert.deepEqual(store.latest("nobody"), { thing: "nobody", values: [] });
      assert.deepEqual((await store.query(everything("nobody"))).series, []);
    }));

  test("numbers, booleans and strings come back as they were, in the order of time", () =>
    inFolder(async (folder) => {
      const store = await folder.open();
      const readings = [
        reading(2000, 7.25),
        reading(1000, -1e300),
        reading(1000, true, { field: "on" }),
        reading(1500, "läuft 🌊", { field: "state" }),
        reading(1500, "", { field: "state" }),
      ];
      await commit(store, readings, 5);
      const { series, truncated } = await store.query(everything("press-1"));
      assert.equal(truncated, false);
      assert.deepEqual(series, [
        {
          measurement: "system",
          field: "cpu.percent",
          type: "number",
          times: [START + 1000, START + 2000],
          values: [-1e300, 7.25],
        },
        { measurement: "system", field: "on", type: "boolean", times: [START + 1000], values: [true] },
        {
          measurement: "system",
          field: "state",
          type: "string",
          times: [START + 1500, START + 1500],
          values: ["läuft 🌊", ""],
        },
      ]);
    }));

  test("rows, series, offset, latest values and sequence states survive a restart", () =>
    inFolder(async (folder) => {
      let store = await folder.open();
      const state = { source: "thing press-1", outbox: "a", state: "7:3-4" };
      await commit(store, [reading(0, 1), reading(1, "x", { field: "s" })], 2, [{ ...state, state: "2:" }]);
      await commit(store, [reading(5, 2), reading(3, 9), reading(2, false, { field: "b" })], 9, [state]);
      const before = await store.query(everything("press-1"));
      const latest = store.latest("press-1");
      for (let round = 0; round < 2; round++) {
        await folder.close(store);
        store = await folder.open();
        assert.equal(store.offset, 9);
        assert.equal(store.rows, 5);
        assert.equal(store.series.size, 3);
        assert.deepEqual(await store.query(everything("press-1")), before);
        assert.deepEqual(store.latest("press-1"), latest);
        assert.deepEqual(await store.loadSequences(), [state]);
      }
      assert.deepEqual(latest.values, [
        { measurement: "system", field: "b", value: false, time: START + 2 },
        { measurement: "system", field: "cpu.percent", value: 2, time: START + 5 },
        { measurement: "system", field: "s", value: "x", time: START + 1 },
      ]);
    }));

  test("a field whose type changes becomes one series per type, and its latest value is the newest of both", () =>
    inFolder(async (folder) => {
      const store = await folder.open();
      await commit(store, [reading(0, 1), reading(1, "broken"), reading(2, "worse")], 3);
      const { series } = await store.query(everything("press-1"));
      assert.deepEqual(
        series.map(({ type, values }) => [type, values]),
        [
          ["number", [1]],
          ["string", ["broken", "worse"]],
        ],
      );
      assert.deepEqual(
        store.latest("press-1").values.map(({ value }) => value),
        ["worse"],
      );
      await commit(store, [reading(3, 4)], 4);
      assert.deepEqual(
        store.latest("press-1").values.map(({ value }) => value),
        [4],
      );
    }));

  test("many outboxes over many commits: the saved states are rewritten and the newest of each comes back", () =>
    inFolder(async (folder) => {
      let store = await folder.open();
      for (let round = 0; round < 12; round++) {
        const rows = Array.from({ length: 5_000 }, (_, i) => ({
          source: `thing t${i}`,
          outbox: "o",
          state: `${round}:`,
        }));
        await commit(
          store,
          [],
          round,
          round === 11 ? [...rows, { source: "thing t0", outbox: "o", state: null }] : rows,
        );
      }
      await folder.close(store);
      store = await folder.open();
      const states = await store.loadSequences();
      assert.equal(states.length, 4_999);
      assert.ok(states.every(({ state }) => state === "11:"));
    }));

  test("text that looks like SQL stays text", () =>
    inFolder(async (folder) => {
      const store = await folder.open();
      const nasty = "'; DROP TABLE points; --";
      const odd = { thing: nasty, measurement: `m"${nasty}`, field: nasty };
      await commit(store, [reading(0, nasty, odd), reading(1, 2, odd)], 2);
      const { series } = await store.query({ ...everything(nasty), measurement: `m"${nasty}`, fields: [nasty] });
      assert.deepEqual(
        series.map(({ values }) => values),
        [[2], [nasty]],
      );
    }));
});

describe("limits of an answer", () => {
  test("more points than the limit: the earliest, complete up to the last time, and truncated says so", () =>
    inFolder(async (folder) => {
      const store = await folder.open();
      const readings = Array.from({ length: 5_000 }, (_, i) => reading(i, i, { field: i % 2 === 0 ? "x" : "y" }));
      await commit(store, readings, 5_000);
      const cut = await store.query({ ...everything("press-1"), limit: 3_001 });
      assert.equal(cut.truncated, true);
      assert.deepEqual(cut.series, modelAnswer(readings.slice(0, 3_001), everything("press-1")));
      const whole = await store.query({ ...everything("press-1"), limit: 5_000 });
      assert.equal(whole.truncated, false);
      assert.equal(whole.series.flatMap(({ times }) => times).length, 5_000);
    }));

  test("an aborted query stops with the reason, and the connection answers the next one", () =>
    inFolder(async (folder) => {
      const store = await folder.open();
      const readings = Array.from({ length: 150_000 }, (_, i) => reading(i, i));
      await commit(store, readings, 1);
      for (let round = 0; round < 4; round++) {
        const controller = new AbortController();
        const reason = new Error("no more");
        const answer = store.query({ ...everything("press-1"), window: 1, aggregate: "last" }, controller.signal);
        controller.abort(reason);
        await assert.rejects(answer, (error) => error === reason);
      }
      assert.equal((await store.query({ ...everything("press-1"), limit: 10 })).series[0]?.times.length, 10);
    }));
});

describe("a file that cannot be used", () => {
  async function filled(folder: StoreFolder): Promise<void> {
    const store = await folder.open();
    await commit(
      store,
      Array.from({ length: 20_000 }, (_, i) => reading(i, i)),
      20_000,
    );
    await folder.close(store);
  }
  const asides = async (folder: StoreFolder): Promise<string[]> =>
    (await readdir(folder.folder)).filter((name) => /\.damaged-[^.]*$/.test(name));

  test("rubbish is moved aside and told, and an empty store opens", () =>
    inFolder(async (folder) => {
      await writeFile(folder.path, Buffer.alloc(50_000, "rubbish "));
      const store = await folder.open();
      assert.match(store.rebuilt ?? "", /damaged/);
      assert.equal(store.offset, null);
      await commit(store, [reading(0, 1)], 1);
      const [aside, ...others] = await asides(folder);
      assert.match(aside ?? "", /^telemetry\.duckdb\.damaged-20260101T000000Z$/);
      assert.deepEqual(others, []);
      assert.equal((await readFile(`${folder.folder}/${aside}`)).length, 50_000);
      assert.ok(folder.logger.lines.some(({ level, message }) => level === "error" && message.includes("moved aside")));
    }));

  test("a truncated file is moved aside", () =>
    inFolder(async (folder) => {
      await filled(folder);
      const bytes = await readFile(folder.path);
      await writeFile(folder.path, bytes.subarray(0, 9_000));
      assert.match((await folder.open()).rebuilt ?? "", /damaged|cannot be read/);
    }));

  test("a flipped bit anywhere is found at the start or by the query: never a wrong answer", () =>
    inFolder(async (folder) => {
      let store = await folder.open();
      const readings = Array.from({ length: 60_000 }, (_, i) => reading(i, Math.sin(i), { field: `f${i % 3}` }));
      await commit(store, readings, 1);
      const query: SeriesQuery = { ...everything("press-1"), window: 1000, aggregate: "avg" };
      const answer = await store.query(query);
      await folder.close(store);
      const bytes = await readFile(folder.path);
      let found = 0;
      for (let k = 0; k < 20; k++) {
        const flipped = Buffer.from(bytes);
        flipped[Math.floor((bytes.length * (k + 0.5)) / 20)]! ^= 0x40;
        await writeFile(folder.path, flipped);
        store = await folder.open();
        try {
          if (store.rebuilt === null) assert.deepEqual(await store.query(query), answer);
          else found++;
        } catch (error) {
          assert.ok(isDamage(reasonOf(error)), reasonOf(error));
          found++;
        }
        await folder.close(store);
      }
      assert.ok(found >= 10, `${found} of 20 flips met a byte in use`);
    }));

  test("a setting that this DuckDB does not know is no damage", async () => {
    const opening = DuckDBInstance.create(":memory:", { a_setting_of_another_version: "1" });
    await assert.rejects(opening, (error) => isEnvironment(reasonOf(error)) && !isDamage(reasonOf(error)));
    const instance = await DuckDBInstance.create(":memory:");
    try {
      const connection = await instance.connect();
      const setting = connection.run("SET a_setting_of_another_version = 1");
      await assert.rejects(setting, (error) => isEnvironment(reasonOf(error)));
    } finally {
      instance.closeSync();
    }
  });

  test("a file of a newer format is kept aside, not overwritten", () =>
    inFolder(async (folder) => {
      await filled(folder);
      const instance = await DuckDBInstance.create(folder.path);
      await (await instance.connect()).run("UPDATE format SET version = 99");
      instance.closeSync();
      const store = await folder.open();
      assert.match(store.rebuilt ?? "", /newer format 99/);
      assert.equal((await asides(folder)).length, 1);
    }));

  test("a file that is not ours is kept aside", () =>
    inFolder(async (folder) => {
      const instance = await DuckDBInstance.create(folder.path);
      await (await instance.connect()).run("CREATE TABLE mine (x INTEGER)");
      instance.closeSync();
      assert.notEqual((await folder.open()).rebuilt, null);
    }));

  test("a distrusted file is moved aside unread; of many only three are kept", () =>
    inFolder(async (folder) => {
      for (let round = 0; round < 5; round++) {
        const store = await folder.open({ distrust: "it fell three times" });
        assert.equal(store.rebuilt, round === 0 ? null : "it fell three times");
        await folder.close(store);
      }
      assert.equal((await asides(folder)).length, 3);
    }));

  test("a file in use by another process is not damaged: refused, and left where it is", () =>
    inFolder(async (folder) => {
      await filled(folder);
      const size = (await stat(folder.path)).size;
      const store = await folder.open();
      const { fork } = await import("node:child_process");
      const child = fork(new URL("open-elsewhere.scenario.ts", import.meta.url), [folder.path], { execArgv: [] });
      const [answer] = (await new Promise<unknown[]>((resolve) =>
        child.once("message", (...message) => resolve(message)),
      )) as [string];
      await new Promise((resolve) => child.once("exit", resolve));
      assert.equal(answer, "DATABASE_UNUSABLE");
      assert.deepEqual(await asides(folder), []);
      assert.equal((await stat(folder.path)).size, size);
      assert.equal(store.offset, 20_000);
    }));

  test("a folder in its place is refused with a clear error", () =>
    inFolder(async (folder) => {
      const { mkdir } = await import("node:fs/promises");
      await mkdir(folder.path);
      await assert.rejects(folder.open(), (error) => isTidewireError(error) && error.code === "DATABASE_UNUSABLE");
      await rm(folder.path, { recursive: true });
    }));

  test("a write-ahead log without its file does not leak into the new one", () =>
    inFolder(async (folder) => {
      const store = await folder.open();
      await commit(store, [reading(0, 1)], 1);
      await copyFile(`${folder.path}.wal`, `${folder.path}.copy`);
      await folder.close(store);
      await rm(folder.path);
      await copyFile(`${folder.path}.copy`, `${folder.path}.wal`);
      const fresh = await folder.open();
      assert.equal(fresh.rows, 0);
    }));
});
