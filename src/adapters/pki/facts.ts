/** What a certificate says, read with `node:crypto`. */
import { X509Certificate } from "node:crypto";
import { TidewireError } from "../../base/mod.ts";
import type { CertificateFacts, DistinguishedName } from "../../registry/mod.ts";

/** OpenSSL's short names → AWS IoT's names. */
const NAMES: Readonly<Record<string, string>> = {
  CN: "CommonName",
  O: "Organization",
  OU: "OrganizationalUnit",
  C: "Country",
  ST: "State",
  serialNumber: "SerialNumber",
  dnQualifier: "DistinguishedNameQualifier",
  title: "Title",
  SN: "Surname",
  GN: "GivenName",
  initials: "Initials",
  pseudonym: "Pseudonym",
  generationQualifier: "GenerationQualifier",
};

/** PEM or DER. Throws CERTIFICATE_REFUSED where it is no certificate. */
export function readCertificate(pemOrDer: string | Uint8Array): CertificateFacts {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pemOrDer);
  } catch (error) {
    const details = { kind: "certificate", reason: "it is not a certificate in PEM form" };
    throw new TidewireError("CERTIFICATE_REFUSED", details, { cause: error });
  }
  const { subject, issuer } = certificate.toLegacyObject();
  return {
    certificateId: certificateIdOf(certificate),
    serialNumber: certificate.serialNumber,
    subject: nameOf(subject),
    issuer: nameOf(issuer),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

/** SHA-256 of the DER, 64 hex digits: AWS IoT's certificate id. */
export function certificateIdOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

function nameOf(given: object | undefined): DistinguishedName {
  const name: Record<string, readonly string[]> = {};
  for (const [short, value] of Object.entries(given ?? {}) as [string, string | string[]][]) {
    const known = NAMES[short];
    if (known !== undefined) name[known] = Array.isArray(value) ? value : [value];
  }
  return name;
}
