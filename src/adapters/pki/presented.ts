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
}

/** Exactly one certificate. Throws CERTIFICATE_INVALID. */
export function readPresented(text: string): PresentedCertificate {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length !== 1) throw invalid(`one certificate in PEM is needed, and there are ${blocks.length}`);
  const pem = `${blocks[0]}\n`;
  try {
    return { pem, facts: readCertificate(pem), isAuthority: new X509Certificate(pem).ca };
  } catch (error) {
    throw invalid("it is not a certificate in PEM form", error);
  }
}

function invalid(reason: string, cause?: unknown): TidewireError {
  return new TidewireError("CERTIFICATE_INVALID", { reason }, { cause });
}
