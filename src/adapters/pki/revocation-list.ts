/** Certificate revocation lists (RFC 5280 section 5) of our issuing CAs. Our own listeners ask the registry instead. */
import { days } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { Issuer } from "./certificates.ts";
import { keyIdOf } from "./certificates.ts";
import { signingWith } from "./signer.ts";
import { loadX509 } from "./x509.ts";

export interface RevokedCertificate {
  readonly serialNumber: string;
  readonly revokedAt: EpochMs;
}

export interface RevocationList {
  /** Of the issuer's key. */
  readonly keyId: string;
  readonly der: Uint8Array;
  readonly pem: string;
}

/** A relying party that cannot reach us goes on for a week with the list that it has. */
const LIST_LIFE = days(7);
/** RFC 5280 section 5.2.3. */
const CRL_NUMBER = "2.5.29.20";

export async function revocationList(
  issuer: Issuer,
  revoked: readonly RevokedCertificate[],
  now: EpochMs,
): Promise<RevocationList> {
  const x509 = await loadX509();
  const { Integer } = await import("asn1js");
  const by = new x509.X509Certificate(issuer.certificate.raw);
  const { provider, ...signing } = signingWith(issuer.signer);
  // Rises with time, over restarts and restored backups too.
  const number = new Integer({ value: Math.floor(now / 1000) }).toBER();
  const list = await x509.X509CrlGenerator.create(
    {
      issuer: by.subjectName,
      thisUpdate: new Date(now),
      nextUpdate: new Date(now + LIST_LIFE),
      entries: revoked.map(({ serialNumber, revokedAt }) => ({ serialNumber, revocationDate: new Date(revokedAt) })),
      extensions: [
        new x509.Extension(CRL_NUMBER, false, number),
        await x509.AuthorityKeyIdentifierExtension.create(by.publicKey),
      ],
      ...signing,
    },
    provider,
  );
  const der = new Uint8Array(list.rawData);
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g)!;
  // The library writes "BEGIN CRL", which OpenSSL does not read.
  const pem = `-----BEGIN X509 CRL-----\n${lines.join("\n")}\n-----END X509 CRL-----\n`;
  return { keyId: keyIdOf(issuer.certificate.publicKey), der, pem };
}
