import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { arnOf, days, isTidewireError } from "../base/mod.ts";
import type { Admission, Authorizer } from "../broker/ports.ts";
import { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import { anonymousGatekeeper } from "./gatekeeper.ts";
import { GatekeeperWorld, idOf } from "./gatekeeper.fixture.ts";

let world: GatekeeperWorld;

beforeEach(() => {
  world = new GatekeeperWorld();
});
afterEach(() => world.close());

function admitted(certificateId: string, clientId: string): { thing: string | null; authorizer: Authorizer } {
  const admission = world.connectAs(certificateId, clientId);
  assert.ok(admission.admitted, admission.admitted ? "" : admission.reason);
  return admission;
}

function refused(admission: Admission, reasonCode: number, says: RegExp, metric: string): void {
  assert.ok(!admission.admitted, "was admitted");
  assert.equal(admission.reasonCode, reasonCode, admission.reason);
  assert.match(admission.reason, says);
  assert.ok(world.metrics.value("tidewire_admission_refusals_total", { reason: metric }) > 0, metric);
}

describe("admission", () => {
  test("a provisioned thing is let in as itself, and may be itself", () => {
    world.provision(1);
    const { thing, authorizer } = admitted(idOf(1), "thing-1");
    assert.equal(thing, "thing-1");
    assert.ok(authorizer.publish("telemetry/thing-1/system", false));
    assert.ok(authorizer.subscribe("commands/thing-1/#"));
    assert.ok(!authorizer.publish("telemetry/thing-2/system", false));
    assert.ok(!authorizer.receive("commands/thing-2/x"));
    assert.deepEqual(world.gatekeeper.admitPeer(idOf(1)), { ok: true });
  });

  test("each reason for a refusal has its code, its sentence and its metric", () => {
    world.provision(1);
    world.provision(2);
    refused(world.connectAs(null, "thing-1"), 0x87, /shows no certificate/, "no-certificate");
    refused(world.connectAs(idOf(99), "thing-1"), 0x87, /not registered/, "unknown");
    refused(world.connectAs(idOf(1), "thing-2"), 0x85, /must be the thing's name, 'thing-1'/, "client-id");
    refused(world.connectAs(idOf(1), "+"), 0x85, /'thing-1'/, "client-id");
    world.registry.things.detach("thing-2", idOf(2));
    refused(world.connectAs(idOf(2), "thing-2"), 0x87, /attached to no thing/, "not-authorized");
    world.registry.things.attach("thing-2", idOf(2));
    world.registry.policies.detach(DEFAULT_POLICY_NAME, idOf(2));
    refused(world.connectAs(idOf(2), "thing-2"), 0x87, /has no policy/, "not-authorized");
    world.registry.policies.put(
      "deny",
      JSON.stringify({ Version: "2012-10-17", Statement: { Sid: "No", Effect: "Deny", Action: "*", Resource: "*" } }),
    );
    world.registry.policies.attach("deny", idOf(2));
    refused(world.connectAs(idOf(2), "thing-2"), 0x87, /denied by policy 'deny' statement No/, "not-authorized");
    world.registry.certificates.updateStatus(idOf(1), "INACTIVE");
    refused(world.connectAs(idOf(1), "thing-1"), 0x87, /inactive/, "inactive");
    world.registry.certificates.updateStatus(idOf(1), "REVOKED");
    refused(world.connectAs(idOf(1), "thing-1"), 0x87, /revoked/, "revoked");
    assert.deepEqual(world.gatekeeper.admitPeer(idOf(1)), {
      ok: false,
      reason: "The certificate was revoked; give the device a new one",
    });
    world.registry.certificates.register("PEM", world.factsOf(3), { status: "PENDING_ACTIVATION" });
    refused(world.connectAs(idOf(3), "x"), 0x87, /waits for activation/, "pending");
  });

  test("with the clock far off either way the sentence says so", () => {
    world.provision(1);
    world.clock.jump(days(31));
    refused(world.connectAs(idOf(1), "thing-1"), 0x87, /expired on 2026-01-31/, "expired");
    world.clock.jump(days(-60));
    refused(world.connectAs(idOf(1), "thing-1"), 0x87, /this machine's clock says 2025-12-03/, "not-yet-valid");
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
    world.registry.policies.put("any", any);
    for (const [n, type] of [
      [1, "EXCLUSIVE_THING"],
      [2, "NON_EXCLUSIVE_THING"],
    ] as const) {
      world.provision(n, type);
      world.registry.policies.attach("any", idOf(n));
      const { thing, authorizer } = admitted(idOf(n), "some-client");
      assert.equal(thing, n === 1 ? "thing-1" : null);
      assert.equal(authorizer.publish(`x/thing-${n}`, false), n === 1);
    }
  });

  test("a gateway's certificate stands for each of its things by client id", () => {
    world.provision(1);
    world.registry.things.create("other");
    world.registry.things.attach("other", idOf(1));
    assert.equal(admitted(idOf(1), "other").thing, "other");
    assert.equal(admitted(idOf(1), "thing-1").thing, "thing-1");
    assert.ok(!admitted(idOf(1), "other").authorizer.publish("telemetry/thing-1/x", false));
  });

  test("Basic Ingest: a certificate without a thing does not speak for the thing whose name it takes as its client id", () => {
    world.provision(7);
    world.registry.certificates.register("PEM", world.factsOf(1));
    const document = (...topics: readonly string[]): string =>
      JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Action: "iot:Connect", Resource: "*" },
          { Effect: "Allow", Action: "iot:Publish", Resource: topics.map((topic) => arnOf.topic(topic)) },
        ],
      });
    world.registry.policies.put("any-client", document("$aws/rules/*"));
    world.registry.policies.attach("any-client", idOf(1));
    const may = (clientId: string, topic: string): boolean =>
      admitted(idOf(1), clientId).authorizer.publish(topic, false);
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
    world.registry.things.create("nobody");
    assert.equal(may("nobody", "$aws/rules/r/telemetry/nobody/m"), false, "it is one's name by now");
    world.registry.policies.put("any-client", document("$aws/rules/*", "line/*"));
    assert.deepEqual(
      own.map((topic) => may("thing-7", topic)),
      [false, true, false],
    );
    // The thing itself needs no more than before.
    world.registry.policies.attach("any-client", idOf(7));
    const { authorizer } = admitted(idOf(7), "thing-7");
    assert.deepEqual(
      own.map((topic) => authorizer.publish(topic, false)),
      [true, true, true],
    );
  });

  test("what CONNECT asks for counts: persistent session, will", () => {
    world.provision(1);
    const clean = JSON.stringify({
      Version: "2012-10-17",
      Statement: {
        Effect: "Deny",
        Action: "iot:Connect",
        Resource: "*",
        Condition: { "ForAnyValue:StringEquals": { "iot:ConnectAttributes": ["PersistentConnect", "LastWill"] } },
      },
    });
    world.registry.policies.put("clean-only", clean);
    world.registry.policies.attach("clean-only", idOf(1));
    assert.ok(world.connectAs(idOf(1), "thing-1").admitted);
    assert.ok(!world.connectAs(idOf(1), "thing-1", { cleanStart: false }).admitted);
    assert.ok(!world.connectAs(idOf(1), "thing-1", { sessionExpirySeconds: 60 }).admitted);
    const will = {
      topic: "t",
      payload: new Uint8Array(),
      qos: 0,
      retain: false,
      delaySeconds: 0,
      properties: null,
    } as const;
    assert.ok(!world.connectAs(idOf(1), "thing-1", { will }).admitted);
    const standing = { certificateId: idOf(1), clientId: "thing-1", remoteAddress: "192.0.2.1" };
    assert.ok(world.gatekeeper.mayStay(standing));
  });

  test("the address counts as it is, also where a socket for both families reports it", () => {
    world.provision(1);
    const near = { NotIpAddress: { "aws:SourceIp": "10.0.0.0/8" } };
    const document = {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Deny", Action: "iot:Connect", Resource: "*", Condition: near },
        { Effect: "Allow", Action: "iot:Publish", Resource: "arn:aws:iot:local:0:topic/from/${aws:SourceIp}" },
      ],
    };
    world.registry.policies.put("near", JSON.stringify(document));
    world.registry.policies.attach("near", idOf(1));
    for (const address of ["10.1.2.3", "::ffff:10.1.2.3"]) {
      const admission = world.connectAs(idOf(1), "thing-1", {}, address);
      assert.ok(admission.admitted && admission.authorizer.publish("from/10.1.2.3", false), address);
    }
    for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "::1"]) {
      assert.ok(!world.connectAs(idOf(1), "thing-1", {}, address).admitted, address);
    }
  });

  test("a stored policy that cannot be evaluated any more keeps its certificates out", () => {
    world.provision(1);
    const other = new DatabaseSync(join(world.folder, "registry.db"));
    other.prepare("UPDATE policy_versions SET document = ?").run('{"Version":"2012-10-17","Statement":"damaged"}');
    other.close();
    refused(world.connectAs(idOf(1), "thing-1"), 0x87, /cannot be evaluated/, "not-authorized");
    assert.ok(
      world.logger.lines.some((line) => line.level === "error" && line.fields["policy"] === DEFAULT_POLICY_NAME),
    );
  });

  test("a policy with a fault is refused when it is put, and the old one stays", () => {
    assert.throws(
      () => world.registry.policies.put(DEFAULT_POLICY_NAME, '{"Version":"2012-10-17","Statement":{"Effect":"Allow"}}'),
      (error) => isTidewireError(error) && error.code === "POLICY_INVALID",
    );
    assert.equal(world.registry.policies.describe(DEFAULT_POLICY_NAME).document, DEFAULT_POLICY_DOCUMENT);
  });

  test("explanations name statement, missing value, or the state of the certificate", () => {
    world.provision(1);
    assert.match(
      world.gatekeeper.explain(idOf(1), "thing-1", "Publish", "telemetry/thing-1/x").sentence,
      /allowed by .*Report/,
    );
    assert.match(
      world.gatekeeper.explain(idOf(1), "other", "Publish", "telemetry/thing-1/x").notes.join(),
      /ThingName/,
    );
    world.registry.certificates.updateStatus(idOf(1), "REVOKED");
    assert.match(world.gatekeeper.explain(idOf(1), "thing-1", "Publish", "x").sentence, /revoked/);
  });

  test("the benchmark's gatekeeper lets everybody do everything, as nobody", () => {
    const admission = anonymousGatekeeper.admit();
    assert.ok(admission.admitted && admission.thing === null && admission.authorizer.publish("x", true));
  });
});

describe("rights of an open connection", () => {
  test("follow the registry, and the revision tells the broker", () => {
    world.provision(1);
    world.provision(2);
    const { authorizer } = admitted(idOf(1), "thing-1");
    const before = authorizer.revision;
    world.registry.things.create("unrelated");
    world.registry.certificates.updateStatus(idOf(2), "REVOKED");
    world.registry.things.create("third");
    assert.equal(authorizer.revision, before, "another's revocation changes nothing");

    world.registry.policies.put(
      "more",
      JSON.stringify({ Version: "2012-10-17", Statement: { Effect: "Allow", Action: "iot:Publish", Resource: "*" } }),
    );
    assert.ok(!authorizer.publish("anything", false));
    world.registry.policies.attach("more", idOf(1));
    assert.ok(authorizer.publish("anything", false));
    assert.notEqual(authorizer.revision, before);
    world.registry.policies.detach("more", idOf(1));
    assert.ok(!authorizer.publish("anything", false));
    assert.ok(authorizer.publish("telemetry/thing-1/x", false));
  });

  const losses: readonly (readonly [title: string, lose: () => unknown])[] = [
    ["revocation", () => world.registry.certificates.updateStatus(idOf(1), "REVOKED")],
    ["deactivation", () => world.registry.certificates.updateStatus(idOf(1), "INACTIVE")],
    ["the thing detached", () => world.registry.things.detach("thing-1", idOf(1))],
    ["the policy detached", () => world.registry.policies.detach(DEFAULT_POLICY_NAME, idOf(1))],
    [
      "a Deny of iot:Connect alone",
      () => {
        const document = { Version: "2012-10-17", Statement: { Effect: "Deny", Action: "iot:Connect", Resource: "*" } };
        world.registry.policies.put("locked", JSON.stringify(document));
        world.registry.policies.attach("locked", idOf(1));
      },
    ],
    [
      "the certificate deleted",
      () =>
        world.registry.atomically(() => {
          world.registry.certificates.updateStatus(idOf(1), "INACTIVE");
          world.registry.things.detach("thing-1", idOf(1));
          world.registry.certificates.delete(idOf(1), { force: true });
        }),
    ],
  ];
  for (const [title, lose] of losses) {
    test(`${title} takes them all at once, before anybody is disconnected`, () => {
      world.provision(1);
      const { authorizer } = admitted(idOf(1), "thing-1");
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
