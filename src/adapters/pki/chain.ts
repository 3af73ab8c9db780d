/**
 * Whether a chain leads from a device's certificate to a CA that is trusted here (RFC 5280 section 6, as far as devices have
 * it): for registering certificates of others' CAs, and for the CAs themselves. TLS verifies once more by itself.
 */
import { X509Certificate } from "node:crypto";
import type { EpochMs } from "../../base/mod.ts";
import { loadX509 } from "./x509.ts";
import type { X509Module } from "./x509.ts";

export interface ChainQuestion {
  /** PEM or DER. */
  readonly certificate: string | Uint8Array;
  /** What the device sent along, PEM or DER; in any order. */
  readonly others?: readonly (string | Uint8Array)[];
  /** PEM of the CAs that are trusted; they need not be self-signed. */
  readonly anchors: readonly string[];
  readonly now: EpochMs;
}

/** `anchor`: the SHA-256 of the CA at which the chain ended. */
export type ChainVerdict =
  | { readonly ok: true; readonly anchor: string }
  | { readonly ok: false; readonly reason: string };

const CHAIN_LENGTH_MAX = 10;
const CERTIFICATE_BYTES_MAX = 64 * 1024;
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const ANY_USAGE = "2.5.29.37.0";

type Parsed = InstanceType<X509Module["X509Certificate"]>;

export async function checkChain({ certificate, others = [], anchors, now }: ChainQuestion): Promise<ChainVerdict> {
  const x509 = await loadX509();
  if (others.length > CHAIN_LENGTH_MAX) return no(`the chain has more than ${CHAIN_LENGTH_MAX} certificates`);
  if ([certificate, ...others].some((one) => one.length > CERTIFICATE_BYTES_MAX))
    return no("a certificate is too large");
  let leaf: X509Certificate;
  let between: readonly X509Certificate[];
  try {
    leaf = new X509Certificate(certificate);
    between = others.map((one) => new X509Certificate(one));
  } catch {
    return no("a certificate cannot be read");
  }
  const trusted = anchors.map((pem) => new X509Certificate(pem));
  const fault = timeFault(leaf, now, "the certificate") ?? leafFault(x509, leaf);
  if (fault !== null) return no(fault);
  let current = leaf;
  for (let depth = 0; depth <= CHAIN_LENGTH_MAX; depth++) {
    // Registered as a CA without being its own issuer: trusted as it stands.
    const anchor = issuerOf(current, trusted);
    const next = anchor ?? issuerOf(current, between);
    if (next === undefined) {
      const selfSigned = current.subject === current.issuer && verifies(current, current);
      return no(
        selfSigned ? "it is self-signed by nobody who is known here" : "it was signed by a CA that is not known here",
      );
    }
    const broken = timeFault(next, now, "a CA's certificate") ?? caFault(x509, next, depth);
    if (broken !== null) return no(broken);
    if (anchor !== undefined) return { ok: true, anchor: anchor.fingerprint256.replaceAll(":", "").toLowerCase() };
    current = next;
  }
  return no(`the chain has more than ${CHAIN_LENGTH_MAX} certificates`);
}

/**
 * Whether who registers a CA has its key (AWS IoT's procedure): it signed a certificate whose common name is the registration
 * code. Throws nothing; the reason is a clause.
 */
export async function checkVerification(question: {
  readonly caPem: string;
  readonly verificationPem: string;
  readonly registrationCode: string;
  readonly now: EpochMs;
}): Promise<ChainVerdict> {
  const { caPem, verificationPem, registrationCode, now } = question;
  const fault = await caCertificateFault(caPem, now);
  if (fault !== null) return no(fault);
  const ca = new X509Certificate(caPem);
  let proof: X509Certificate;
  try {
    proof = new X509Certificate(verificationPem);
  } catch {
    return no("the verification certificate cannot be read");
  }
  if (proof.issuer !== ca.subject || !verifies(proof, ca))
    return no("the verification certificate was not signed by the CA");
  const late = timeFault(proof, now, "the verification certificate");
  if (late !== null) return no(late);
  const { CN } = proof.toLegacyObject().subject as { readonly CN?: string | readonly string[] };
  if (CN !== registrationCode) return no("the verification certificate's common name is not the registration code");
  return { ok: true, anchor: ca.fingerprint256.replaceAll(":", "").toLowerCase() };
}

/** Why a certificate is not that of a CA which may sign devices now, or null. */
export async function caCertificateFault(caPem: string, now: EpochMs): Promise<string | null> {
  const x509 = await loadX509();
  let ca: X509Certificate;
  try {
    ca = new X509Certificate(caPem);
  } catch {
    return "the CA's certificate cannot be read";
  }
  return timeFault(ca, now, "the CA's certificate") ?? caFault(x509, ca, 0);
}

function issuerOf(certificate: X509Certificate, of: readonly X509Certificate[]): X509Certificate | undefined {
  // Not checkIssued: it is silent about CAs that may not sign, and they deserve their own sentence.
  return of.find((ca) => ca.subject === certificate.issuer && verifies(certificate, ca));
}

function verifies(certificate: X509Certificate, ca: X509Certificate): boolean {
  try {
    return certificate.verify(ca.publicKey);
  } catch {
    return false; // a key of another kind
  }
}

function timeFault(certificate: X509Certificate, now: EpochMs, what: string): string | null {
  const [from, until] = [certificate.validFromDate, certificate.validToDate];
  if (now > until.getTime()) return `${what} expired on ${until.toISOString().slice(0, 10)}`;
  return now < from.getTime() ? `${what} is valid from ${from.toISOString().slice(0, 10)} only` : null;
}

function leafFault(x509: X509Module, certificate: X509Certificate): string | null {
  const parsed = new x509.X509Certificate(certificate.raw);
  const usages = parsed.getExtension(x509.ExtendedKeyUsageExtension)?.usages.map(String);
  if (usages !== undefined && !usages.includes(CLIENT_AUTH) && !usages.includes(ANY_USAGE)) {
    return "the certificate is not for clients (its extended key usage lacks clientAuth)";
  }
  return lacks(x509, parsed, x509.KeyUsageFlags.digitalSignature)
    ? "the certificate's key may not sign (its key usage lacks digitalSignature)"
    : null;
}

/** `below`: CAs between it and the device. */
function caFault(x509: X509Module, certificate: X509Certificate, below: number): string | null {
  const parsed = new x509.X509Certificate(certificate.raw);
  const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
  if (constraints?.ca !== true) return "a certificate in the chain is not a CA's (basic constraints)";
  if (constraints.pathLength !== undefined && below > constraints.pathLength) {
    return `a CA allows ${constraints.pathLength} CA(s) below it, and there are ${below}`;
  }
  return lacks(x509, parsed, x509.KeyUsageFlags.keyCertSign)
    ? "a CA may not sign certificates (its key usage lacks keyCertSign)"
    : null;
}

function lacks(x509: X509Module, certificate: Parsed, flag: number): boolean {
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages;
  return usages !== undefined && (usages & flag) === 0;
}

function no(reason: string): ChainVerdict {
  return { ok: false, reason };
}
