import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { makeCertificate } from "../../../test/conformance/aws-authority.ts";
import type { KeyPair } from "../../../test/conformance/aws-authority.ts";
import { readCertificate } from "../../adapters/pki/facts.ts";
import { LIMITS, decodeUtf8, minutes, seconds } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { apiWorld } from "../api/api.fixture.ts";
import type { ApiWorld } from "../api/api.fixture.ts";
import { RegisteredAuthorities } from "../registered-authorities.ts";
import { JustInTime } from "./just-in-time.ts";

interface Play {
  readonly world: ApiWorld;
  readonly ca: KeyPair;
  readonly caId: string;
  readonly published: Message[];
  /** The log does not take anything while this is set. */
  readonly log: { full: boolean };
  readonly justInTime: JustInTime;
  /** The refusal's reason; null: none of its business. */
  readonly come: (pair: KeyPair, from?: string) => Promise<string | null>;
}

const derOf = ({ cert }: KeyPair): Uint8Array => new X509Certificate(cert).raw;
const idOf = ({ cert }: KeyPair): string => readCertificate(cert).certificateId;

async function withPlay(work: (play: Play) => Promise<void>): Promise<void> {
  await using world = await apiWorld();
  const authorities = new RegisteredAuthorities(world.registry);
  const published: Message[] = [];
  const log = { full: false };
  const publish = (message: Message): void => {
    if (log.full) throw new Error("the log is full");
    published.push(message);
  };
  const { provisioner } = world.provisioning;
  const justInTime = new JustInTime({ ...world, scheduler: world.clock, authorities, provisioner, publish });
  const ca = await makeCertificate("Own CA", { ca: true });
  const how = { active: true, autoRegistration: true };
  const { certificateId: caId } = world.registry.authorities.register(ca.cert, readCertificate(ca.cert), how);
  const come: Play["come"] = async (pair, remoteAddress = "192.0.2.1") => {
    const newcomer = { certificateId: idOf(pair), remoteAddress, chain: () => [derOf(pair)] };
    return (await justInTime.came(newcomer))?.reason ?? null;
  };
  await work({ world, ca, caId, published, log, justInTime, come });
  justInTime.close();
  authorities.close();
}

test("one certificate that comes many times at once is registered and told of once", () =>
  withPlay(async ({ world, ca, caId, published, come }) => {
    const device = await makeCertificate("dev", { by: ca });
    const reasons = await Promise.all(Array.from({ length: 20 }, () => come(device)));
    assert.deepEqual(new Set(reasons), new Set(["just-in-time-registered"]));
    assert.deepEqual(
      published.map(({ topic }) => topic),
      [`$aws/events/certificates/registered/${caId}`],
    );
    const { certificateId, caCertificateId } = JSON.parse(
      decodeUtf8(published[0]!.payload, 0, published[0]!.payload.length),
    ) as Record<string, unknown>;
    assert.deepEqual([certificateId, caCertificateId], [idOf(device), caId]);
    assert.equal(world.registry.certificates.describe(idOf(device)).caCertificateId, caId);
  }));

test("what could not be told is not registered either; the next connection tries again", () =>
  withPlay(async ({ world, ca, log, come }) => {
    const device = await makeCertificate("dev", { by: ca });
    log.full = true;
    assert.equal(await come(device), "just-in-time-failed");
    assert.equal(world.registry.certificates.find(idOf(device)), undefined);
    log.full = false;
    assert.equal(await come(device), "just-in-time-registered");
  }));

test("a flood from one address, and one of one CA, is refused and counted, and ends with time", () =>
  withPlay(async ({ world, ca, come }) => {
    const { justInTimePerAddressBurstMax, justInTimeBurstMax } = LIMITS.provisioning;
    const device = await makeCertificate("dev", { by: ca });
    for (let i = 0; i < justInTimePerAddressBurstMax; i++) assert.equal(await come(device), "just-in-time-registered");
    assert.equal(await come(device), "just-in-time-rate");
    const other = await makeCertificate("other", { by: ca });
    let taken = justInTimePerAddressBurstMax;
    while ((await come(other, `198.51.100.${taken % 250}`)) === "just-in-time-registered") taken++;
    assert.equal(taken, justInTimeBurstMax);
    const metrics = await world.metrics.render();
    assert.match(metrics, /tidewire_just_in_time_total\{outcome="limited"\} 2/);
    await world.clock.run(seconds(2));
    assert.equal(await come(device), "just-in-time-registered");
  }));

test("certificates of others, those in use, a claim's and a CA's own are none of its business", () =>
  withPlay(async ({ world, ca, caId, published, come }) => {
    assert.equal(await come(await makeCertificate("self")), null);
    assert.equal(
      await come(await makeCertificate("dev", { by: await makeCertificate("Other CA", { ca: true }) })),
      null,
    );
    const revoked = await makeCertificate("revoked", { by: ca });
    const registered = { status: "REVOKED", caCertificateId: caId } as const;
    world.registry.certificates.register(revoked.cert, readCertificate(revoked.cert), registered);
    assert.equal(await come(revoked), null);
    const { certificatePem, facts } = await world.authority.createDeviceKeyAndCertificate("claimed");
    world.registry.certificates.register(certificatePem, facts, { status: "PENDING_ACTIVATION" });
    assert.equal(await come({ cert: certificatePem, key: "" }), null);
    assert.equal(await come(await makeCertificate("between", { by: ca, ca: true })), "certificate-refused");
    world.registry.authorities.update(caId, { autoRegistration: false });
    assert.equal(await come(await makeCertificate("dev", { by: ca })), null);
    assert.deepEqual(published, []);
  }));

test("a certificate that waits is provisioned once its CA has a template, and a deactivated one is not", () =>
  withPlay(async ({ world, ca, caId, come }) => {
    const device = await makeCertificate("dev", { by: ca });
    const inactive = await makeCertificate("off", { by: ca });
    for (const one of [device, inactive]) assert.equal(await come(one), "just-in-time-registered");
    world.registry.certificates.updateStatus(idOf(inactive), "INACTIVE");
    const certificate = {
      Type: "AWS::IoT::Certificate",
      Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } },
      OverrideSettings: { Status: "REPLACE" },
    };
    const thing = {
      Type: "AWS::IoT::Thing",
      Properties: { ThingName: { Ref: "AWS::IoT::Certificate::CommonName" } },
    };
    const templateBody = JSON.stringify({ Resources: { thing, certificate } });
    world.registry.authorities.update(caId, { registrationConfig: { templateBody } });
    assert.equal(await come(device), "just-in-time-provisioned");
    assert.equal(world.registry.principalOf(idOf(device))?.certificate.status, "ACTIVE");
    assert.deepEqual(
      world.registry.principalOf(idOf(device))?.things.map((each) => each.thing.thingName),
      ["dev"],
    );
    assert.equal(await come(inactive), null);
    assert.equal(world.registry.certificates.describe(idOf(inactive)).status, "INACTIVE");
  }));

test("so many of one CA wait to be activated and no more; whoever is activated or deleted makes room", () =>
  withPlay(async ({ world, ca, caId, come, justInTime }) => {
    const { certificates } = world.registry;
    const facts = readCertificate((await makeCertificate("dev", { by: ca })).cert);
    const waiting = Array.from({ length: LIMITS.provisioning.justInTimePendingMax }, (_, n) =>
      n.toString(16).padStart(64, "0"),
    );
    world.registry.atomically(() => {
      for (const certificateId of waiting)
        certificates.register(
          "PEM",
          { ...facts, certificateId },
          { status: "PENDING_ACTIVATION", caCertificateId: caId },
        );
    });
    const loaded = justInTime.start();
    await world.clock.run(1_000);
    await loaded;
    const device = await makeCertificate("one more", { by: ca });
    assert.equal(await come(device), "just-in-time-full");
    assert.equal(certificates.find(idOf(device)), undefined);
    const metrics = await world.metrics.render();
    assert.match(metrics, /tidewire_just_in_time_total\{outcome="full"\} 1/);
    assert.match(metrics, /tidewire_just_in_time_pending 10000/);
    certificates.updateStatus(waiting[0]!, "ACTIVE");
    assert.equal(await come(device), "just-in-time-registered");
    assert.equal(await come(await makeCertificate("and more", { by: ca })), "just-in-time-full");
    assert.equal(await come(device), "just-in-time-registered", "who waits already is told of again");
    certificates.delete(waiting[1]!);
    assert.equal(await come(await makeCertificate("and more", { by: ca })), "just-in-time-registered");
  }));

test("what nobody activates in a month is deleted, and registers itself anew; a device that is in use stays", () =>
  withPlay(async ({ world, ca, come }) => {
    const [forgotten, used] = await Promise.all(["a", "b"].map((name) => makeCertificate(name, { by: ca })));
    for (const device of [forgotten!, used!]) assert.equal(await come(device), "just-in-time-registered");
    world.registry.certificates.updateStatus(idOf(used!), "ACTIVE");
    world.clock.jump(LIMITS.provisioning.justInTimePendingFor - minutes(5));
    await world.clock.run(minutes(2));
    assert.ok(world.registry.certificates.find(idOf(forgotten!)));
    world.clock.jump(minutes(5));
    await world.clock.run(minutes(2));
    assert.equal(world.registry.certificates.find(idOf(forgotten!)), undefined);
    assert.equal(world.registry.certificates.find(idOf(used!))?.status, "ACTIVE");
    assert.match(await world.metrics.render(), /tidewire_just_in_time_pending 0/);
    world.clock.jump(-Number(LIMITS.provisioning.justInTimePendingFor)); // to a time at which it is valid
    assert.equal(await come(forgotten!), "just-in-time-registered");
  }));
