import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { LIMITS, days, isTidewireError, mib, seconds } from "../../base/mod.ts";
import type { Limits } from "../../base/mod.ts";
import { UserSnapshots } from "../../adapters/duckdb/mod.ts";
import type { OpenEvents } from "../../adapters/duckdb/mod.ts";
import { ArchiveWorld, event } from "../store/archive.fixture.ts";
import { START, StoreFolder, commit, compacted } from "../../adapters/duckdb/store.scenario.ts";
import { systemClock, systemScheduler } from "../../adapters/system.ts";
import { SimLogger, SimMetrics } from "../../../sim/world.ts";
import { Asker } from "./asker.ts";
import type { AskRequest } from "./asker.ts";
import { startAsker } from "./child.ts";
import { snapshotsOf } from "./sources.ts";
import type { AskSources } from "./sources.ts";

const NEVER = new AbortController().signal;
/** Works for hours, in small steps. */
const ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b";
/** Works for minutes in one step, and does not look up. */
const DEAF = "SELECT levenshtein(repeat('ab', 60000), repeat('ba', 60000))";

/** Real processes, a real store, three things in the registry. */
class World implements AsyncDisposable {
  readonly store: Awaited<ReturnType<StoreFolder["open"]>>;
  readonly asker: Asker;
  readonly metrics = new SimMetrics();
  readonly snapshots: UserSnapshots;
  readonly folder: string;
  readonly #files: StoreFolder;

  private constructor(files: StoreFolder, store: World["store"], limits: Limits["asking"], events: OpenEvents | null) {
    this.#files = files;
    this.store = store;
    this.folder = join(files.folder, "asking");
    this.snapshots = new UserSnapshots(store, join(this.folder, "hot"), events);
    const things = [
      { thingName: "press-1", thingTypeName: "press", attributes: { site: "north" }, createdAt: START },
      { thingName: "press-2", thingTypeName: null, attributes: {}, createdAt: START },
    ];
    this.asker = new Asker({
      folder: this.folder,
      start: (events) => startAsker(events, limits),
      snapshot: snapshotsOf({
        store: { snapshot: this.snapshots.into.bind(this.snapshots) },
        registry: { things: { list: () => ({ items: things, nextToken: null }) } },
        presence: { of: () => ({ state: "online", lastSeenAt: START }) },
      } as unknown as AskSources),
      limits,
      clock: systemClock,
      scheduler: systemScheduler,
      logger: new SimLogger(),
      metrics: this.metrics,
    });
  }

  static async make(
    changed: Partial<Limits["asking"]> = {},
    generationRowsMax?: number,
    events: OpenEvents | null = null,
  ): Promise<World> {
    const files = await StoreFolder.make();
    const limits = { ...LIMITS.telemetry, ...(generationRowsMax === undefined ? {} : { generationRowsMax }) };
    const store = await files.open({ snapshotFolder: join(files.folder, "asking", "hot"), limits });
    const world = new World(files, store, { ...LIMITS.asking, queryTimeout: seconds(60), ...changed }, events);
    await world.asker.start();
    return world;
  }

  ask(sql: string, more: Partial<AskRequest> = {}, signal = NEVER): Promise<{ readonly stream: Readable }> {
    const request = {
      sql,
      parameters: [],
      format: "json",
      explain: false,
      rowsMax: 10_000,
      timeout: seconds(60),
    } as const;
    return this.asker.ask({ ...request, ...more }, signal);
  }

  async text(sql: string, more: Partial<AskRequest> = {}): Promise<string> {
    return String(await bytesOf((await this.ask(sql, more)).stream));
  }

  async rows(sql: string, more: Partial<AskRequest> = {}): Promise<unknown> {
    return (JSON.parse(await this.text(sql, more)) as { rows: unknown }).rows;
  }

  /** The code of the refusal; the answer where there was none. */
  async refusal(sql: string, more: Partial<AskRequest> = {}): Promise<string> {
    try {
      return await this.text(sql, more);
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      return error.code;
    }
  }

  metric(name: string): number {
    return this.metrics.value(`tidewire_query_${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.asker.close();
    await this.#files.remove();
  }
}

async function bytesOf(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Looks until it is so; a test's own time limit is the bound. */
async function until(so: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await so())) await new Promise<void>((resolve) => systemScheduler.after(5, resolve));
}

function reading(thing: string, field: string, time: number, value: number | string | boolean) {
  return { thing, measurement: "system", field, time: START + time, value };
}

describe("what is answered", () => {
  test("points, texts, rollups, series and things, as of the last commit", async () => {
    await using world = await World.make();
    await commit(
      world.store,
      [reading("press-1", "rpm", 0, 10), reading("press-1", "rpm", 1000, 20), reading("press-2", "state", 2000, "on")],
      1,
    );
    assert.deepEqual(await world.rows("SELECT * FROM telemetry ORDER BY time"), [
      ["2026-01-01T00:00:00.000Z", "press-1", "system", "rpm", "number", 10, null],
      ["2026-01-01T00:00:01.000Z", "press-1", "system", "rpm", "number", 20, null],
      ["2026-01-01T00:00:02.000Z", "press-2", "system", "state", "string", null, "on"],
    ]);
    await commit(world.store, [reading("press-1", "rpm", 60_000, 60), reading("press-3", "ok", 0, true)], 2);
    assert.deepEqual(
      await world.rows(
        "SELECT time, count, sum, avg, first, last, last_time FROM rollups_1m WHERE field = 'rpm' ORDER BY time",
      ),
      [
        ["2026-01-01T00:00:00.000Z", 2, 30, 15, 10, 20, "2026-01-01T00:00:01.000Z"],
        ["2026-01-01T00:01:00.000Z", 1, 60, 60, 60, 60, "2026-01-01T00:01:00.000Z"],
      ],
    );
    assert.deepEqual(await world.rows("SELECT thing, field, type FROM series ORDER BY ALL"), [
      ["press-1", "rpm", "number"],
      ["press-2", "state", "string"],
      ["press-3", "ok", "boolean"],
    ]);
    assert.deepEqual(
      await world.rows(
        "SELECT t.attributes['site'], avg(value) FROM telemetry JOIN things t USING (thing) WHERE t.type = 'press' GROUP BY 1",
      ),
      [["north", 30]],
    );
    assert.deepEqual(await world.rows("SELECT count(*) FROM telemetry"), [[5]]);
    assert.deepEqual(
      await world.rows("SELECT count(*) FROM telemetry WHERE time >= $from AND thing = $thing", {
        parameters: { from: "2026-01-01T00:00:01Z", thing: "press-1" },
      }),
      [[2]],
    );
  });

  test("an empty store has its columns all the same", async () => {
    await using world = await World.make();
    for (const relation of ["telemetry", "series", "rollups_1m", "rollups_1h", "rollups_1d"]) {
      assert.deepEqual(await world.rows(`SELECT * FROM ${relation}`), [], relation);
    }
    assert.equal(await world.refusal("SELECT * FROM events"), "QUERY_NOT_ALLOWED");
  });

  test("points in day files and points in tables answer as one; files of other days are not even linked", async () => {
    await using world = await World.make({}, 200);
    const sqls = [
      "SELECT time, thing, value, text FROM telemetry ORDER BY ALL",
      "SELECT * FROM rollups_1m ORDER BY ALL",
      "SELECT * FROM rollups_1h ORDER BY ALL",
      "SELECT time, count, first, last FROM rollups_1d ORDER BY ALL",
      "SELECT count(*), min(time), max(value) FROM telemetry WHERE time >= '2026-01-03' AND time < '2026-01-04'",
    ];
    const answers = () => Promise.all(sqls.map((sql) => world.rows(sql)));
    for (let batch = 0; batch < 10; batch++) {
      const readings = Array.from({ length: 100 }, (_, i) =>
        reading(
          `press-${i % 3}`,
          i % 5 === 0 ? "state" : "rpm",
          (batch * 100 + i) * 400_000,
          i % 5 === 0 ? `s${i}` : i / 10,
        ),
      );
      await commit(world.store, readings, batch + 1);
    }
    const before = await answers();
    await compacted(world.store);
    assert.ok(world.store.extent().levels.raw.files >= 5);
    assert.deepEqual(await answers(), before);
    assert.equal(((before[4] as unknown[][])[0] as unknown[])[0], 216);
    const target = join(world.folder, "one-day");
    await mkdir(target);
    const range = { from: START + days(2), to: START + days(3) };
    await world.snapshots.into(target, ["telemetry"], range);
    const days3 = (await readdir(target)).filter((name) => /2026-01-0/.test(name));
    assert.ok(days3.length > 0 && days3.every((name) => name.includes("2026-01-03")), days3.join());
    await rm(target, { recursive: true });
  });

  test("archived messages, beside what was stored of them; the same columns before there is any", async () => {
    const archive = await ArchiveWorld.make();
    try {
      for (let n = 1; n <= 3; n++) archive.log.append(event(n));
      archive.log.append(event(4, { payload: new Uint8Array([0xff, 0x00]) }));
      await archive.open();
      const events: OpenEvents = (from, to, signal) => archive.archive.eventFiles(from, to, signal);
      await using world = await World.make({}, undefined, events);
      const none = await world.rows("DESCRIBE events");
      assert.deepEqual(await world.rows("SELECT * FROM events"), []);
      await archive.flush();
      assert.deepEqual(await world.rows("DESCRIBE events"), none);
      assert.deepEqual(await world.rows("SELECT topic, thing, text->>'n', payload FROM events ORDER BY \"offset\""), [
        ["line/1/press", "press-1", "1", null],
        ["line/2/press", "press-2", "2", null],
        ["line/0/press", null, "3", null],
        ["line/1/press", "press-1", null, "/wA="],
      ]);
      assert.deepEqual(
        await world.rows(
          "SELECT count(*) FROM events e JOIN things t USING (thing) WHERE e.time < now() + INTERVAL 10 YEAR",
        ),
        [[3]],
      );
    } finally {
      await archive.end();
    }
  });

  test("only new rows are written for the next query, and everything is removed", async () => {
    await using world = await World.make();
    const hot = join(world.folder, "hot");
    for (let round = 0; round < 3; round++) {
      await commit(world.store, [reading("press-1", "rpm", round, round)], round + 1);
      assert.deepEqual(await world.rows("SELECT count(*) FROM telemetry"), [[round + 1]]);
    }
    const points = (await readdir(hot)).filter((name) => name.startsWith("numbers"));
    assert.equal(points.length, 3);
    await until(async () => (await readdir(world.folder)).join() === "hot");
    await world.snapshots.forget();
    assert.deepEqual(await readdir(world.folder), []);
    assert.deepEqual(await world.rows("SELECT count(*) FROM telemetry"), [[3]]);
  });

  test("values are exact: large integers, decimals, microseconds, NaN, nested ones", async () => {
    await using world = await World.make();
    const sql =
      "SELECT 9007199254740993::BIGINT, 5::BIGINT, 170141183460469231731687303715884105727::HUGEINT, 1.10::DECIMAL(5,2), " +
      "123456789012345678.9::DECIMAL(20,1), 'nan'::DOUBLE, '-inf'::DOUBLE, 0.1::FLOAT, TIMESTAMPTZ '2026-01-01 00:00:00.123456+00', " +
      "TIMESTAMP '2026-01-01', DATE '2026-01-01', INTERVAL 90 MINUTE, NULL, true, 'a\"b\n', '\\x00\\xFF'::BLOB, " +
      "{'a': [1, NULL], 'b': MAP {'k': 2}}, '{\"x\": 1}'::JSON, TIMESTAMPTZ '1969-07-20 20:17:40+00', '0044-03-15 (BC)'::TIMESTAMPTZ";
    assert.deepEqual(((await world.rows(sql)) as unknown[])[0], [
      "9007199254740993",
      5,
      "170141183460469231731687303715884105727",
      1.1,
      "123456789012345678.9",
      "NaN",
      "-Infinity",
      0.1,
      "2026-01-01T00:00:00.123456Z",
      "2026-01-01T00:00:00.000",
      "2026-01-01",
      "01:30:00",
      null,
      true,
      'a"b\n',
      "AP8=",
      { a: [1, null], b: { k: 2 } },
      { x: 1 },
      "1969-07-20T20:17:40.000Z",
      "0044-03-15 (BC) 00:00:00+00",
    ]);
  });

  test("NDJSON, CSV and Parquet hold the same rows", async () => {
    await using world = await World.make();
    await commit(
      world.store,
      [reading("a,b", "x", 0, 1.5), reading('q"', "x", 1, "two\nlines"), reading("c", "x", 2, "")],
      1,
    );
    const sql = "SELECT time, thing, value, text, 1 AS value FROM telemetry ORDER BY time";
    assert.equal(
      await world.text(sql, { format: "ndjson" }),
      '{"time":"2026-01-01T00:00:00.000Z","thing":"a,b","value":1.5,"text":null,"value:1":1}\n' +
        '{"time":"2026-01-01T00:00:00.001Z","thing":"q\\"","value":null,"text":"two\\nlines","value:1":1}\n' +
        '{"time":"2026-01-01T00:00:00.002Z","thing":"c","value":null,"text":"","value:1":1}\n',
    );
    assert.equal(
      await world.text(sql, { format: "csv" }),
      'time,thing,value,text,value:1\r\n2026-01-01T00:00:00.000Z,"a,b",1.5,,1\r\n' +
        '2026-01-01T00:00:00.001Z,"q""",,"two\nlines",1\r\n2026-01-01T00:00:00.002Z,c,,"",1\r\n',
    );
    const file = join(world.folder, "x.parquet");
    await writeFile(file, await bytesOf((await world.ask(sql, { format: "parquet" })).stream));
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const read = await connection.runAndReadAll(`SELECT epoch_ms(time)::DOUBLE, thing, value, text FROM '${file}'`);
    assert.deepEqual(read.getRows(), [
      [START, "a,b", 1.5, null],
      [START + 1, 'q"', null, "two\nlines"],
      [START + 2, "c", null, ""],
    ]);
    connection.closeSync();
    instance.closeSync();
    assert.equal(await world.text("SELECT 1 WHERE false", { format: "ndjson" }), "");
  });

  test("a plan instead of rows, without this machine's paths", async () => {
    await using world = await World.make();
    await commit(world.store, [reading("a", "x", 0, 1)], 1);
    const plan = await world.text("SELECT thing FROM telemetry WHERE time > $t", {
      explain: true,
      parameters: { t: "2026-01-01" },
    });
    assert.match(plan, /physical_plan/);
    assert.ok(!plan.includes(world.folder));
    assert.match(await world.refusal("SELECT 1; DROP TABLE x", { explain: true }), /QUERY_NOT_ALLOWED/);
  });
});

describe("what is stopped", () => {
  test("a query that takes too long, also one that does not listen; the next one is answered", async () => {
    await using world = await World.make();
    for (const sql of [ENDLESS, DEAF]) assert.equal(await world.refusal(sql, { timeout: 300 }), "QUERY_TOO_SLOW", sql);
    assert.deepEqual(await world.rows("SELECT 1"), [[1]]);
    assert.equal(world.metric("processes_killed_total"), 2);
    assert.equal(world.metrics.value("tidewire_query_refused_total", { reason: "QUERY_TOO_SLOW" }), 2);
  });

  test("ingestion goes on while a billion rows are joined with a billion others", async () => {
    await using world = await World.make();
    const endless = world.refusal(ENDLESS, { timeout: 1000 });
    let commits = 0;
    const state = { over: false };
    const ended = endless.finally(() => (state.over = true));
    while (!state.over) await commit(world.store, [reading("press-1", "rpm", commits, 1)], ++commits);
    assert.equal(await ended, "QUERY_TOO_SLOW");
    assert.ok(commits > 10, `${commits} commits`);
    assert.deepEqual(await world.rows("SELECT count(*) FROM telemetry"), [[commits]]);
  });

  test("one that needs too much memory, whichever way it asks for it", async () => {
    await using world = await World.make({ queryMemoryBytesMax: mib(64), querySpillBytesMax: mib(16) });
    for (const sql of [
      "SELECT count(*) FROM (SELECT DISTINCT r || 'some text that takes a lot of room ' || r FROM range(20000000) t(r))",
      "SELECT list(r || 'some text that takes a lot of room') FROM range(20000000) t(r)",
      "SELECT list_sum(list_transform(range(2000000000), lambda x: x * 2))",
      "SELECT length(string_agg(repeat('x', 1000000), '')) FROM range(100000)",
      "SELECT * FROM range(30000000) t(r) ORDER BY hash(r) LIMIT 20000000 OFFSET 1000000",
    ]) {
      const refusal = await world.refusal(sql);
      assert.equal(refusal.slice(0, 60), "QUERY_TOO_MUCH_MEMORY", sql);
    }
    assert.deepEqual(await world.rows("SELECT 1"), [[1]]);
  });

  test("one whose answer is too large or too wide; rows beyond the limit are left out and said so", async () => {
    await using world = await World.make({ jsonBytesMax: 10_000, streamBytesMax: 100_000, columnsMax: 10 });
    const few = JSON.parse(await world.text("SELECT * FROM range(100)", { rowsMax: 3 })) as Record<string, unknown>;
    assert.deepEqual([few["rowCount"], few["truncated"], few["rows"]], [3, true, [[0], [1], [2]]]);
    assert.equal(await world.refusal("SELECT repeat('x', 1000) FROM range(100)"), "QUERY_ANSWER_TOO_LARGE");
    assert.equal(await world.refusal("SELECT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"), "QUERY_ANSWER_TOO_LARGE");
    const { stream } = await world.ask("SELECT * FROM range(100000)", { format: "csv" });
    await assert.rejects(bytesOf(stream), /more than 0 MiB|more than/);
    assert.deepEqual(await world.rows("SELECT 1"), [[1]]);
  });

  test("one whose client goes away: before the answer, and in the middle of it", async () => {
    await using world = await World.make();
    const gone = new AbortController();
    const asked = world.ask(ENDLESS, {}, gone.signal);
    await until(() => world.metric("processes") === 1);
    gone.abort(new Error("the client has gone"));
    await assert.rejects(asked, /the client has gone/);
    assert.equal(world.metric("abandoned_total"), 1);
    const { stream } = await world.ask("SELECT * FROM range(1000000000000)", { format: "ndjson" });
    await once(stream, "readable");
    stream.destroy();
    await until(() => world.metric("running") === 0);
    assert.deepEqual(await world.rows("SELECT 1"), [[1]]);
    await until(async () => (await readdir(world.folder)).length === 0);
  });

  test("a reader that stops reading stops the query: no more is computed than fits the pipes", async () => {
    await using world = await World.make();
    const { stream } = await world.ask("SELECT range AS number, repeat('x', 100) AS text FROM range(1000000000)", {
      format: "csv",
    });
    await once(stream, "readable");
    await new Promise<void>((resolve) => systemScheduler.after(300, resolve));
    assert.ok(stream.readableLength < mib(1), `${stream.readableLength} bytes wait`);
    let bytes = 0;
    for await (const part of stream) {
      bytes += (part as Buffer).length;
      if (bytes > mib(8)) break; // the others are really there
    }
    assert.ok(bytes > mib(8));
    await until(() => world.metric("running") === 0);
  });

  test("a process that is killed under its query: a retryable refusal, and a new one for the next", async () => {
    await using world = await World.make();
    const before = await pidsOf();
    const asked = world.ask(ENDLESS);
    let mine: number[] = [];
    await until(async () => (mine = (await pidsOf()).filter((pid) => !before.includes(pid))).length > 0);
    await until(() => world.metric("processes") === 1);
    for (const pid of mine) process.kill(pid, "SIGKILL");
    await assert.rejects(asked, { code: "STORE_UNAVAILABLE" });
    assert.deepEqual(await world.rows("SELECT 1"), [[1]]);
  });
});

describe("many at once", () => {
  test("some run, some wait in turn, the rest is refused; who gives up waiting leaves the queue", async () => {
    await using world = await World.make({ queriesRunningMax: 2, queriesWaitingMax: 2 });
    const running = [1, 2].map(() => new AbortController());
    const endless = running.map(({ signal }) => assert.rejects(world.ask(ENDLESS, {}, signal), /enough/));
    const impatient = new AbortController();
    const waiting = world.ask("SELECT 1", {}, impatient.signal);
    const patient = world.rows("SELECT 2");
    assert.equal(await world.refusal("SELECT 3"), "QUERY_BUSY");
    assert.deepEqual([world.metric("running"), world.metric("waiting")], [2, 2]);
    impatient.abort(new Error("no time"));
    await assert.rejects(waiting, /no time/);
    running[0]!.abort(new Error("enough"));
    assert.deepEqual(await patient, [[2]]);
    running[1]!.abort(new Error("enough"));
    await Promise.all(endless);
    assert.deepEqual([world.metric("running"), world.metric("waiting")], [0, 0]);
  });

  test("one that waits too long is refused; closing ends all", async () => {
    await using world = await World.make({ queriesRunningMax: 1, queryWaitMax: 100 });
    const endless = assert.rejects(world.ask(ENDLESS), { code: "STORE_UNAVAILABLE" });
    assert.equal(await world.refusal("SELECT 1"), "QUERY_BUSY");
    const waiting = world.refusal("SELECT 1");
    await world.asker.close();
    await endless;
    assert.equal(await waiting, "STORE_UNAVAILABLE");
    assert.equal(await world.refusal("SELECT 1"), "STORE_UNAVAILABLE");
  });

  test("many queries one after the other share a process", async () => {
    await using world = await World.make({ queriesRunningMax: 1, queriesWaitingMax: 100, queryWaitMax: seconds(60) });
    await mkdir(world.folder, { recursive: true });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => world.rows(`SELECT ${i}`)));
    assert.deepEqual(
      answers,
      Array.from({ length: 50 }, (_, i) => [[i]]),
    );
    assert.equal(world.metric("processes_started_total"), 1);
  });
});

/** Asking processes of this machine. */
async function pidsOf(): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    const status = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const parent = Number(/\) \w (\d+)/.exec(status)?.[1]);
    if (line.includes("cloud/ask/process.ts") && parent === process.pid) found.push(Number(name));
  }
  return found;
}
