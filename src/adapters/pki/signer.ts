/** Who holds a CA's private key: this process, or a token that signs for us. */
import { createPublicKey, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { ECDSA_P256, ECDSA_SHA256 } from "./device-key.ts";
import type { X509Module } from "./x509.ts";

/** ECDSA on P-256 with SHA-256, the only kind that our CAs sign with. */
export interface Signer {
  readonly publicKey: KeyObject;
  /** r ‖ s, 64 bytes, as Web Cryptography and PKCS#11 give it. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

export function localSigner(key: KeyObject): Signer {
  return {
    publicKey: createPublicKey(key),
    sign: (data) => Promise.resolve(sign("sha256", data, { key, dsaEncoding: "ieee-p1363" })),
  };
}

type Provider = NonNullable<Parameters<X509Module["X509CertificateGenerator"]["create"]>[1]>;

/** The library asks Web Cryptography for a signature; it gets the signer's instead, wherever the key is. */
export function signingWith(signer: Signer) {
  const subtle = {
    sign: (_algorithm: unknown, _key: unknown, data: ArrayBuffer) => signer.sign(new Uint8Array(data)),
    digest: (algorithm: "SHA-1", data: ArrayBuffer) => crypto.subtle.digest(algorithm, data),
  };
  const provider = { subtle, getRandomValues: crypto.getRandomValues.bind(crypto) } as unknown as Provider;
  const signingKey = signer.publicKey.toCryptoKey(ECDSA_P256, true, ["verify"]);
  return { signingKey, signingAlgorithm: ECDSA_SHA256, provider };
}
