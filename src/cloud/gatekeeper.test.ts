import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { openRegistry } from "../adapters/sqlite/registry-store.ts";
import type { OpenRegistry } from "../adapters/sqlite/registry-store.ts";
import { arnOf, days, isTidewireError } from "../base/mod.ts";
import type { Cancel } from "../base/mod.ts";
import type { Admission, Authorizer, Gatekeeper } from "../broker/ports.ts";
import { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import { Registry } from "../registry/mod.ts";
import type { CertificateFacts, PrincipalType } from "../registry/mod.ts";
import { RegistryGatekeeper, anonymousGatekeeper, evictOnChange, registryRules } from "./gatekeeper.ts";
import type { Rights } from "./admission.ts";
import type { EvictionOptions } from "./gatekeeper.ts";

let folder: string;
let opened: OpenRegistry;
let clock: SimClock;
let logger: SimLogger;
let metrics: SimMetrics;
let registry: Registry;
let gatekeeper: RegistryGatekeeper;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-gate-"));
  opened = openRegistry(join(folder, "registry.db"));
  clock = new SimClock();
  logger = new SimLogger();
  metrics = new SimMetrics();
  registry = new Registry({
    store: opened.store,
    rules: registryRules,
    clock,
    random: new SimRandom(1),
    logger,
    metrics,
  });
  gatekeeper = new RegistryGatekeeper({ registry, clock, logger, metrics });
  registry.policies.put(DEFAULT_POLICY_NAME, DEFAULT_POLICY_DOCUMENT);
});
afterEach(() => {
  gatekeeper.close();
  opened.close();
  rmSync(folder, { recursive: true });
});

const id = (n: number): string => n.toString(16).padStart(64, "0");

function factsOf(n: number): CertificateFacts {
  return {
    certificateId: id(n),
    serialNumber: String(n),
    subject: { CommonName: [`thing-${n}`] },
    issuer: { CommonName: ["CA"] },
    notBefore: clock.now() - days(1),
    notAfter: clock.now() + days(30),
  };
}

/** A thing with certificate n and the default policy, as `things add` makes it. */
function provision(n: number, type?: PrincipalType): void {
  registry.things.create(`thing-${n}`);
  registry.certificates.register("PEM", factsOf(n));
  registry.things.attach(`thing-${n}`, id(n), type);
  registry.policies.attach(DEFAULT_POLICY_NAME, id(n));
}

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

function packetOf(clientId: string, change: Partial<ConnectPacket> = {}): ConnectPacket {
  return {
    version: 5,
    cleanStart: true,
    keepAliveSeconds: 30,
    clientId,
    username: "?SDK=IoTDeviceSDK/JS",
    password: null,
    will: null,
    sessionExpirySeconds: 0,
    receiveMaximum: 65_535,
    maximumPacketSize: 0,
    topicAliasMaximum: 0,
    requestResponseInformation: false,
    requestProblemInformation: true,
    userProperties: [],
    authenticationMethod: null,
    authenticationData: null,
    ...change,
  };
}

function connectAs(
  certificateId: string | null,
  clientId: string,
  change: Partial<ConnectPacket> = {},
  remoteAddress = "192.0.2.1",
): Admission {
  return gatekeeper.admit({ remoteAddress, certificateId }, packetOf(clientId, change));
}

function admitted(certificateId: string, clientId: string): { thing: string | null; authorizer: Authorizer } {
  const admission = connectAs(certificateId, clientId);
  assert.ok(admission.admitted, admission.admitted ? "" : admission.reason);
  return admission;
}

function refused(admission: Admission, reasonCode: number, says: RegExp, metric: string): void {
  assert.ok(!admission.admitted, "was admitted");
  assert.equal(admission.reasonCode, reasonCode, admission.reason);
  assert.match(admission.reason, says);
  assert.ok(metrics.value("tidewire_admission_refusals_total", { reason: metric }) > 0, metric);
}

describe("admission", () => {
  test("a provisioned thing is let in as itself, and may be itself", () => {
    provision(1);
    const { thing, authorizer } = admitted(id(1), "thing-1");
    assert.equal(thing, "thing-1");
    assert.ok(authorizer.publish("telemetry/thing-1/system", false));
    assert.ok(authorizer.subscribe("commands/thing-1/#"));
    assert.ok(!authorizer.publish("telemetry/thing-2/system", false));
    assert.ok(!authorizer.receive("commands/thing-2/x"));
    assert.deepEqual(gatekeeper.admitPeer(id(1)), { ok: true });
  });

  test("each reason for a refusal has its code, its sentence and its metric", () => {
    provision(1);
    provision(2);
    refused(connectAs(null, "thing-1"), 0x87, /shows no certificate/, "no-certificate");
    refused(connectAs(id(99), "thing-1"), 0x87, /not registered/, "unknown");
    refused(connectAs(id(1), "thing-2"), 0x85, /must be the thing's name, 'thing-1'/, "client-id");
    refused(connectAs(id(1), "+"), 0x85, /'thing-1'/, "client-id");
    registry.things.detach("thing-2", id(2));
    refused(connectAs(id(2), "thing-2"), 0x87, /attached to no thing/, "not-authorized");
    registry.things.attach("thing-2", id(2));
    registry.policies.detach(DEFAULT_POLICY_NAME, id(2));
    refused(connectAs(id(2), "thing-2"), 0x87, /has no policy/, "not-authorized");
    registry.policies.put(
      "deny",
      JSON.stringify({ Version: "2012-10-17", Statement: { Sid: "No", Effect: "Deny", Action: "*", Resource: "*" } }),
    );
    registry.policies.attach("deny", id(2));
    refused(connectAs(id(2), "thing-2"), 0x87, /denied by policy 'deny' statement No/, "not-authorized");
    registry.certificates.updateStatus(id(1), "INACTIVE");
    refused(connectAs(id(1), "thing-1"), 0x87, /inactive/, "inactive");
    registry.certificates.updateStatus(id(1), "REVOKED");
    refused(connectAs(id(1), "thing-1"), 0x87, /revoked/, "revoked");
    assert.deepEqual(gatekeeper.admitPeer(id(1)), {
      ok: false,
      reason: "The certificate was revoked; give the device a new one",
    });
    registry.certificates.register("PEM", factsOf(3), { status: "PENDING_ACTIVATION" });
    refused(connectAs(id(3), "x"), 0x87, /waits for activation/, "pending");
  });

  test("with the clock far off either way the sentence says so", () => {
    provision(1);
    clock.jump(days(31));
    refused(connectAs(id(1), "thing-1"), 0x87, /expired on 2026-01-31/, "expired");
    clock.jump(days(-60));
    refused(connectAs(id(1), "thing-1"), 0x87, /this machine's clock says 2025-12-03/, "not-yet-valid");
  });

  test("a certificate that belongs to one thing alone speaks for it under any client id that its policy allows", () => {
    const any = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Action: "iot:Connect", Resource: "*" },
        {
          Effect: "Allow",
          Action: "iot:Publish",
          Resource: "arn:aws:iot:local:0:topic/x/${iot:Connection.Thing.ThingName}",
        },
      ],
    });
    registry.policies.put("any", any);
    for (const [n, type] of [
      [1, "EXCLUSIVE_THING"],
      [2, "NON_EXCLUSIVE_THING"],
    ] as const) {
      provision(n, type);
      registry.policies.attach("any", id(n));
      const { thing, authorizer } = admitted(id(n), "some-client");
      assert.equal(thing, n === 1 ? "thing-1" : null);
      assert.equal(authorizer.publish(`x/thing-${n}`, false), n === 1);
    }
  });

  test("a gateway's certificate stands for each of its things by client id", () => {
    provision(1);
    registry.things.create("other");
    registry.things.attach("other", id(1));
    assert.equal(admitted(id(1), "other").thing, "other");
    assert.equal(admitted(id(1), "thing-1").thing, "thing-1");
    assert.ok(!admitted(id(1), "other").authorizer.publish("telemetry/thing-1/x", false));
  });

  test("Basic Ingest: a certificate without a thing does not speak for the thing whose name it takes as its client id", () => {
    provision(7);
    registry.certificates.register("PEM", factsOf(1));
    const document = (...topics: readonly string[]): string =>
      JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Action: "iot:Connect", Resource: "*" },
          { Effect: "Allow", Action: "iot:Publish", Resource: topics.map((topic) => arnOf.topic(topic)) },
        ],
      });
    registry.policies.put("any-client", document("$aws/rules/*"));
    registry.policies.attach("any-client", id(1));
    const may = (clientId: string, topic: string): boolean =>
      admitted(id(1), clientId).authorizer.publish(topic, false);
    const own = ["$aws/rules/r/telemetry/thing-7/m", "$aws/rules/r/line/3", "$aws/rules/r"];
    assert.deepEqual(
      own.map((topic) => may("thing-7", topic)),
      [false, false, false],
    );
    // AWS IoT's: the right to the rule's topic is enough, where nobody is taken for a thing.
    assert.deepEqual(
      own.slice(1).map((topic) => may("nobody", topic)),
      [true, true],
    );
    assert.equal(may("nobody", "$aws/rules/r/telemetry/nobody/m"), true);
    assert.equal(may("nobody", "$aws/rules/r/telemetry/thing-7/m"), false);
    registry.things.create("nobody");
    assert.equal(may("nobody", "$aws/rules/r/telemetry/nobody/m"), false, "it is one's name by now");
    registry.policies.put("any-client", document("$aws/rules/*", "line/*"));
    assert.deepEqual(
      own.map((topic) => may("thing-7", topic)),
      [false, true, false],
    );
    // The thing itself needs no more than before.
    registry.policies.attach("any-client", id(7));
    const { authorizer } = admitted(id(7), "thing-7");
    assert.deepEqual(
      own.map((topic) => authorizer.publish(topic, false)),
      [true, true, true],
    );
  });

  test("what CONNECT asks for counts: persistent session, will", () => {
    provision(1);
    const clean = JSON.stringify({
      Version: "2012-10-17",
      Statement: {
        Effect: "Deny",
        Action: "iot:Connect",
        Resource: "*",
        Condition: { "ForAnyValue:StringEquals": { "iot:ConnectAttributes": ["PersistentConnect", "LastWill"] } },
      },
    });
    registry.policies.put("clean-only", clean);
    registry.policies.attach("clean-only", id(1));
    assert.ok(connectAs(id(1), "thing-1").admitted);
    assert.ok(!connectAs(id(1), "thing-1", { cleanStart: false }).admitted);
    assert.ok(!connectAs(id(1), "thing-1", { sessionExpirySeconds: 60 }).admitted);
    const will = {
      topic: "t",
      payload: new Uint8Array(),
      qos: 0,
      retain: false,
      delaySeconds: 0,
      properties: null,
    } as const;
    assert.ok(!connectAs(id(1), "thing-1", { will }).admitted);
    const standing = { certificateId: id(1), clientId: "thing-1", remoteAddress: "192.0.2.1" };
    assert.ok(gatekeeper.mayStay(standing));
  });

  test("the address counts as it is, also where a socket for both families reports it", () => {
    provision(1);
    const near = { NotIpAddress: { "aws:SourceIp": "10.0.0.0/8" } };
    const document = {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Deny", Action: "iot:Connect", Resource: "*", Condition: near },
        { Effect: "Allow", Action: "iot:Publish", Resource: "arn:aws:iot:local:0:topic/from/${aws:SourceIp}" },
      ],
    };
    registry.policies.put("near", JSON.stringify(document));
    registry.policies.attach("near", id(1));
    for (const address of ["10.1.2.3", "::ffff:10.1.2.3"]) {
      const admission = connectAs(id(1), "thing-1", {}, address);
      assert.ok(admission.admitted && admission.authorizer.publish("from/10.1.2.3", false), address);
    }
    for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "::1"]) {
      assert.ok(!connectAs(id(1), "thing-1", {}, address).admitted, address);
    }
  });

  test("a stored policy that cannot be evaluated any more keeps its certificates out", () => {
    provision(1);
    const other = new DatabaseSync(join(folder, "registry.db"));
    other.prepare("UPDATE policy_versions SET document = ?").run('{"Version":"2012-10-17","Statement":"damaged"}');
    other.close();
    refused(connectAs(id(1), "thing-1"), 0x87, /cannot be evaluated/, "not-authorized");
    assert.ok(logger.lines.some((line) => line.level === "error" && line.fields["policy"] === DEFAULT_POLICY_NAME));
  });

  test("a policy with a fault is refused when it is put, and the old one stays", () => {
    assert.throws(
      () => registry.policies.put(DEFAULT_POLICY_NAME, '{"Version":"2012-10-17","Statement":{"Effect":"Allow"}}'),
      (error) => isTidewireError(error) && error.code === "POLICY_INVALID",
    );
    assert.equal(registry.policies.describe(DEFAULT_POLICY_NAME).document, DEFAULT_POLICY_DOCUMENT);
  });

  test("explanations name statement, missing value, or the state of the certificate", () => {
    provision(1);
    assert.match(
      gatekeeper.explain(id(1), "thing-1", "Publish", "telemetry/thing-1/x").sentence,
      /allowed by .*Report/,
    );
    assert.match(gatekeeper.explain(id(1), "other", "Publish", "telemetry/thing-1/x").notes.join(), /ThingName/);
    registry.certificates.updateStatus(id(1), "REVOKED");
    assert.match(gatekeeper.explain(id(1), "thing-1", "Publish", "x").sentence, /revoked/);
  });

  test("the benchmark's gatekeeper lets everybody do everything, as nobody", () => {
    const admission = anonymousGatekeeper.admit();
    assert.ok(admission.admitted && admission.thing === null && admission.authorizer.publish("x", true));
  });
});

describe("rights of an open connection", () => {
  test("follow the registry, and the revision tells the broker", () => {
    provision(1);
    provision(2);
    const { authorizer } = admitted(id(1), "thing-1");
    const before = authorizer.revision;
    registry.things.create("unrelated");
    registry.certificates.updateStatus(id(2), "REVOKED");
    registry.things.create("third");
    assert.equal(authorizer.revision, before, "another's revocation changes nothing");

    registry.policies.put(
      "more",
      JSON.stringify({ Version: "2012-10-17", Statement: { Effect: "Allow", Action: "iot:Publish", Resource: "*" } }),
    );
    assert.ok(!authorizer.publish("anything", false));
    registry.policies.attach("more", id(1));
    assert.ok(authorizer.publish("anything", false));
    assert.notEqual(authorizer.revision, before);
    registry.policies.detach("more", id(1));
    assert.ok(!authorizer.publish("anything", false));
    assert.ok(authorizer.publish("telemetry/thing-1/x", false));
  });

  const losses: readonly (readonly [title: string, lose: () => unknown])[] = [
    ["revocation", () => registry.certificates.updateStatus(id(1), "REVOKED")],
    ["deactivation", () => registry.certificates.updateStatus(id(1), "INACTIVE")],
    ["the thing detached", () => registry.things.detach("thing-1", id(1))],
    ["the policy detached", () => registry.policies.detach(DEFAULT_POLICY_NAME, id(1))],
    [
      "a Deny of iot:Connect alone",
      () => {
        const document = { Version: "2012-10-17", Statement: { Effect: "Deny", Action: "iot:Connect", Resource: "*" } };
        registry.policies.put("locked", JSON.stringify(document));
        registry.policies.attach("locked", id(1));
      },
    ],
    [
      "the certificate deleted",
      () =>
        registry.atomically(() => {
          registry.certificates.updateStatus(id(1), "INACTIVE");
          registry.things.detach("thing-1", id(1));
          registry.certificates.delete(id(1), { force: true });
        }),
    ],
  ];
  for (const [title, lose] of losses) {
    test(`${title} takes them all at once, before anybody is disconnected`, () => {
      provision(1);
      const { authorizer } = admitted(id(1), "thing-1");
      const before = authorizer.revision;
      assert.ok(authorizer.receive("commands/thing-1/x"));
      lose();
      assert.notEqual(authorizer.revision, before);
      assert.ok(!authorizer.publish("telemetry/thing-1/x", false));
      assert.ok(!authorizer.subscribe("commands/thing-1/#"));
      assert.ok(!authorizer.receive("commands/thing-1/x"));
    });
  }
});

describe("eviction", () => {
  interface Open {
    readonly principal: string | null;
    readonly clientId: string;
    readonly authorizer: Authorizer;
  }
  let open: Open[];
  let looks: number;
  let stop: Cancel;

  const enter = (certificateId: string | null, clientId: string, change: Partial<ConnectPacket> = {}): Open => {
    const admission = certificateId === null ? anonymousGatekeeper.admit() : connectAs(certificateId, clientId, change);
    assert.ok(admission.admitted, clientId);
    return { principal: certificateId, clientId, authorizer: admission.authorizer };
  };
  const endUnauthorized: EvictionOptions["endUnauthorized"] = (isChosen, ended) => {
    looks++;
    const count = open.length;
    open = open.filter(({ principal, authorizer }) => !isChosen(principal) || authorizer.mayStay?.() !== false);
    ended(count - open.length);
  };

  beforeEach(() => {
    looks = 0;
    for (const n of [1, 2, 3]) provision(n);
    open = [1, 2, 3].map((n) => enter(id(n), `thing-${n}`));
    open.push(enter(null, "bench"));
    stop = evictOnChange({ registry, scheduler: clock, endUnauthorized, logger });
  });
  afterEach(() => stop());
  const names = (): readonly string[] => open.map((connection) => connection.clientId);

  test("a revoked certificate's connection ends in the same turn, the others stay", () => {
    registry.certificates.updateStatus(id(2), "REVOKED");
    clock.advance(0);
    assert.deepEqual(names(), ["thing-1", "thing-3", "bench"]);
  });

  test("many changes in one turn cost one look at the connections, new certificates none", () => {
    for (let n = 10; n < 60; n++) registry.certificates.register("PEM", factsOf(n));
    clock.advance(0);
    assert.equal(looks, 0);
    for (const n of [1, 2]) {
      registry.certificates.updateStatus(id(n), "INACTIVE");
      registry.certificates.updateStatus(id(n), "REVOKED");
    }
    clock.advance(0);
    assert.deepEqual([looks, names()], [1, ["thing-3", "bench"]]);
    registry.certificates.updateStatus(id(3), "REVOKED");
    clock.advance(0);
    assert.deepEqual([looks, names()], [2, ["bench"]]);
  });

  test("a policy that no longer allows to connect ends the connections of all that have it", () => {
    registry.policies.put(
      DEFAULT_POLICY_NAME,
      JSON.stringify({
        Version: "2012-10-17",
        Statement: { Effect: "Allow", Action: "iot:Connect", Resource: "arn:aws:iot:local:0:client/thing-2" },
      }),
    );
    clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench"]);
  });

  const deny = JSON.stringify({
    Version: "2012-10-17",
    Statement: { Effect: "Deny", Action: "iot:Connect", Resource: "*" },
  });

  test("a policy on a group above ends the connections of all things below, and of no other", () => {
    registry.groups.create("plant");
    registry.groups.create("line", { parentGroupName: "plant" });
    for (const n of [1, 3]) registry.groups.add("line", `thing-${n}`);
    registry.policies.put("locked", deny);
    clock.advance(0);
    assert.equal(names().length, 4);
    registry.policies.attach("locked", arnOf.group("plant"));
    clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench"]);
    registry.groups.add("plant", "thing-2");
    clock.advance(0);
    assert.deepEqual(names(), ["bench"]);
  });

  test("where a change concerns more certificates than can be named, all connections are looked at", () => {
    stop();
    gatekeeper.close();
    const ports = { clock, random: new SimRandom(2), logger, metrics: new SimMetrics() };
    registry = new Registry({ store: opened.store, rules: registryRules, principalsNamedMax: 1, ...ports });
    gatekeeper = new RegistryGatekeeper({ registry, clock, logger, metrics: ports.metrics });
    open = [1, 2, 3].map((n) => enter(id(n), `thing-${n}`));
    open.push(enter(null, "bench"));
    stop = evictOnChange({ registry, scheduler: clock, endUnauthorized, logger });
    const told: unknown[] = [];
    registry.onChange(({ principals }) => told.push(principals));
    for (const n of [1, 2, 3]) assert.ok(gatekeeper.admitPeer(id(n)).ok);
    registry.policies.put(DEFAULT_POLICY_NAME, deny);
    clock.advance(0);
    assert.deepEqual([told, names(), looks], [["all"], ["bench"], 1]);
  });

  test("what it asked for when it connected is what it may stay with", () => {
    const as = (resource: string, condition: unknown) => ({
      Effect: "Allow",
      Action: "iot:Connect",
      Resource: `arn:aws:iot:local:0:client/${resource}`,
      Condition: condition,
    });
    const Statement = [
      as("thing-1", { ArnEquals: { "iot:LastWillTopic": "arn:aws:iot:local:0:topic/gone" } }),
      as("thing-2", { "ForAllValues:StringEquals": { "iot:ConnectAttributes": [] } }),
    ];
    registry.policies.put(DEFAULT_POLICY_NAME, JSON.stringify({ Version: "2012-10-17", Statement }));
    clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench"], "thing-1 came without that will");
    const will = {
      topic: "gone",
      payload: new Uint8Array(),
      qos: 0,
      retain: false,
      delaySeconds: 0,
      properties: null,
    } as const;
    open.push(enter(id(1), "thing-1", { will }));
    registry.policies.put(
      DEFAULT_POLICY_NAME,
      JSON.stringify({ Version: "2012-10-17", Statement: Statement.toReversed() }),
    );
    clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench", "thing-1"]);
  });

  test("a user without a certificate goes with the policy that let him in", () => {
    registry.policies.put("people", DEFAULT_POLICY_DOCUMENT.replaceAll("${iot:Connection.Thing.ThingName}", "*"));
    let rights: Rights | null = { policies: [registry.policies.describe("people")], things: [], certificate: null };
    const peer = { certificateId: null, remoteAddress: "192.0.2.1" };
    const admission = gatekeeper.admitLogin(peer, packetOf("anna"), {
      principal: "user/anna",
      whose: "anna",
      look: () => rights,
    });
    assert.ok(admission.admitted);
    open.push({ principal: "user/anna", clientId: "anna", authorizer: admission.authorizer });
    registry.policies.put("other", deny);
    clock.advance(0);
    assert.ok(names().includes("anna"));
    rights = { policies: [registry.policies.describe("other")], things: [], certificate: null };
    registry.policies.put("people", deny);
    clock.advance(0);
    assert.deepEqual(names(), ["thing-1", "thing-2", "thing-3", "bench"]);
  });

  test("an admission says when the certificate ends, for the broker to end the connection then", () => {
    const admission = connectAs(id(1), "thing-1");
    assert.ok(admission.admitted);
    assert.equal(admission.expiresAt, factsOf(1).notAfter + 1);
  });
});
