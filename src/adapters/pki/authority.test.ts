import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate, createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { SIM_EPOCH, SimClock, SimLogger } from "../../../sim/world.ts";
import { days, isTidewireError } from "../../base/mod.ts";
import { openSecrets } from "../secrets/secrets.ts";
import { CertificateAuthority } from "./authority.ts";
import { createKeyAndCsr } from "./device-key.ts";
import { readCertificate } from "./facts.ts";
import { isDnsName, serverNames } from "./host-names.ts";

const LOCAL = { names: ["localhost"], addresses: ["127.0.0.1", "::1"] };
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const openssl = { skip: hasOpenssl ? false : "openssl is not on this machine" };

let folder: string;
let authority: CertificateAuthority;
/** TLS looks at the real clock, so these certificates are made by it. */
const realClock = { now: () => Date.now(), monotonic: () => performance.now() };

async function authorityIn(
  path: string,
  clock: Parameters<typeof CertificateAuthority.open>[0]["clock"],
): Promise<CertificateAuthority> {
  const logger = new SimLogger();
  return CertificateAuthority.open({ secrets: openSecrets(path, { logger }), clock, logger, host: "test-host" });
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-pki-"));
  authority = await authorityIn(join(folder, "secrets"), realClock);
});
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function refused(code: string, says: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTidewireError(error), String(error));
    assert.deepEqual([error.code, says.test(error.message)], [code, true], error.message);
    return true;
  };
}

describe("the certificate authority", () => {
  test("is an EC P-256 root for ten years, with an issuing CA below it", () => {
    const certificate = new X509Certificate(authority.certificatePem);
    assert.equal(certificate.ca, true);
    assert.match(certificate.subject, /^CN=Tidewire CA test-host [0-9a-f]{8}$/);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    assert.equal(certificate.validToDate.getTime() - certificate.validFromDate.getTime(), days(3651));
    assert.ok(certificate.verify(certificate.publicKey));
  });

  test(
    "openssl accepts its chain, the server's and the devices' certificates, each for its purpose only",
    openssl,
    async () => {
      const ca = file("ca.pem", authority.certificatePem);
      const issuing = file("issuing.pem", authority.issuingChain.join(""));
      const server = file("server.pem", (await authority.serverCertificate(LOCAL)).chainPem);
      const device = file("device.pem", (await authority.createDeviceKeyAndCertificate("dev:1")).certificatePem);
      const verify = (purpose: string, path: string): number | null =>
        spawnSync("openssl", [
          "verify",
          "-x509_strict",
          "-purpose",
          purpose,
          "-CAfile",
          ca,
          "-untrusted",
          issuing,
          path,
        ]).status;
      assert.equal(verify("sslserver", server), 0);
      assert.equal(verify("sslclient", device), 0);
      assert.notEqual(verify("sslclient", server), 0);
      assert.notEqual(verify("sslserver", device), 0);
      const text = execFileSync("openssl", ["x509", "-in", ca, "-noout", "-text"]).toString();
      assert.match(text, /X509v3 Basic Constraints: critical\s+CA:TRUE\n/);
      assert.match(text, /X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign/);
      assert.match(text, /X509v3 Subject Key Identifier/);
      const below = execFileSync("openssl", ["x509", "-in", issuing, "-noout", "-text"]).toString();
      assert.match(below, /X509v3 Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
      assert.match(below, /X509v3 Authority Key Identifier/);
    },
  );

  for (const [title, now, says] of [
    ["in 1970, as on a board without a clock battery", 0, /says 1970-01-01.*before this version/],
    ["in the year 2150", Date.UTC(2150, 0, 1), /too far in the future/],
    ["before the CA was made", SIM_EPOCH + days(1), /before the certificate authority was made/],
    ["after the CA's end", SIM_EPOCH + days(4000), /after the certificate authority's end/],
  ] as const) {
    test(`a clock ${title} is refused with a sentence`, async () => {
      const path = join(folder, `clock-${now}`);
      await authorityIn(path, new SimClock(SIM_EPOCH + days(100)));
      await assert.rejects(authorityIn(path, new SimClock(now)), refused("CLOCK_IMPLAUSIBLE", says));
    });
  }

  test("a second start with everything in place loads no certificate library", async () => {
    await authority.serverCertificate(LOCAL);
    const program = `
      import { openSecrets } from ${JSON.stringify(join(import.meta.dirname, "../secrets/secrets.ts"))};
      import { CertificateAuthority, serverNames } from ${JSON.stringify(join(import.meta.dirname, "mod.ts"))};
      const none = () => {};
      const logger = { debug: none, info: none, warn: none, error: none, child: () => logger };
      const clock = { now: () => Date.now(), monotonic: () => performance.now() };
      const secrets = openSecrets(${JSON.stringify(join(folder, "secrets"))}, { logger });
      const authority = await CertificateAuthority.open({ secrets, clock, logger });
      const { isNew } = await authority.serverCertificate(${JSON.stringify(LOCAL)});
      // reflect-metadata puts its functions on Reflect when it is loaded
      process.stdout.write(JSON.stringify({ isNew, loaded: "getMetadata" in Reflect }));`;
    const run = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", program], { encoding: "utf8" });
    assert.deepEqual(JSON.parse(run.stdout || run.stderr), { isNew: false, loaded: false });
  });
});

describe("the server's certificate", () => {
  test("names what was asked for, and is kept until something is missing or a third of its life is left", async () => {
    const clock = new SimClock();
    const own = await authorityIn(join(folder, "server-life"), clock);
    const first = await own.serverCertificate(LOCAL);
    assert.equal(first.isNew, true);
    const certificate = new X509Certificate(first.chainPem);
    assert.equal(certificate.checkHost("localhost"), "localhost");
    assert.equal(certificate.checkIP("::1"), "::1");
    assert.equal(certificate.validToDate.getTime() - certificate.validFromDate.getTime(), days(397));
    assert.equal((await own.serverCertificate({ names: [], addresses: ["::1"] })).isNew, false);

    clock.advance(first.renewAt - clock.now() - 1);
    assert.equal((await own.serverCertificate(LOCAL)).isNew, false);
    clock.advance(1);
    const second = await own.serverCertificate(LOCAL);
    assert.deepEqual([second.isNew, second.keyPem], [true, first.keyPem]);
    assert.ok(second.notAfter > first.notAfter + days(200));

    const third = await own.serverCertificate({ names: ["localhost", "broker.example"], addresses: ["192.0.2.5"] });
    assert.deepEqual([third.isNew, new X509Certificate(third.chainPem).checkIP("192.0.2.5")], [true, "192.0.2.5"]);
    const serials = [first, second, third].map(({ chainPem }) => new X509Certificate(chainPem).serialNumber);
    assert.equal(new Set(serials).size, 3);
  });

  test("never outlives the CA", async () => {
    const clock = new SimClock();
    const own = await authorityIn(join(folder, "ca-end"), clock);
    clock.advance(days(3630));
    assert.equal((await own.serverCertificate(LOCAL)).notAfter, own.notAfter);
    const device = await own.createDeviceKeyAndCertificate("dev");
    assert.equal(device.facts.notAfter, own.notAfter);
  });

  test("is asked for with the names and addresses of this machine", () => {
    const { names, addresses } = serverNames(["Broker.Example", "10.9.8.7", "bad name", "localhost"]);
    assert.ok(names.includes("localhost") && names.includes("broker.example"));
    assert.equal(names.length, new Set(names).size);
    assert.ok(!names.includes("bad name"));
    assert.ok(["127.0.0.1", "::1", "10.9.8.7"].every((address) => addresses.includes(address)));
    assert.ok(["a.b", "*.a.b", "my_host", "x"].every(isDnsName));
    assert.ok(
      ["", "a..b", "-a", "a b", "a.*", `${"x".repeat(64)}.b`, "a".repeat(254)].every((name) => !isDnsName(name)),
    );
  });
});

describe("device certificates", () => {
  test("from a request: its own key, the thing's name, thirty days, client only", async () => {
    const { csrPem, privateKeyPem } = await createKeyAndCsr("asked-for");
    const { certificatePem, facts } = await authority.issueDeviceCertificate({ csrPem, thing: "dev:1" });
    const certificate = new X509Certificate(certificatePem);
    assert.ok(certificate.checkPrivateKey(createPrivateKey(privateKeyPem)));
    assert.match(privateKeyPem, /^-----BEGIN PRIVATE KEY-----/);
    assert.deepEqual(facts.subject, { CommonName: ["dev:1"] });
    assert.match(facts.issuer["CommonName"]?.[0] ?? "", /^Tidewire Issuing CA/);
    assert.equal(facts.certificateId, readCertificate(certificatePem).certificateId);
    assert.match(facts.certificateId, /^[0-9a-f]{64}$/);
    assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
    assert.equal(certificate.ca, false);
    assert.ok(facts.notAfter - Date.now() > days(29) && facts.notAfter - Date.now() < days(31));
    assert.ok(authority.issued(certificatePem));
    assert.ok(!authority.issued("no certificate"));
  });

  test("without a thing the request's common name is taken where it could be a thing's name", async () => {
    const named = await createKeyAndCsr("dev-7");
    const odd = await createKeyAndCsr("dev/+/#, O=Evil");
    const nameOf = async (csrPem: string): Promise<unknown> =>
      (await authority.issueDeviceCertificate({ csrPem })).facts.subject;
    assert.deepEqual(await nameOf(named.csrPem), { CommonName: ["dev-7"] });
    assert.deepEqual(await nameOf(odd.csrPem), { CommonName: ["Tidewire Device"] });
    const { facts } = await authority.createDeviceKeyAndCertificate();
    assert.deepEqual(facts.subject, { CommonName: ["Tidewire Device"] });
  });

  test("the longest thing name is 128 characters; its certificate verifies all the same", openssl, async () => {
    const thing = "x".repeat(128);
    const { certificatePem, facts } = await authority.createDeviceKeyAndCertificate(thing);
    assert.deepEqual(facts.subject, { CommonName: [thing] });
    const ca = file("ca-long.pem", authority.clientCas.join(""));
    const device = file("long.pem", certificatePem);
    const verified = spawnSync("openssl", ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", ca, device]);
    assert.equal(verified.status, 0, String(verified.stderr));
  });

  test("lifetimes outside of 1 to 3650 days are refused", async () => {
    const { csrPem } = await createKeyAndCsr("dev");
    for (const lifeDays of [0, -1, 1.5, 3651, Number.NaN]) {
      const issuing = authority.issueDeviceCertificate({ csrPem, thing: "dev", days: lifeDays });
      await assert.rejects(issuing, refused("REQUEST_INVALID", /1 to 3650 days/));
    }
  });

  const requestWith = (name: string, ...keyArguments: string[]): string => {
    const key = join(folder, `${name}.key`);
    execFileSync("openssl", ["genpkey", ...keyArguments, "-out", key], { stdio: "ignore" });
    return execFileSync("openssl", ["req", "-new", "-key", key, "-subj", "/CN=dev"]).toString();
  };
  for (const [name, keyArguments] of [
    ["P-384", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]],
    ["Ed25519", ["-algorithm", "ED25519"]],
    ["RSA 2048", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]],
  ] as const) {
    test(`openssl's request for a key of type ${name} is accepted`, openssl, async () => {
      const csrPem = requestWith(name, ...keyArguments);
      const { certificatePem } = await authority.issueDeviceCertificate({ csrPem, thing: "dev" });
      assert.ok(authority.issued(certificatePem));
    });
  }

  for (const [name, says, keyArguments] of [
    ["RSA 1024", /2048 to 4096 bits, not 1024/, ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]],
    ["P-521", /secp521r1 is not P-256 or P-384/, ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]],
    ["P-192", /not P-256 or P-384|cannot be read/, ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime192v1"]],
    [
      "RSA with exponent 3",
      /exponent/,
      ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"],
    ],
  ] as const) {
    test(`a request for a key of type ${name} is refused`, openssl, async () => {
      const csrPem = requestWith(name, ...keyArguments);
      const issuing = authority.issueDeviceCertificate({ csrPem, thing: "dev" });
      await assert.rejects(issuing, refused("CERTIFICATE_REFUSED", says));
    });
  }

  test("a request whose sender does not hold the key is refused, as is every damaged one", async () => {
    const { csrPem } = await createKeyAndCsr("dev");
    const der = Buffer.from(csrPem.replace(/-----[^-]+-----|\s/g, ""), "base64");
    const pem = (bytes: Buffer): string =>
      `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    assert.ok(await authority.issueDeviceCertificate({ csrPem: pem(der), thing: "dev" }));
    const other = Buffer.from(
      generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" }),
    );
    const point = other.subarray(other.length - 64);
    const at = der.indexOf(Buffer.from([0x03, 0x42, 0x00, 0x04])) + 4;
    const stolen = Buffer.concat([der.subarray(0, at), point, der.subarray(at + 64)]);
    await assert.rejects(
      authority.issueDeviceCertificate({ csrPem: pem(stolen), thing: "dev" }),
      refused("CERTIFICATE_REFUSED", /signature does not fit/),
    );
    for (let length = 0; length < der.length; length += 7) {
      const issuing = authority.issueDeviceCertificate({ csrPem: pem(der.subarray(0, length)), thing: "dev" });
      await assert.rejects(issuing, refused("CERTIFICATE_REFUSED", /./), `cut at ${length}`);
    }
    for (const wrong of ["", "x", authority.certificatePem, `${csrPem}${"x".repeat(20_000)}`]) {
      await assert.rejects(
        authority.issueDeviceCertificate({ csrPem: wrong, thing: "dev" }),
        refused("CERTIFICATE_REFUSED", /./),
      );
    }
  });
});

describe("reading certificates", () => {
  test("several values and all names that policies know", openssl, () => {
    const subject =
      "/C=CH/ST=Bern/O=Example Corp/O=AnyCompany/OU=a, b/CN=x=y/serialNumber=12/title=t/SN=s/GN=g/initials=i/dnQualifier=q";
    const pem = execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-subj",
        subject,
      ],
      { stdio: ["ignore", "pipe", "ignore"] },
    ).toString();
    assert.deepEqual(readCertificate(pem).subject, {
      Country: ["CH"],
      State: ["Bern"],
      Organization: ["Example Corp", "AnyCompany"],
      OrganizationalUnit: ["a, b"],
      CommonName: ["x=y"],
      SerialNumber: ["12"],
      Title: ["t"],
      Surname: ["s"],
      GivenName: ["g"],
      Initials: ["i"],
      DistinguishedNameQualifier: ["q"],
    });
  });

  test("what is no certificate is refused", () => {
    for (const wrong of ["", "x", authority.certificatePem.slice(0, 200), new Uint8Array(3)]) {
      assert.throws(() => readCertificate(wrong), refused("CERTIFICATE_REFUSED", /not a certificate/));
    }
  });
});

describe("a real TLS handshake", () => {
  const shake = async (
    device: { key?: string; cert?: string },
    version: "TLSv1.2" | "TLSv1.3",
  ): Promise<string | null> => {
    const { keyPem, chainPem } = await authority.serverCertificate(LOCAL);
    const server = createServer({
      key: keyPem,
      cert: chainPem,
      ca: [...authority.clientCas],
      requestCert: true,
      rejectUnauthorized: true,
    });
    const id = new Promise<string | null>((resolve) => {
      server.on("secureConnection", (socket: TLSSocket) => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256.replaceAll(":", "").toLowerCase() ?? null);
        socket.end();
      });
      server.on("tlsClientError", () => resolve(null));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const client = connect({
      ...device,
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: authority.certificatePem,
      minVersion: version,
      maxVersion: version,
    });
    client.on("error", () => {}); // the server's refusal reaches a TLS 1.3 client after its handshake
    const closed = new Promise((resolve) => client.on("close", resolve));
    client.resume();
    const found = await id;
    client.destroy();
    await closed;
    await new Promise((resolve) => server.close(resolve));
    return found;
  };

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    test(`${version}: our device is let in and known by its certificate id, others are not`, async () => {
      const device = await authority.createDeviceKeyAndCertificate("dev:1");
      assert.equal(
        await shake({ key: device.privateKeyPem, cert: device.certificatePem }, version),
        device.facts.certificateId,
      );
      assert.equal(await shake({}, version), null);
      const stranger = await (
        await authorityIn(join(folder, `stranger-${version}`), realClock)
      ).createDeviceKeyAndCertificate("dev:1");
      assert.equal(await shake({ key: stranger.privateKeyPem, cert: stranger.certificatePem }, version), null);
      const server = await authority.serverCertificate(LOCAL);
      assert.equal(
        await shake({ key: server.keyPem, cert: server.chainPem }, version),
        null,
        "a server's certificate is no client's",
      );
    });
  }
});
