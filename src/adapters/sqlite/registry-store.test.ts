import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { isTidewireError } from "../../base/mod.ts";
import { certificateOf } from "../../registry/contract.fixture.ts";
import { registryContract } from "../../registry/registry.contract.ts";
import type { StoreUnderTest } from "../../registry/contract.fixture.ts";
import { copyTables } from "../identity-sql/copy.ts";
import { rowsIn } from "../identity-sql/rows.fixture.ts";
import { TABLES } from "../identity-sql/schema.ts";
import { openRegistry, REGISTRY_MIGRATIONS } from "./registry-store.ts";
import type { OpenRegistry } from "./registry-store.ts";

function inFolder<T>(work: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-registry-"));
  try {
    return work(join(folder, "registry.db"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function opening(path: string, closed: () => void): StoreUnderTest {
  let opened = openRegistry(path);
  return {
    store: opened.store,
    reopen: () => {
      opened.close();
      opened = openRegistry(path);
      return opened.store;
    },
    close: () => {
      opened.close();
      closed();
    },
  };
}

registryContract("SQLite", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-registry-"));
  return opening(join(folder, "registry.db"), () => rmSync(folder, { recursive: true }));
});

/** Names that the contract uses too, all belonging together. */
function fill({ store }: OpenRegistry): void {
  const times = { createdAt: 1, updatedAt: 1 };
  store.transaction(() => {
    for (const type of ["pump", "t", "even"]) {
      const typed = { thingTypeName: type, thingTypeId: type, description: null, searchableAttributes: [] };
      store.types.save({ ...typed, deprecatedAt: null, ...times });
    }
    for (const policy of ["p", "own", "plant", "q"]) store.policies.addVersion(policy, `theirs of ${policy}`, 1);
    for (const [n, group] of ["plant", "hall", "g", "dry"].entries()) {
      const parentGroupName = n === 1 ? "plant" : null;
      const grouped = {
        thingGroupName: group,
        thingGroupId: group,
        parentGroupName,
        description: null,
        attributes: {},
      };
      store.groups.save({ ...grouped, version: 1, query: null, ...times });
      store.policies.attach("own", `thinggroup/${group}`);
      store.tags.save(`thinggroup/${group}`, [{ key: "theirs", value: "v" }]);
    }
    for (const [n, thingName] of ["a", "b", "t", "dev:1", "t0", "t1", "t2"].entries()) {
      const named = { thingName, thingId: thingName, thingTypeName: "pump", billingGroupName: null };
      store.things.save({ ...named, attributes: { x: "1", site: "S3" }, version: 1, ...times });
      store.certificates.save(certificateOf(n));
      store.authorities.save({
        ...certificateOf(n + 100),
        status: "ACTIVE",
        autoRegistration: true,
        registrationConfig: { templateName: "theirs" },
      });
      store.things.attach({ thingName, certificateId: certificateOf(n).certificateId, type: "EXCLUSIVE_THING" });
      store.policies.attach("p", `cert/${certificateOf(n).certificateId}`);
      store.groups.addMembers("hall", [thingName]);
      store.passwords.save({ thingName, hash: "theirs", version: 1, ...times });
      store.policies.attach("own", `password/${thingName}`);
    }
    store.authorities.saveRegistrationCode("theirs");
  });
}

registryContract("SQLite, in a file that another tenant fills with the same names", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-registry-"));
  const path = join(folder, "registry.db");
  const theirs = openRegistry(path, undefined, "neighbour");
  fill(theirs);
  const before = rowsIn(theirs.store.sql);
  theirs.close();
  return opening(path, () => {
    const after = openRegistry(path, undefined, "neighbour");
    assert.deepEqual(rowsIn(after.store.sql), before);
    after.close();
    rmSync(folder, { recursive: true });
  });
});

describe("registry.db", () => {
  test("belongs to its user alone", () => {
    inFolder((path) => {
      const opened = openRegistry(path);
      for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o077, 0, file);
      opened.close();
    });
  });

  test("keeps presence beside the registry, each writing without waiting for the other", () => {
    inFolder((path) => {
      let opened = openRegistry(path);
      const row = { thing: "a", online: true, lastSeenAt: 5, disconnectReason: null, remoteAddress: "192.0.2.1" };
      opened.presence.save([row, { ...row, thing: "b", online: false, disconnectReason: "CONNECTION_LOST" }]);
      opened.store.transaction(() => opened.store.things.remove("none"));
      opened.presence.save([{ ...row, lastSeenAt: 6 }]);
      opened.presence.remove("b");
      opened.close();
      opened = openRegistry(path);
      assert.deepEqual(opened.presence.load(), [{ ...row, lastSeenAt: 6 }]);
      opened.close();
    });
  });

  test("a commit survives a crash of the process, what was not committed does not", () => {
    inFolder((path) => {
      const opened = openRegistry(path);
      const thing = {
        thingName: "kept",
        thingId: "i",
        thingTypeName: null,
        billingGroupName: null,
        attributes: {},
        version: 1,
        createdAt: 1,
        updatedAt: 1,
      };
      opened.store.transaction(() => opened.store.things.save(thing));
      const other = new DatabaseSync(path); // what a process that starts after the crash sees: file and WAL as they are
      other.exec("BEGIN IMMEDIATE; INSERT INTO things VALUES ('default', 'lost', 'i', NULL, NULL, '{}', 1, 1, 1, '')");
      other.close();
      const again = openRegistry(path);
      assert.deepEqual(
        again.store.things.list({}, { after: null, limit: 10 }).map((found) => found.thingName),
        ["kept"],
      );
      again.close();
      opened.close();
    });
  });

  test("what was there before rows had tenants belongs to the first one", () => {
    inFolder((path) => {
      const old = new DatabaseSync(path);
      old.exec(`${REGISTRY_MIGRATIONS[0]!}; PRAGMA user_version = 1;
        INSERT INTO things VALUES ('a', 'id-a', 'pump', '{"site":"S1","odd":"it''s"}', 3, 1, 2, 'a'), ('b', 'id-b', NULL, '{}', 1, 1, 1, 'b');
        INSERT INTO thing_attributes VALUES ('site', 'S1', 'a'), ('odd', 'it''s', 'a');
        INSERT INTO certificates VALUES ('${"c".repeat(64)}', 'PEM', 'ACTIVE', '1', '{"CommonName":["a"]}', '{}', 5, 6, 7, 8);
        INSERT INTO policies VALUES ('p', 'text', 4, 1, 2);
        INSERT INTO thing_principals VALUES ('a', '${"c".repeat(64)}', 1);
        INSERT INTO policy_targets VALUES ('p', '${"c".repeat(64)}');
        INSERT INTO presence VALUES ('a', 1, 9, NULL, '192.0.2.1');`);
      old.close();
      const opened = openRegistry(path);
      const { store, presence } = opened;
      const id = "c".repeat(64);
      assert.deepEqual(store.things.list({ attributeName: "odd", attributeValue: "it's" }, { after: null, limit: 9 }), [
        {
          thingName: "a",
          thingId: "id-a",
          thingTypeName: "pump",
          billingGroupName: null,
          attributes: { site: "S1", odd: "it's" },
          version: 3,
          createdAt: 1,
          updatedAt: 2,
        },
      ]);
      assert.equal(store.things.count({}), 2);
      assert.equal(store.types.find("pump")?.deprecatedAt, null);
      assert.deepEqual(store.things.attachedTo(id), [{ thingName: "a", certificateId: id, type: "EXCLUSIVE_THING" }]);
      assert.deepEqual(store.policies.applyingTo(id), [
        { policyName: "p", document: "text", version: 4, createdAt: 1, updatedAt: 2 },
      ]);
      assert.equal(
        store.transaction(() => store.policies.addVersion("p", "new", 9)),
        5,
      );
      const { subject, certificateMode, caCertificateId, notAfter } = store.certificates.find(id)!;
      assert.deepEqual(
        [subject, certificateMode, caCertificateId, notAfter],
        [{ CommonName: ["a"] }, "DEFAULT", null, 6],
      );
      assert.deepEqual(
        presence.load().map(({ thing, lastSeenAt }) => [thing, lastSeenAt]),
        [["a", 9]],
      );
      opened.close();
    });
  });

  test("every table begins its key with the tenant, and is copied whole", () => {
    inFolder((path) => {
      const [from, to] = [openRegistry(path, undefined, "from"), openRegistry(`${path}-2`)];
      fill(from);
      to.store.transaction(() => copyTables(from.store.sql, to.store.sql));
      assert.deepEqual(rowsIn(to.store.sql), rowsIn(from.store.sql));
      assert.ok(
        rowsIn(from.store.sql).every((rows) => rows.length > 0),
        "the test fills every table",
      );
      from.close();
      to.close();
      const database = new DatabaseSync(path);
      const tables = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .all() as { name: string }[];
      assert.deepEqual(tables.map(({ name }) => name).sort(), [...TABLES.map(({ name }) => name), "presence"].sort());
      for (const { name } of tables) {
        const columns = database.prepare(`SELECT name, pk FROM pragma_table_info('${name}')`).all() as {
          name: string;
          pk: number;
        }[];
        assert.equal(columns.find(({ pk }) => pk === 1)?.name, "tenant", name);
        const known = TABLES.find((table) => table.name === name);
        if (known === undefined) continue;
        assert.deepEqual(
          columns.map((column) => column.name).sort(),
          ["tenant", ...known.key, ...known.others].sort(),
          name,
        );
      }
      database.close();
    });
  });

  test("a file that is no database is refused and left as it is", () => {
    inFolder((path) => {
      writeFileSync(path, "x".repeat(8192));
      assert.throws(
        () => openRegistry(path),
        (error) => isTidewireError(error) && error.code === "DATABASE_UNUSABLE",
      );
      assert.equal(statSync(path).size, 8192);
    });
  });
});
