/** A CA, a server certificate and device certificates, made for one test run. */
import { createHash, webcrypto } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { X509Certificate } from "@peculiar/x509";

export interface Identity {
  readonly key: string;
  readonly cert: string;
  /** Files of both, for programs. */
  readonly keyPath: string;
  readonly certPath: string;
  readonly certificateId: string;
}

export interface Pki {
  readonly ca: string;
  readonly caPath: string;
  /** For localhost and 127.0.0.1, from a day ago to `validUntil`, by default tomorrow. */
  issue(name: string, validUntil?: Date): Promise<Identity>;
  /** A CA whose certificate this one issued; `isCa` false: one that only behaves so. */
  below(name: string, options?: { validUntil?: Date; isCa?: boolean }): Promise<Pki>;
  remove(): Promise<void>;
}

const KEY = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

/** A name and the keys that belong to it. */
interface Issuer {
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export async function makePki(caName = "test CA"): Promise<Pki> {
  await import("reflect-metadata"); // must be there before the first decorator of the library runs
  const { cryptoProvider } = await import("@peculiar/x509");
  cryptoProvider.set(webcrypto);
  const folder = await mkdtemp(join(tmpdir(), "tidewire-pki-"));
  const own = await newIssuer(caName);
  return pkiOf(folder, own, await certificateOf(own, own, new Date(Date.now() + DAY_MS), true));
}

async function newIssuer(name: string): Promise<Issuer> {
  return { subject: `CN=${name}`, keys: await webcrypto.subtle.generateKey(KEY, true, ["sign", "verify"]) };
}

async function certificateOf(whose: Issuer, by: Issuer, notAfter: Date, isCa: boolean): Promise<X509Certificate> {
  const { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } =
    await import("@peculiar/x509");
  const names = [
    { type: "dns", value: "localhost" },
    { type: "ip", value: "127.0.0.1" },
  ] as const;
  return X509CertificateGenerator.create({
    subject: whose.subject,
    issuer: by.subject,
    signingKey: by.keys.privateKey,
    publicKey: whose.keys.publicKey,
    notBefore: new Date(Date.now() - 2 * DAY_MS),
    notAfter,
    signingAlgorithm: KEY,
    extensions: [
      isCa ? new BasicConstraintsExtension(true, undefined, true) : new SubjectAlternativeNameExtension([...names]),
    ],
  });
}

async function pkiOf(folder: string, own: Issuer, certificate: X509Certificate): Promise<Pki> {
  const { PemConverter } = await import("@peculiar/x509");
  const tomorrow = new Date(Date.now() + DAY_MS);
  const ca = certificate.toString("pem");
  const caPath = join(folder, "ca.crt");
  await writeFile(caPath, ca);
  return {
    ca,
    caPath,
    issue: async (name, validUntil = tomorrow) => {
      const device = await newIssuer(name);
      const issued = await certificateOf(device, own, validUntil, false);
      const cert = issued.toString("pem");
      const key = PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", device.keys.privateKey), "PRIVATE KEY");
      const [keyPath, certPath] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
      await writeFile(keyPath, key);
      await writeFile(certPath, cert);
      const certificateId = createHash("sha256").update(new Uint8Array(issued.rawData)).digest("hex");
      return { key, cert, keyPath, certPath, certificateId };
    },
    below: async (name, { validUntil = tomorrow, isCa = true } = {}) => {
      const next = await newIssuer(name);
      const inside = await mkdtemp(join(folder, "below-"));
      return pkiOf(inside, next, await certificateOf(next, own, validUntil, isCa));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
