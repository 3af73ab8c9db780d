/** A device's own key and its signing request, and the check of a stranger's. */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { LIMITS, TidewireError, reasonOf } from "../../base/mod.ts";
import { loadX509 } from "./x509.ts";

export const ECDSA_P256 = { name: "ECDSA", namedCurve: "P-256" };
export const ECDSA_SHA256 = { name: "ECDSA", hash: "SHA-256" };

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function newKeyPair(): KeyPair {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** PKCS#8. */
export function privateKeyPem(key: KeyObject): string {
  return String(key.export({ type: "pkcs8", format: "pem" }));
}

/** SubjectPublicKeyInfo. */
export function publicKeyPem(key: KeyObject): string {
  return String(key.export({ type: "spki", format: "pem" }));
}

/** Makes a key on this machine and a signing request for it; the key need never leave. */
export async function createKeyAndCsr(
  thing: string,
): Promise<{ readonly privateKeyPem: string; readonly csrPem: string }> {
  const x509 = await loadX509();
  const { privateKey, publicKey } = newKeyPair();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [thing] }],
    signingAlgorithm: ECDSA_SHA256,
    keys: {
      privateKey: privateKey.toCryptoKey(ECDSA_P256, true, ["sign"]),
      publicKey: publicKey.toCryptoKey(ECDSA_P256, true, ["verify"]),
    },
  });
  return { privateKeyPem: privateKeyPem(privateKey), csrPem: `${request.toString("pem")}\n` };
}

export interface SigningRequest {
  readonly publicKey: KeyObject;
  /** The common name that it asks for, where it could be a thing's name. */
  readonly commonName: string | null;
}

/**
 * Reads a signing request after its sender proved to hold the private key. Of what it asks for only the common name is
 * looked at; extensions are ours to decide. Throws CERTIFICATE_REFUSED.
 */
export async function readSigningRequest(csrPem: string): Promise<SigningRequest> {
  if (csrPem.length > LIMITS.identity.signingRequestBytesMax) throw refused("it is too large");
  if (!/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(csrPem))
    throw refused("it is not a PKCS#10 request in PEM form");
  const x509 = await loadX509();
  try {
    const request = new x509.Pkcs10CertificateRequest(csrPem);
    const key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: "der", type: "spki" });
    const fault = keyFault(key);
    if (fault !== null) throw refused(fault);
    if (!(await request.verify())) throw refused("its signature does not fit its key");
    const asked = request.subjectName.getField("CN")[0];
    return { publicKey: key, commonName: asked !== undefined && /^[a-zA-Z0-9:_-]{1,128}$/.test(asked) ? asked : null };
  } catch (error) {
    if (error instanceof TidewireError) throw error;
    throw refused(`it cannot be read (${reasonOf(error)})`, error);
  }
}

/** Why a public key is not good enough for a device, or `null`. */
export function keyFault(key: KeyObject): string | null {
  const { rsaBitsMin, rsaBitsMax } = LIMITS.identity;
  const details = key.asymmetricKeyDetails;
  const type = key.asymmetricKeyType;
  if (type === "ed25519") return null;
  if (type === "ec") {
    const curve = details?.namedCurve ?? "unknown";
    return curve === "prime256v1" || curve === "secp384r1" ? null : `the curve ${curve} is not P-256 or P-384`;
  }
  if (type !== "rsa") return `keys of type ${type ?? "unknown"} are not accepted; use P-256, P-384, Ed25519 or RSA`;
  const bits = details?.modulusLength ?? 0;
  if (bits < rsaBitsMin || bits > rsaBitsMax)
    return `an RSA key must have ${rsaBitsMin} to ${rsaBitsMax} bits, not ${bits}`;
  return (details?.publicExponent ?? 0n) < 65_537n ? "its RSA exponent is below 65537" : null;
}

function refused(reason: string, cause?: unknown): TidewireError {
  return new TidewireError("CERTIFICATE_REFUSED", { kind: "certificate signing request", reason }, { cause });
}
