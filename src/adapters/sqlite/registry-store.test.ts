import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { isTidewireError } from "../../base/mod.ts";
import { registryContract } from "../../registry/registry.contract.ts";
import { openRegistry } from "./registry-store.ts";

function inFolder<T>(work: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-registry-"));
  try {
    return work(join(folder, "registry.db"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

registryContract("SQLite", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-registry-"));
  const path = join(folder, "registry.db");
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
      rmSync(folder, { recursive: true });
    },
  };
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
