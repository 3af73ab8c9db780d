/** A certificate authority of somebody else, for what is registered. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { newDeviceKey } from "../../src/adapters/device-identity.ts";
import { loadX509 } from "../../src/adapters/pki/x509.ts";
import { days } from "../../src/base/mod.ts";

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Without `by` it signs itself. */
export async function makeCertificate(
  name: string,
  { by, ca = false }: { readonly by?: KeyPair; readonly ca?: boolean } = {},
): Promise<KeyPair> {
  const x509 = await loadX509();
  const key = newDeviceKey();
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const cryptoKey = (pem: string): ReturnType<KeyObject["toCryptoKey"]> =>
    createPrivateKey(pem).toCryptoKey(algorithm, true, ["sign"]);
  const issuer = by === undefined ? null : new x509.X509Certificate(by.cert);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: issuer?.subject ?? `CN=${name}`,
    notBefore: new Date(Date.now() - days(1)),
    notAfter: new Date(Date.now() + days(10)),
    publicKey: new x509.PublicKey(createPublicKey(key).export({ type: "spki", format: "der" })),
    signingKey: cryptoKey(by?.key ?? key),
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(ca, undefined, true)],
  });
  return { cert: `${certificate.toString("pem")}\n`, key };
}
