import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { openSecrets } from "../secrets/secrets.ts";
import { CertificateAuthority } from "./authority.ts";
import { tokenPublicKey } from "./token.ts";
import type { LoadPkcs11, Pkcs11Library } from "./token.ts";

const MODULE = "/usr/lib/softhsm/libsofthsm2.so";
const PACKAGE = process.env["TIDEWIRE_PKCS11JS"];
const missing =
  PACKAGE === undefined
    ? "TIDEWIRE_PKCS11JS names no folder in which `npm install pkcs11js` ran"
    : existsSync(MODULE)
      ? false
      : "softhsm2 is not on this machine";

describe("an issuing CA whose key is on a token (SoftHSM)", { skip: missing }, () => {
  let folder: string;
  let load: LoadPkcs11;
  let uri: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tidewire-token-"));
    mkdirSync(join(folder, "tokens"));
    writeFileSync(join(folder, "softhsm.conf"), `directories.tokendir = ${join(folder, "tokens")}\n`);
    process.env["SOFTHSM2_CONF"] = join(folder, "softhsm.conf");
    writeFileSync(join(folder, "pin"), "1234\n");
    const run = (...args: string[]): void => {
      const { status, stderr } = spawnSync("softhsm2-util", args);
      assert.equal(status, 0, String(stderr));
    };
    run("--init-token", "--free", "--label", "tidewire", "--pin", "1234", "--so-pin", "5678");
    const pem = join(folder, "key.pem");
    spawnSync("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", pem]);
    run("--import", pem, "--token", "tidewire", "--label", "issuing", "--id", "01", "--pin", "1234");
    uri = `pkcs11:token=tidewire;object=issuing?module-path=${MODULE}&pin-source=${join(folder, "pin")}`;
    const { PKCS11 } = createRequire(join(PACKAGE!, "package.json"))("pkcs11js") as {
      PKCS11: new () => Pkcs11Library;
    };
    load = () => Promise.resolve(new PKCS11());
  });
  after(() => {
    delete process.env["SOFTHSM2_CONF"];
    rmSync(folder, { recursive: true });
  });

  test("signs devices' certificates and revocation lists; its key is in no file; it is found again at the next start", async () => {
    const open = (token: string | null): Promise<CertificateAuthority> => {
      const logger = new SimLogger();
      const secrets = openSecrets(join(folder, "secrets"), { logger });
      return CertificateAuthority.open({ secrets, clock: new SimClock(Date.now()), logger, token, loadToken: load });
    };
    await open(null);
    await (await open(uri)).rolloverIssuer();
    const text = readFileSync(join(folder, "secrets", "authority.json"), "utf8");
    assert.equal((JSON.parse(text) as { issuer: { key: string } }).issuer.key, uri);
    const authority = await open(null);
    const { certificatePem } = await authority.createDeviceKeyAndCertificate("dev");
    const issuing = new X509Certificate(authority.issuingChain[0]!);
    assert.ok(new X509Certificate(certificatePem).verify(issuing.publicKey));
    assert.ok(issuing.publicKey.equals(await tokenPublicKey(uri, load)));
    const [list] = await authority.revocationLists(() => []);
    const crl = join(folder, "list.pem");
    const ca = join(folder, "ca.pem");
    writeFileSync(crl, list!.pem);
    writeFileSync(ca, authority.clientCas.join(""));
    assert.match(String(spawnSync("openssl", ["crl", "-in", crl, "-CAfile", ca, "-noout"]).stderr), /verify OK/);
    await authority.rolloverIssuer();
    assert.ok(authority.issued(certificatePem));
  });

  test("a token that is gone, a wrong PIN, a key that is not there: one sentence", async () => {
    for (const [wrong, says] of [
      [uri.replace("token=tidewire", "token=other"), /no token named 'other'/],
      [uri.replace("object=issuing", "object=other"), /holds no public key 'other'/],
      [uri.replace(/pin-source=.*/, "pin-source=/none"), /ENOENT/],
      [uri.replace(/&pin-source=.*/, ""), /lacks pin-source/],
    ] as const) {
      await assert.rejects(tokenPublicKey(wrong, load), { code: "TOKEN_UNUSABLE", message: says });
    }
    writeFileSync(join(folder, "pin"), "9999");
    await assert.rejects(tokenPublicKey(uri, load), { code: "TOKEN_UNUSABLE", message: /PIN/ });
  });
});
