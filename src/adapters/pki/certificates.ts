/** What our CAs sign: roots, issuing CAs, one root by another, servers, devices. */
import { createHash, randomBytes } from "node:crypto";
import type { KeyObject, X509Certificate } from "node:crypto";
import { days, hours } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { ServerNames } from "./host-names.ts";
import { signingWith } from "./signer.ts";
import type { Signer } from "./signer.ts";
import { loadX509 } from "./x509.ts";
import type { X509Module } from "./x509.ts";

export interface Issuer {
  readonly certificate: X509Certificate;
  readonly signer: Signer;
}

export interface Validity {
  readonly from: EpochMs;
  readonly until: EpochMs;
}

type Extension = InstanceType<X509Module["Extension"]>;

/** A device whose clock is a little behind must not find our certificates "not yet valid". */
const BACKDATED = days(1);
const DEVICE_BACKDATED = hours(1);

export async function makeRoot(signer: Signer, host: string, { from, until }: Validity): Promise<string> {
  const x509 = await loadX509();
  const name = nameOf("Tidewire CA", host, signer.publicKey);
  return issue(x509, signer, signer.publicKey, {
    subject: name,
    issuer: name,
    from: from - BACKDATED,
    until,
    extensions: caExtensions(x509, undefined),
  });
}

/** `pathLength` 0: it signs servers and devices, and no further CAs. */
export async function makeIssuing(root: Issuer, publicKey: KeyObject, host: string, life: Validity): Promise<string> {
  const x509 = await loadX509();
  return signedBy(x509, root, publicKey, {
    subject: nameOf("Tidewire Issuing CA", host, publicKey),
    from: life.from - BACKDATED,
    until: life.until,
    extensions: caExtensions(x509, 0),
  });
}

/** The same root in the same name, signed by `former`: who trusts only that one trusts it as well. */
export async function crossSign(former: Issuer, root: X509Certificate, { from, until }: Validity): Promise<string> {
  const x509 = await loadX509();
  return signedBy(x509, former, root.publicKey, {
    subject: new x509.X509Certificate(root.raw).subjectName,
    from: from - BACKDATED,
    until: Math.min(until, root.validToDate.getTime()),
    extensions: caExtensions(x509, undefined),
  });
}

/** A root of an earlier Tidewire said that no CA may stand below it; the same key and name without that sentence. */
export async function withoutPathLength(root: Issuer): Promise<string> {
  const x509 = await loadX509();
  const name = new x509.X509Certificate(root.certificate.raw).subjectName;
  return issue(x509, root.signer, root.certificate.publicKey, {
    subject: name,
    issuer: name,
    from: root.certificate.validFromDate.getTime(),
    until: root.certificate.validToDate.getTime(),
    extensions: caExtensions(x509, undefined),
  });
}

/** Whether a CA certificate allows no CA below it. */
export async function endsPath(certificate: X509Certificate): Promise<boolean> {
  return (await pathLengthOf(certificate)) === 0;
}

/** The path length that a CA certificate allows below it; null where it does not say. */
export async function pathLengthOf(certificate: X509Certificate): Promise<number | null> {
  const x509 = await loadX509();
  const found = new x509.X509Certificate(certificate.raw).getExtension(x509.BasicConstraintsExtension);
  return found?.pathLength ?? null;
}

export async function makeServer(
  issuer: Issuer,
  publicKey: KeyObject,
  wanted: ServerNames,
  life: Validity,
): Promise<string> {
  const x509 = await loadX509();
  return signedBy(x509, issuer, publicKey, {
    subject: [{ CN: [wanted.names[0] ?? wanted.addresses[0] ?? "tidewire"] }],
    from: life.from - BACKDATED,
    until: life.until - BACKDATED,
    extensions: [
      ...endEntity(x509),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...wanted.names.map((value) => ({ type: "dns" as const, value })),
        ...wanted.addresses.map((value) => ({ type: "ip" as const, value })),
      ]),
    ],
  });
}

export async function makeDevice(
  issuer: Issuer,
  publicKey: KeyObject,
  commonName: string,
  life: Validity,
  crlUrls: readonly string[] = [],
): Promise<string> {
  const x509 = await loadX509();
  return signedBy(x509, issuer, publicKey, {
    subject: [{ CN: [commonName] }],
    from: life.from - DEVICE_BACKDATED,
    until: life.until,
    extensions: [
      ...endEntity(x509),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      ...(crlUrls.length === 0 ? [] : [new x509.CRLDistributionPointsExtension([...crlUrls])]),
    ],
  });
}

/** The first half of a certificate's SHA-256; names a CA in files, routes and logs. */
export function keyIdOf(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 8);
}

function nameOf(kind: string, host: string, publicKey: KeyObject): Subject {
  // RFC 5280 allows 64 characters; "Tidewire Issuing CA " and the id take 29.
  const shownHost = host.replace(/[^a-zA-Z0-9._-]/g, "").slice(0, 32);
  return [{ CN: [`${kind} ${shownHost} ${keyIdOf(publicKey)}`.replace("  ", " ")] }];
}

type Subject = NonNullable<Parameters<X509Module["X509CertificateGenerator"]["create"]>[0]["subject"]>;

interface Content {
  readonly subject: Subject;
  readonly from: EpochMs;
  readonly until: EpochMs;
  readonly extensions: readonly Extension[];
}

/** Lives no longer than its issuer. */
async function signedBy(x509: X509Module, issuer: Issuer, publicKey: KeyObject, of: Content): Promise<string> {
  const by = new x509.X509Certificate(issuer.certificate.raw);
  return issue(x509, issuer.signer, publicKey, {
    ...of,
    issuer: by.subjectName,
    from: Math.max(of.from, issuer.certificate.validFromDate.getTime()),
    until: Math.min(of.until, issuer.certificate.validToDate.getTime()),
    extensions: [...of.extensions, await x509.AuthorityKeyIdentifierExtension.create(by.publicKey)],
  });
}

async function issue(
  x509: X509Module,
  signer: Signer,
  publicKey: KeyObject,
  of: Content & { readonly issuer: Subject },
): Promise<string> {
  const spki = new x509.PublicKey(publicKey.export({ type: "spki", format: "der" }));
  const { provider, ...signing } = signingWith(signer);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: newSerialNumber(),
      subject: of.subject,
      issuer: of.issuer,
      notBefore: new Date(of.from),
      notAfter: new Date(of.until),
      publicKey: spki,
      ...signing,
      extensions: [...of.extensions, await x509.SubjectKeyIdentifierExtension.create(spki)],
    },
    provider,
  );
  return `${certificate.toString("pem")}\n`;
}

function caExtensions(x509: X509Module, pathLength: number | undefined): Extension[] {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ];
}

function endEntity(x509: X509Module): Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
  ];
}

/** 128 random bits; positive and never 0, as RFC 5280 section 4.1.2.2 wants. */
function newSerialNumber(): string {
  const bytes = randomBytes(17);
  bytes[0] = 1;
  return bytes.toString("hex");
}
