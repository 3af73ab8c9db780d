import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { parsePostgresUrl } from "../../adapters/postgres/mod.ts";
import { PostgresServer, postgresMissing } from "../../adapters/postgres/server.fixture.ts";
import { days, gib, isTidewireError, seconds } from "../../base/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import { healthOf } from "../health.ts";
import { Platform, START, STORE_ALL, killStore, message, pause } from "./store.scenario.ts";

const EVERYTHING: SeriesQuery = {
  thing: "press-1",
  measurement: null,
  fields: null,
  from: 0,
  to: START + 1e13,
  window: null,
  aggregate: null,
  limit: 100_000,
};

const missing = postgresMissing();

describe("the store process on PostgreSQL", { skip: missing ?? false }, () => {
  let server: PostgresServer;
  let schemas = 0;
  let url = "";
  before(async () => (server = await PostgresServer.start({ durable: true })));
  after(() => server.remove());

  let platform: Platform;
  beforeEach(async () => {
    url = server.url({ schema: `platform${++schemas}` });
    platform = await Platform.make([STORE_ALL], { postgres: parsePostgresUrl(url) });
  });
  afterEach(() => platform.close());
  const stateOf = () => {
    const log = { status: () => ({ state: "ok", reason: null, durable: 1, first: 0 }) as never };
    return healthOf({ log, store: platform.client, startedAt: 0 }).parts.find(({ name }) => name === "store");
  };
  const values = async (): Promise<readonly unknown[]> =>
    (await platform.client.query(EVERYTHING)).series.flatMap((series) => series.values);

  test("the server is killed, and the store process too: every message is stored once, and health tells", async () => {
    await platform.start();
    let sequence = 0;
    const publish = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) platform.append(message({ n: ++sequence }, { sequence }));
      // A device that saw no acknowledgement sends again.
      platform.append(message({ n: sequence }, { sequence }));
      await platform.log.flush();
    };
    for (let round = 0; round < 4; round++) {
      await publish(300);
      if (round === 1) await platform.stored();
      await server.kill();
      await publish(300);
      while (stateOf()?.state !== "degraded") await pause(5);
      assert.match(stateOf()?.detail ?? "", /^PostgreSQL: /);
      if (round === 2) await killStore(platform.client);
      await server.up();
      await platform.stored();
      while (stateOf()?.state !== "ok") await pause(5);
    }
    assert.deepEqual(
      await values(),
      Array.from({ length: sequence }, (_, i) => i + 1),
    );
    assert.equal(platform.client.status().rows, sequence);
  });

  test("a platform that starts before its database takes messages, and stores them when it is there", async () => {
    await server.kill();
    await platform.start();
    assert.equal(stateOf()?.state, "degraded");
    platform.append(message({ n: 1 }));
    await platform.log.flush();
    await server.up();
    await platform.stored();
    assert.deepEqual(await values(), [1]);
  });

  test("a platform that stops while its database is away does not wait for it", async () => {
    await platform.start();
    await server.kill();
    platform.append(message({ n: 1 }));
    await platform.log.flush();
    while (stateOf()?.state !== "degraded") await pause(5);
    await platform.client.close();
    await server.up();
    await platform.restart();
    await platform.stored();
    assert.deepEqual(await values(), [1]);
  });

  test("a log that was lost: the points stay, the new log is stored from its begin, and health tells", async () => {
    await platform.start();
    for (let n = 0; n < 10; n++) platform.append(message({ n }));
    await platform.stored();
    await platform.client.close();
    await platform.replaceLog();
    platform.append(message({ n: 99 }));
    await platform.log.flush();
    await platform.restart();
    while (platform.client.status().realigned === null) await pause(5);
    await platform.stored();
    assert.deepEqual(await values(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99]);
    assert.match(stateOf()?.detail ?? "", /it goes on with another log/);
    assert.equal(platform.client.status().forgettable, platform.log.next);
    await platform.restart();
    await platform.stored();
    assert.equal(stateOf()?.state, "ok", "the log is known from now on");
    assert.equal((await values()).length, 11);
  });

  test("the archive goes on beside it, the log may forget what both have, and SQL about points is refused in one sentence", async () => {
    await platform.client.close();
    const settings = { every: seconds(1), keep: null, bytesMax: null, warm: days(30), cacheBytesMax: gib(1) };
    platform.archive = { folder: join(platform.folder, "archive"), settings, cold: null };
    await platform.restart();
    for (let n = 0; n < 50; n++) platform.append(message({ n }));
    await platform.stored();
    assert.equal(platform.client.status().forgettable, 50);
    while (platform.client.status().archive?.offset !== 50) {
      await platform.client.archiveNow().catch(() => null);
      await pause(20);
    }
    assert.equal(existsSync(platform.databasePath), false, "DuckDB's file is not made");
    const range = { from: 0, to: START };
    await assert.rejects(platform.client.snapshot(platform.folder, ["telemetry"], range), (error) => {
      return isTidewireError(error) && error.code === "QUERY_NOT_ALLOWED" && /in PostgreSQL/.test(error.message);
    });
  });

  test("a database that is not there is told at the first start", async () => {
    const elsewhere = await Platform.make([STORE_ALL], {
      postgres: parsePostgresUrl(url.replace("/tidewire?", "/none?")),
    });
    await assert.rejects(elsewhere.start(), (error) => {
      return (
        isTidewireError(error) && error.code === "DATABASE_UNREACHABLE" && /"none" does not exist/.test(error.message)
      );
    });
    await elsewhere.close();
  });
});
