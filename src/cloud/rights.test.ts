/** What a change in the registry does to devices that are connected, away, or heard by others: registry, gatekeeper and broker. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { SimMetrics, SimRandom } from "../../sim/world.ts";
import { openRegistry } from "../adapters/sqlite/registry-store.ts";
import type { OpenRegistry } from "../adapters/sqlite/registry-store.ts";
import { arnOf, days, encodeUtf8 } from "../base/mod.ts";
import type { Cancel } from "../base/mod.ts";
import { Registry } from "../registry/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { ConnectPacket } from "../wire/mqtt/mod.ts";
import { KeptOwners } from "./logins/mod.ts";
import { RegistryGatekeeper, anonymousGatekeeper, evictOnChange, registryRules } from "./gatekeeper.ts";

const KEPT = { cleanStart: false, sessionExpirySeconds: 3600 };
const id = (n: number): string => n.toString(16).padStart(64, "0");
const policyOf = (...statements: readonly [actions: readonly string[], resource: string, effect?: "Deny"][]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map(([actions, resource, effect = "Allow"]) => ({
      Effect: effect,
      Action: actions.map((action) => `iot:${action}`),
      Resource: resource === "*" ? "*" : `arn:aws:iot:local:0:${resource}`,
    })),
  });
const CONNECT = policyOf([["Connect"], "*"]);
const EVERYTHING = policyOf([["Connect", "Publish", "RetainPublish", "Subscribe", "Receive"], "*"]);
const AS_ITSELF = policyOf(
  [["Connect"], "client/${iot:Connection.Thing.ThingName}"],
  [["Publish", "RetainPublish", "Receive"], "topic/${iot:Connection.Thing.ThingName}/*"],
  [["Subscribe"], "topicfilter/${iot:Connection.Thing.ThingName}/*"],
);

let folder: string;
let opened: OpenRegistry;
let world: BrokerWorld;
let registry: Registry;
let stops: Cancel[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-rights-"));
  opened = openRegistry(join(folder, "registry.db"));
  world = await BrokerWorld.started();
  const { clock, logger } = world;
  const metrics = new SimMetrics();
  registry = new Registry({
    store: opened.store,
    rules: registryRules,
    clock,
    random: new SimRandom(1),
    logger,
    metrics,
  });
  const gatekeeper = new RegistryGatekeeper({ registry, clock, logger, metrics });
  world.admit = (peer, connect) =>
    peer.certificateId === null ? anonymousGatekeeper.admit() : gatekeeper.admit(peer, connect);
  const nobody = { rightsOf: () => null };
  const owners = new KeptOwners({ registry, gatekeeper, users: nobody, keys: nobody, logger });
  world.mayPublishKept = (owner, topic, retain) => owners.mayPublish(owner, topic, retain);
  const endUnauthorized: Parameters<typeof evictOnChange>[0]["endUnauthorized"] = (isChosen, ended) =>
    world.broker.endUnauthorized(isChosen, ended);
  const cancel = evictOnChange({ registry, scheduler: clock, logger, endUnauthorized });
  stops = [cancel, () => gatekeeper.close()];
  registry.policies.put("as-itself", AS_ITSELF);
});
afterEach(() => {
  for (const stop of stops) stop();
  opened.close();
  rmSync(folder, { recursive: true });
});

function certify(n: number, policyName: string | null): void {
  registry.certificates.register("PEM", {
    certificateId: id(n),
    serialNumber: String(n),
    subject: { CommonName: [`thing-${n}`] },
    issuer: { CommonName: ["CA"] },
    notBefore: world.clock.now() - days(1),
    notAfter: world.clock.now() + days(30),
  });
  if (policyName !== null) registry.policies.attach(policyName, id(n));
}

function provision(n: number, policyName: string | null = "as-itself"): void {
  registry.things.create(`thing-${n}`);
  certify(n, policyName);
  registry.things.attach(`thing-${n}`, id(n));
}

async function device(n: number, options: Partial<ConnectPacket> = {}, clientId = `thing-${n}`): Promise<SimClient> {
  const client = world.client({ certificateId: id(n) }).connect({ clientId, ...options });
  await world.run();
  assert.equal(client.last("connack")?.reasonCode, 0, clientId);
  return client;
}

function publish(topic: string, qos: 0 | 1 = 0, retain = false): void {
  const message = { topic, payload: encodeUtf8(topic), qos, retain, clientId: "server", thing: null };
  world.broker.publishLocal({ ...message, receivedAt: world.clock.now(), properties: null });
}

/** Topics of what came, and forgets what was there. */
function heard(client: SimClient): string[] {
  const topics = client.publishes.map(({ topic }) => topic);
  for (const publishes of client.publishes) client.received.splice(client.received.indexOf(publishes), 1);
  return topics;
}

const dropped = (reason: string): number => world.metrics.value("tidewire_mqtt_dropped_total", { reason });

const LOSSES: readonly (readonly [title: string, lose: () => unknown, arrange?: () => unknown])[] = [
  ["revoked", () => registry.certificates.updateStatus(id(1), "REVOKED")],
  ["deactivated", () => registry.certificates.updateStatus(id(1), "INACTIVE")],
  ["its policy detached", () => registry.policies.detach("as-itself", id(1))],
  ["its thing detached", () => registry.things.detach("thing-1", id(1))],
  ["a new default version without iot:Connect", () => registry.policies.put("as-itself", policyOf([["Publish"], "*"]))],
  [
    "an older version made the default again",
    () => registry.policies.setDefaultVersion("as-itself", 2),
    () => {
      registry.policies.createVersion("as-itself", policyOf([["Publish"], "*"]), { setAsDefault: false });
    },
  ],
  [
    "taken out of the group that let it in",
    () => registry.groups.remove("plant", "thing-1"),
    () => {
      registry.groups.create("plant");
      registry.groups.add("plant", "thing-1");
      registry.policies.attach("as-itself", arnOf.group("plant"));
      registry.policies.detach("as-itself", id(1));
    },
  ],
  [
    "its group taken out of the policy",
    () => registry.policies.detach("as-itself", arnOf.group("plant")),
    () => {
      registry.groups.create("plant");
      registry.groups.add("plant", "thing-1");
      registry.policies.attach("as-itself", arnOf.group("plant"));
      registry.policies.detach("as-itself", id(1));
    },
  ],
  [
    "put into a group that is locked",
    () => registry.groups.add("plant", "thing-1"),
    () => {
      registry.groups.create("plant");
      registry.policies.put("locked", policyOf([["Connect"], "*", "Deny"]));
      registry.policies.attach("locked", arnOf.group("plant"));
    },
  ],
  [
    "an attribute changed that its policy asks for",
    () => registry.things.update("thing-1", { attributes: { state: "retired" } }),
    () => {
      registry.things.update("thing-1", { attributes: { state: "in-use" } });
      const document = JSON.parse(AS_ITSELF) as { Statement: Record<string, unknown>[] };
      document.Statement[0]!["Condition"] = { StringEquals: { "iot:Connection.Thing.Attributes[state]": "in-use" } };
      registry.policies.put("while-in-use", JSON.stringify(document));
      registry.policies.attach("while-in-use", id(1));
      registry.policies.detach("as-itself", id(1));
    },
  ],
  [
    "its thing deleted",
    () => {
      registry.atomically(() => {
        registry.things.detach("thing-1", id(1));
        registry.things.delete("thing-1");
      });
    },
  ],
  [
    "its certificate deleted",
    () =>
      registry.atomically(() => {
        registry.certificates.updateStatus(id(1), "INACTIVE");
        registry.things.detach("thing-1", id(1));
        registry.certificates.delete(id(1), { force: true });
      }),
  ],
];

describe("a connected device", () => {
  for (const [title, lose, arrange] of LOSSES) {
    test(`${title}: its subscription delivers nothing more, it is told and gone, its will is not published`, async () => {
      provision(1);
      provision(2);
      arrange?.();
      await world.run();
      const will = { topic: "thing-1/gone", payload: encodeUtf8("x"), qos: 0, retain: true, delaySeconds: 0 } as const;
      const client = await device(1, { will: { ...will, properties: null } });
      const other = title.startsWith("a new default") || title.startsWith("an older") ? null : await device(2);
      client.subscribe("thing-1/#");
      await world.run();
      publish("thing-1/before");
      await world.run();
      assert.deepEqual(heard(client), ["thing-1/before"]);
      lose();
      publish("thing-1/after"); // in the same turn: nobody has been disconnected yet
      client.publish("thing-1/own", "x");
      await world.run();
      assert.deepEqual(heard(client), []);
      assert.equal(client.last("disconnect")?.reasonCode, REASON.notAuthorized);
      assert.notEqual(client.state, "open");
      const last = world.presence.findLast(({ type }) => type === "disconnected");
      assert.deepEqual([last?.clientId, last?.reason], ["thing-1", "FORBIDDEN_ACCESS"]);
      assert.deepEqual((await world.broker.retained("#", null, 10)).found, []);
      assert.notEqual(other?.state, "closed");
    });
  }

  test("a group that grants: the right is there with the membership, and nobody is disconnected", async () => {
    provision(1);
    registry.groups.create("senior");
    registry.policies.put("more", policyOf([["Publish"], "topic/more"]));
    registry.policies.attach("more", arnOf.group("senior"));
    const client = await device(1);
    client.publish("more", "x", { qos: 1 });
    await world.run();
    assert.equal(client.last("puback")?.reasonCode, REASON.notAuthorized);
    registry.groups.add("senior", "thing-1");
    client.publish("more", "x", { qos: 1 });
    await world.run();
    assert.notEqual(client.last("puback")?.reasonCode, REASON.notAuthorized);
    assert.equal(client.state, "open");
  });

  test("iot:Receive alone taken: it stays connected, and that topic is not delivered, until the right is back", async () => {
    registry.policies.put("all", EVERYTHING);
    provision(1, "all");
    const client = await device(1);
    client.subscribe("a/#");
    await world.run();
    registry.policies.put("deaf", policyOf([["Receive"], "topic/a/secret", "Deny"]));
    registry.policies.attach("deaf", id(1));
    publish("a/secret");
    publish("a/open");
    await world.run();
    assert.deepEqual([heard(client), client.state], [["a/open"], "open"]);
    assert.equal(dropped("receive-forbidden"), 1);
    registry.policies.detach("deaf", id(1));
    publish("a/secret");
    await world.run();
    assert.deepEqual(heard(client), ["a/secret"]);
  });

  test("iot:Subscribe taken for a subscription that it has: it is told and gone, and refused when it asks again", async () => {
    registry.policies.put("all", EVERYTHING);
    provision(1, "all");
    provision(2, "all");
    const [client, other] = [await device(1), await device(2)];
    client.subscribe("a/#");
    other.subscribe("b");
    await world.run();
    registry.policies.put("narrow", policyOf([["Subscribe"], "topicfilter/a/*", "Deny"]));
    for (const n of [1, 2]) registry.policies.attach("narrow", id(n));
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, REASON.notAuthorized);
    assert.equal(other.state, "open");
    const again = await device(1);
    again.subscribe("a/#");
    await world.run();
    assert.deepEqual(again.last("suback")?.reasonCodes, [REASON.notAuthorized]);
  });

  test("many revoked in one turn: none of them is delivered anything after it", async () => {
    registry.policies.put("all", EVERYTHING);
    for (let n = 1; n <= 200; n++) certify(n, "all");
    const clients = await Promise.all(Array.from({ length: 200 }, (_, i) => device(i + 1, {}, `c${i + 1}`)));
    for (const client of clients) client.subscribe("news");
    await world.run();
    for (let n = 1; n <= 150; n++) registry.certificates.updateStatus(id(n), "REVOKED");
    publish("news");
    await world.run();
    assert.deepEqual(
      clients.map((client) => [client.state === "open", heard(client).length]),
      clients.map((_, i) => (i < 150 ? [false, 0] : [true, 1])),
    );
  });
});

describe("a device that is away", () => {
  test("what was queued is not delivered where its rights have gone; what it may still have is, in order", async () => {
    registry.policies.put("all", EVERYTHING);
    provision(1, "all");
    const client = await device(1, KEPT);
    client.subscribe("a/#", { qos: 1 });
    await world.run();
    client.cut();
    await world.run();
    for (const topic of ["a/1", "a/secret", "a/2", "a/secret"]) publish(topic, 1);
    await world.run();
    registry.policies.put("deaf", policyOf([["Receive"], "topic/a/secret", "Deny"]));
    registry.policies.attach("deaf", id(1));
    const back = await device(1, KEPT);
    await world.run();
    assert.equal(back.last("connack")?.sessionPresent, true);
    assert.deepEqual(heard(back), ["a/1", "a/2"]);
    assert.equal(dropped("receive-forbidden"), 2);
    registry.policies.detach("deaf", id(1));
    back.cut();
    await world.run();
    const later = await device(1, KEPT);
    assert.ok(!heard(later).includes("a/secret"), "what was not delivered is not kept for later");
  });

  test("revoked meanwhile: it is not let in; a new certificate gets the queue as far as its own rights go", async () => {
    registry.policies.put("all", EVERYTHING);
    provision(1, "all");
    const client = await device(1, KEPT);
    client.subscribe("a/#", { qos: 1 });
    await world.run();
    client.cut();
    await world.run();
    publish("a/1", 1);
    publish("a/2", 1);
    registry.certificates.updateStatus(id(1), "REVOKED");
    const refused = world.client({ certificateId: id(1) }).connect({ clientId: "thing-1", ...KEPT });
    await world.run();
    assert.equal(refused.last("connack")?.reasonCode, REASON.notAuthorized);
    assert.deepEqual(heard(refused), []);
    registry.policies.put("some", policyOf([["Connect", "Subscribe"], "*"], [["Receive"], "topic/a/2"]));
    certify(9, "some");
    registry.things.attach("thing-1", id(9));
    const back = await device(9, KEPT, "thing-1");
    await world.run();
    assert.deepEqual(heard(back), ["a/2"]);
  });

  test("a subscription that it may not make any more has ended when it is back, and nothing of its queue comes", async () => {
    registry.policies.put("all", EVERYTHING);
    provision(1, "all");
    const client = await device(1, KEPT);
    client.subscribe("a/#", { qos: 1 });
    await world.run();
    client.cut();
    await world.run();
    publish("a/1", 1);
    registry.policies.put("all", CONNECT);
    const back = await device(1, KEPT);
    await world.run();
    publish("a/2", 1);
    await world.run();
    assert.deepEqual(heard(back), []);
  });

  test("its delayed will is not published once it is revoked", async () => {
    provision(1);
    const will = { topic: "thing-1/gone", payload: encodeUtf8("x"), qos: 0, retain: true, properties: null } as const;
    const client = await device(1, { ...KEPT, will: { ...will, delaySeconds: 60 } });
    client.cut();
    await world.run();
    registry.certificates.updateStatus(id(1), "REVOKED");
    await world.run(120_000);
    assert.deepEqual((await world.broker.retained("#", null, 10)).found, []);
  });
});

describe("a will that was kept over a restart", () => {
  const will = { topic: "thing-1/gone", payload: encodeUtf8("x"), qos: 0, retain: true, properties: null } as const;
  const retained = async (): Promise<readonly string[]> =>
    (await world.broker.retained("#", null, 10)).found.map(({ topic }) => topic);

  test("is published by who may still do so", async () => {
    provision(1);
    await device(1, { ...KEPT, will: { ...will, delaySeconds: 0 } });
    await world.crashAndRestart();
    await world.run(120_000);
    assert.deepEqual(await retained(), ["thing-1/gone"]);
  });

  for (const [title, lose, arrange] of LOSSES) {
    test(`${title} since: it is not published, and that is counted`, async () => {
      provision(1);
      arrange?.();
      await device(1, { ...KEPT, will: { ...will, delaySeconds: 0 } });
      await world.crashAndRestart();
      lose();
      await world.run(120_000);
      assert.deepEqual(await retained(), []);
      assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "will-refused" }), 1);
    });
  }

  test("its right to retain was taken: it is not published", async () => {
    provision(1);
    await device(1, { ...KEPT, will: { ...will, delaySeconds: 0 } });
    await world.crashAndRestart();
    registry.policies.put("as-itself", policyOf([["Connect", "Publish"], "*"]));
    await world.run(120_000);
    assert.deepEqual(await retained(), []);
  });
});

describe("what a revoked device left behind", () => {
  test("its retained messages stay, and go to those who may receive them", async () => {
    registry.policies.put("all", EVERYTHING);
    registry.policies.put("deaf", policyOf([["Connect", "Subscribe"], "*"]));
    provision(1, "all");
    provision(2, "all");
    provision(3, "deaf");
    const client = await device(1);
    client.publish("state/1", "x", { retain: true });
    await world.run();
    registry.certificates.updateStatus(id(1), "REVOKED");
    await world.run();
    const [hearing, deaf] = [await device(2), await device(3)];
    for (const each of [hearing, deaf]) each.subscribe("state/#");
    await world.run();
    assert.deepEqual(heard(hearing), ["state/1"]);
    assert.deepEqual(heard(deaf), []);
  });
});

describe("a shared subscription", () => {
  test("a member that is revoked gets nothing more, and the others get all of it", async () => {
    registry.policies.put("all", EVERYTHING);
    for (const n of [1, 2]) provision(n, "all");
    const [first, second] = [await device(1), await device(2)];
    for (const each of [first, second]) each.subscribe("$share/g/jobs/#", { qos: 1 });
    await world.run();
    registry.certificates.updateStatus(id(1), "REVOKED");
    for (let n = 0; n < 6; n++) publish(`jobs/${n}`, 1);
    await world.run();
    assert.deepEqual(heard(first), []);
    assert.deepEqual(
      heard(second),
      [0, 1, 2, 3, 4, 5].map((n) => `jobs/${n}`),
    );
  });

  test("what waits for a member that may not receive it any more goes to another one", async () => {
    registry.policies.put("all", EVERYTHING);
    for (const n of [1, 2]) provision(n, "all");
    const first = await device(1, { receiveMaximum: 1 });
    first.acknowledges = false;
    first.subscribe("$share/g/jobs/#", { qos: 1 });
    await world.run();
    for (let n = 0; n < 4; n++) publish(`jobs/${n}`, 1);
    await world.run();
    const second = await device(2);
    second.subscribe("$share/g/jobs/#", { qos: 1 });
    registry.policies.put("deaf", policyOf([["Receive"], "topic/jobs/*", "Deny"]));
    registry.policies.attach("deaf", id(1));
    await world.run();
    first.puback(first.last("publish")!.packetId);
    assert.deepEqual(heard(first), ["jobs/0"]);
    await world.run(10);
    assert.deepEqual(heard(first), []);
    assert.deepEqual(heard(second), ["jobs/1", "jobs/2", "jobs/3"]);
  });
});
