import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { arnOf, isTidewireError } from "../../base/mod.ts";
import { provisioningStoreContract } from "../../identity/provisioning/provisioning-store.contract.ts";
import { successionStoreContract } from "../../identity/succession-store.contract.ts";
import { peopleStoreContract, storedSession, storedUser } from "../../people/people-store.contract.ts";
import { Registry } from "../../registry/mod.ts";
import { PEOPLE_TABLES, PROVISIONING_TABLES, SUCCESSION_TABLES } from "../identity-sql/identity-schema.ts";
import type { Change, Principal, RegistryStore } from "../../registry/mod.ts";
import { factsOf } from "../../registry/contract.fixture.ts";
import { registryContract } from "../../registry/registry.contract.ts";
import { PostgresRegistryStore } from "./registry-store.ts";
import { registryMigrations } from "./registry-schema.ts";
import { PostgresServer, postgresMissing } from "./server.fixture.ts";
import { parsePostgresUrl } from "./server-url.ts";
import { Session } from "./session.ts";

const missing = postgresMissing();
let server: PostgresServer;
let schemas = 0;

function open(schema: string, tenant?: string): Promise<PostgresRegistryStore> {
  return PostgresRegistryStore.open(parsePostgresUrl(server.url({ schema })), new SimLogger(), tenant);
}

/** A platform's registry, and what its listeners heard. */
class Peer {
  readonly store: PostgresRegistryStore;
  readonly registry: Registry;
  readonly heard: Change[] = [];

  private constructor(store: PostgresRegistryStore) {
    this.store = store;
    this.registry = registryOver(store);
    this.registry.onChange((change) => this.heard.push(change));
  }

  static async open(schema: string, tenant?: string): Promise<Peer> {
    return new Peer(await open(schema, tenant));
  }
}

function registryOver(store: RegistryStore): Registry {
  const ports = {
    clock: new SimClock(),
    random: new SimRandom(++schemas),
    logger: new SimLogger(),
    metrics: new SimMetrics(),
  };
  const rules = { checkPolicy: () => [], mayBecome: () => true };
  return new Registry({ store, rules, ...ports });
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 15_000 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.ok(what(), "waited in vain for half a minute");
}

const id = (n: number): string => factsOf(n).certificateId;
const unavailable = (error: unknown): boolean => isTidewireError(error) && error.code === "REGISTRY_UNAVAILABLE";

if (missing === null) {
  before(async () => (server = await PostgresServer.start()));
  after(() => server.remove());
  // Tenants of one schema: its tables are made once, and none may see another's rows.
  registryContract("PostgreSQL", async () => {
    const tenant = `tenant-${++schemas}`;
    let store = await open("contract", tenant);
    return {
      store,
      reopen: async () => {
        await store.close();
        store = await open("contract", tenant);
        return store;
      },
      close: () => store.close(),
    };
  });
  peopleStoreContract("PostgreSQL", (tenant) => identity((store) => store.people, tenant));
  provisioningStoreContract("PostgreSQL", (tenant) => identity((store) => store.provisioning, tenant));
  successionStoreContract("PostgreSQL", (tenant) => identity((store) => store.successions, tenant));
}

/** Two platforms for all the contracts' tests: what one has written, the other must find. */
const pairs = new Map<string, readonly [PostgresRegistryStore, PostgresRegistryStore]>();
after(() => Promise.all([...pairs.values()].flat().map((store) => store.close())));

async function identity<T>(
  of: (store: PostgresRegistryStore) => T,
  tenant = "nobody else's",
): Promise<{ readonly store: T; reopen(): T; close(): void }> {
  const [one, other] = pairs.get(tenant) ?? [await open("contract", tenant), await open("contract", tenant)];
  pairs.set(tenant, [one, other]);
  if (tenant === "nobody else's") {
    one.transaction(() => {
      for (const { name } of [...PEOPLE_TABLES, ...PROVISIONING_TABLES, ...SUCCESSION_TABLES])
        one.sql.change(`DELETE FROM ${name} WHERE tenant = $1`, []);
    });
  }
  return { store: of(one), reopen: () => of(other), close: () => {} };
}

describe("two platforms on one registry", { skip: missing ?? false }, () => {
  async function withPeers(work: (a: Peer, b: Peer) => Promise<void>): Promise<void> {
    const schema = `r${++schemas}`;
    const [a, b] = [await Peer.open(schema), await Peer.open(schema)];
    a.registry.things.create("t", { attributes: { room: "1" } });
    a.registry.policies.put("p", "one");
    a.registry.certificates.register("PEM", factsOf(1));
    a.registry.things.attach("t", id(1));
    a.registry.policies.attach("p", id(1));
    a.registry.groups.create("root");
    a.registry.groups.create("leaf", { parentGroupName: "root" });
    a.registry.groups.add("leaf", "t");
    for (const policy of ["g", "onlyGroup"]) a.registry.policies.put(policy, policy);
    a.registry.policies.attach("onlyGroup", arnOf.group("leaf"));
    const { policies } = a.registry.principalOf(id(1))!;
    assert.equal(policies.length, 2);
    a.registry.things.create("last-of-all");
    await until(() => b.heard.some((change) => change.id === "last-of-all"));
    try {
      await work(a, b);
    } finally {
      await a.store.close();
      await b.store.close();
    }
  }

  test("a certificate that one revokes is never let in by the other, however soon it asks", () =>
    withPeers(async (a, b) => {
      for (let round = 0; round < 100; round++) {
        const status = round % 2 === 0 ? "REVOKED" : "ACTIVE";
        b.registry.principalOf(id(1)); // so that it is remembered
        a.registry.certificates.updateStatus(id(1), status);
        assert.equal(b.registry.freshPrincipalOf(id(1))?.certificate.status, status, `round ${round}`);
      }
    }));

  const effects: readonly (readonly [
    string,
    (registry: Registry) => void,
    (principal: Principal | undefined) => unknown,
  ])[] = [
    ["a revocation", (r) => r.certificates.updateStatus(id(1), "REVOKED"), (p) => p?.certificate.status === "REVOKED"],
    [
      "a thing's attributes",
      (r) => r.things.update("t", { attributes: { room: "2" } }),
      (p) => p?.things[0]?.thing.attributes["room"] === "2",
    ],
    ["a policy's text", (r) => r.policies.put("p", "two"), (p) => p?.policies.at(-1)?.document === "two"],
    ["a detached policy", (r) => r.policies.detach("p", id(1)), (p) => p?.policies.length === 1],
    ["a detached thing", (r) => r.things.detach("t", id(1)), (p) => p?.things.length === 0],
    ["a policy on a group above", (r) => r.policies.attach("g", arnOf.group("root")), (p) => p?.policies.length === 3],
    [
      "the text of a group's policy",
      (r) => r.policies.put("onlyGroup", "new"),
      (p) => p?.policies[0]?.document === "new",
    ],
    ["a thing that leaves a group", (r) => r.groups.remove("leaf", "t"), (p) => p?.policies.length === 1],
    ["a deleted group", (r) => r.groups.delete("leaf"), (p) => p?.policies.length === 1],
  ];
  for (const [what, change, seen] of effects) {
    test(`${what}: the other hears of it without asking, with the certificates that it concerns`, () =>
      withPeers(async (a, b) => {
        b.registry.principalOf(id(1));
        b.heard.length = 0;
        change(a.registry);
        await until(() => b.heard.length > 0);
        const told = b.heard.flatMap(({ principals }) => principals);
        assert.deepEqual([...new Set(told)], [id(1)]);
        assert.equal(seen(b.registry.principalOf(id(1))), true);
      }));
  }

  test("its own changes come back to nobody, and an unconcerned certificate stays in memory", () =>
    withPeers(async (a, b) => {
      const [first, heard] = [b.registry.principalOf(id(1)), a.heard.length];
      b.registry.things.create("other");
      b.registry.policies.put("other", "x");
      await until(() => a.heard.length >= heard + 2);
      assert.equal(b.registry.freshPrincipalOf(id(1)), first);
      assert.deepEqual(
        b.heard.slice(-2).map(({ id: name, change }) => [name, change]),
        [
          ["other", "created"],
          ["other", "created"],
        ],
      );
    }));

  test("a change too large to tell: everything is read again", () =>
    withPeers(async (a, b) => {
      b.registry.principalOf(id(1));
      b.heard.length = 0;
      a.registry.atomically(() => {
        for (let i = 2; i < 400; i++) a.registry.certificates.register("PEM", factsOf(i));
        a.registry.certificates.updateStatus(id(1), "REVOKED");
      });
      await until(() => b.heard.length > 0);
      assert.deepEqual(
        b.heard.map(({ id: what, principals }) => [what, principals]),
        [["*", "all"]],
      );
      assert.equal(b.registry.principalOf(id(1))?.certificate.status, "REVOKED");
    }));

  test("another tenant of the same database sees nothing, hears nothing, and misses nothing", async () => {
    const schema = `r${++schemas}`;
    const [ours, theirs] = [await Peer.open(schema), await Peer.open(schema, "neighbour")];
    try {
      theirs.registry.things.create("t", { attributes: { whose: "theirs" } });
      theirs.registry.certificates.register("PEM", factsOf(1), { status: "INACTIVE" });
      const known = theirs.registry.principalOf(id(1));
      theirs.heard.length = 0;
      for (let i = 0; i < 20; i++) ours.registry.things.create(`thing-${i}`);
      ours.registry.things.create("t");
      ours.registry.certificates.register("PEM", factsOf(1));
      assert.equal(theirs.registry.freshPrincipalOf(id(1)), known);
      assert.equal(theirs.registry.things.count(), 1);
      assert.deepEqual(theirs.registry.things.describe("t").attributes, { whose: "theirs" });
      assert.equal(ours.registry.principalOf(id(1))?.certificate.status, "ACTIVE");
      assert.deepEqual(theirs.heard, []);
    } finally {
      await ours.store.close();
      await theirs.store.close();
    }
  });

  test("a registration task is one platform's at a time, and another's when that one ends", () =>
    withPeers(async (a, b) => {
      assert.equal(a.store.provisioning.mayWorkOn("task"), true);
      assert.equal(a.store.provisioning.mayWorkOn("task"), true);
      assert.equal(b.store.provisioning.mayWorkOn("task"), false);
      assert.equal(b.store.provisioning.mayWorkOn("another"), true);
      a.store.provisioning.leaveWorkOn("task");
      assert.equal(b.store.provisioning.mayWorkOn("task"), true);
      assert.equal(a.store.provisioning.mayWorkOn("another"), false);
      await b.store.close();
      await until(() => a.store.provisioning.mayWorkOn("another"));
    }));

  test("a step that touches registry and provisioning is one transaction", () =>
    withPeers(async (a, b) => {
      const both = (fail: boolean): void =>
        a.registry.atomically(() => {
          a.registry.things.create("new");
          a.store.provisioning.atomically(() => a.store.provisioning.blockName("old", 1));
          a.store.successions.save({ predecessor: "p", successor: "s", issuedAt: 1, confirmedAt: null });
          if (fail) throw new Error("changed my mind");
        });
      assert.throws(() => both(true));
      assert.deepEqual([b.store.provisioning.isBlocked("old"), b.store.successions.load()], [false, []]);
      assert.equal(b.store.things.find("new"), undefined);
      both(false);
      assert.deepEqual([b.store.provisioning.isBlocked("old"), b.store.successions.load().length], [true, 1]);
      assert.equal(b.store.things.find("new")?.thingName, "new");
    }));

  test("the registration code is kept, although no record of the registry changed", () =>
    withPeers(async (a, b) => {
      a.store.transaction(() => a.store.authorities.saveRegistrationCode("code"));
      assert.equal(b.store.authorities.registrationCode(), "code");
    }));

  test("both write at once: no change is lost, and no limit is passed", () =>
    withPeers(async (a, b) => {
      for (let i = 0; i < 40; i++) {
        const [one, two] = i % 2 === 0 ? [a, b] : [b, a];
        const { version } = one.registry.things.describe("t");
        two.registry.things.update("t", { attributes: { n: String(i) }, expectedVersion: version });
        assert.throws(
          () => one.registry.things.update("t", { attributes: {}, expectedVersion: version }),
          /VERSION|version/,
        );
      }
      assert.equal(a.registry.things.describe("t").attributes["n"], "39");
    }));
});

describe("a registry whose server goes away", { skip: missing ?? false }, () => {
  let own: PostgresServer;
  before(async () => (own = await PostgresServer.start({ durable: true })));
  const stores: PostgresRegistryStore[] = [];
  after(async () => {
    for (const store of stores) await store.close();
    await own.remove();
  });
  const peer = async (schema: string): Promise<{ store: PostgresRegistryStore; registry: Registry }> => {
    const store = await PostgresRegistryStore.open(parsePostgresUrl(own.url({ schema })), new SimLogger());
    stores.push(store);
    return { store, registry: registryOver(store) };
  };

  test("killed: a clear error at once, what is in memory stays, what was committed is there when it is back", async () => {
    const { store, registry } = await peer("killed");
    registry.certificates.register("PEM", factsOf(1));
    const known = registry.principalOf(id(1));
    for (let round = 0; round < 3; round++) {
      registry.things.create(`kept-${round}`);
      await own.kill();
      assert.throws(() => registry.things.create("lost"), unavailable);
      assert.throws(() => registry.freshPrincipalOf(id(1)), unavailable);
      assert.equal(registry.principalOf(id(1)), known, "who is connected stays connected");
      const began = performance.now();
      for (let i = 0; i < 1_000; i++) assert.throws(() => registry.things.describe("lost"), unavailable);
      assert.ok(performance.now() - began < 2_000, "asking a server that is away must not wait each time");
      assert.notEqual(store.away, null);
      await own.up();
      await until(() => store.away === null);
    }
    const names = registry.things.list().items.map(({ thingName }) => thingName);
    assert.deepEqual(names, ["kept-0", "kept-1", "kept-2"]);
    assert.equal(registry.freshPrincipalOf(id(1)), known, "nothing was missed, so nothing is read again");
  });

  test("people, provisioning and renewals refuse as clearly, and come back by themselves with what was committed", async () => {
    const { store } = await peer("identity_away");
    const { people, provisioning, successions } = store;
    people.putUser(storedUser("anna"));
    provisioning.blockName("kept", 1);
    successions.save({ predecessor: "a", successor: "b", issuedAt: 1, confirmedAt: null });
    const asks: readonly (() => unknown)[] = [
      () => people.load(),
      () => people.putSession(storedSession("s", "anna")),
      () => people.atomically(() => people.deleteUser("anna")),
      () => provisioning.isBlocked("kept"),
      () => provisioning.atomically(() => provisioning.freeName("kept")),
      () => provisioning.mayWorkOn("task"),
      () => successions.allow("a", 1),
      () => successions.ofPredecessor("a"),
    ];
    await own.stop();
    for (const ask of asks) assert.throws(ask, unavailable);
    await own.up();
    await until(() => store.away === null);
    assert.deepEqual(people.load(), { users: [storedUser("anna")], keys: [], sessions: [] });
    assert.deepEqual([provisioning.isBlocked("kept"), provisioning.mayWorkOn("task")], [true, true]);
    assert.equal(successions.load().length, 1);
    assert.equal(provisioning.freeName("kept"), true);
  });

  test("news of people that came while the server was away are told when it is back", async () => {
    const [one, two] = [await peer("identity_news"), await peer("identity_news")];
    two.store.people.load();
    const heard: (readonly string[])[] = [];
    two.store.people.onNews(({ users }) => heard.push(users.map(({ name }) => name)));
    one.store.people.putUser(storedUser("anna"));
    await until(() => heard.length === 1);
    await own.kill();
    await own.up();
    await until(() => one.store.away === null);
    one.store.people.putUser(storedUser("bert"));
    await until(() => heard.length > 1);
    assert.deepEqual(heard.at(-1), ["anna", "bert"]);
  });

  test("what another platform changed meanwhile is known when it is back", async () => {
    const [one, two] = [await peer("missed"), await peer("missed")];
    one.registry.certificates.register("PEM", factsOf(1));
    two.registry.freshPrincipalOf(id(1));
    const heard: Change[] = [];
    two.registry.onChange((change) => heard.push(change));
    await own.kill();
    await own.up();
    await until(() => one.store.away === null);
    one.registry.certificates.updateStatus(id(1), "REVOKED");
    await until(() => two.store.away === null && heard.length > 0);
    assert.equal(two.registry.principalOf(id(1))?.certificate.status, "REVOKED");
  });

  test("killed within a transaction: none of it is there", async () => {
    const { store, registry } = await peer("within");
    registry.things.create("before");
    const { spawnSync } = await import("node:child_process");
    assert.throws(
      () =>
        registry.atomically(() => {
          registry.things.create("a");
          // The event loop stands still here, so somebody else has to kill it.
          spawnSync("kill", ["-9", String(own.pid)]);
          spawnSync("sleep", ["0.3"]);
          registry.things.create("b");
        }),
      unavailable,
    );
    await own.kill();
    await own.up();
    await until(() => store.away === null);
    assert.deepEqual(
      registry.things.list().items.map(({ thingName }) => thingName),
      ["before"],
    );
    registry.things.create("a");
  });

  test("a server that stands still costs one wait, not one for each question", async () => {
    const { store, registry } = await peer("still");
    registry.things.create("a");
    own.freeze();
    assert.throws(() => registry.things.describe("a"), unavailable);
    const began = performance.now();
    for (let i = 0; i < 100; i++) assert.throws(() => registry.things.describe("a"), unavailable);
    assert.ok(performance.now() - began < 1_000);
    own.thaw();
    await until(() => store.away === null);
    assert.equal(registry.things.describe("a").thingName, "a");
  });

  test("what was there before rows had tenants belongs to the first one", async () => {
    const address = parsePostgresUrl(own.url());
    const session = await Session.open({ address, name: "t", statementTimeout: 5_000 });
    const { steps } = registryMigrations("old");
    await session.query(`CREATE SCHEMA old; SET search_path = old; ${steps[0]!}
      INSERT INTO things VALUES ('a', 'id-a', 'pump', '{"site":"S1"}', 3, 1, 2, 'a');
      INSERT INTO certificates VALUES ('${id(1)}', 'PEM', 'ACTIVE', '1', '{}', '{}', 5, 6, 7, 8);
      INSERT INTO policies VALUES ('p', 'text', 4, 1, 2);
      INSERT INTO thing_principals VALUES ('a', '${id(1)}', true);
      INSERT INTO policy_targets VALUES ('p', '${id(1)}');`);
    await session.end();
    const { registry } = await peer("old");
    const { certificate, things, policies } = registry.principalOf(id(1))!;
    assert.deepEqual([certificate.status, certificate.version, certificate.notAfter], ["ACTIVE", 1, 6]);
    assert.deepEqual(
      [things[0]?.thing.attributes, things[0]?.thing.version, things[0]?.exclusive],
      [{ site: "S1" }, 3, true],
    );
    assert.deepEqual(policies, [{ policyName: "p", document: "text", version: 4, createdAt: 1, updatedAt: 2 }]);
    assert.equal(registry.things.count({ attributeName: "site", attributeValue: "S", prefix: true }), 1);
    assert.equal(registry.types.describe("pump").deprecatedAt, null);
  });

  test("a newer format, and a database that is not there, are told at the start", async () => {
    const { store } = await peer("newer");
    await store.close();
    const session = await Session.open({ address: parsePostgresUrl(own.url()), name: "t", statementTimeout: 5_000 });
    await session.query("UPDATE newer.state SET format = 99");
    await session.end();
    await assert.rejects(peer("newer"), (error) => isTidewireError(error) && error.code === "DATABASE_NEWER");
    const nowhere = parsePostgresUrl(own.url().replace("/tidewire?", "/none?"));
    await assert.rejects(PostgresRegistryStore.open(nowhere, new SimLogger()), (error) => {
      return isTidewireError(error) && error.code === "DATABASE_UNREACHABLE" && /"none"/.test(error.message);
    });
  });
});
