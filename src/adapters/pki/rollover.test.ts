import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { X509Certificate, createPrivateKey, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, createServer } from "node:tls";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { days, isTidewireError } from "../../base/mod.ts";
import type { Clock } from "../../base/mod.ts";
import { openSecrets } from "../secrets/secrets.ts";
import { CertificateAuthority } from "./authority.ts";
import type { DeviceCertificate } from "./authority.ts";
import { ECDSA_P256, ECDSA_SHA256 } from "./device-key.ts";
import { findPassphrase } from "./passphrase.ts";
import { changePassphrase, exportRoot, importRoot } from "./root-key.ts";
import { loadX509 } from "./x509.ts";

const LOCAL = { names: ["localhost"], addresses: ["127.0.0.1"] };
/** TLS looks at the real clock. */
const realClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

let root: string;
before(() => (root = mkdtempSync(join(tmpdir(), "tidewire-rollover-"))));
after(() => rmSync(root, { recursive: true }));

interface Opening {
  readonly clock?: Clock;
  readonly passphrase?: string | null;
  readonly onStep?: () => void;
}

function openIn(name: string, { clock = realClock, passphrase = null, onStep }: Opening = {}) {
  const logger = new SimLogger();
  const secrets = openSecrets(join(root, name), onStep === undefined ? { logger } : { logger, onStep });
  return CertificateAuthority.open({ secrets, clock, logger, host: "h", passphrase });
}

function keyFolder(name: string, passphrase: string | null) {
  const logger = new SimLogger();
  return { secrets: openSecrets(join(root, name), { logger }), logger, passphrase };
}

function failsWith(code: string, says = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTidewireError(error), String(error));
    assert.deepEqual([error.code, says.test(error.message)], [code, true], error.message);
    assert.doesNotMatch(`${error.message}${error.fix}`, /[{}]/);
    return true;
  };
}

interface Device {
  readonly key: string;
  readonly cert: string;
  /** The roots that it was given. */
  readonly ca: string;
}

async function newDevice(authority: CertificateAuthority, ca = authority.certificatePem): Promise<Device> {
  const { privateKeyPem, certificatePem } = await authority.createDeviceKeyAndCertificate("dev");
  return { key: privateKeyPem, cert: certificatePem, ca };
}

/** Whether both sides accept each other now. */
async function meets(authority: CertificateAuthority, device: Device): Promise<string> {
  const { keyPem: key, chainPem: cert } = await authority.serverCertificate(LOCAL);
  const server = createServer({ key, cert, ca: [...authority.clientCas], requestCert: true, rejectUnauthorized: true });
  const seen = new Promise<string>((resolve) => {
    server.on("secureConnection", (socket) => {
      resolve("ok");
      socket.end("x");
    });
    server.on("tlsClientError", (error, socket) => resolve(String(socket.authorizationError ?? error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = connect({ ...device, port, host: "127.0.0.1", servername: "localhost" });
  const trusts = new Promise<string>((resolve) => {
    client.on("data", () => resolve("ok"));
    client.on("error", (error) => resolve(`client: ${error.message}`));
    client.on("close", () => resolve("closed"));
  });
  const [server_, client_] = await Promise.all([seen, trusts]);
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
  return server_ === "ok" && client_ === "ok" ? "ok" : `${server_}; ${client_}`;
}

/** A data folder as an earlier Tidewire left it: one CA, with path length 0, that signed everything. */
async function folderOfBefore(name: string): Promise<{ readonly device: Device; readonly key: KeyObject }> {
  const x509 = await loadX509();
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Tidewire CA h 12345678",
    notBefore: new Date(Date.now() - days(100)),
    notAfter: new Date(Date.now() + days(3000)),
    signingAlgorithm: ECDSA_SHA256,
    keys: {
      privateKey: privateKey.toCryptoKey(ECDSA_P256, true, ["sign"]),
      publicKey: publicKey.toCryptoKey(ECDSA_P256, true, ["verify"]),
    },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(
        new x509.PublicKey(publicKey.export({ type: "spki", format: "der" })),
      ),
    ],
  });
  const secrets = openSecrets(join(root, name), { logger: new SimLogger() });
  const caPem = `${ca.toString("pem")}\n`;
  secrets.write("ca.key", String(privateKey.export({ type: "pkcs8", format: "pem" })));
  secrets.write("ca.crt", caPem);
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = await x509.X509CertificateGenerator.create({
    serialNumber: "02",
    subject: "CN=dev",
    issuer: ca.subjectName,
    notBefore: new Date(Date.now() - days(1)),
    notAfter: new Date(Date.now() + days(300)),
    publicKey: new x509.PublicKey(pair.publicKey.export({ type: "spki", format: "der" })),
    signingKey: privateKey.toCryptoKey(ECDSA_P256, false, ["sign"]),
    signingAlgorithm: ECDSA_SHA256,
    extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
  });
  const key = String(pair.privateKey.export({ type: "pkcs8", format: "pem" }));
  return { device: { key, cert: signed.toString("pem"), ca: caPem }, key: privateKey };
}

describe("rollover: nobody is locked out", () => {
  test("devices of every stage, over two issuing CAs and two roots, until the old root is retired", async () => {
    let authority = await openIn("stages");
    const stages = new Map<string, Device>();
    const everybody = async (now: string): Promise<void> => {
      for (const [stage, device] of stages) assert.equal(await meets(authority, device), "ok", `${stage}, ${now}`);
    };
    stages.set("first", await newDevice(authority));
    await authority.rolloverIssuer();
    stages.set("of the second issuing CA", await newDevice(authority));
    await everybody("after the second issuing CA");
    authority = await openIn("stages");
    await everybody("after a restart");

    const oldTrust = authority.certificatePem;
    await authority.rolloverRoot();
    assert.equal(authority.certificatePem.match(/BEGIN CERTIFICATE/g)?.length, 2);
    stages.set("of the second root", await newDevice(authority));
    stages.set("renewed, its trust not yet", await newDevice(authority, oldTrust));
    const newRoot = `${authority.certificatePem.split("-----END CERTIFICATE-----")[0]}-----END CERTIFICATE-----\n`;
    stages.set("that trusts the new root only", await newDevice(authority, newRoot));
    await everybody("with two roots");
    authority = await openIn("stages");
    await everybody("with two roots, after a restart");
    await authority.rolloverRoot();
    stages.set("of the third root", await newDevice(authority));
    await everybody("with three roots");

    await assert.rejects(
      authority.retireFormer((names) => names.length),
      failsWith("CA_REFUSED", /5 active certificate/),
    );
    await everybody("after a refusal");
    await authority.retireFormer(() => 0);
    assert.equal(await meets(authority, stages.get("of the third root")!), "ok");
    assert.notEqual(await meets(authority, stages.get("first")!), "ok");
    await assert.rejects(
      authority.retireFormer(() => 0),
      failsWith("CA_REFUSED", /no former root/),
    );
  });

  test("a crash at any step of a new root: the next start ends it one way or the other", async () => {
    let total = 0;
    await openIn("count").then((authority) => authority.serverCertificate(LOCAL));
    const counted = await openIn("count", { onStep: () => total++ });
    await counted.rolloverRoot();
    assert.ok(total >= 20, `${total} steps`);
    for (let crashAt = 0; crashAt < total; crashAt++) {
      rmSync(join(root, "crash"), { recursive: true, force: true });
      const first = await openIn("crash");
      await first.serverCertificate(LOCAL);
      const device = await newDevice(first);
      let step = 0;
      const dying = await openIn("crash", {
        onStep: () => {
          if (step++ === crashAt) throw new Error("power cut");
        },
      });
      await assert.rejects(dying.rolloverRoot(), `step ${crashAt}`);
      const next = await openIn("crash");
      assert.equal(await meets(next, device), "ok", `step ${crashAt}`);
      assert.equal(await meets(next, await newDevice(next)), "ok", `step ${crashAt}`);
      await next.rolloverIssuer();
    }
  });

  test("the issuing CA is replaced by itself when a third of its life is left, and what it signed stays good", async () => {
    const clock = new SimClock();
    const authority = await openIn("by-itself", { clock });
    const device = await authority.createDeviceKeyAndCertificate("dev");
    const [before] = authority.issuingChain;
    clock.advance(days(700));
    await authority.maintain();
    assert.equal(authority.issuingChain[0], before);
    clock.advance(days(35));
    const later = await authority.createDeviceKeyAndCertificate("dev");
    assert.notEqual(authority.issuingChain[0], before);
    assert.ok(authority.issued(device.certificatePem) && authority.issued(later.certificatePem));
    clock.advance(days(400));
    await authority.rolloverIssuer();
    assert.ok(!authority.issued(device.certificatePem), "an issuing CA that has expired is forgotten");
    assert.equal(authority.status().advice, null);
    clock.advance(days(1400));
    assert.match(authority.status().advice ?? "", /root ends on .*tidewire ca rollover root/);
  });
});

describe("a data folder of an earlier Tidewire", () => {
  test("goes on: its CA is the root, and devices that trust only its old form keep connecting through every change", async () => {
    const { device } = await folderOfBefore("before");
    let authority = await openIn("before");
    assert.equal(await meets(authority, device), "ok");
    const renewed = await newDevice(authority, device.ca);
    const fresh = await newDevice(authority);
    assert.match(new X509Certificate(renewed.cert).issuer, /Issuing CA/);
    authority = await openIn("before");
    for (const one of [device, renewed, fresh]) assert.equal(await meets(authority, one), "ok");
    await assert.rejects(
      exportRoot(keyFolder("before", null), null, () => assert.fail("nothing may leave")),
      failsWith("CA_REFUSED", /straight from this root/),
    );
    await authority.rolloverIssuer();
    await authority.rolloverRoot();
    const newest = await newDevice(authority);
    for (const one of [device, renewed, fresh, newest]) assert.equal(await meets(authority, one), "ok");
    authority = await openIn("before");
    for (const one of [device, renewed, fresh, newest]) assert.equal(await meets(authority, one), "ok");
    await authority.retireFormer(() => 0);
    assert.equal(await meets(authority, newest), "ok");
    await exportRoot(keyFolder("before", null), null, () => {});
    assert.equal(await meets(await openIn("before"), newest), "ok");
  });

  test("authority.json that is gone is told, not made anew", async () => {
    await openIn("gone");
    rmSync(join(root, "gone", "authority.json"));
    await assert.rejects(openIn("gone"), failsWith("SECRET_DAMAGED", /authority\.json .*had it before/));
  });
});

describe("the root's key elsewhere", () => {
  test("everything goes on without it; what needs it says so and how; it comes back", async () => {
    const clock = new SimClock();
    const before: DeviceCertificate = await (await openIn("away", { clock })).createDeviceKeyAndCertificate("dev");
    let exported = "";
    await exportRoot(keyFolder("away", null), "a safe's passphrase", (text) => (exported = text));
    assert.match(exported, /ENCRYPTED PRIVATE KEY[\s\S]*BEGIN CERTIFICATE/);
    assert.equal(
      spawnSync("ls", [join(root, "away")])
        .stdout.toString()
        .includes("ca.key"),
      false,
    );

    const authority = await openIn("away", { clock });
    assert.ok(authority.issued(before.certificatePem));
    await authority.createDeviceKeyAndCertificate("dev");
    await authority.serverCertificate(LOCAL);
    assert.equal(authority.status().rootKey, "elsewhere");
    await assert.rejects(authority.rolloverIssuer(), failsWith("CA_ROOT_OFFLINE", /make an issuing CA/));
    await assert.rejects(authority.rolloverRoot(), failsWith("CA_ROOT_OFFLINE", /make a new root/));
    clock.advance(days(800));
    await authority.createDeviceKeyAndCertificate("dev");
    assert.match(authority.status().advice ?? "", /issuing CA ends on .*tidewire ca import/);

    const stranger = await openIn("stranger", { clock });
    assert.ok(stranger);
    const other = readFileSync(join(root, "stranger", "ca.key"), "utf8");
    const back = (text: string, passphrase: string | null) =>
      importRoot(keyFolder("away", null), text, "root.pem", passphrase);
    await assert.rejects(back(other, null), failsWith("CA_REFUSED", /another CA/));
    await assert.rejects(back("nothing", null), failsWith("CA_REFUSED", /no private key/));
    await assert.rejects(back(exported, null), failsWith("CA_KEY_LOCKED", /root\.pem/));
    await assert.rejects(back(exported, "a wrong passphrase"), failsWith("CA_PASSPHRASE_WRONG", /root\.pem/));
    await back(exported, "a safe's passphrase");
    const whole = await openIn("away", { clock });
    assert.equal(whole.status().advice, null, "the issuing CA was replaced at once");
    await assert.rejects(
      exportRoot(keyFolder("stranger", null), null, () => {
        throw new Error("the stick is full");
      }),
      /stick is full/,
    );
    await (await openIn("stranger", { clock })).rolloverIssuer();
  });
});

describe("encrypted keys", () => {
  test("a passphrase that is given later encrypts what lay open; without it, or with another, nothing starts", async () => {
    const plain = await openIn("sealed");
    const device = await newDevice(plain);
    const text = (file: string): string => readFileSync(join(root, "sealed", file), "utf8");
    const keyText = text("ca.key");
    const authority = await openIn("sealed", { passphrase: "correct horse" });
    assert.equal(await meets(authority, device), "ok");
    for (const file of ["ca.key", "authority.json"]) {
      assert.ok(!text(file).includes("BEGIN PRIVATE KEY"), file);
      assert.match(text(file), /BEGIN ENCRYPTED PRIVATE KEY/);
    }
    const opened = createPrivateKey({ key: text("ca.key"), passphrase: "correct horse" });
    assert.ok(opened.equals(createPrivateKey(keyText)), "openssl reads it");
    await assert.rejects(openIn("sealed"), failsWith("CA_KEY_LOCKED"));
    await assert.rejects(openIn("sealed", { passphrase: "battery staple" }), failsWith("CA_PASSPHRASE_WRONG"));
    await authority.rolloverRoot();
    assert.ok(!text("authority.json").includes("BEGIN PRIVATE KEY"));
    assert.equal(await meets(await openIn("sealed", { passphrase: "correct horse" }), device), "ok");
  });

  test("a first start with a passphrase writes no key in the clear", async () => {
    await openIn("sealed-first", { passphrase: "correct horse" });
    for (const file of ["ca.key", "authority.json"]) {
      assert.ok(!readFileSync(join(root, "sealed-first", file), "utf8").includes("BEGIN PRIVATE KEY"), file);
    }
  });

  test("the passphrase is changed and taken away; a crash half-way is finished by the same call", async () => {
    await openIn("change", { passphrase: "the first one" });
    await assert.rejects(
      changePassphrase(keyFolder("change", "a wrong one"), "next"),
      failsWith("CA_PASSPHRASE_WRONG"),
    );
    const before = readFileSync(join(root, "change", "ca.key"), "utf8");
    await changePassphrase(keyFolder("change", "the first one"), "the second one");
    writeFileSync(join(root, "change", "ca.key"), before); // as a crash before its turn leaves it
    rmSync(join(root, "change", "checksums"));
    await changePassphrase(keyFolder("change", "the first one"), "the second one");
    await (await openIn("change", { passphrase: "the second one" })).rolloverIssuer();
    await assert.rejects(openIn("change", { passphrase: "the first one" }), failsWith("CA_PASSPHRASE_WRONG"));
    await changePassphrase(keyFolder("change", "the second one"), null);
    await (await openIn("change")).rolloverIssuer();
  });

  test("it comes from a file, the environment or systemd, and processes that we start do not inherit it", () => {
    const path = join(root, "passphrase");
    const found = (content: string | Uint8Array): string | null => {
      writeFileSync(path, content);
      return findPassphrase(path, {});
    };
    assert.equal(found("a long passphrase\n"), "a long passphrase");
    assert.equal(found(" spaces stay \r\n"), " spaces stay ");
    const random = new Uint8Array(32).fill(0xfe);
    assert.equal(found(random), Buffer.from(random).toString("base64"));
    assert.throws(() => found("short\n"), failsWith("CA_PASSPHRASE_UNUSABLE", /8 characters/));
    assert.throws(() => findPassphrase(join(root, "none"), {}), failsWith("CA_PASSPHRASE_UNUSABLE", /none/));
    const environment: NodeJS.ProcessEnv = { TIDEWIRE_CA_PASSPHRASE: "from the environment" };
    assert.equal(findPassphrase(undefined, environment), "from the environment");
    assert.deepEqual(environment, {});
    writeFileSync(join(root, "tidewire-ca-passphrase"), "from systemd\n");
    assert.equal(findPassphrase(undefined, { CREDENTIALS_DIRECTORY: root }), "from systemd");
    assert.equal(findPassphrase(undefined, {}), null);
  });
});

test("revocation lists: one for each issuing CA, numbered, and openssl refuses who is on one", async () => {
  const authority = await openIn("crl");
  const [bad, good] = [await newDevice(authority), await newDevice(authority)];
  await authority.rolloverIssuer();
  const serial = new X509Certificate(bad.cert).serialNumber;
  const name = /CN=(.*)/.exec(new X509Certificate(bad.cert).issuer)![1];
  const lists = await authority.revocationLists((issuer) =>
    issuer === name ? [{ serialNumber: serial, revokedAt: Date.now() }] : [],
  );
  assert.equal(lists.length, 2);
  const at = (file: string, text: string): string => {
    writeFileSync(join(root, file), text);
    return join(root, file);
  };
  const crl = at("all.pem", lists.map(({ pem }) => pem).join(""));
  const cas = at("cas.pem", authority.clientCas.join(""));
  const verify = (device: Device): string =>
    spawnSync("openssl", [
      "verify",
      "-crl_check",
      "-CAfile",
      cas,
      "-CRLfile",
      crl,
      at("d.pem", device.cert),
    ]).stderr.toString();
  assert.match(verify(bad), /certificate revoked/);
  assert.equal(verify(good), "");
  const shown = spawnSync("openssl", ["crl", "-in", crl, "-noout", "-text"]).stdout.toString();
  assert.match(shown, /X509v3 CRL Number/);
});
