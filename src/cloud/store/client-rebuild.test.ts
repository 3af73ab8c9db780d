/** The database is a view of the log: gone or damaged, it is made again. */
import assert from "node:assert/strict";
import { createReadStream, createWriteStream } from "node:fs";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { describe, test } from "node:test";
import { isRetryable, isTidewireError } from "../../base/mod.ts";
import type { SeriesResult } from "../../telemetry/mod.ts";
import { START, message, pause } from "./store.scenario.ts";
import type { Platform } from "./store.scenario.ts";
import { TIMEOUT, all, onPlatform, valuesOf } from "./client.fixture.ts";

describe("a view of the log", () => {
  async function filled(platform: Platform): Promise<SeriesResult> {
    await platform.start();
    for (let n = 0; n < 3_000; n++) {
      const thing = `press-${n % 3}`;
      platform.append(
        message(
          { n, odd: n % 2 === 1, s: `${n % 10}`, ts: START + n },
          { thing, topic: `telemetry/${thing}/system`, sequence: n + 1 },
        ),
      );
    }
    await platform.stored();
    return platform.client.query(all());
  }

  test("deleted, it is rebuilt from the log and answers as before", TIMEOUT, () =>
    onPlatform(async (platform) => {
      const before = await filled(platform);
      await platform.client.close();
      await rm(platform.databasePath);
      await platform.restart();
      await platform.stored();
      assert.deepEqual(await platform.client.query(all()), before);
      assert.equal(platform.client.status().rows, 9_000);
    }),
  );

  test("damaged, it is moved aside, told, and rebuilt", TIMEOUT, () =>
    onPlatform(async (platform) => {
      const before = await filled(platform);
      await platform.client.close();
      await pipeline(createReadStream(import.meta.filename), createWriteStream(platform.databasePath));
      await platform.restart();
      await platform.stored();
      assert.deepEqual(await platform.client.query(all()), before);
      assert.match(platform.client.status().rebuilt ?? "", /damaged/);
      assert.ok((await readdir(platform.folder)).some((name) => name.includes(".duckdb.damaged-")));
      assert.ok(
        platform.logger.lines.some(({ level, message }) => level === "error" && message.includes("moved aside")),
      );
    }),
  );

  test("damaged where only a query looks, it is found out then, and rebuilt", TIMEOUT, () =>
    onPlatform(async (platform) => {
      const before = await filled(platform);
      await platform.client.close();
      const bytes = await readFile(platform.databasePath);
      const points = bytes.indexOf(new Uint8Array(Float64Array.of(2_999).buffer)); // a stored value
      const at = points > 12_288 ? points : bytes.length - 100_000;
      bytes[at]! ^= 0x40;
      await writeFile(platform.databasePath, bytes);
      await platform.restart();
      const answer = async (): Promise<SeriesResult> => {
        for (;;) {
          try {
            return await platform.client.query(all());
          } catch (error) {
            assert.ok(isRetryable(error));
            await platform.stored();
          }
        }
      };
      await answer().catch(() => {});
      while (platform.client.status().rebuilt === null) await pause(5);
      await platform.stored();
      assert.deepEqual(await answer(), before);
    }),
  );

  test("the log is lost: what was stored stays, the new log is added to it, and health can tell", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await filled(platform);
      const before = platform.client.status().rows;
      await platform.client.close();
      await platform.replaceLog();
      for (let n = 0; n < 10; n++) platform.append(message({ later: n, ts: START + n }));
      await platform.log.flush();
      await platform.restart();
      while (platform.client.status().realigned === null) await pause(5);
      while (platform.client.status().rows < before + 10) await pause(5);
      assert.deepEqual(valuesOf(await platform.client.query(all()), "later"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.equal(platform.client.status().rows, before + 10);
      assert.match(platform.client.status().realigned ?? "", /another log/);
    }),
  );

  test("in a place where no file can be, the start says so", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await writeFile(platform.databasePath, "");
      await rm(platform.databasePath);
      const { mkdir } = await import("node:fs/promises");
      await mkdir(platform.databasePath);
      await assert.rejects(platform.start(), (error) => isTidewireError(error) && error.code === "DATABASE_UNUSABLE");
      assert.equal(platform.client.status().state, "closed");
    }),
  );
});
