import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";
import { newDeviceKey, pairOf } from "../../adapters/device-identity.ts";
import { makeDevice } from "../../adapters/pki/certificates.ts";
import { readCertificate } from "../../adapters/pki/facts.ts";
import { localSigner } from "../../adapters/pki/signer.ts";
import { askRenewal } from "../../adapters/renewal-client.ts";
import { days } from "../../base/mod.ts";
import { apiWorld } from "../api/api.fixture.ts";
import type { ApiWorld } from "../api/api.fixture.ts";
import { provisionDevice } from "../certificate-issuer.ts";

const tools = ["openssl", "curl"].every((tool) => spawnSync(tool, ["--version"]).error === undefined);
const withTools = { skip: tools ? false : "openssl or curl is not on this machine" };
const run = promisify(execFile);

let folder: string;
let world: ApiWorld;
let port: number;
before(() => (folder = mkdtempSync(join(tmpdir(), "tidewire-est-"))));
after(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  world = await apiWorld();
  port = (await world.listen()).httpsPort;
  file("ca.pem", world.authority.certificatePem);
});
afterEach(() => world[Symbol.asyncDispose]());

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

/** The client that we did not write. */
async function curl(...more: string[]): Promise<{ status: number; type: string; head: string; body: string }> {
  const head = join(folder, "head");
  const options = [
    "-sS",
    "--max-time",
    "20",
    "--cacert",
    join(folder, "ca.pem"),
    "-D",
    head,
    "-w",
    "\n%{http_code} %{content_type}",
  ];
  const { stdout } = await run("curl", [...options, ...more]);
  const at = stdout.lastIndexOf("\n");
  const [status, ...type] = stdout.slice(at + 1).split(" ");
  return { status: Number(status), type: type.join(" "), head: readFileSync(head, "utf8"), body: stdout.slice(0, at) };
}

const url = (path: string): string => `https://localhost:${port}/.well-known/est/${path}`;

/** A key and a request by openssl, as base64 without armour. */
function request(name: string, subject = `/CN=${name}`): string {
  const key = join(folder, `${name}.key`);
  execFileSync("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], {
    stdio: "ignore",
  });
  const der = execFileSync("openssl", ["req", "-new", "-key", key, "-subj", subject, "-outform", "DER"]);
  return file(
    `${name}.b64`,
    `${der
      .toString("base64")
      .match(/.{1,64}/g)!
      .join("\n")}\n`,
  );
}

/** The certificates of a certs-only answer, by openssl. */
function certificatesOf(body: string): readonly string[] {
  const der = join(folder, "answer.p7");
  writeFileSync(der, Buffer.from(body, "base64"));
  const text = execFileSync("openssl", ["pkcs7", "-inform", "DER", "-in", der, "-print_certs"]).toString();
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
}

const enrolling = (csr: string): string[] => ["-H", "content-type: application/pkcs10", "--data-binary", `@${csr}`];

async function provisioned(thing: string): Promise<{ cert: string; key: string; as: string[]; id: string }> {
  const { certificatePem, privateKeyPem } = await provisionDevice(world.registry, world.authority, thing);
  const [cert, key] = [file(`${thing}.crt`, certificatePem), file(`${thing}.pem`, privateKeyPem)];
  const id = new X509Certificate(certificatePem).fingerprint256.replaceAll(":", "").toLowerCase();
  return { cert, key, as: ["--cert", cert, "--key", key], id };
}

describe("EST (RFC 7030), asked by curl and openssl", withTools, () => {
  test("cacerts: the roots and what stands below them, in the types that the RFC names", async () => {
    await world.authority.rolloverRoot();
    const { status, type, head, body } = await curl(url("cacerts"));
    assert.deepEqual([status, type], [200, "application/pkcs7-mime"]);
    assert.match(head, /content-transfer-encoding: base64/i);
    const names = certificatesOf(body).map((pem) => new X509Certificate(pem).subject);
    assert.equal(names.filter((name) => name.includes("Issuing")).length, 1);
    assert.ok(names.length >= 4, "issuing CA, two roots, and one signed by the other");
  });

  test("csrattrs: what a request should hold", async () => {
    const { status, type, body } = await curl(url("csrattrs"));
    assert.deepEqual([status, type], [200, "application/csrattrs"]);
    const parsed = execFileSync("openssl", ["asn1parse", "-inform", "DER"], { input: Buffer.from(body, "base64") });
    assert.match(parsed.toString(), /id-ecPublicKey[\s\S]*prime256v1[\s\S]*ecdsa-with-SHA256/);
  });

  test("simpleenroll: a one-time code makes a device; it is good once, for its thing, and the certificate renews itself", async () => {
    const csr = request("valve-1");
    const refused = await curl(...enrolling(csr), url("simpleenroll"));
    assert.equal(refused.status, 401);
    assert.match(refused.head, /www-authenticate: Basic realm=/i);
    assert.match(refused.type, /^text\/plain/);
    const { json } = await world.ask("POST", "/api/enrolment-codes", { thing: "valve-1" });
    const { code } = json as { code: string };
    assert.equal((await curl("-u", `valve-2:${code}`, ...enrolling(csr), url("simpleenroll"))).status, 401);
    const made = await curl("-u", `valve-1:${code}`, ...enrolling(csr), url("simpleenroll"));
    assert.deepEqual([made.status, made.type], [200, "application/pkcs7-mime; smime-type=certs-only"], made.body);
    const [pem] = certificatesOf(made.body);
    const first = new X509Certificate(pem!);
    assert.equal(first.subject, "CN=valve-1");
    assert.equal(world.registry.things.principalsOf("valve-1").length, 1);
    assert.equal((await curl("-u", `valve-1:${code}`, ...enrolling(csr), url("simpleenroll"))).status, 401, "used up");

    const as = ["--cert", file("valve-1.crt", pem!), "--key", join(folder, "valve-1.key")];
    file("valve-1.old.key", readFileSync(join(folder, "valve-1.key"), "utf8"));
    const again = await curl(...as, ...enrolling(file("same.b64", readFileSync(csr, "utf8"))), url("simplereenroll"));
    assert.equal(again.status, 200, again.body);
    const second = new X509Certificate(certificatesOf(again.body)[0]!);
    assert.ok(second.publicKey.equals(first.publicKey), "the same key may be certified again");
    assert.notEqual(second.serialNumber, first.serialNumber);
  });

  test("simplereenroll: refused without a certificate, for another name, and for what is no request; in words", async () => {
    const device = await provisioned("pump");
    const csr = request("pump-next", "/CN=pump");
    const bare = await curl(...enrolling(csr), url("simplereenroll"));
    assert.deepEqual([bare.status, /show their certificate/.test(bare.body)], [401, true]);
    const other = await curl(...device.as, ...enrolling(request("other", "/CN=another-thing")), url("simplereenroll"));
    assert.deepEqual([other.status, /another-thing/.test(other.body)], [400, true], other.body);
    const broken = await curl(...device.as, ...enrolling(file("broken", "bm90aGluZw==")), url("simplereenroll"));
    assert.deepEqual([broken.status, /cannot be read/.test(broken.body)], [400, true]);
    const wrongType = await curl(...device.as, "-H", "content-type: text/plain", "-d", "x", url("simplereenroll"));
    assert.equal(wrongType.status, 400);
    const large = await curl(...device.as, ...enrolling(file("large", "A".repeat(100_000))), url("simplereenroll"));
    assert.equal(large.status, 413);
    const good = await curl(...device.as, ...enrolling(csr), url("simplereenroll"));
    assert.equal(good.status, 200, good.body);
    assert.equal(world.registry.things.principalsOf("pump").length, 2, "the new one has the thing's rights");
  });
});

test(
  "revocation lists: DER and PEM for everybody; openssl verifies, and a revoked certificate is on them",
  withTools,
  async () => {
    const device = await provisioned("pump");
    world.registry.certificates.updateStatus(device.id, "REVOKED");
    const base = `https://localhost:${port}`;
    const { status, type, body } = await curl(`${base}/crl.pem`);
    assert.deepEqual([status, type], [200, "application/x-pem-file"]);
    const crl = file("all.crl", body);
    const cas = file("cas.pem", world.authority.clientCas.join(""));
    const text = execFileSync("openssl", ["crl", "-in", crl, "-CAfile", cas, "-noout", "-text"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const serial = new X509Certificate(readFileSync(device.cert, "utf8")).serialNumber;
    assert.ok(text.toString().includes(serial));
    assert.match((await curl("-o", join(folder, "crl.der"), `${base}/crl`)).type, /application\/pkix-crl/);
    const id = world.authority.status().cas.find(({ role }) => role === "issuing")!.keyId;
    assert.equal((await curl(`${base}/crl/${id}`, "-o", "/dev/null")).status, 200);
    assert.equal((await curl(`${base}/crl/nobody`)).status, 404);
  },
);

describe("the agent's renewal over TLS", () => {
  const ask = async (as: { certificatePem: string; privateKeyPem: string }, nextKeyPem: string) => {
    const pair = pairOf(as.certificatePem, as.privateKeyPem);
    return askRenewal({ host: "localhost", port, as: pair, ca: world.authority.certificatePem, nextKeyPem });
  };

  test("gives the same thing and policies; asked again with the same key it answers the same; the old one goes once the new one is used", async () => {
    const old = await provisionDevice(world.registry, world.authority, "pump");
    const key = newDeviceKey();
    const first = await ask(old, key);
    assert.equal(first.kind, "granted");
    assert.deepEqual(await ask(old, key), first);
    const { certificatePem, trustPem } = first as { certificatePem: string; trustPem: string };
    assert.equal(trustPem, world.authority.certificatePem);
    const next = pairOf(certificatePem, key);
    const idOf = (pem: string): string => new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();
    const principal = world.registry.principalOf(idOf(certificatePem))!;
    assert.deepEqual(
      [principal.things[0]!.thing.thingName, principal.policies[0]!.policyName],
      ["pump", "tidewire-default"],
    );

    const status = (): string => {
      try {
        return world.registry.certificates.describe(idOf(old.certificatePem)).status;
      } catch {
        return "gone";
      }
    };
    world.clock.jump(days(3));
    world.renewals.tidy();
    assert.equal(status(), "ACTIVE", "nobody has used the new one yet");
    world.renewals.seen(idOf(next.certificatePem));
    world.clock.jump(days(0.9));
    world.renewals.tidy();
    assert.equal(status(), "ACTIVE");
    world.renewals.seen(idOf(old.certificatePem)); // the device was restored from a backup
    world.clock.jump(days(2));
    world.renewals.tidy();
    assert.equal(status(), "ACTIVE");
    world.renewals.seen(idOf(next.certificatePem));
    world.clock.jump(days(1.1));
    world.renewals.tidy();
    assert.equal(status(), "INACTIVE");
    world.clock.jump(days(7));
    world.renewals.tidy();
    assert.equal(status(), "gone");
    assert.equal(world.registry.things.principalsOf("pump").length, 1);
  });

  test("a key that was lost on the way is replaced, and the certificate that nobody has used goes at once", async () => {
    const old = await provisionDevice(world.registry, world.authority, "pump");
    const [one, two] = [await ask(old, newDeviceKey()), await ask(old, newDeviceKey())];
    assert.deepEqual([one.kind, two.kind], ["granted", "granted"]);
    assert.equal(world.registry.things.principalsOf("pump").length, 2);
    for (let i = 0; i < 15; i++) assert.equal((await ask(old, newDeviceKey())).kind, "granted");
    assert.equal(world.registry.things.principalsOf("pump").length, 2, "they do not pile up");
  });

  test("an expired certificate is renewed within its grace over a real handshake; later only with an operator's leave; never once revoked", async () => {
    const expired = await expiredDevice("sleeper", days(40));
    const renewed = await ask(expired, newDeviceKey());
    assert.equal(renewed.kind, "granted", JSON.stringify(renewed));

    const longer = await expiredDevice("longer", days(100));
    const late = await ask(longer, newDeviceKey());
    assert.equal(late.kind, "refused");
    assert.match(JSON.stringify(late), /more than 90 days ago.*tidewire certs readmit [0-9a-f]{64}/);
    const id = new X509Certificate(longer.certificatePem).fingerprint256.replaceAll(":", "").toLowerCase();
    const { status } = await world.ask("POST", `/api/certificates/${id}/readmission`, {});
    assert.equal(status, 200);
    assert.equal((await ask(longer, newDeviceKey())).kind, "granted");
    world.registry.certificates.updateStatus(id, "REVOKED");
    const revoked = await ask(longer, newDeviceKey());
    assert.match(JSON.stringify(revoked), /refused.*revoked/);
  });

  test("strangers, and whoever holds only one of the two keys, are refused in words", async () => {
    const old = await provisionDevice(world.registry, world.authority, "pump");
    const body = (publicKey: string, proof: string) =>
      world.askAs({}, "POST", "/.well-known/tidewire/renewal", { publicKey, proof });
    assert.deepEqual((await body("x", "y")).status, 401, "no certificate on this connection");
    const stranger = await expiredDevice("stranger", days(-5), false);
    const unknown = await ask(stranger, newDeviceKey());
    assert.match(JSON.stringify(unknown), /refused.*not registered here/);
    const id = new X509Certificate(old.certificatePem).fingerprint256.replaceAll(":", "").toLowerCase();
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = String(publicKey.export({ type: "spki", format: "pem" }));
    await assert.rejects(world.renewals.renewByProof(id, pem, "AAAA"), /signature does not fit/);
    await assert.rejects(world.renewals.renewByProof(id, "no key", "AAAA"), /no public key/);
    const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
    await assert.rejects(world.renewals.renew(id, small), /2048 to 4096 bits/);
    assert.equal(world.registry.things.principalsOf("pump").length, 1);
  });

  /** Registered here as of long ago, and ended so long before now. */
  async function expiredDevice(thing: string, ago: number, registered = true) {
    const { privateKeyPem, certificatePem, facts } = await issuedBefore(thing, Date.now() - ago);
    if (registered) {
      world.registry.things.create(thing);
      world.registry.certificates.register(certificatePem, facts);
      world.registry.things.attach(thing, facts.certificateId);
    }
    return { privateKeyPem, certificatePem };
  }

  async function issuedBefore(thing: string, notAfter: number) {
    const state = JSON.parse(readFileSync(join(world.folder, "secrets", "authority.json"), "utf8")) as {
      issuer: { certificate: string; key: string };
    };
    // As if the issuing CA were older: a certificate cannot begin before its issuer does.
    const certificate = Object.create(new X509Certificate(state.issuer.certificate)) as X509Certificate;
    const real = new X509Certificate(state.issuer.certificate);
    for (const [name, value] of [
      ["raw", real.raw],
      ["validFromDate", new Date(0)],
      ["validToDate", real.validToDate],
    ] as const) {
      Object.defineProperty(certificate, name, { value });
    }
    const privateKeyPem = newDeviceKey();
    const issuer = { certificate, signer: localSigner(createPrivateKey(state.issuer.key)) };
    const life = { from: notAfter - days(30), until: notAfter };
    const certificatePem = await makeDevice(issuer, createPublicKey(privateKeyPem), thing, life);
    return { privateKeyPem, certificatePem, facts: readCertificate(certificatePem) };
  }
});

test("certificates that end soon are listed with their things, counted, and told where renewal is late", async () => {
  await provisionDevice(world.registry, world.authority, "soon");
  world.clock.jump(days(25));
  await provisionDevice(world.registry, world.authority, "later");
  const { json } = await world.ask("GET", "/api/certificates/expiring?days=14");
  const { certificates, overdue } = json as { certificates: { things: string[] }[]; overdue: number };
  assert.deepEqual(
    certificates.map(({ things }) => things),
    [["soon"]],
  );
  assert.equal(overdue, 1);
  const metrics = await world.metrics.render();
  assert.match(metrics, /tidewire_certificates_expiring\{within="7d"\} 1/);
  assert.match(metrics, /tidewire_certificates_overdue 1/);
  assert.equal((await world.askAs({}, "GET", "/api/certificates/expiring")).status, 401);
});
