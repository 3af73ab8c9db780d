import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SimRandom } from "../../../sim/world.ts";
import { isTidewireError } from "../../base/mod.ts";
import {
  commitReadings,
  contractReading as reading,
  everythingOf,
  telemetryStoreContract,
} from "../../telemetry/store.contract.ts";
import type { TelemetryStore } from "../../telemetry/mod.ts";
import type { PostgresStore } from "./postgres-store.ts";
import { PostgresServer, postgresMissing } from "./server.fixture.ts";
import { parsePostgresUrl } from "./server-url.ts";
import { Session } from "./session.ts";
import { StoreSchema } from "./store.fixture.ts";

const DAY = 86_400_000;
const HOUR = DAY / 24;
const missing = postgresMissing();
let server: PostgresServer;

async function valuesOf(store: TelemetryStore, field = "x"): Promise<readonly unknown[]> {
  const { series } = await store.query({ ...everythingOf("press-1"), fields: [field] });
  return series[0]?.values ?? [];
}

async function ask(schema: string, text: string): Promise<readonly (readonly unknown[])[]> {
  const session = await Session.open({
    address: parsePostgresUrl(server.url()),
    name: "test",
    statementTimeout: 20_000,
  });
  await session.query(`SET search_path = ${schema}`);
  const rows = await session.query(text);
  await session.end();
  return rows;
}

async function inSchema(work: (place: StoreSchema) => Promise<void>): Promise<void> {
  const place = new StoreSchema(server);
  try {
    await work(place);
  } finally {
    await place.remove();
  }
}

function refused(code: string, says: RegExp): (error: unknown) => boolean {
  return (error) => isTidewireError(error) && error.code === code && says.test(error.message);
}

if (missing === null) {
  before(async () => (server = await PostgresServer.start()));
  after(() => server.remove());
  telemetryStoreContract("PostgreSQL", async () => new StoreSchema(server));
}

describe("partitions", { skip: missing ?? false }, () => {
  const partitions = (schema: string): Promise<readonly (readonly unknown[])[]> =>
    ask(schema, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'points'::regclass ORDER BY 1");

  test("today's and tomorrow's are there before their data, whatever was written", () =>
    inSchema(async (place) => {
      const store = await place.open();
      await commitReadings(store, [], 1);
      assert.deepEqual(await partitions(place.schema), [["points_2026_01_01"], ["points_2026_01_02"]]);
      place.clock.advance(DAY);
      await commitReadings(store, [], 2);
      assert.equal((await partitions(place.schema)).at(-1)?.[0], "points_2026_01_03");
    }));

  test("a device that sends one reading for each day since 2000 makes one per month", () =>
    inSchema(async (place) => {
      const store = await place.open();
      const readings = Array.from({ length: 9_496 }, (_, i) => reading(-i * DAY, i));
      await commitReadings(store, readings, 1);
      const made = await partitions(place.schema);
      assert.ok(made.length < 350, String(made.length));
      assert.equal((await valuesOf(store)).length, readings.length);
      // A month that had days when it was recent keeps to days.
      place.clock.advance(100 * DAY);
      await commitReadings(store, [reading(5 * DAY, 1), reading(45 * DAY, 2)], 2);
      const names = (await partitions(place.schema)).map(([name]) => name);
      assert.deepEqual(
        names.filter((name) => /2026_0[12]/.test(String(name))),
        ["points_2026_01_01", "points_2026_01_02", "points_2026_01_06", "points_2026_02"],
      );
    }));

  test("what ended before a time is dropped whole, latest values stay, and the rest goes on after a restart", () =>
    inSchema(async (place) => {
      let store = await place.open();
      const readings = [-3, -2, -1, 0].flatMap((day) => [
        reading(day * DAY, day),
        reading(day * DAY + 1, `s${day}`, { field: "s" }),
        reading(day * DAY, 1, { field: `only ${day}` }),
      ]);
      await commitReadings(store, readings, 1);
      const { values } = store.latest("press-1");
      assert.equal(await store.forgetBefore(readings[0]!.time + 2 * DAY + 5), 4);
      for (let round = 0; round < 2; round++) {
        assert.deepEqual([store.rows, await valuesOf(store), await valuesOf(store, "s")], [6, [-1, 0], ["s-1", "s0"]]);
        assert.deepEqual(store.latest("press-1").values, values);
        await store.close();
        store = await place.open();
      }
      await commitReadings(store, [reading(-3 * DAY, -3)], 2);
      assert.deepEqual(await valuesOf(store), [-3, -1, 0]);
    }));
});

/** Whether it comes true within two seconds. */
async function happens(what: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 400; i++) {
    if (await what()) return true;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return false;
}

async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 15; tries++) if (await happens(isSo)) return;
  assert.fail(`waited in vain: ${what}`);
}

describe("retention", { skip: missing ?? false }, () => {
  /** An hour at a time: a keeper that is still at work when its hour comes waits for the next one. */
  const until = async (place: StoreSchema, store: PostgresStore, rows: number): Promise<void> => {
    for (let hour = 0; hour < 20; hour++) {
      if (await happens(() => store.rows === rows && store.extent().levels.raw.bytes > 0)) return;
      place.clock.advance(HOUR);
    }
    assert.fail(`${store.rows} rows, not ${rows}: ${JSON.stringify(place.logger.lines)}`);
  };
  const days = Array.from({ length: 10 }, (_, day) => reading(-day * DAY, day));

  test("points older than they are kept go at the start and every hour, while commits run", () =>
    inSchema(async (place) => {
      await commitReadings(await place.open(), days, 1);
      await place.remove();
      const store = await place.open({ keep: 5 * DAY, scheduler: place.clock });
      await until(place, store, 6);
      const { bytes, files } = store.extent().levels.raw;
      assert.deepEqual([files > 6, bytes > 8192], [true, true]);
      let written = 6;
      for (let hour = 0; hour < 25; hour++) {
        place.clock.advance(HOUR);
        await commitReadings(store, [reading(hour * HOUR, 1)], hour + 2);
        written++;
      }
      await until(place, store, written - 1);
      await store.close();
      const again = await place.open();
      assert.equal(again.rows, written - 1);
      assert.deepEqual(await ask(place.schema, "SELECT count(*)::integer FROM points"), [[written - 1]]);
    }));

  test("a clock that is a year ahead at the start removes nothing", () =>
    inSchema(async (place) => {
      const before = await place.open({ keep: 30 * DAY });
      await commitReadings(before, days, 1);
      const believed = async (): Promise<boolean> =>
        (await ask(place.schema, "SELECT trusted_at IS NOT NULL FROM state"))[0]?.[0] === true;
      await eventually("its keeper has believed the clock", believed);
      await before.close();
      place.clock.advance(365 * DAY);
      const store = await place.open({ keep: 30 * DAY });
      await eventually("it says that the clock has jumped", () =>
        place.logger.lines.some(({ message }) => message.startsWith("The clock has jumped")),
      );
      await store.close();
      assert.equal((await place.open()).rows, days.length);
    }));
});

describe("who may write", { skip: missing ?? false }, () => {
  test("a second writer is refused with a sentence, and gets in when the first has left", () =>
    inSchema(async (place) => {
      const first = await place.open();
      await assert.rejects(place.open(), refused("DATABASE_UNREACHABLE", /another Tidewire writes there/));
      await commitReadings(first, [reading(0, 1)], 1);
      await first.close();
      assert.deepEqual(await valuesOf(await place.open()), [1]);
    }));

  test("tables of a newer format are refused and left as they are", () =>
    inSchema(async (place) => {
      await (await place.open()).close();
      await ask(place.schema, "UPDATE state SET format = 99");
      await assert.rejects(
        place.open(),
        refused("DATABASE_NEWER", /telemetry database postgres:.*schema t\d+\) has format 99/),
      );
      assert.deepEqual(await ask(place.schema, "SELECT format FROM state"), [[99]]);
    }));

  test("a wrong database, user or password is told at once, and the password is in no message", async () => {
    const file = join(server.folder, "wrong");
    writeFileSync(file, "hunter2\n");
    const { limits, ...ports } = await optionsOf();
    const { PostgresStore: Store } = await import("./postgres-store.ts");
    for (const [url, says] of [
      [server.tcpUrl({ passwordfile: file }), /password authentication failed/],
      [server.url().replace("/tidewire?", "/none?"), /database "none" does not exist/],
      [server.tcpUrl({ sslmode: "require", passwordfile: file }), /SSL/],
    ] as const) {
      await assert.rejects(Store.open({ address: parsePostgresUrl(url), limits, ...ports }), (error) => {
        assert.ok(isTidewireError(error) && says.test(error.message), String(error));
        return error.code === "DATABASE_UNREACHABLE" && !String(error.stack).includes("hunter2");
      });
    }
  });
});

async function optionsOf() {
  const { LIMITS } = await import("../../base/mod.ts");
  const { SimClock, SimLogger } = await import("../../../sim/world.ts");
  const { systemScheduler } = await import("../system.ts");
  const [clock, logger, random] = [new SimClock(), new SimLogger(), new SimRandom(1)];
  return { limits: LIMITS.telemetry, keep: null, clock, logger, random, scheduler: systemScheduler };
}

describe("a server that goes away", { skip: missing ?? false }, () => {
  let own: PostgresServer;
  before(async () => (own = await PostgresServer.start({ durable: true })));
  after(() => own.remove());

  const told: (string | null)[] = [];
  const onWaiting = (reason: string | null): void => void told.push(reason);

  test("killed again and again while commits run: every reading is there once, and all is known again after a restart", async () => {
    const place = new StoreSchema(own);
    let store = await place.open({ onWaiting });
    const random = new SimRandom(3);
    const kills = { left: 8 };
    const killer = (async () => {
      for (; kills.left > 0; kills.left--) {
        await new Promise((resolve) => setTimeout(resolve, random.below(120)));
        await own.kill();
        await own.up();
      }
    })();
    let next = 0;
    const state = (n: number) => [{ source: "thing press-1", outbox: "o", state: `${n}:` }];
    while (kills.left > 0) {
      const batch = Array.from({ length: 1 + random.below(400) }, (_, i) => reading(next + i, next + i));
      next += batch.length;
      await commitReadings(store, [...batch, reading(next, `${next}`, { field: "s" })], next, state(next));
    }
    await killer;
    assert.ok(
      told.some((reason) => reason?.startsWith("PostgreSQL: ")),
      "it never noticed",
    );
    assert.equal(told.at(-1), null);
    const all = Array.from({ length: next }, (_, i) => i);
    for (let round = 0; round < 2; round++) {
      assert.equal(store.offset, next);
      assert.deepEqual(await valuesOf(store), all);
      assert.deepEqual(
        store.latest("press-1").values.map(({ value }) => value),
        [`${next}`, next - 1],
      );
      assert.deepEqual(await store.loadSequences(), state(next));
      await store.close();
      store = await place.open();
    }
    await place.remove();
  });

  test("an answer to COMMIT that is lost on the way is not written twice", async () => {
    const proxy = await LosingProxy.start(own.port);
    const file = join(own.folder, "right");
    writeFileSync(file, own.password);
    const place = new StoreSchema(own);
    const address = parsePostgresUrl(
      `postgres://tidewire@127.0.0.1:${proxy.port}/tidewire?schema=${place.schema}&passwordfile=${file}`,
    );
    const store = await place.open({ address });
    for (let i = 0; i < 5; i++) {
      proxy.loseNextCommit = true;
      await commitReadings(store, [reading(i, i)], i + 1);
      assert.equal(proxy.loseNextCommit, false);
    }
    assert.deepEqual(await valuesOf(store), [0, 1, 2, 3, 4]);
    assert.deepEqual([store.rows, store.offset], [5, 5]);
    await place.remove();
    await proxy.close();
  });

  test("a query meanwhile says that it can be asked again, and a start waits until told to stop", async () => {
    const place = new StoreSchema(own);
    const store = await place.open();
    await commitReadings(store, [reading(0, 1)], 1);
    await own.kill();
    await assert.rejects(valuesOf(store), refused("STORE_UNAVAILABLE", /PostgreSQL/));
    assert.deepEqual(
      store.latest("press-1").values.map(({ value }) => value),
      [1],
    );
    const stop = new AbortController();
    const waited: (string | null)[] = [];
    const opening = new StoreSchema(own).open({ stop: stop.signal, onWaiting: (reason) => waited.push(reason) });
    await eventually("it has waited three times", () => waited.length >= 3);
    stop.abort(new Error("the platform stops"));
    await assert.rejects(opening, /the platform stops/);
    await own.up();
    assert.deepEqual(await valuesOf(store), [1]);
    await place.remove();
  });

  test("a server that has lost commits, as a standby may have, is not written to as if nothing had happened", async () => {
    const place = new StoreSchema(own);
    const store: PostgresStore = await place.open();
    await commitReadings(store, [reading(0, 1)], 1);
    await commitReadings(store, [reading(1, 2)], 2);
    const session = await Session.open({ address: parsePostgresUrl(own.url()), name: "t", statementTimeout: 5_000 });
    await session.query(`UPDATE ${place.schema}.state SET commits = 1, log_offset = 1`);
    await session.end();
    await assert.rejects(commitReadings(store, [reading(2, 3)], 3), /somebody else has written/);
    await own.kill();
    await own.up();
    await assert.rejects(commitReadings(store, [reading(2, 3)], 3), /1 commits where 2 were made/);
    await store.close();
    const again = await place.open();
    assert.equal(again.offset, 1, "the log is read again from there");
    await place.remove();
  });
});

describe("TLS", { skip: missing ?? false }, () => {
  let own: PostgresServer;
  let passwordfile: string;
  before(async () => {
    own = await PostgresServer.start({ tls: true });
    passwordfile = join(own.folder, "password");
    writeFileSync(passwordfile, own.password);
  });
  after(() => own.remove());

  const encrypted = async (parameters: Readonly<Record<string, string>>, host = "127.0.0.1"): Promise<unknown> => {
    const url = own.tcpUrl({ passwordfile, ...parameters }).replace("127.0.0.1", host);
    const session = await Session.open({ address: parsePostgresUrl(url), name: "tls", statementTimeout: 5_000 });
    const rows = await session.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    await session.end();
    return rows[0]?.[0];
  };

  test("verify-full takes the named CA's certificate for this host and no other", async () => {
    const sslrootcert = own.caFile;
    assert.equal(await encrypted({ sslmode: "verify-full", sslrootcert }), true);
    await assert.rejects(encrypted({ sslmode: "verify-full" }), /self-signed/);
    await assert.rejects(encrypted({ sslmode: "verify-full", sslrootcert }, "localhost"), /altnames|Hostname/);
  });

  test("verify-ca takes it for any host, require takes any, disable encrypts nothing", async () => {
    assert.equal(await encrypted({ sslmode: "verify-ca", sslrootcert: own.caFile }, "localhost"), true);
    await assert.rejects(encrypted({ sslmode: "verify-ca" }), /self-signed/);
    assert.equal(await encrypted({ sslmode: "require" }), true);
    assert.equal(await encrypted({ sslmode: "disable" }), false);
  });
});

/** Passes everything on, but the answer to a COMMIT when told so: then both sides see a broken connection. */
class LosingProxy {
  loseNextCommit = false;
  readonly #server = createServer();

  static async start(target: number): Promise<LosingProxy> {
    const proxy = new LosingProxy();
    proxy.#server.on("connection", (client) => {
      const upstream = connect(target, "127.0.0.1");
      let losing = false;
      client.on("error", () => {}).on("close", () => upstream.destroy());
      upstream.on("error", () => {}).on("close", () => client.destroy());
      client.on("data", (chunk) => {
        if (proxy.loseNextCommit && chunk.includes("COMMIT")) {
          losing = true;
          proxy.loseNextCommit = false;
        }
        upstream.write(chunk);
      });
      upstream.on("data", (chunk) => (losing ? client.destroy() : client.write(chunk)));
    });
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}
