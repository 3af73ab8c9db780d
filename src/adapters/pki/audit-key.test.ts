import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { isTidewireError } from "../../base/mod.ts";
import { openSecrets } from "../secrets/secrets.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { checkpointVerifier, openAuditKey } from "./audit-key.ts";
import { CertificateAuthority } from "./authority.ts";
import { changePassphrase } from "./root-key.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tidewire-audit-key-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const logger = new SimLogger();
const secrets = (): Secrets => openSecrets(folder, { logger });
const path = (name: string): string => join(folder, name);
const isSealed = (): boolean => readFileSync(path("audit.key"), "utf8").includes("BEGIN ENCRYPTED PRIVATE KEY");

function failsWith(code: string, says: RegExp): (error: unknown) => boolean {
  return (error) => isTidewireError(error) && error.code === code && says.test(`${error.message} ${error.fix}`);
}

test("it is made once; what it signs verifies with audit.pub, and with nothing else", async () => {
  const made = await openAuditKey(secrets(), null);
  const again = await openAuditKey(secrets(), null);
  assert.deepEqual([made.isNew, again.isNew, again.key], [true, false, made.key]);
  assert.equal(again.publicKey, readFileSync(path("audit.pub"), "utf8"));
  const verify = checkpointVerifier([{ name: "audit.pub", pem: made.publicKey }]);
  const signature = again.sign("a text");
  assert.deepEqual(
    [
      verify(made.key, "a text", signature),
      verify(made.key, "another", signature),
      verify(made.key, "a text", "AAAA"),
      verify("0".repeat(64), "a text", signature),
    ],
    [true, false, false, null],
  );
});

test("with a passphrase it is encrypted, also where it lay open before, and goes along when the passphrase is changed", async () => {
  const open = await openAuditKey(secrets(), null);
  assert.equal(isSealed(), false);
  await CertificateAuthority.open({ secrets: secrets(), clock: new SimClock(), logger, host: "h", passphrase: null });
  const sealed = await openAuditKey(secrets(), "correct horse");
  assert.deepEqual([sealed.key, isSealed()], [open.key, true]);
  await changePassphrase({ secrets: secrets(), logger, passphrase: "correct horse" }, "battery staple");
  assert.equal((await openAuditKey(secrets(), "battery staple")).key, open.key);
  await assert.rejects(openAuditKey(secrets(), null), failsWith("CA_KEY_LOCKED", /audit\.key/));
  await assert.rejects(openAuditKey(secrets(), "correct horse"), failsWith("CA_PASSPHRASE_WRONG", /audit\.key/));
  await changePassphrase({ secrets: secrets(), logger, passphrase: "battery staple" }, null);
  assert.deepEqual([(await openAuditKey(secrets(), null)).key, isSealed()], [open.key, false]);
});

describe("it is never replaced where it is lost or damaged", () => {
  for (const [what, harm, says] of [
    ["the private key is missing", () => rmSync(path("audit.key")), /audit\.key.*missing.*delete both/s],
    ["it is no key", () => writeFileSync(path("audit.key"), "nonsense"), /audit\.key/],
    [
      "the public key is another's",
      () => {
        const { publicKey } = generateKeyPairSync("ed25519");
        writeFileSync(path("audit.pub"), publicKey.export({ type: "spki", format: "pem" }));
      },
      /audit\.pub.*does not fit/,
    ],
    [
      "it is of another kind",
      () => {
        const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
        writeFileSync(path("audit.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
      },
      /no Ed25519 key/,
    ],
  ] as const) {
    test(what, async () => {
      await openAuditKey(secrets(), null);
      harm();
      rmSync(path("checksums"));
      await assert.rejects(openAuditKey(secrets(), null), failsWith("SECRET_DAMAGED", says));
    });
  }
});

test("a file for --key that is none is told by its name: a private key, a certificate's, nonsense", async () => {
  await openAuditKey(secrets(), null);
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  for (const pem of [
    readFileSync(path("audit.key"), "utf8"),
    String(publicKey.export({ type: "spki", format: "pem" })),
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "",
  ])
    assert.throws(() => checkpointVerifier([{ name: "my.pub", pem }]), failsWith("REQUEST_INVALID", /my\.pub/));
});
