import assert from "node:assert/strict";
import { mkdtemp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { SimRandom } from "../../../sim/world.ts";
import { LIMITS, days, hours, minutes, seconds } from "../../base/mod.ts";
import type { PointFile, PointKind } from "./cold-files.ts";
import type { DuckStore } from "./duck-store.ts";
import { boundsOf, mergeable } from "./periods.ts";
import { START, aMoment, commit, compacted, everything, modelAnswer } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";
import { ALL_TIMES, UserSnapshots } from "./user-sql/snapshots.ts";
import { viewStatement } from "./user-sql/views.ts";
import { SMALL, STATE, answersAsThe, fill, inFolder, readingsOf, wholly } from "./compaction.scenario.ts";

const FOR_EVER = { raw: null, "1m": null, "1h": null, "1d": null };

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

function sqlText(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** Sums in another order differ in the last bits. */
function rounded(row: readonly unknown[]): unknown[] {
  return row.map((value) => (typeof value === "number" ? Number(value.toPrecision(12)) : value));
}
