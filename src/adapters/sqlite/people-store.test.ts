import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { peopleStoreContract, storedKey, storedUser } from "../../people/people-store.contract.ts";
import { PEOPLE_TABLES } from "../identity-sql/identity-schema.ts";
import { openPeopleFile } from "./people-store.ts";

const folder = mkdtempSync(join(tmpdir(), "tidewire-people-"));
after(() => rmSync(folder, { recursive: true }));
let tenants = 0;
const path = join(folder, "people.db");

peopleStoreContract("SQLite", (named) => {
  const tenant = named ?? `tenant-${++tenants}`;
  let file = openPeopleFile({ path, tenant });
  return {
    store: file.people,
    reopen: () => {
      file.close();
      file = openPeopleFile({ path, tenant });
      return file.people;
    },
    close: () => file.close(),
  };
});

test("what this platform alone knows is kept beside them, per tenant", () => {
  const file = openPeopleFile({ path, tenant: "facts" });
  assert.deepEqual([file.revokedToken.read(), file.auditAnchor.read()], [null, null]);
  file.revokedToken.write("feed");
  file.auditAnchor.write("4 abb");
  file.auditAnchor.write("5 abc");
  file.close();
  const again = openPeopleFile({ path, tenant: "facts" });
  assert.deepEqual([again.revokedToken.read(), again.auditAnchor.read()], ["feed", "5 abc"]);
  again.close();
  const other = openPeopleFile({ path, tenant: "other facts" });
  assert.equal(other.revokedToken.read(), null);
  other.close();
});

test("a file of before is read on: its users, keys, sessions and facts", () => {
  const old = join(folder, "old.db");
  const database = new DatabaseSync(old);
  database.exec(`PRAGMA user_version = 1;
    CREATE TABLE users (
     tenant TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, disabled INTEGER NOT NULL, password TEXT,
     password_changed_at INTEGER, invitation_hash TEXT, invitation_expires_at INTEGER, created_at INTEGER NOT NULL,
     last_login_at INTEGER, PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID;
    CREATE TABLE keys (
     tenant TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, owner TEXT, permissions TEXT NOT NULL,
     things TEXT, secret TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER,
     last_used_from TEXT, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE sessions (
     tenant TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL, user TEXT, created_at INTEGER NOT NULL,
     last_seen_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL,
     PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE facts (tenant TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (tenant, name))
     STRICT, WITHOUT ROWID;
    INSERT INTO users VALUES ('default', 'anna', 'operator', 0, '$argon2id$x', 5, 'ab', 1900000000000, 1, NULL);
    INSERT INTO keys VALUES ('default', 'k1', 'api', 'Müllers Schlüssel', 'anna', '["fleet:read","metrics:read"]',
      '["line-*"]', 's', 1, NULL, 7, '::1');
    INSERT INTO sessions VALUES ('default', 's1', 'h', 'anna', 1, 2, 3, '::1', 'b');
    INSERT INTO facts VALUES ('default', 'revoked-token', 'feed');`);
  database.close();
  const file = openPeopleFile({ path: old });
  const { users, keys, sessions } = file.people.load();
  assert.deepEqual([users, keys], [[storedUser("anna")], [{ ...storedKey("k1", "anna"), policies: [] }]]);
  assert.deepEqual(
    sessions.map(({ id, user }) => [id, user]),
    [["s1", "anna"]],
  );
  assert.equal(file.revokedToken.read(), "feed");
  file.close();
});

test("the list of tables knows every column", () => {
  const file = openPeopleFile({ path, tenant: "columns" });
  for (const { name, key, others } of PEOPLE_TABLES) {
    const columns = file.sql
      .rows(`SELECT name FROM pragma_table_info('${name}') WHERE ?1 <> ''`)
      .map(([one]) => String(one));
    const known = ["tenant", ...key, ...others.map((one) => one.replaceAll('"', ""))];
    assert.deepEqual([...columns].sort(), known.sort(), name);
  }
  file.close();
});
