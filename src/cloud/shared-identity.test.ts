import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { SimClock, SimLogger, SimMetrics } from "../../sim/world.ts";
import { CertificateAuthority } from "../adapters/pki/mod.ts";
import type { PostgresRegistryStore } from "../adapters/postgres/mod.ts";
import { openSecrets } from "../adapters/secrets/mod.ts";
import { openPeopleFile } from "../adapters/sqlite/people-store.ts";
import { openProvisioningFile } from "../adapters/sqlite/provisioning-store.ts";
import { openRegistry } from "../adapters/sqlite/registry-store.ts";
import { SearchLink } from "../adapters/sqlite/search-link.ts";
import { openRenewalsFile } from "../adapters/sqlite/succession-store.ts";
import { systemClock, systemScheduler } from "../adapters/system.ts";
import {
  JOIN_FINGERPRINT_BYTES,
  JOIN_SECRET_BYTES,
  LIMITS,
  days,
  hours,
  isTidewireError,
  parseJoinCode,
} from "../base/mod.ts";
import { JoinCodes } from "../identity/mod.ts";
import { Attempts, OF_DEVICES, OF_PEOPLE } from "../people/mod.ts";
import { storedKey, storedSession, storedUser } from "../people/people-store.contract.ts";
import { PresenceBook, Registry } from "../registry/mod.ts";
import { registryRules } from "./gatekeeper.ts";
import type { RaceStart } from "./join-race.fixture.ts";
import { moveIdentity } from "./move-identity.ts";
import { Renewals } from "./renewals.ts";
import { FleetSearch } from "./search/fleet-search.ts";
import { SharedServer, is, portsAt, until } from "./shared-identity.fixture.ts";

const server = new SharedServer();
const folder = mkdtempSync(join(tmpdir(), "tidewire-shared-"));
const clock = new SimClock();

before(() => server.start());
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function registryOver(store: PostgresRegistryStore, n: number): Registry {
  return new Registry({ ...portsAt(clock, n), store, rules: registryRules });
}

test(
  "two platforms in two processes with the same join codes: each lets exactly one device in",
  { skip: server.skip },
  async () => {
    const tenant = "race";
    const store = await server.openStore(tenant);
    const codes = new JoinCodes({
      ...portsAt(clock, 3),
      clock: systemClock,
      store: store.provisioning,
      isRegistered: () => false,
      sha256: (text) => createHash("sha256").update(text).digest("hex"),
      fingerprint: () => new Uint8Array(JOIN_FINGERPRINT_BYTES),
    });
    const secrets = Array.from({ length: 25 }, (_, n) => {
      const parsed = parseJoinCode(codes.create({ offer: { kind: "thing", thing: `t-${n}` } }).code);
      if ("fault" in parsed) throw new Error(parsed.fault);
      return parsed.secret;
    });
    const file = new URL("join-race.fixture.ts", import.meta.url);
    const workers = ["a", "b"].map((name) => {
      return new Worker(file, { workerData: { url: server.url, tenant, name } satisfies RaceStart, execArgv: [] });
    });
    await Promise.all(workers.map((worker) => once(worker, "message")));
    const results = workers.map(async (worker) => {
      worker.postMessage(secrets);
      return ((await once(worker, "message")) as [readonly number[]])[0];
    });
    const won = await Promise.all(results);
    for (const worker of workers) worker.postMessage(null);
    await Promise.all(workers.map((worker) => once(worker, "exit")));
    assert.deepEqual(
      won.flat().sort((x, y) => x - y),
      secrets.map((_, n) => n),
    );
    assert.equal(store.things.count({}), secrets.length, "and the loser's thing was never made");
    assert.deepEqual(
      new Set(codes.list().map(({ usesLeft, joined }) => `${usesLeft} ${joined.length}`)),
      new Set(["0 1"]),
    );
  },
);

test(
  "guesses at devices' passwords and join codes are counted together, apart from people's",
  { skip: server.skip },
  async () => {
    const [a, b] = await server.pair((store, n) => ({
      store,
      devices: new Attempts(clock, new SimMetrics(), OF_DEVICES, store.deviceAttempts),
      people: new Attempts(clock, new SimMetrics(), OF_PEOPLE, store.attempts),
      codes: new JoinCodes({
        ...portsAt(clock, n),
        store: store.provisioning,
        failures: store.joinFailures,
        isRegistered: () => false,
        sha256: (text) => createHash("sha256").update(text).digest("hex"),
        fingerprint: () => new Uint8Array(JOIN_FINGERPRINT_BYTES),
      }),
    }));
    const { freePerName, freePerAddress } = LIMITS.logins;
    for (let n = 0; n < freePerName; n++) {
      const one = [a, b][n % 2]!;
      assert.equal(one.devices.claim("pump", "192.0.2.1"), 0);
      one.devices.failed("192.0.2.1");
    }
    for (const one of [a, b]) assert.ok(one.devices.claim("pump", "192.0.2.9") > 0);
    assert.equal(b.devices.claim("valve", "192.0.2.1"), 0, "a site with many devices is not locked out by one");
    b.devices.abandoned("valve", "192.0.2.1");
    assert.equal(a.people.claim("pump", "192.0.2.1"), 0, "a person of that name has failed nowhere");
    b.devices.remembered("pump", "192.0.2.1");
    assert.ok(a.devices.claim("pump", "192.0.2.9") > 0);
    a.devices.succeeded("pump", "192.0.2.1");
    assert.equal(b.devices.claim("pump", "192.0.2.1"), 0);
    for (let n = freePerName; n < freePerAddress; n++) [a, b][n % 2]!.devices.failed("192.0.2.1");
    for (const one of [a, b]) assert.ok(one.devices.claim("another", "192.0.2.1") > 0);

    const { joinFailuresPerAddressMax: max } = LIMITS.provisioning;
    const guess = (one: typeof a): Promise<unknown> => {
      const admit = (): never => assert.fail("nobody is let in");
      return one.codes.redeem(new Uint8Array(JOIN_SECRET_BYTES), "key", "2001:db8::1", admit);
    };
    const refusals: string[] = [];
    // The server's minute may end in between, and it begins anew.
    for (let n = 0; n < 2 * max + 2 && refusals.at(-1) !== "TOO_MANY_REQUESTS"; n++)
      await guess([a, b][n % 2]!).catch((error: unknown) =>
        refusals.push(isTidewireError(error) ? error.code : "other"),
      );
    assert.equal(refusals.at(-1), "TOO_MANY_REQUESTS");
    assert.ok(refusals.length > max);
    await assert.rejects(guess(a), is("TOO_MANY_REQUESTS"));
    await assert.rejects(guess(b), is("TOO_MANY_REQUESTS"));
    const count = (): number =>
      Number(a.store.sql.rows("SELECT count(*) FROM login_failures WHERE tenant = $1")[0]![0]);
    const old = `UPDATE login_failures SET last_at = last_at - ${LIMITS.people.loginForgetAfter + 1} WHERE tenant = $1`;
    a.store.sql.transaction(() => a.store.sql.change(old, []));
    for (const each of [a.store.deviceAttempts, a.store.joinFailures]) each.sweep();
    assert.equal(count(), 2, "people's are people's to sweep");
    a.store.attempts.sweep();
    assert.equal(count(), 0);
  },
);

test(
  "a device that renews at two platforms at once has one new certificate, and both know",
  { skip: server.skip },
  async () => {
    const secrets = openSecrets(join(folder, "secrets"), { logger: new SimLogger() });
    const authority = await CertificateAuthority.open({
      secrets,
      clock: systemClock,
      logger: new SimLogger(),
      host: "h",
    });
    const times = { renewalGrace: days(30), retireAfter: hours(1), deleteAfter: days(7) };
    const [a, b] = await server.pair((store, n) => {
      const registry = registryOver(store, n);
      const base = { ...portsAt(clock, n), clock: systemClock };
      return {
        store,
        registry,
        renewals: new Renewals({ ...base, registry, authority, store: store.successions, times }),
      };
    });
    const key = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
    const old = await authority.issueFor(key(), "pump");
    const { certificateId } = old.facts;
    a.registry.certificates.register(old.certificatePem, old.facts);
    a.registry.things.create("pump");
    a.registry.things.attach("pump", certificateId);
    const next = key();
    const answers = await Promise.all([a, b].map(({ renewals }) => renewals.renew(certificateId, next)));
    assert.equal(answers[0]!.certificatePem, answers[1]!.certificatePem);
    assert.equal(b.registry.things.principalsOf("pump").length, 2, "the old one and one new one");
    const { successor } = a.store.successions.load()[0]!;
    b.renewals.seen(successor);
    await until(() => a.renewals.isReplaced(certificateId));
    for (const { renewals } of [a, b]) renewals.close();
  },
);

test(
  "each platform's index of the fleet follows the other's changes, also those that it has missed",
  { skip: server.skip },
  async () => {
    const open = (store: PostgresRegistryStore, n: number) => {
      const registry = registryOver(store, n);
      const file = openRegistry(join(folder, `presence-${n}.db`));
      const base = { ...portsAt(clock, n), scheduler: systemScheduler, registry };
      const scheduler = { ...systemScheduler, every: () => () => {} }; // signs of life are given by hand
      const shared = store.presenceOf(`platform-${n}`);
      const presence = new PresenceBook({ ...base, scheduler, store: file.presence, shared });
      const index = new SearchLink({ path: join(folder, `search-${n}.db`), logger: base.logger });
      const shadows = {
        get: () => JSON.stringify({ state: {}, version: 1 }),
        list: () => ({ results: [], timestamp: 0 }),
        onChange: () => () => {},
      };
      const search = new FleetSearch({ ...base, presence, shadows, index, shared: true });
      const close = async (): Promise<void> => {
        await search.close();
        await index.close();
        presence.close();
        file.close();
      };
      const found = async (query: string): Promise<readonly string[]> =>
        (await search.run(query)).things.map(({ thingName }) => thingName);
      return { store, registry, presence, search, found, close };
    };
    const [a, b] = await server.pair(open);
    await Promise.all([a.search.started, b.search.started]);
    a.registry.things.create("boiler", { attributes: { site: "berlin" } });
    b.registry.things.create("pump", { attributes: { site: "rome" } });
    a.registry.groups.create("cellar");
    a.registry.groups.add("cellar", "boiler");
    const both = async (query: string, expected: readonly string[]): Promise<void> => {
      for (const one of [a, b]) {
        for (let tries = 0; tries < 5_000 && String(await one.found(query)) !== String(expected); tries++)
          await new Promise((resolve) => setTimeout(resolve, 2));
        assert.deepEqual(await one.found(query), expected, query);
      }
    };
    await both("attributes.site:*", ["boiler", "pump"]);
    await both("thingGroupNames:cellar", ["boiler"]);
    b.registry.things.update("boiler", { attributes: { site: "rome" } });
    await both("attributes.site:rome", ["boiler", "pump"]);
    b.registry.groups.delete("cellar");
    await both("thingGroupNames:cellar", []);
    a.registry.things.delete("pump");
    await both("attributes.site:rome", ["boiler"]);
    // More than fits a notification: the other compares everything.
    a.registry.atomically(() => {
      for (let n = 0; n < 500; n++) a.registry.things.create(`thing-${n}`, { attributes: { site: "oslo" } });
    });
    await both(
      "attributes.site:oslo thingName:thing-49?",
      Array.from({ length: 10 }, (_, n) => `thing-49${n}`),
    );
    // Who is connected to one is connected, also for a group's query, whichever platform fills it.
    for (const name of ["fan", "valve"]) a.registry.things.create(name);
    b.registry.groups.createDynamic("there", { queryString: "connectivity.connected:true" });
    const members = async (...expected: readonly string[]): Promise<void> => {
      await both("connectivity.connected:true", expected);
      for (const one of [a, b]) {
        await until(() => String(one.registry.groups.members("there").items) === String(expected));
        assert.deepEqual(one.presence.list("online"), expected);
      }
    };
    a.presence.connected("fan", "c1", "192.0.2.1");
    b.presence.connected("valve", "c2", "192.0.2.2");
    await members("fan", "valve");
    assert.deepEqual(
      [a, b].map(({ presence }) => presence.onlineCount),
      [1, 1],
    );
    assert.equal(b.presence.of("fan").remoteAddress, "192.0.2.1");
    b.presence.connected("fan", "c3", "192.0.2.3"); // it has moved, and the one before has not noticed yet
    b.presence.disconnected("valve", "c2", "CLIENT_INITIATED_DISCONNECT");
    await members("fan");
    assert.equal(a.presence.of("valve").disconnectReason, "CLIENT_INITIATED_DISCONNECT");
    a.presence.disconnected("fan", "c1", "MQTT_KEEP_ALIVE_TIMEOUT");
    await members("fan");
    // A platform that dies leaves nobody connected, and one that was only slow has its connections again.
    b.presence.connected("valve", "c4", null);
    await members("fan", "valve");
    const age = (by: number): void => {
      const text = "UPDATE platforms SET alive_at = alive_at - $2 WHERE tenant = $1 AND id = 'platform-2'";
      a.store.sql.transaction(() => a.store.sql.change(text, [by]));
    };
    const seenBy = (): readonly string[] => {
      a.presence.signOfLife();
      return a.presence.list("online");
    };
    age(LIMITS.registry.platformGoneAfter);
    assert.deepEqual(seenBy(), []);
    age(0 - LIMITS.registry.platformGoneAfter);
    assert.deepEqual(seenBy(), ["fan", "valve"]);
    await b.close(); // without a word
    age(LIMITS.registry.platformGoneAfter);
    assert.deepEqual(seenBy(), []);
    assert.equal(a.presence.of("valve").disconnectReason, "SERVER_INITIATED_DISCONNECT");
    await until(() => a.registry.groups.members("there").items.length === 0);
    assert.deepEqual(await a.found("connectivity.connected:true"), []);
    for (const name of ["fan", "valve"]) a.registry.things.delete(name);
    assert.deepEqual(a.store.sql.rows("SELECT thing FROM connectivity WHERE tenant = $1"), []);
    await a.close();
  },
);

test(
  "a data folder's people, codes and renewals come along once; what ended since does not come back",
  { skip: server.skip },
  async () => {
    const at = (name: string): string => join(folder, name);
    const files = {
      registry: { ...openRegistry(at("registry.db")).store },
      people: openPeopleFile({ path: at("people.db") }),
      provisioning: openProvisioningFile({ path: at("provisioning.db") }),
      renewals: openRenewalsFile(at("renewals.db")),
    };
    files.people.people.putUser(storedUser("anna"));
    files.people.people.putKey(storedKey("k1", "anna"));
    files.people.people.putSession(storedSession("s1", "anna"));
    files.people.revokedToken.write("stays here");
    files.provisioning.store.blockName("pump-1", 1);
    files.renewals.successions.save({ predecessor: "a", successor: "b", issuedAt: 1, confirmedAt: null });
    files.renewals.successions.allow("a", 9);
    const logger = new SimLogger();
    const shared = await server.openStore("moved");
    moveIdentity(files, shared, logger);
    assert.deepEqual(shared.people.load(), files.people.people.load());
    assert.equal(shared.provisioning.isBlocked("pump-1"), true);
    assert.deepEqual(
      [shared.successions.load(), shared.successions.allowance("a")],
      [files.renewals.successions.load(), 9],
    );
    shared.people.deleteUser("anna");
    shared.provisioning.freeName("pump-1");
    moveIdentity(files, shared, logger);
    assert.deepEqual(shared.people.load(), { users: [], keys: [], sessions: [] });
    assert.equal(shared.provisioning.isBlocked("pump-1"), false);
    for (const file of [files.people, files.provisioning, files.renewals]) file.close();
  },
);
