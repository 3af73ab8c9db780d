import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { provisioningStoreContract } from "../../identity/provisioning/provisioning-store.contract.ts";
import { PROVISIONING_TABLES } from "../identity-sql/identity-schema.ts";
import { openProvisioningFile } from "./provisioning-store.ts";

const folder = mkdtempSync(join(tmpdir(), "tidewire-provisioning-"));
after(() => rmSync(folder, { recursive: true }));
let tenants = 0;
const path = join(folder, "provisioning.db");

provisioningStoreContract("SQLite", (named) => {
  const tenant = named ?? `tenant-${++tenants}`;
  let file = openProvisioningFile({ path, tenant });
  return {
    store: file.store,
    reopen: () => {
      file.close();
      file = openProvisioningFile({ path, tenant });
      return file.store;
    },
    close: () => file.close(),
  };
});

test("the list of tables is whole, and knows every column", () => {
  const file = openProvisioningFile({ path, tenant: "columns" });
  const tables = file.sql
    .rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND ?1 <> ''")
    .map(([name]) => String(name));
  assert.deepEqual([...tables].sort(), PROVISIONING_TABLES.map(({ name }) => name).sort());
  for (const { name, key, others } of PROVISIONING_TABLES) {
    const columns = file.sql
      .rows(`SELECT name FROM pragma_table_info('${name}') WHERE ?1 <> ''`)
      .map(([one]) => String(one));
    assert.deepEqual([...columns].sort(), ["tenant", ...key, ...others].sort(), name);
  }
  file.close();
});
