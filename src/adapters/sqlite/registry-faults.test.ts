/** Whatever call to the store fails: nothing of the change is there, nobody hears of it, and it succeeds the next time. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { arnOf, minutes } from "../../base/mod.ts";
import { RegistryWorld, factsOf, id } from "../../registry/contract.fixture.ts";
import { DiskFailure, faulty } from "../../registry/faulty-store.fixture.ts";
import type { FaultyStore } from "../../registry/faulty-store.fixture.ts";
import type { Registry } from "../../registry/mod.ts";
import { rowsIn } from "../identity-sql/rows.fixture.ts";
import { openRegistry } from "./registry-store.ts";
import type { OpenRegistry } from "./registry-store.ts";

let folder: string;
let opened: OpenRegistry;
let disk: FaultyStore;
let world: RegistryWorld;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-registry-"));
  opened = openRegistry(join(folder, "registry.db"));
  disk = faulty(opened.store);
  world = await RegistryWorld.open(() => ({
    store: disk.store,
    reopen: () => disk.store,
    close: () => opened.close(),
  }));
  furnish(world.registry);
  world.clock.advance(minutes(10));
  world.heard();
});
afterEach(() => {
  opened.close();
  rmSync(folder, { recursive: true });
});

function furnish(registry: Registry): void {
  for (const type of ["pump", "old"]) registry.types.create(type);
  registry.types.deprecate("old");
  registry.groups.create("root");
  registry.groups.create("leaf", { parentGroupName: "root" });
  registry.groups.create("else");
  registry.groups.createDynamic("found", { queryString: "thingName:*" });
  for (const policy of ["p", "q", "r"]) registry.policies.create(policy, `${policy} 1`);
  registry.policies.createVersion("p", "p 2");
  for (const n of [1, 2]) {
    registry.things.create(`t${n}`, { thingTypeName: "pump", attributes: { n: String(n) } });
    registry.certificates.register("PEM", factsOf(n));
    registry.things.attach(`t${n}`, id(n));
    registry.groups.add("leaf", `t${n}`);
    registry.policies.attach("p", id(n));
  }
  registry.policies.attach("q", arnOf.group("root"));
  registry.certificates.register("PEM", factsOf(3), { status: "INACTIVE" });
  registry.policies.attach("p", id(3));
  registry.authorities.register("PEM", factsOf(4));
  registry.things.create("loose");
}

const CHANGES: Readonly<Record<string, (registry: Registry) => unknown>> = {
  "a new thing": (r) => r.things.create("new", { attributes: { a: "1", b: "2" } }),
  "a changed thing": (r) => r.things.update("t1", { attributes: { other: "2" } }),
  "a deleted thing": (r) => r.things.delete("loose"),
  "a thing's certificate attached": (r) => r.things.attach("loose", id(2)),
  "a thing's certificate detached": (r) => r.things.detach("t1", id(1)),
  "a type made and changed": (r) => {
    r.atomically(() => {
      r.types.create("fresh");
      r.types.update("fresh", { description: "d" });
    });
  },
  "a deleted type": (r) => r.types.delete("old"),
  "a group three deep": (r) => r.groups.create("below", { parentGroupName: "leaf" }),
  "a changed group": (r) => r.groups.update("root", { attributes: { a: "1" } }),
  "a deleted group": (r) => r.groups.delete("leaf"),
  "memberships changed": (r) => r.groups.updateForThing("t1", { remove: ["leaf"], add: ["else"] }),
  "members of a dynamic group": (r) =>
    r.groups.setDynamicMembers("found", { add: ["t1", "t2"], remove: [], status: "ACTIVE" }),
  "a status": (r) => r.certificates.updateStatus(id(1), "REVOKED"),
  "a deleted certificate": (r) => r.certificates.delete(id(3), { force: true }),
  "a CA certificate": (r) => r.authorities.update(id(4), { status: "ACTIVE", autoRegistration: true }),
  "a registration code": (r) => r.authorities.registrationCode(),
  "a policy's new text": (r) => r.policies.put("q", "q 2"),
  "a policy's default version": (r) => r.policies.setDefaultVersion("p", 2),
  "a deleted policy": (r) => r.policies.delete("r"),
  "a policy on a group": (r) => r.policies.attach("r", arnOf.group("leaf")),
  "a password made and its policy attached": (r) => {
    r.atomically(() => {
      r.passwords.set("t1", "hash");
      r.policies.attach("r", "password/t1");
    });
  },
  tags: (r) => r.tags.add(arnOf.group("leaf"), [{ key: "k", value: "v" }]),
};

function rightsOnDisk(n: number): unknown {
  const found = opened.store.certificates.find(id(n));
  if (found === undefined) return undefined;
  const { pem: _pem, ...certificate } = found;
  return {
    certificate,
    things: opened.store.things.ofCertificate(id(n)),
    policies: opened.store.policies.applyingTo(id(n)),
  };
}

describe("a registry whose disk fails", () => {
  for (const [what, change] of Object.entries(CHANGES)) {
    test(`${what}: all or nothing, whichever call it is that fails`, () => {
      const { registry } = world;
      const before = rowsIn(opened.store.sql);
      const rights = (): unknown => [1, 2, 3].map((n) => registry.principalOf(id(n)));
      const known = rights();
      let failures = 0;
      for (; ; failures++) {
        disk.failAt(failures + 1);
        try {
          change(registry);
        } catch (error) {
          assert.ok(error instanceof DiskFailure, String(error));
        }
        if (!disk.failed()) break;
        disk.failAt(Number.POSITIVE_INFINITY);
        assert.deepEqual(rowsIn(opened.store.sql), before, `call ${failures + 1}`);
        assert.deepEqual(rights(), known, `call ${failures + 1}`);
        assert.deepEqual(world.heard(), [], `call ${failures + 1}`);
      }
      assert.ok(failures >= 3, `${failures} calls`);
      assert.notDeepEqual(rowsIn(opened.store.sql), before);
      disk.failAt(Number.POSITIVE_INFINITY);
      const now = rights();
      assert.deepEqual(now, [1, 2, 3].map(rightsOnDisk), "what is in memory is what is on disk");
    });
  }
});
