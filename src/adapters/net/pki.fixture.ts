/** A CA, a server certificate and device certificates, made for one test run. */
import { createHash, webcrypto } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
  remove(): Promise<void>;
}

const KEY = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export async function makePki(caName = "test CA"): Promise<Pki> {
  await import("reflect-metadata"); // must be there before the first decorator of the library runs
  const {
    BasicConstraintsExtension,
    PemConverter,
    SubjectAlternativeNameExtension,
    X509CertificateGenerator,
    cryptoProvider,
  } = await import("@peculiar/x509");
  cryptoProvider.set(webcrypto);
  const folder = await mkdtemp(join(tmpdir(), "tidewire-pki-"));
  const keys = await webcrypto.subtle.generateKey(KEY, true, ["sign", "verify"]);
  const notBefore = new Date(Date.now() - DAY_MS);
  const tomorrow = new Date(Date.now() + DAY_MS);
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${caName}`,
    keys,
    notBefore,
    notAfter: tomorrow,
    signingAlgorithm: KEY,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  const caPath = join(folder, "ca.crt");
  await writeFile(caPath, ca.toString("pem"));
  return {
    ca: ca.toString("pem"),
    caPath,
    issue: async (name, validUntil = tomorrow) => {
      const own = await webcrypto.subtle.generateKey(KEY, true, ["sign", "verify"]);
      const names = [
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
      ] as const;
      const certificate = await X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer: ca.subject,
        signingKey: keys.privateKey,
        publicKey: own.publicKey,
        notBefore,
        notAfter: validUntil,
        signingAlgorithm: KEY,
        extensions: [new SubjectAlternativeNameExtension([...names])],
      });
      const cert = certificate.toString("pem");
      const key = PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", own.privateKey), "PRIVATE KEY");
      const [keyPath, certPath] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
      await writeFile(keyPath, key);
      await writeFile(certPath, cert);
      const certificateId = createHash("sha256").update(new Uint8Array(certificate.rawData)).digest("hex");
      return { key, cert, keyPath, certPath, certificateId };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
