import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PostgresServer, postgresMissing } from "../postgres/server.fixture.ts";
import { parsePostgresUrl } from "../postgres/server-url.ts";
import { Session } from "../postgres/session.ts";
import { PostgresTable } from "./postgres-table.ts";

const missing = postgresMissing();

describe("a table of PostgreSQL", { skip: missing ?? false }, () => {
  let server: PostgresServer;
  const open = (more: { table?: string; key?: string; sort?: string } = {}): PostgresTable => {
    const { table = "plant.devices", key = "id", sort = null } = more;
    const address = parsePostgresUrl(server.url());
    return new PostgresTable({ address, table, key, sort, connectionsMax: 2, statementTimeout: 2_000 });
  };

  before(async () => {
    server = await PostgresServer.start();
    const session = await Session.open({
      address: parsePostgresUrl(server.url()),
      name: "test",
      statementTimeout: 5_000,
    });
    await session.query(`CREATE SCHEMA plant; CREATE TABLE plant.devices (id int PRIMARY KEY, "Odd name" text, tags jsonb);
      INSERT INTO plant.devices VALUES (5, 'x''"', '{"a":[1]}'), (6, NULL, NULL);
      CREATE TABLE limits (id text, kind text, max numeric, PRIMARY KEY (id, kind)); INSERT INTO limits VALUES ('a', 't', 1.5)`);
    await session.end();
  });
  after(() => server.remove());

  test("is asked by its key, and answers with the row's own types", async () => {
    const table = open();
    const rows = await Promise.all(["5", "6", "7"].map((key) => table.row(key, null)));
    assert.deepEqual(rows, [
      { id: 5, "Odd name": "x'\"", tags: { a: [1] } },
      { id: 6, "Odd name": null, tags: null },
      undefined,
    ]);
    await assert.rejects(table.row("five", null), /invalid input syntax for type integer/);
    assert.deepEqual((await table.row("5", null))?.["id"], 5, "one wrong key spoils nothing");
    await table.close();
    const odd = open({ key: "Odd name" });
    assert.equal((await odd.row("x'\"", null))?.["id"], 5);
    await odd.close();
  });

  test("may have a second key; one that is not there is told", async () => {
    const limits = open({ table: "limits", sort: "kind" });
    assert.deepEqual(await limits.row("a", "t"), { id: "a", kind: "t", max: 1.5 });
    await limits.close();
    const none = open({ table: 'no"ne' });
    await assert.rejects(none.row("a", null), /does not exist/);
    await none.close();
  });

  test("is back when its server is", async () => {
    const table = open();
    assert.equal((await table.row("5", null))?.["id"], 5);
    await server.kill();
    await assert.rejects(table.row("5", null), /PostgreSQL/);
    await server.up();
    assert.equal((await table.row("5", null))?.["id"], 5);
    await table.close();
  });
});
