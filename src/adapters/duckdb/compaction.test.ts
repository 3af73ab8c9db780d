import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { SimRandom } from "../../../sim/world.ts";
import { LIMITS, days, hours, minutes, seconds } from "../../base/mod.ts";
import { DEFAULT_RETENTION } from "../../telemetry/mod.ts";
import type { SequenceRow, SeriesQuery } from "../../telemetry/mod.ts";
import type { PointFile, PointKind } from "./cold-files.ts";
import type { DuckStore, DuckStoreOptions } from "./duck-store.ts";
import type { RollupRange } from "./layout.ts";
import { boundsOf, mergeable } from "./periods.ts";
import { START, StoreFolder, commit, compacted, everything, aMoment, modelAnswer } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";
import { ALL_TIMES, UserSnapshots } from "./user-sql/snapshots.ts";
import { viewStatement } from "./user-sql/views.ts";

const SMALL: Partial<DuckStoreOptions> = { limits: { ...LIMITS.telemetry, generationRowsMax: 600 } };

async function inFolder(work: (folder: StoreFolder) => Promise<void>): Promise<void> {
  const folder = await StoreFolder.make();
  try {
    await work(folder);
  } finally {
    await folder.remove();
  }
}

const FOR_EVER = { raw: null, "1m": null, "1h": null, "1d": null };

function wholly(from: number, to: number): RollupRange {
  return { from, to, pointsFrom: from, pointsTo: to };
}

/** Readings of three things over a few days, equal times, every type, not in order. */
function readingsOf(seed: number, count: number, span = days(3)): Reading[] {
  const random = new SimRandom(seed);
  return Array.from({ length: count }, () => ({
    thing: random.pick(["a", "b", "c"]),
    measurement: "m",
    field: random.pick(["x", "y"]),
    time: START + random.below(span / minutes(1)) * minutes(1),
    value: random.pick<Reading["value"]>([random.below(1000) / 10, random.chance(0.5), `s${random.below(5)}`]),
  }));
}

const QUERIES: readonly SeriesQuery[] = ["a", "b", "c"].flatMap((thing): SeriesQuery[] => [
  everything(thing),
  { ...everything(thing), from: START + hours(20), to: START + hours(30), window: hours(1), aggregate: "last" },
  { ...everything(thing), window: minutes(7), aggregate: "count" },
  { ...everything(thing), window: days(1), aggregate: "max" },
]);

/** What a user's SQL finds. */
async function valuesInSql(store: DuckStore, folder: string): Promise<readonly number[]> {
  const target = await mkdtemp(join(folder, "sql-"));
  const { views } = await new UserSnapshots(store, join(folder, "hot")).into(target, ["telemetry"], ALL_TIMES);
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  for (const view of views) await connection.run(viewStatement(view, target));
  const found = await connection.runAndReadAll("SELECT value FROM telemetry");
  connection.closeSync();
  instance.closeSync();
  return found.getRows().map(([value]) => value as number);
}

async function answersAsThe(model: readonly Reading[], store: DuckStore): Promise<void> {
  for (const query of QUERIES) {
    const answer = await store.query(query);
    assert.deepEqual(answer.series, modelAnswer(model, query));
    assert.equal(answer.incomplete, false);
  }
}

const STATE: SequenceRow = { source: "thing a", outbox: "o", state: "7:3-4" };

/** Commits the readings 200 at a time; offsets count readings. */
async function fill(store: DuckStore, readings: readonly Reading[], from = 0): Promise<void> {
  for (let at = from; at < readings.length; at += 200) {
    const end = Math.min(at + 200, readings.length);
    await commit(store, readings.slice(at, end), end, [{ ...STATE, state: `${end}:` }]);
  }
}

describe("generations become files", () => {
  test("answers, latest values, states and rows are the same before, during and after, and after a restart", () =>
    inFolder(async (folder) => {
      let store = await folder.open(SMALL);
      const readings = readingsOf(1, 3_000);
      for (let at = 0; at < readings.length; at += 200) {
        await commit(store, readings.slice(at, at + 200), at + 200, [{ ...STATE, state: `${at + 200}:` }]);
        await answersAsThe(readings.slice(0, at + 200), store);
      }
      await compacted(store);
      await answersAsThe(readings, store);
      const { levels, generations, waiting } = store.extent();
      assert.deepEqual([generations, waiting], [1, null]);
      assert.equal(levels.raw.rows, 3_000);
      for (const level of ["1h", "1d"] as const) assert.ok(levels[level].rows > 0, level);
      assert.equal(store.rows, 3_000);
      const latest = store.latest("b");
      for (let round = 0; round < 2; round++) {
        await folder.close(store);
        store = await folder.open(SMALL);
        assert.equal(store.rebuilt, null);
        assert.deepEqual([store.rows, store.offset], [3_000, 3_000]);
        assert.deepEqual(store.latest("b"), latest);
        assert.deepEqual(await store.loadSequences(), [{ ...STATE, state: "3000:" }]);
        await answersAsThe(readings, store);
      }
    }));

  test("rollups of every level add up to the points, also where late data came and files were merged", () =>
    inFolder(async (folder) => {
      folder.clock.advance(days(40)); // days and month are over, so that their files are merged
      const store = await folder.open({ ...SMALL, retention: FOR_EVER });
      const readings = readingsOf(2, 3_000);
      await fill(store, readings);
      await compacted(store);
      while (store.extent().levels["1h"].files > 2) await aMoment();
      for (const [rollup, width] of [
        ["1m", minutes(1)],
        ["1h", hours(1)],
        ["1d", days(1)],
      ] as const) {
        for (const { id, thing, field, type } of ["a", "b", "c"].flatMap((name) =>
          store.series.find(name, null, null),
        )) {
          const rows = await store.read(async (connection, view) => {
            const relation = await view.rollup(rollup, type === "string" ? "texts" : "numbers", wholly(0, START * 2));
            const result = await connection.runAndReadAll(
              "SELECT bucket::DOUBLE, sum(count)::DOUBLE, sum(sum), min(min), max(max), " +
                "arg_min(coalesce(first_text, first::VARCHAR), first_time::HUGEINT * 9007199254740992 + first_arrival), " +
                "arg_max(coalesce(last_text, last::VARCHAR), last_time::HUGEINT * 9007199254740992 + last_arrival) " +
                `FROM (${relation}) WHERE series = ${id} GROUP BY bucket ORDER BY bucket`,
            );
            return result.getRows();
          });
          const own = readings
            .filter((one) => one.thing === thing && one.field === field && typeof one.value === type)
            .toSorted((a, b) => a.time - b.time);
          assert.deepEqual(
            rows.map(rounded),
            rollupOf(own, width, type).map(rounded),
            `${rollup} ${thing} ${field} ${type}`,
          );
        }
      }
    }));

  test("minutes of fast series are files at once, of slow ones they are made of the points; both answer alike", () =>
    inFolder(async (folder) => {
      const fast = Array.from({ length: 900 }, (_, i) => ({
        thing: "a",
        measurement: "m",
        field: "x",
        time: START + i * seconds(1),
        value: i,
      }));
      const store = await folder.open(SMALL);
      await fill(store, fast);
      await compacted(store);
      const minutesRead = (): Promise<unknown> =>
        store.read(async (connection, view) => {
          const relation = await view.rollup("1m", "numbers", wholly(START, START + minutes(10)));
          const sql = `SELECT bucket::DOUBLE, sum(count)::DOUBLE, sum(sum) FROM (${relation}) WHERE bucket < ${START + minutes(10)} GROUP BY bucket ORDER BY bucket`;
          return (await connection.runAndReadAll(sql)).getRows();
        });
      const expected = Array.from({ length: 10 }, (_, n) => [START + minutes(n), 60, 60 * (60 * n) + 1770]);
      assert.deepEqual(await minutesRead(), expected);
      assert.equal(store.extent().levels["1m"].rows, 10);
      const slow = Array.from({ length: 600 }, (_, i) => ({ ...fast[0]!, field: "y", time: START + i * minutes(1) }));
      await fill(store, [...fast, ...slow], fast.length);
      await compacted(store);
      assert.ok(store.extent().levels["1m"].rows < 20, "slow ones have no file of minutes");
    }));

  test("a day that is over ends as one file of each kind", () =>
    inFolder(async (folder) => {
      const store = await folder.open(SMALL);
      const readings = readingsOf(3, 3_000);
      await fill(store, readings);
      await compacted(store);
      folder.clock.advance(days(40));
      await folder.close(store);
      const later = await folder.open({ ...SMALL, retention: FOR_EVER });
      while (later.extent().levels.raw.files > 6 || later.extent().levels["1h"].files > 1) await aMoment();
      await answersAsThe(readings, later);
      assert.equal(later.extent().levels.raw.rows, 3_000);
    }));

  test("small days of a year that is over become one file, and a reading a minute takes less than 0.8 bytes", () =>
    inFolder(async (folder) => {
      const random = new SimRandom(9);
      let value = 200;
      const readings = Array.from({ length: 56 * 1440 }, (_, i) => {
        value += random.below(7) - 3 - Math.sign(value - 200) * random.below(2);
        return { thing: "a", measurement: "m", field: "x", time: START + i * minutes(1), value: value / 10 };
      });
      const limits = { ...LIMITS.telemetry, generationRowsMax: 14 * 1440 };
      const own = { limits, retention: FOR_EVER };
      const store = await folder.open(own);
      const query = { ...everything("a"), limit: 1e6 };
      for (let at = 0; at < readings.length; at += 7 * 1440) {
        await commit(store, readings.slice(at, at + 7 * 1440), at + 7 * 1440);
      }
      await compacted(store);
      assert.ok(store.extent().levels.raw.files > 40);
      folder.clock.advance(days(366));
      await folder.close(store);
      const later = await folder.open(own);
      const done = (): boolean => {
        const { raw, "1h": hour } = later.extent().levels;
        return raw.files === 1 && hour.files === 1;
      };
      while (!done()) await aMoment();
      const { levels } = later.extent();
      assert.deepEqual([levels.raw.rows, levels["1h"].rows], [later.rows, later.rows / 60]);
      const bytes = levels.raw.bytes + levels["1h"].bytes + levels["1d"].bytes;
      assert.ok(bytes / later.rows < 0.8, String(bytes / later.rows));
      const { series } = await later.query(query);
      assert.deepEqual(series, modelAnswer(readings, query));
    }));

  test("decimals, finer ones and numbers that are none lie in files of their own: every bit comes back, also where they are merged", () =>
    inFolder(async (folder) => {
      const store = await folder.open({ ...SMALL, snapshotFolder: join(folder.folder, "hot") });
      const finest = [(n: number) => n / 10, (n: number) => n / 1000, (n: number) => n / 3, (n: number) => n];
      const readings = finest.flatMap((valueOf, part) =>
        Array.from({ length: 600 }, (_, i) => ({
          thing: "a",
          measurement: "m",
          field: "x",
          time: START + (i * 4 + part) * seconds(10),
          value: valueOf(i * 7 + 1),
        })),
      );
      await fill(store, readings);
      await compacted(store);
      assert.ok(store.extent().levels.raw.files >= 4);
      const query = { ...everything("a"), limit: 1e6 };
      assert.deepEqual((await store.query(query)).series, modelAnswer(readings, query));
      assert.deepEqual(
        (await valuesInSql(store, folder.folder)).toSorted((a, b) => a - b),
        readings.map(({ value }) => value).toSorted((a, b) => a - b),
      );
      folder.clock.advance(days(40));
      await folder.close(store);
      const later = await folder.open({ ...SMALL, retention: FOR_EVER });
      while (later.extent().levels.raw.files > 1) await aMoment();
      assert.deepEqual((await later.query(query)).series, modelAnswer(readings, query));
    }));

  test("files of days are left alone where points leave by age, so that none stays much longer than it should", () => {
    const file = (kind: PointKind, period: string, rows = 1_000): PointFile => ({
      name: `${kind}-${period}.parquet`,
      rows,
      bytes: 1,
      sha256: "",
      kind,
      period,
      inMinutes: true,
      extremeTimes: false,
      scale: null,
      timeMin: boundsOf(period)[0],
      timeMax: boundsOf(period)[1] - 1,
      seriesMin: 0,
      seriesMax: 0,
    });
    const january = (rows?: number): PointFile[] =>
      Array.from({ length: 31 }, (_, day) => file("numbers", `2025-01-${String(day + 1).padStart(2, "0")}`, rows));
    const month = january();
    const now = START + days(1);
    const periodOf = (files: readonly PointFile[], raw: number | null, at = now): string | undefined =>
      mergeable(files, { ...FOR_EVER, raw }, at)?.period;
    assert.equal(periodOf(month, days(30)), undefined);
    assert.equal(periodOf(month, days(366)), "2025-01");
    assert.equal(periodOf(month, null), "2025");
    assert.equal(periodOf(month, null, Date.UTC(2025, 5, 1)), "2025-01", "its year goes on");
    assert.equal(periodOf(month, null, Date.UTC(2025, 0, 31)), undefined);
    assert.equal(periodOf(month.slice(1, 2), null), undefined);
    assert.equal(periodOf(january(200_000), null), undefined, "as much as that is soon read by day only");
    assert.equal(periodOf([file("1d", "2025"), file("1h", "2025-01"), file("numbers", "2025-01-01")], null), undefined);
  });

  test("points on 3,000 days in one commit make a few dozen files, and every one of them is found", () =>
    inFolder(async (folder) => {
      const store = await folder.open({ limits: { ...LIMITS.telemetry, generationRowsMax: 3_000 } });
      const readings = Array.from({ length: 3_000 }, (_, i) => ({
        thing: "a",
        measurement: "m",
        field: "x",
        time: Date.UTC(2000, 0, 1) + i * days(1) + 5,
        value: i,
      }));
      await commit(store, readings, 3_000);
      await compacted(store);
      const { levels } = store.extent();
      assert.ok(levels.raw.files <= 16 + 28, `${levels.raw.files}`);
      assert.ok(levels["1h"].files <= 16 + 28 && levels["1d"].files <= 28);
      await answersAsThe(readings, store);
    }));

  test("the smallest and largest values that a device can send go through, and harm no other", () =>
    inFolder(async (folder) => {
      const store = await folder.open(SMALL);
      const values = [1e308, 1e308, -1e308, 5e-324, 2 ** 53 + 2, -(2 ** 63), 0.1, -0];
      const readings = Array.from({ length: 800 }, (_, i) => ({
        thing: "a",
        measurement: "m",
        field: "x",
        time: i < 3 ? Date.UTC(2000, 0, 1) : START + i,
        value: values[i % values.length]!,
      }));
      await fill(store, readings);
      await compacted(store);
      assert.equal(store.extent().waiting, null);
      const { series } = await store.query(everything("a"));
      assert.deepEqual(series, modelAnswer(readings, everything("a")));
    }));
});

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
        assert.ok(deaths.length > 40, `${deaths.length} steps`);
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
      assert.ok(offset >= forgettable && offset < 4_000);
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

describe("a disk that is full", () => {
  test("compaction waits and says so; commits and answers go on; nothing is lost when there is room again", () =>
    inFolder(async (folder) => {
      const disk = { full: true };
      const onStep = (step: string): void => {
        if (disk.full && step.startsWith("sync 1h")) throw new Error("ENOSPC: no space left on device, write");
      };
      const store = await folder.open({ ...SMALL, onStep });
      const readings = readingsOf(11, 2_000);
      await fill(store, readings);
      while (store.extent().waiting === null) await aMoment();
      assert.match(store.extent().waiting ?? "", /no space/);
      assert.equal(store.forgettable, 0);
      await answersAsThe(readings, store);
      assert.deepEqual(
        (await readdir(folder.coldPath)).filter((name) => name.endsWith(".parquet")),
        [],
      );
      disk.full = false;
      await compacted(store, async () => {
        if (store.extent().waiting !== null) folder.clock.advance(seconds(30));
        await aMoment();
      });
      assert.equal(store.extent().waiting, null);
      await answersAsThe(readings, store);
      const told = folder.logger.lines.filter(({ message }) => message.includes("Compaction waits"));
      assert.equal(told.length, 1);
    }));
});

describe("retention", () => {
  const hour = { thing: "a", measurement: "m", field: "x" };
  const week = Array.from({ length: 7 * 24 * 10 }, (_, i) => ({ ...hour, time: START + i * minutes(6), value: i }));

  test("whole day files of a level go when they are old, finer levels before coarser ones", () =>
    inFolder(async (folder) => {
      folder.clock.advance(days(7));
      const retention = { ...DEFAULT_RETENTION, raw: days(3), "1m": days(5) };
      const store = await folder.open({ ...SMALL, retention });
      await fill(store, week);
      await compacted(store);
      folder.clock.advance(hours(2));
      const minutesGone = (): Promise<boolean> => store.read(async (_, view) => view.knownFrom("1m") > 0);
      while (!(await minutesGone())) await aMoment();
      const { series } = await store.query(everything("a"));
      const first = series[0]!.times[0]!;
      assert.ok(first >= START + days(4) && first <= START + days(5), new Date(first).toISOString());
      await store.read(async (connection, view) => {
        assert.equal(view.knownFrom("raw") > START + days(3), true);
        assert.equal(view.knownFrom("1m") > START + days(1) && view.knownFrom("1m") <= START + days(3), true);
        assert.equal(view.knownFrom("1h"), 0);
        // The minutes of points that have gone are there, and nothing is counted twice.
        for (const [level, from] of [
          ["1m", view.knownFrom("1m")],
          ["1h", 0],
          ["1d", 0],
        ] as const) {
          const relation = await view.rollup(level, "numbers", wholly(from, START * 2));
          const sql = `SELECT sum(count)::DOUBLE, sum(sum) FROM (${relation}) WHERE bucket >= ${from}`;
          const own = week.filter(({ time }) => time >= from);
          const sum = own.reduce((total, { value }) => total + value, 0);
          assert.deepEqual((await connection.runAndReadAll(sql)).getRows(), [[own.length, sum]], level);
        }
      });
      while ((await readdir(folder.coldPath)).some((name) => name.startsWith("numbers-2026-01-01"))) await aMoment();
    }));

  test("too many bytes: the oldest raw points go first, and it is told", () =>
    inFolder(async (folder) => {
      folder.clock.advance(days(7));
      const store = await folder.open({ ...SMALL, room: { bytes: 15_000 } });
      await fill(store, week);
      await compacted(store);
      const bytes = (): number => Object.values(store.extent().levels).reduce((sum, level) => sum + level.bytes, 0);
      folder.clock.advance(hours(2));
      while (bytes() > 15_000) await aMoment();
      await told(folder, "warn", "share");
      assert.ok(
        (await store.query(everything("a"))).series[0]!.times.at(-1)! > START + days(6),
        "the newest are there",
      );
    }));

  test("a clock that jumps ten years ahead removes nothing, also over a restart; a day later it is believed", () =>
    inFolder(async (folder) => {
      folder.clock.advance(days(7));
      let store = await folder.open(SMALL);
      await fill(store, week);
      await compacted(store);
      const { rows } = store.extent().levels.raw;
      const warnings = (): number => folder.logger.lines.filter(({ message }) => message.includes("jumped")).length;
      const manifest = join(folder.coldPath, "manifest.json");
      while ((await readFile(manifest, "utf8").catch(() => "null")).includes('"trustedAt":null')) await aMoment();
      folder.clock.jump(days(3_650));
      for (let round = 1; round <= 2; round++) {
        for (let hour = 1; hour <= 10; hour++) {
          const before = warnings();
          folder.clock.advance(hours(1));
          while (warnings() === before) await aMoment();
        }
        assert.equal(store.extent().levels.raw.rows, rows);
        await folder.close(store);
        store = await folder.open(SMALL);
      }
      while (store.extent().levels.raw.files > 0) {
        folder.clock.advance(hours(1));
        await aMoment();
      }
    }));
});

/** bucket, count, sum, min, max, first, last: the long way, from readings in the order of their time and arrival. */
function rollupOf(readings: readonly Reading[], width: number, type: string): unknown[][] {
  const buckets = new Map<number, Reading["value"][]>();
  for (const { time, value } of readings) {
    const bucket = time - (time % width);
    buckets.set(bucket, [...(buckets.get(bucket) ?? []), value]);
  }
  const rows: unknown[][] = [];
  for (const [bucket, values] of buckets) {
    const [first, last] = [values[0]!, values.at(-1)!];
    if (type === "string") rows.push([bucket, values.length, null, null, null, first, last]);
    else {
      const numbers = values.map(Number);
      const sum = numbers.reduce((total, value) => total + value, 0);
      const range = [Math.min(...numbers), Math.max(...numbers)] as const;
      rows.push([bucket, values.length, sum, ...range, sqlText(Number(first)), sqlText(Number(last))]);
    }
  }
  return rows;
}

async function told(folder: StoreFolder, level: string, what: string): Promise<void> {
  while (!folder.logger.lines.some((line) => line.level === level && line.message.includes(what))) await aMoment();
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[Math.floor(bytes.length / 2)]! ^= 0x10;
  await writeFile(path, bytes);
}

function sqlText(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** Sums in another order differ in the last bits. */
function rounded(row: readonly unknown[]): unknown[] {
  return row.map((value) => (typeof value === "number" ? Number(value.toPrecision(12)) : value));
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
