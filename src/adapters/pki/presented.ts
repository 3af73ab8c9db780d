/** Certificates that somebody else made and shows to us, to be registered. */
import { X509Certificate } from "node:crypto";
import { TidewireError } from "../../base/mod.ts";
import type { CertificateFacts } from "../../registry/mod.ts";
import { readCertificate } from "./facts.ts";

export interface PresentedCertificate {
  /** One certificate in PEM, without what stood around it. */
  readonly pem: string;
  readonly facts: CertificateFacts;
  readonly isAuthority: boolean;
  /** Whether this CA's key made its signature. */
  isSignedBy(ca: PresentedCertificate): boolean;
}

/** Exactly one certificate. Throws CERTIFICATE_INVALID. */
export function readPresented(text: string): PresentedCertificate {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length !== 1) throw invalid(`one certificate in PEM is needed, and there are ${blocks.length}`);
  const pem = `${blocks[0]!}\n`;
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    throw invalid("it is not a certificate in PEM form", error);
  }
  return {
    pem,
    facts: readCertificate(pem),
    isAuthority: certificate.ca,
    isSignedBy: (ca) => {
      const issuer = new X509Certificate(ca.pem);
      return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
    },
  };
}

function invalid(reason: string, cause?: unknown): TidewireError {
  return new TidewireError("CERTIFICATE_INVALID", { reason }, { cause });
}
