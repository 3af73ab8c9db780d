import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { listenMqtt } from "../adapters/net/mod.ts";
import { makePki } from "../adapters/net/pki.fixture.ts";
import type { Identity, Pki } from "../adapters/net/pki.fixture.ts";
import { readCertificate } from "../adapters/pki/facts.ts";
import { LIMITS, days } from "../base/mod.ts";
import type { Gatekeeper } from "../broker/ports.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { Refusal, RefusalPage } from "./api/contract.ts";
import { apiWorld } from "./api/api.fixture.ts";
import type { ApiWorld } from "./api/api.fixture.ts";

const id = (n: number): string => n.toString(16).padStart(64, "0");

function register({ registry, clock }: ApiWorld, n: number): void {
  registry.certificates.register("PEM", {
    certificateId: id(n),
    serialNumber: String(n),
    subject: { CommonName: [`thing-${n}`] },
    issuer: { CommonName: ["CA"] },
    notBefore: clock.now() - days(1),
    notAfter: clock.now() + days(30),
  });
}

/** A thing with certificate n and the default policy. */
function provision(world: ApiWorld, n: number): void {
  world.registry.things.create(`thing-${n}`);
  register(world, n);
  world.registry.things.attach(`thing-${n}`, id(n));
  world.registry.policies.attach(DEFAULT_POLICY_NAME, id(n));
}

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

function come(world: ApiWorld, certificateId: string | null, clientId: string): boolean {
  const packet = { clientId, cleanStart: true, sessionExpirySeconds: 0, will: null } as ConnectPacket;
  const answer = world.gatekeeper.admit({ remoteAddress: "192.0.2.1", certificateId }, packet);
  return "admitted" in answer && answer.admitted;
}

async function refusals(world: ApiWorld, query = ""): Promise<readonly Refusal[]> {
  const answer = await world.ask("GET", `/api/refusals${query}`);
  assert.equal(answer.status, 200, answer.text);
  return (answer.json as RefusalPage).refusals;
}

async function latest(world: ApiWorld): Promise<Refusal> {
  const [first] = await refusals(world, "?limit=1");
  assert.ok(first !== undefined, "nothing is kept");
  return first;
}

describe("a refused CONNECT is kept with its reason in words and the command that allows it", () => {
  let world: ApiWorld;
  before(async () => {
    world = await apiWorld();
    provision(world, 1);
    provision(world, 2);
  });
  after(() => world[Symbol.asyncDispose]());

  test("a client without a certificate", async () => {
    assert.ok(!come(world, null, "pump-9"));
    const refusal = await latest(world);
    assert.equal(refusal.reason, "no-certificate");
    assert.equal(refusal.clientId, "pump-9");
    assert.equal(refusal.command, "tidewire things invite pump-9");
  });

  test("an inactive certificate: what is corrected is marked so, before the device has come back", async () => {
    world.registry.certificates.updateStatus(id(2), "INACTIVE");
    assert.ok(!come(world, id(2), "thing-2"));
    let refusal = await latest(world);
    assert.deepEqual([refusal.reason, refusal.thing, refusal.allowedNow], ["inactive", "thing-2", false]);
    assert.match(refusal.sentence, /inactive/);
    assert.equal(refusal.command, `tidewire certs activate ${id(2)}`);
    world.registry.certificates.updateStatus(id(2), "ACTIVE");
    refusal = await latest(world);
    assert.equal(refusal.allowedNow, true);
  });

  test("a client id that is not the thing's: told which one it is, or how it may have both", async () => {
    assert.ok(!come(world, id(1), "wrong"));
    const wrong = await latest(world);
    assert.match(wrong.sentence, /must be the thing's name, 'thing-1'/);
    assert.match(wrong.fix, /client id to 'thing-1'/);
    assert.equal(wrong.command, null);
    world.registry.things.create("other");
    assert.ok(!come(world, id(1), "other"));
    assert.equal((await latest(world)).command, `tidewire things attach other --certificate ${id(1)}`);
  });

  test("no policy, and a policy that denies", async () => {
    world.registry.policies.detach(DEFAULT_POLICY_NAME, id(2));
    assert.ok(!come(world, id(2), "thing-2"));
    assert.equal((await latest(world)).command, `tidewire policy attach tidewire-default --certificate ${id(2)}`);
    const document = { Version: "2012-10-17", Statement: { Sid: "No", Effect: "Deny", Action: "*", Resource: "*" } };
    world.registry.policies.put("deny", JSON.stringify(document));
    world.registry.policies.attach("deny", id(2));
    assert.ok(!come(world, id(2), "thing-2"));
    const refusal = await latest(world);
    assert.match(refusal.sentence, /denied by policy 'deny' statement No/);
    assert.equal(refusal.command, "tidewire policy show deny");
  });

  test("an expired certificate: when, in words", async () => {
    world.clock.jump(days(31));
    assert.ok(!come(world, id(1), "thing-1"));
    const refusal = await latest(world);
    assert.match(refusal.sentence, /expired yesterday, on \d{4}-\d\d-\d\d/);
    assert.equal(refusal.command, `tidewire certs readmit ${id(1)}`);
    world.clock.jump(days(-31));
  });

  test("only those of one thing, and only what is new", async () => {
    const of = await refusals(world, "?thing=thing-1");
    assert.ok(of.length > 0 && of.every(({ thing, clientId }) => thing === "thing-1" || clientId === "thing-1"));
    const { sequence } = await latest(world);
    assert.deepEqual(await refusals(world, `?after=${sequence}`), []);
    come(world, id(1), "wrong");
    assert.equal((await refusals(world, `?after=${sequence}`)).length, 1);
  });

  test("nobody sees it without login, and not with made-up parameters", async () => {
    assert.equal((await world.askAs({}, "GET", "/api/refusals")).status, 401);
    assert.equal((await world.ask("GET", "/api/refusals?limit=100000")).status, 400);
  });
});

describe("a connected device that is refused", () => {
  let world: ApiWorld;
  before(async () => {
    world = await apiWorld();
    provision(world, 1);
  });
  after(() => world[Symbol.asyncDispose]());

  const of = (topic: Record<string, unknown>) => ({
    clientId: "thing-1",
    thing: "thing-1",
    certificateId: id(1),
    remoteAddress: "192.0.2.1",
    ...topic,
  });

  test("a publish: what its policy lacks, and the command; corrected, it is marked so", async () => {
    for (let i = 0; i < 3; i++) {
      world.refusalNotes.ofBroker("publish-forbidden", "a publish was refused by policy", of({ topic: "x/y z" }));
    }
    let refusal = await latest(world);
    assert.deepEqual([refusal.action, refusal.resource, refusal.count], ["publish", "x/y z", 3]);
    assert.match(refusal.sentence, /lack iot:Publish on 'x\/y z'/);
    const allow = `tidewire policy allow --certificate ${id(1)} --action publish --resource 'x/y z'`;
    assert.equal(refusal.command, allow);
    const Statement = { Effect: "Allow", Action: "iot:Publish", Resource: "arn:aws:iot:local:0:topic/x/*" };
    world.registry.policies.put("more", JSON.stringify({ Version: "2012-10-17", Statement }));
    world.registry.policies.attach("more", id(1));
    refusal = await latest(world);
    assert.equal(refusal.allowedNow, true);
    // Retained, it needs another right as well.
    const retained = of({ topic: "x/r", retain: true });
    world.refusalNotes.ofBroker("publish-forbidden", "a publish was refused by policy", retained);
    refusal = await latest(world);
    assert.match(refusal.sentence, /iot:RetainPublish/);
    assert.match(refusal.command!, /--action publish --retain --resource x\/r$/);
  });

  test("a filter, a message that it may not receive, and what a shell would misread", async () => {
    world.refusalNotes.ofBroker("subscribe-forbidden", "a subscription was refused", of({ filter: "a/#" }));
    assert.match((await latest(world)).command!, /--action subscribe --resource 'a\/#'$/);
    world.refusalNotes.ofBroker("receive-forbidden", "a message was not delivered", of({ topic: "$aws/x" }));
    assert.match((await latest(world)).command!, /--action receive --resource '\$aws\/x'$/);
    world.refusalNotes.ofBroker("publish-forbidden", "refused", of({ topic: "a'; rm -rf $HOME; '" }));
    assert.match((await latest(world)).command!, /--resource 'a'\\''; rm -rf \$HOME; '\\'''$/);
  });

  test("the platform's own failures are no refusals of a device", async () => {
    const before = (await refusals(world)).length;
    world.refusalNotes.ofBroker("journal-failed", "the log is full", of({}));
    world.refusalNotes.ofBroker("keep-alive", "nothing was heard", of({}));
    assert.equal((await refusals(world)).length, before);
  });
});

describe("what TLS refuses is kept too, with what the certificate calls itself", () => {
  let world: ApiWorld;
  let pki: Pki;
  let others: Pki;
  let listener: Awaited<ReturnType<typeof listenMqtt>>;
  before(async () => {
    [world, pki, others] = await Promise.all([apiWorld(), makePki(), makePki("Other CA")]);
    const server = await pki.issue("server");
    listener = await listenMqtt({
      host: "127.0.0.1",
      port: 0,
      portOption: "--mqtts-port",
      tls: { key: server.key, cert: server.cert, ca: pki.ca },
      admitPeer: (certificateId) => world.gatekeeper.admitPeer(certificateId),
      onRefused: world.refusalNotes.ofListener,
      accept: () => assert.fail("nobody is let in"),
      limits: LIMITS.mqtt,
      clock: world.clock,
      logger: world.logger,
      metrics: world.metrics,
    });
  });
  after(async () => {
    await listener.close(0);
    await Promise.all([pki.remove(), others.remove(), world[Symbol.asyncDispose]()]);
  });

  async function refusedWith(identity: Identity | null, maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<Refusal> {
    const own = identity === null ? {} : { key: identity.key, cert: identity.cert };
    const { port } = listener;
    const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ca: pki.ca, maxVersion, ...own });
    socket.on("error", () => {});
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    return latest(world);
  }

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    test(`${version}: a CA that nobody knows here`, async () => {
      const identity = await others.issue("boiler-3");
      let refusal = await refusedWith(identity, version);
      assert.equal(refusal.reason, "certificate-untrusted");
      refusal = await refusedWith(identity, version); // whose it is can be read when it comes back
      assert.equal(refusal.reason, "certificate-untrusted");
      assert.equal(refusal.subject, "CN=boiler-3");
      assert.match(refusal.sentence, /not issued by this platform's CA/);
      assert.equal(refusal.command, "tidewire things invite boiler-3");
    });

    test(`${version}: no certificate`, async () => {
      assert.equal((await refusedWith(null, version)).reason, "no-certificate");
    });

    test(`${version}: one of ours that is not registered, then is, and is revoked`, async () => {
      const identity = await pki.issue(`pump-${version.at(-1)}`);
      let refusal = await refusedWith(identity, version);
      assert.deepEqual([refusal.reason, refusal.certificateId], ["unknown", identity.certificateId]);
      world.registry.certificates.register(identity.cert, readCertificate(identity.cert));
      assert.equal((await latest(world)).allowedNow, true);
      world.registry.certificates.updateStatus(identity.certificateId, "REVOKED");
      refusal = await refusedWith(identity, version);
      assert.deepEqual([refusal.reason, refusal.allowedNow], ["revoked", false]);
    });

    test(`${version}: one that has expired`, async () => {
      const identity = await pki.issue(`old-${version.at(-1)}`, new Date(Date.now() - 3_600_000));
      const facts = readCertificate(identity.cert);
      world.registry.certificates.register(identity.cert, facts);
      await refusedWith(identity, version);
      const refusal = await refusedWith(identity, version);
      assert.equal(refusal.reason, "expired");
      assert.match(refusal.sentence, /expired (today|yesterday), on/);
      assert.equal(refusal.subject, `CN=old-${version.at(-1)}`);
    });
  }
});
