import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { successionStoreContract } from "../../identity/succession-store.contract.ts";
import { openRenewalsFile } from "./succession-store.ts";

const folder = mkdtempSync(join(tmpdir(), "tidewire-renewals-"));
after(() => rmSync(folder, { recursive: true }));
let tenants = 0;

successionStoreContract("SQLite", (named) => {
  const [path, tenant] = [join(folder, "renewals.db"), named ?? `tenant-${++tenants}`];
  let file = openRenewalsFile(path, undefined, tenant);
  return {
    store: file.successions,
    reopen: () => {
      file.close();
      file = openRenewalsFile(path, undefined, tenant);
      return file.successions;
    },
    close: () => file.close(),
  };
});

test("a file of before rows had tenants belongs to the first one", () => {
  const path = join(folder, "old.db");
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA user_version = 1;
    CREATE TABLE succession (
     successor TEXT PRIMARY KEY, predecessor TEXT NOT NULL, issued_at INTEGER NOT NULL, confirmed_at INTEGER) STRICT;
    CREATE TABLE allowance (certificate TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
    INSERT INTO succession VALUES ('b', 'a', 1, NULL);
    INSERT INTO allowance VALUES ('a', 9);`);
  database.close();
  const file = openRenewalsFile(path);
  assert.deepEqual(file.successions.load(), [{ predecessor: "a", successor: "b", issuedAt: 1, confirmedAt: null }]);
  assert.equal(file.successions.allowance("a"), 9);
  file.close();
});
