import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { describe, test } from "node:test";
import { SimRandom } from "../../../sim/world.ts";
import { LIMITS, isRetryable, isTidewireError } from "../../base/mod.ts";
import type { LivePoints } from "./live.ts";
import { START, STORE_ALL, killStore, message, pause } from "./store.scenario.ts";
import { TIMEOUT, all, onPlatform, valuesOf } from "./client.fixture.ts";

describe("from the log into the store", () => {
  test("a message becomes points that can be asked for", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      platform.append(message({ ts: START, cpu: { percent: 12.5 }, ok: true, state: "läuft" }));
      await platform.stored();
      const { client } = platform;
      const { series } = await client.query(all());
      assert.deepEqual(
        series.map(({ field, type, times, values }) => [field, type, times, values]),
        [
          ["cpu.percent", "number", [START], [12.5]],
          ["ok", "boolean", [START], [true]],
          ["state", "string", [START], ["läuft"]],
        ],
      );
      const { bytes, truncated, level } = await client.parquet(all());
      assert.deepEqual([String.fromCharCode(...bytes.slice(0, 4)), truncated, level], ["PAR1", false, "raw"]);
      assert.deepEqual(await client.things(), ["press-1"]);
      assert.deepEqual(
        (await client.latest("press-1")).map(({ value }) => value),
        [12.5, true, "läuft"],
      );
      const headline = await client.headline(["press-1", "other"], ["system/cpu.percent"]);
      assert.deepEqual(
        [...headline].map(([thing, values]) => [thing, values.map(({ value }) => value)]),
        [
          ["press-1", [12.5]],
          ["other", []],
        ],
      );
      const { state, offset, lag, rows, restarts } = client.status();
      assert.deepEqual([state, offset, lag, rows, restarts], ["ready", 1, 0, 3, 0]);
      assert.equal(platform.metrics.value("tidewire_store_points_total"), 3);
      assert.equal(platform.metrics.value("tidewire_store_lag_records"), 0);
    }),
  );

  test(
    "what a rule selects is stored under its measurement, from its first offset on, and only while it is enabled",
    TIMEOUT,
    () =>
      onPlatform(
        async (platform) => {
          await platform.start();
          for (let i = 0; i < 4; i++) platform.append(message({ ts: START + i, a: i, b: 0 }));
          await platform.stored();
          const { series } = await platform.client.query(all());
          assert.deepEqual(
            series.map(({ measurement, field, values }) => [measurement, field, values]),
            [["doubled", "x", [4, 6]]],
          );
        },
        [
          {
            ...STORE_ALL,
            sql: "SELECT a * 2 AS x FROM 'telemetry/+/system' WHERE a >= 1",
            fromOffset: 2,
            actions: [{ telemetry: { measurement: "doubled" } }],
          },
          { ...STORE_ALL, ruleDisabled: true },
          { ...STORE_ALL, actions: [{ webhook: { url: "http://127.0.0.1:1" } }] },
        ],
      ),
  );

  test("two rules that name the same series store a message once", TIMEOUT, () =>
    onPlatform(
      async (platform) => {
        await platform.start();
        platform.append(message({ a: 1 }));
        await platform.stored();
        assert.equal(platform.client.status().rows, 1);
      },
      [STORE_ALL, { ...STORE_ALL, ruleName: "again", sql: "SELECT a FROM 'telemetry/#'" }],
    ),
  );

  test("resent and reordered readings are stored once each", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      const random = new SimRandom(3);
      const sent: number[] = [];
      for (let i = 0; i < 600; i++) sent.push(1 + random.below(300));
      for (const sequence of sent) platform.append(message({ ts: START + sequence, n: sequence }, { sequence }));
      await platform.stored();
      const expected = [...new Set(sent)].sort((a, b) => a - b);
      assert.deepEqual(valuesOf(await platform.client.query(all()), "n"), expected);
      await platform.restart();
      for (const sequence of [...sent.slice(0, 50), 1_000]) {
        platform.append(message({ ts: START + sequence, n: sequence }, { sequence }));
      }
      await platform.stored();
      assert.deepEqual(valuesOf(await platform.client.query(all()), "n"), [...expected, 1_000]);
      assert.equal(platform.metrics.value("tidewire_store_duplicates_total"), 600 - expected.length + 50);
    }),
  );

  test("what is no JSON, or a bomb of brackets, is counted, told once, and stops nobody", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      const bomb = new Uint8Array(100_000).fill(0x5b);
      for (let i = 0; i < 10; i++) platform.append(message(i % 2 === 0 ? bomb : new Uint8Array([0xff, 0x00])));
      platform.append(message({ a: 1 }));
      await platform.stored();
      assert.equal(platform.client.status().rows, 1);
      assert.equal(platform.metrics.value("tidewire_store_refused_total", { reason: "not-json" }), 10);
      assert.equal(platform.logger.lines.filter((line) => line.message.includes("not JSON")).length, 1);
    }),
  );

  test("what was appended while the store was away is stored when it is back", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      platform.append(message({ n: 0, ts: START }));
      await platform.stored();
      await platform.client.close();
      for (let n = 1; n < 20_000; n++) platform.append(message({ n, ts: START + n }));
      await platform.log.flush();
      await platform.restart();
      await platform.stored();
      const expected = Array.from({ length: 20_000 }, (_, n) => n);
      assert.deepEqual(valuesOf(await platform.client.query(all()), "n"), expected);
    }),
  );
});

describe("live points", () => {
  test(
    "history up to the join and live points after it are the whole, without a gap, while points stream in",
    TIMEOUT,
    () =>
      onPlatform(async (platform) => {
        await platform.start();
        const live: LivePoints[] = [];
        platform.client.onPoints((points) => live.push(points));
        let n = 0;
        const append = (): void => {
          for (let i = 0; i < 50; i++) platform.append(message({ n, ts: START + n++ }));
          platform.append(message({ n: -1 }, { topic: "telemetry/other/system", thing: "other" }));
        };
        const timer = setInterval(append, 10);
        await pause(300);
        await platform.client.watch("press-1");
        const history = valuesOf(await platform.client.query(all()), "n") as readonly number[];
        await pause(600);
        clearInterval(timer);
        await platform.stored();
        await platform.client.query(all()); // answers come after the points of the last commit
        const after = live.flatMap(({ series }) => series).flatMap(({ values }) => values as readonly number[]);
        assert.ok(history.length > 0 && after.length > 0);
        assert.ok(live.every(({ thing }) => thing === "press-1"));
        assert.deepEqual(
          [...new Set([...history, ...after])],
          Array.from({ length: n }, (_, i) => i),
        );
        platform.client.unwatch("press-1");
        const before = live.length;
        append();
        await platform.stored();
        await platform.client.query(all());
        assert.equal(live.length, before);
      }),
  );

  test("a backlog too large to send is announced instead, so that the viewer asks again", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      const rejoins: string[] = [];
      let points = 0;
      platform.client.onRejoin((thing) => rejoins.push(thing));
      platform.client.onPoints(({ series }) => (points += series.flatMap(({ times }) => times).length));
      await platform.client.watch("press-1");
      const fields = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, i]));
      for (let i = 0; i < 1_000; i++) platform.append(message(fields));
      await platform.stored();
      await platform.client.things();
      assert.equal(platform.client.status().rows, 200_000);
      assert.ok(rejoins.includes("press-1"));
      assert.ok(points < 200_000);
    }),
  );
});

describe("a store process that dies", () => {
  test("killed 5 times while it commits: every message is stored exactly once, none is missing", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      const random = new SimRandom(99);
      let n = 0;
      const appender = { on: true };
      const appending = (async () => {
        while (appender.on) {
          for (let i = 0; i < 40; i++) {
            const sequence = ++n;
            const one = message({ n: sequence, s: `v${sequence % 7}`, ts: START + sequence }, { sequence });
            platform.append(one);
            if (random.chance(0.1)) platform.append(one); // resent
          }
          await pause(5);
        }
      })();
      for (let round = 0; round < 5; round++) {
        if (round % 4 !== 0) await platform.committed(); // else while it starts
        await pause(random.below(60));
        await killStore(platform.client);
      }
      appender.on = false;
      await appending;
      await platform.stored();
      const { client } = platform;
      assert.equal(client.status().rows, 2 * n);
      const everything: number[] = [];
      for (let from = 0; from <= n; from += 50_000) {
        const page = { ...all(), fields: ["n"], from: START + from, to: START + from + 50_000 };
        everything.push(...(valuesOf(await client.query(page), "n") as number[]));
      }
      assert.deepEqual(
        everything,
        Array.from({ length: n }, (_, i) => i + 1),
      );
      assert.equal(client.status().restarts, 5);
      assert.equal(client.status().rebuilt, null);
      assert.equal(platform.metrics.value("tidewire_store_restarts_total"), 5);
    }),
  );

  test(
    "killed 4 times while it brings points into files, and its database deleted at last: all is there once",
    TIMEOUT,
    () =>
      onPlatform(
        async (platform) => {
          await platform.start();
          const random = new SimRandom(7);
          let n = 0;
          for (let round = 0; round < 4; round++) {
            for (let burst = 0; burst < 10; burst++) {
              for (let i = 0; i < 40; i++) {
                const sequence = ++n;
                platform.append(message({ n: sequence, ts: START + sequence }, { sequence }));
              }
              await pause(random.below(60));
            }
            if (round % 3 !== 0) await platform.committed(); // else while it starts
            await killStore(platform.client);
          }
          await platform.stored();
          while (platform.client.status().forgettable === 0) {
            for (let i = 0; i < 200; i++) {
              const sequence = ++n;
              platform.append(message({ n: sequence, ts: START + sequence }, { sequence }));
            }
            await platform.stored();
          }
          const expected = Array.from({ length: n }, (_, i) => i + 1);
          assert.deepEqual(valuesOf(await platform.client.query(all()), "n"), expected);
          await rm(platform.databasePath);
          await killStore(platform.client);
          while (platform.client.status().rebuilt === null) await pause(5);
          while (platform.client.status().rows < n) await pause(5);
          assert.deepEqual(valuesOf(await platform.client.query(all()), "n"), expected);
          assert.equal(platform.client.status().rows, n);
          for (let sequence = 1; sequence <= n; sequence += 7) {
            platform.append(message({ n: sequence, ts: START + sequence }, { sequence })); // resent
          }
          await platform.stored();
          assert.equal(platform.client.status().rows, n, "what was seen before the database was lost is still known");
        },
        [STORE_ALL],
        { ...LIMITS, telemetry: { ...LIMITS.telemetry, generationRowsMax: 300 } },
      ),
  );

  test("a file with which it falls three times in a row is moved aside and rebuilt", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      platform.append(message({ n: 1, ts: START }));
      await platform.stored();
      for (let round = 0; round < 3; round++) await killStore(platform.client, "SIGSEGV");
      while (platform.client.status().rebuilt === null) await pause(5);
      assert.match(platform.client.status().rebuilt ?? "", /fell 3 times in a row/);
      await platform.stored();
      assert.deepEqual(valuesOf(await platform.client.query(all()), "n"), [1]);
      for (let round = 0; round < 4; round++) await killStore(platform.client, "SIGSEGV");
      assert.deepEqual(valuesOf(await platform.client.query(all()), "n"), [1]);
      assert.equal((await readdir(platform.folder)).filter((name) => /damaged-[^.]*$/.test(name)).length, 1);
    }),
  );

  test(
    "questions in flight fail retryably, later ones wait for the next process, watches are joined again",
    TIMEOUT,
    () =>
      onPlatform(async (platform) => {
        await platform.start();
        const { client } = platform;
        platform.append(message({ n: 1, ts: START }));
        await platform.stored();
        await client.watch("press-1");
        const rejoined = new Promise<string>((resolve) => client.onRejoin((thing) => resolve(thing)));
        process.kill(client.status().pid!, "SIGSTOP");
        const inFlight = client.query(all());
        process.kill(client.status().pid!, "SIGKILL");
        await assert.rejects(
          inFlight,
          (error) => isRetryable(error) && isTidewireError(error) && error.code === "STORE_UNAVAILABLE",
        );
        assert.equal(client.status().state, "restarting");
        assert.match(client.status().reason ?? "", /SIGKILL/);
        assert.deepEqual(valuesOf(await client.query(all()), "n"), [1]);
        assert.equal(await rejoined, "press-1");
        const live = new Promise<LivePoints>((resolve) => client.onPoints(resolve));
        platform.append(message({ n: 2 }));
        assert.deepEqual(
          (await live).series.map(({ values }) => values),
          [[2]],
        );
        assert.equal(client.status().state, "ready");
      }),
  );

  test("more questions than may wait are refused at once", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      const { queriesWaitingMax } = LIMITS.telemetry;
      const answers = Array.from({ length: queriesWaitingMax + 3 }, () => platform.client.query(all()));
      const settled = await Promise.allSettled(answers);
      assert.equal(settled.filter(({ status }) => status === "fulfilled").length, queriesWaitingMax);
      const refused = settled.find((one) => one.status === "rejected");
      assert.ok(isRetryable(refused?.reason));
      assert.equal(platform.metrics.value("tidewire_store_queries_failed_total"), 3);
    }),
  );

  test("it exits when the platform is gone", TIMEOUT, () =>
    onPlatform(async (platform) => {
      const { fork } = await import("node:child_process");
      const parent = fork(new URL("parent.scenario.ts", import.meta.url), [platform.folder], { execArgv: [] });
      const [pid] = await new Promise<[number]>((resolve) => parent.once("message", (pid) => resolve([pid as number])));
      process.kill(pid, 0);
      parent.kill("SIGKILL");
      for (let i = 0; i < 400 && isAlive(pid); i++) await pause(10);
      assert.equal(isAlive(pid), false);
    }),
  );

  test("closed: it ends, and whoever asks is told", TIMEOUT, () =>
    onPlatform(async (platform) => {
      await platform.start();
      const { pid } = platform.client.status();
      await platform.client.close();
      assert.equal(isAlive(pid!), false);
      await assert.rejects(platform.client.query(all()), /closed/);
      await assert.rejects(platform.client.watch("press-1"), /closed/);
    }),
  );
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
