/**
 * `identity.json` in the agent's data folder: the key and certificate that the agent has obtained itself, those that it is
 * about to take, and the roots that the platform has named. One file, replaced as a whole.
 */
import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { EpochMs } from "../base/mod.ts";
import { reasonOf } from "../base/mod.ts";
import { removeTemporaryFiles, writeAtomically } from "./secrets/atomic-file.ts";

const FILE = "identity.json";

export interface KeyAndCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly notBefore: EpochMs;
  readonly notAfter: EpochMs;
}

/** `state` is the caller's; every pair in it has been checked to belong together. */
export type IdentityFile<State> =
  | { readonly kind: "none" }
  | { readonly kind: "found"; readonly content: State }
  /** It was moved aside. */
  | { readonly kind: "damaged"; readonly movedTo: string; readonly reason: string };

export function readIdentity<State>(folder: string, pairsOf: (state: State) => readonly KeyAndCertificate[]) {
  removeTemporaryFiles(folder);
  let text: string;
  try {
    text = readFileSync(join(folder, FILE), "utf8");
  } catch {
    return { kind: "none" } satisfies IdentityFile<State>;
  }
  try {
    const { version, content } = JSON.parse(text) as { version: number; content: State };
    if (version !== 1) throw new Error(`its version is ${version}`);
    for (const { certificatePem, privateKeyPem } of pairsOf(content)) pairOf(certificatePem, privateKeyPem);
    return { kind: "found", content } satisfies IdentityFile<State>;
  } catch (error) {
    const movedTo = join(folder, `${FILE}.damaged`);
    renameSync(join(folder, FILE), movedTo);
    return { kind: "damaged", movedTo, reason: reasonOf(error) } satisfies IdentityFile<State>;
  }
}

/** On disk, mode 0600, when it returns. */
export function writeIdentity(folder: string, content: unknown): void {
  writeAtomically(folder, FILE, `${JSON.stringify({ version: 1, content }, null, 2)}\n`);
}

/** Throws where they do not belong together. */
export function pairOf(certificatePem: string, privateKeyPem: string): KeyAndCertificate {
  const certificate = new X509Certificate(certificatePem);
  if (!certificate.checkPrivateKey(createPrivateKey(privateKeyPem))) throw new Error("key and certificate do not fit");
  const notBefore = certificate.validFromDate.getTime();
  return { certificatePem, privateKeyPem, notBefore, notAfter: certificate.validToDate.getTime() };
}

export function newDeviceKey(): string {
  return String(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }));
}

/** The public half, and a signature that binds it to the certificate that is renewed. */
export function renewalRequest(certificatePem: string, nextKeyPem: string) {
  const key = createPrivateKey(nextKeyPem);
  const publicKey = String(createPublicKey(key).export({ type: "spki", format: "pem" }));
  const { fingerprint256 } = new X509Certificate(certificatePem);
  return { publicKey, proof: sign("sha256", renewalProof(fingerprint256, publicKey), key).toString("base64") };
}

/** What is signed: the certificate's SHA-256 in hexadecimal, and the new public key as it is sent. */
export function renewalProof(fingerprint256: string, publicKeyPem: string): Buffer {
  return Buffer.from(`tidewire renewal\n${fingerprint256.replaceAll(":", "").toLowerCase()}\n${publicKeyPem}`);
}

/** Whether one of the certificates in `pem` is among those in `others`. */
export function sharesCertificate(pem: string, others: string): boolean {
  const all = new Set(fingerprintsOf(others));
  return fingerprintsOf(pem).some((one) => all.has(one));
}

function fingerprintsOf(pem: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  // By key: a root may be written anew for the same key.
  return blocks.map((block) => {
    const { publicKey } = new X509Certificate(block);
    return publicKey.export({ type: "spki", format: "der" }).toString("base64");
  });
}
