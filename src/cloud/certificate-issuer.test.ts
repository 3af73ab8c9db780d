import assert from "node:assert/strict";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { apiWorld } from "./api/api.fixture.ts";
import { certificateIssuer, provisionDevice } from "./certificate-issuer.ts";
import { createKeyAndCsr } from "../adapters/pki/mod.ts";

test("a provisioned device has a thing, an active certificate of our CA, and the default policy; twice is another key", async () => {
  await using world = await apiWorld();
  const first = await provisionDevice(world.registry, world.authority, "pump");
  const second = await provisionDevice(world.registry, world.authority, "pump");
  assert.notEqual(first.privateKeyPem, second.privateKeyPem);
  const principals = world.registry.things.principalsOf("pump");
  assert.equal(principals.length, 2);
  for (const { certificateId } of principals) {
    assert.equal(world.registry.certificates.describe(certificateId).status, "ACTIVE");
    assert.deepEqual(
      world.registry.policies.attachedTo(certificateId).map((policy) => policy.policyName),
      ["tidewire-default"],
    );
  }
  const x509 = new X509Certificate(first.certificatePem);
  assert.ok(x509.checkIssued(new X509Certificate(world.authority.issuingChain[0]!)));
  assert.ok(x509.checkPrivateKey(createPrivateKey(first.privateKeyPem)));
});

test("provisioning that fails half-way leaves no thing and no certificate", async () => {
  await using world = await apiWorld();
  world.registry.policies.delete("tidewire-default");
  await assert.rejects(provisionDevice(world.registry, world.authority, "pump"), { code: "NOT_FOUND" });
  assert.equal(world.registry.things.find("pump"), undefined);
  assert.deepEqual(world.registry.certificates.list({}).items, []);
});

test("the issuer takes requests with a proof of possession, and no others", async () => {
  await using world = await apiWorld();
  const issuer = certificateIssuer(world.authority);
  const { csrPem, privateKeyPem } = await createKeyAndCsr("pump");
  const issued = await issuer.fromCsr(csrPem);
  assert.ok(new X509Certificate(issued.certificatePem).checkPrivateKey(createPrivateKey(privateKeyPem)));
  const middle = Math.floor(csrPem.length / 2);
  const forged = `${csrPem.slice(0, middle)}${csrPem[middle] === "A" ? "B" : "A"}${csrPem.slice(middle + 1)}`;
  await assert.rejects(issuer.fromCsr(forged), { code: "CERTIFICATE_REFUSED" });
});
