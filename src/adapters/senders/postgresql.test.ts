import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readFileSync } from "node:fs";
import pg from "pg";
import { makePki } from "../net/pki.fixture.ts";
import type { Pki } from "../net/pki.fixture.ts";
import { OutgoingGuard } from "../outgoing-guard.ts";
import { PostgresServer, postgresMissing } from "../postgres/server.fixture.ts";
import { postgresqlSender } from "./postgresql.ts";
import { TIMEOUT, numbered, rendered, senderContract } from "./sender.contract.ts";
import { tlsContract } from "./tls.contract.ts";

const missing = postgresMissing();

describe("PostgreSQL", { skip: missing ?? false }, () => {
  let server: PostgresServer;
  const open = (receiver: Parameters<typeof postgresqlSender>[0], guard = new OutgoingGuard()) =>
    postgresqlSender(receiver, { guard, certificates: null });
  const action = (more: object = {}): object => ({
    postgresql: {
      url: `postgresql://127.0.0.1:${server.port}/tidewire`,
      user: "tidewire",
      password: server.password,
      table: "readings",
      columns: ["n"],
      key: "event",
      ...more,
    },
  });

  before(async () => {
    server = await PostgresServer.start({ durable: true });
    await query("CREATE TABLE readings (seq serial, n bigint, event text UNIQUE)");
    await query(`CREATE SCHEMA "odd schema"`);
    await query(`CREATE TABLE "odd schema"."wild ""table""" (
      "a b" double precision, flag boolean, at timestamptz, doc jsonb, note varchar(5), "select" int NOT NULL)`);
  });
  after(() => server.remove());

  async function query(text: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(text);
    await client.end();
    return rows;
  }

  senderContract({
    action,
    wrongAction: () => action({ password: "hunter2" }),
    open,
    stored: async () => (await query("SELECT n FROM readings ORDER BY seq")).map(({ n }) => Number(n)),
    kill: () => server.kill(),
    up: () => server.up(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  });

  test("what is sent twice is stored once, by the key column, in one batch too", async () => {
    const { receiver, parcels } = rendered(action(), numbered(2, 7_000), 7_000);
    const sender = open(receiver);
    for (const batch of [parcels, [...parcels, ...parcels]]) {
      for (const { type } of await sender.send(batch, TIMEOUT)) assert.equal(type, "done");
    }
    await sender.close();
    const [{ count }] = (await query("SELECT count(*)::int AS count FROM readings WHERE n >= 7000 AND n < 7100")) as [
      { count: number },
    ];
    assert.equal(count, 2);
  });

  test("values become the columns' types; names are quoted; what is not there is NULL; one bad row stops no other", async () => {
    const columns = ["a b", "flag", "at", "doc", "note", "select"];
    const more = { table: 'odd schema.wild "table"', columns, key: undefined };
    const good = { "a b": 1.5, flag: true, at: "2026-01-02T03:04:05Z", doc: { x: [1, "é"] }, note: "short", select: 7 };
    const bad = { ...good, note: "much too long" };
    const { receiver, parcels } = rendered(action(more), [
      good,
      bad,
      { select: 1 },
      { note: "x" },
      { ...good, flag: "'; DROP TABLE readings; --" },
    ]);
    const sender = open(receiver);
    const verdicts = await sender.send(parcels, TIMEOUT);
    await sender.close();
    assert.deepEqual(
      verdicts.map((verdict) => (verdict.type === "dead" ? /\((\w{5})\)$/.exec(verdict.reason)![1] : verdict.type)),
      ["done", "22001", "done", "23502", "22P02"],
    );
    const rows = await query(`SELECT * FROM "odd schema"."wild ""table""" ORDER BY "select" DESC`);
    assert.deepEqual(rows, [
      { ...good, at: new Date("2026-01-02T03:04:05Z") },
      { "a b": null, flag: null, at: null, doc: null, note: null, select: 1 },
    ]);
  });

  test("columns by template; a table that is not there is tried again", async () => {
    const templates = { n: "${n * 2}", event: "${thing}-${n}" };
    const made = rendered(action({ columns: templates, key: undefined }), [{ n: 4_000 }]);
    const sender = open(made.receiver);
    assert.deepEqual(await sender.send(made.parcels, TIMEOUT), [{ type: "done" }]);
    await sender.close();
    assert.equal((await query("SELECT event FROM readings WHERE n = 8000"))[0]!["event"], "pi-1-4000");
    const later = rendered(action({ table: "later" }), numbered(2));
    const waiting = open(later.receiver);
    const verdicts = await waiting.send(later.parcels, TIMEOUT);
    await waiting.close();
    assert.match(JSON.stringify(verdicts), /"scope":"target".*42P01/);
  });
});

describe("PostgreSQL by TLS", { skip: missing ?? false }, () => {
  let other: Pki;
  let server: PostgresServer;

  before(async () => {
    [server, other] = await Promise.all([PostgresServer.start({ tls: true }), makePki("another CA")]);
    const client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    await client.query("CREATE TABLE readings (n bigint)");
    await client.end();
  });
  after(() => Promise.all([server.remove(), other.remove()]));

  tlsContract({
    action: (more, port = server.port) => ({
      postgresql: {
        url: `postgresqls://127.0.0.1:${port}/tidewire`,
        user: "tidewire",
        password: server.password,
        table: "readings",
        columns: ["n"],
        ...more,
      },
    }),
    open: postgresqlSender,
    ca: () => readFileSync(server.caFile, "utf8"),
    otherCa: () => other.ca,
    name: "127.0.0.1",
    client: null,
    stranger: null,
    expired: null,
  });
});
