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

/** Kinds of alternative names as Node writes them → AWS IoT's names. */
const ALTERNATIVE_NAMES: Readonly<Record<string, string>> = {
  DNS: "DNSName",
  "IP Address": "IPAddress",
  URI: "UniformResourceIdentifier",
  email: "RFC822Name",
  DirName: "DirectoryName",
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
    subject: { ...nameOf(subject), ...alternativeNamesOf(certificate.subjectAltName) },
    issuer: nameOf(issuer),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

/** SHA-256 of the DER, 64 hex digits: AWS IoT's certificate id. */
export function certificateIdOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/**
 * From `DNS:a, URI:"b\u002c c"`: Node writes a value that could be mistaken as a JSON string. Nothing of a text that is not
 * of that form: half of it could let somebody in. Those of the issuer are not read; Node does not show them.
 */
function alternativeNamesOf(text: string | undefined): DistinguishedName {
  const names: Record<string, string[]> = {};
  if (text === undefined) return names;
  const entry = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text);
    if (match === null) return {};
    const [, kind = "", written = ""] = match;
    const known = ALTERNATIVE_NAMES[kind];
    if (known === undefined) continue;
    const value = written.startsWith('"') ? (JSON.parse(written) as string) : written;
    (names[`AlternativeName.${known}`] ??= []).push(known === "DirectoryName" ? withLowerCaseKeys(value) : value);
  }
  return names;
}

/** `CN=a,O=b` as AWS IoT has it: `cn=a,o=b`. */
function withLowerCaseKeys(name: string): string {
  return name.replace(/(?<=^|(?<!\\)[,+])[A-Za-z][A-Za-z0-9-]*(?==)/g, (key) => key.toLowerCase());
}

function nameOf(given: object | undefined): DistinguishedName {
  const name: Record<string, readonly string[]> = {};
  for (const [short, value] of Object.entries(given ?? {}) as [string, string | string[]][]) {
    const known = NAMES[short];
    if (known !== undefined) name[known] = Array.isArray(value) ? value : [value];
  }
  return name;
}
