import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { days, hours, minutes } from "../../base/mod.ts";
import { DEFAULT_RETENTION } from "../../telemetry/mod.ts";
import { START, aMoment, compacted, everything } from "./store.scenario.ts";
import { SMALL, fill, inFolder, told, wholly } from "./compaction.scenario.ts";

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
