/** What EST servers answer with (RFC 7030): certificates in PKCS#7, and what a signing request should hold. */
import { loadX509 } from "./x509.ts";

/** RFC 5480 and RFC 5758. */
const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
const P256 = "1.2.840.10045.3.1.7";
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";

/** A "certs-only" message (RFC 5652 SignedData without signatures), DER. */
export async function certsOnly(pems: readonly string[]): Promise<Uint8Array> {
  const x509 = await loadX509();
  return new Uint8Array(new x509.X509Certificates(pems.map((pem) => new x509.X509Certificate(pem))).export("raw"));
}

/** RFC 7030 section 4.5.2: a key on P-256, and the request signed with SHA-256. */
export async function csrAttributes(): Promise<Uint8Array> {
  const { ObjectIdentifier, Sequence, Set: SetOf } = await import("asn1js");
  const oid = (value: string) => new ObjectIdentifier({ value });
  const curve = new Sequence({ value: [oid(EC_PUBLIC_KEY), new SetOf({ value: [oid(P256)] })] });
  return new Uint8Array(new Sequence({ value: [curve, oid(ECDSA_WITH_SHA256)] }).toBER());
}
