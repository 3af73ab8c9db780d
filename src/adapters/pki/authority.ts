/** Tidewire's own certificate authority over the files of `secrets`: makes itself, the server's and the devices' certificates. */
import { X509Certificate, createHash, createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { hostname } from "node:os";
import { LIMITS, TidewireError, days, hours } from "../../base/mod.ts";
import type { Clock, EpochMs, Logger, Millis } from "../../base/mod.ts";
import type { CertificateFacts } from "../../registry/mod.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { damaged } from "../secrets/secrets.ts";
import { ECDSA_P256, ECDSA_SHA256, newKeyPair, privateKeyPem, readSigningRequest, publicKeyPem } from "./device-key.ts";
import { readCertificate } from "./facts.ts";
import type { ServerNames } from "./host-names.ts";
import { loadX509 } from "./x509.ts";
import type { X509Module } from "./x509.ts";

export interface AuthorityOptions {
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For the CA's name; this machine's unless told otherwise. */
  readonly host?: string;
}

export interface ServerCertificate {
  readonly keyPem: string;
  /** The server's certificate followed by the CA's. */
  readonly chainPem: string;
  readonly notAfter: EpochMs;
  /** From then on `serverCertificate` makes a new one. */
  readonly renewAt: EpochMs;
  /** This call made it. */
  readonly isNew: boolean;
}

export interface DeviceCertificate {
  readonly certificatePem: string;
  readonly facts: CertificateFacts;
}

const CA_LIFE = days(3650);
/** Browsers and Apple's TLS refuse server certificates that live longer than 398 days. */
const SERVER_DAYS_MAX = 397;
const DEVICE_DAYS = 365;
/** The common name where nobody gave one; AWS IoT writes "AWS IoT Certificate". */
const NAMELESS = "Tidewire Device";
/** A device whose clock is a little behind must not find our certificates "not yet valid". */
const BACKDATED = days(1);
const DEVICE_BACKDATED = hours(1);

/** A clock outside of this is wrong: this code is from 2026, and our own CA lives ten years. */
const PLAUSIBLE_FROM = Date.UTC(2026, 0, 1);
const PLAUSIBLE_UNTIL = Date.UTC(2100, 0, 1);

export class CertificateAuthority {
  readonly #secrets: Secrets;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #certificate: X509Certificate;
  readonly #key: KeyObject;
  /** For device trust stores and for the TLS listeners' `ca`. */
  readonly certificatePem: string;
  readonly notAfter: EpochMs;

  private constructor(options: AuthorityOptions, certificatePem: string, keyPem: string) {
    this.#secrets = options.secrets;
    this.#clock = options.clock;
    this.#log = options.logger;
    this.certificatePem = certificatePem;
    this.#certificate = new X509Certificate(certificatePem);
    this.#key = createPrivateKey(keyPem);
    this.notAfter = this.#certificate.validToDate.getTime();
  }

  /** Makes the CA at first start. Throws CLOCK_IMPLAUSIBLE, SECRET_DAMAGED, SECRETS_UNUSABLE. */
  static async open(options: AuthorityOptions): Promise<CertificateAuthority> {
    const now = options.clock.now();
    if (now < PLAUSIBLE_FROM) throw implausible(now, "which is before this version of Tidewire was made");
    if (now >= PLAUSIBLE_UNTIL) throw implausible(now, "which is too far in the future");
    const { secrets } = options;
    let [keyPem, certificatePem] = [secrets.read("ca.key"), secrets.read("ca.crt")];
    if (keyPem === null || certificatePem === null) {
      if (keyPem === null) secrets.write("ca.key", (keyPem = privateKeyPem(newKeyPair().privateKey)));
      certificatePem = await makeAuthority(createPrivateKey(keyPem), now, options.host ?? hostname());
      secrets.write("ca.crt", certificatePem); // last: from now on the CA exists
      options.logger.info("made the certificate authority", {
        audit: true,
        id: readCertificate(certificatePem).certificateId,
      });
    }
    const authority = new CertificateAuthority(options, certificatePem, keyPem);
    authority.#check(now);
    return authority;
  }

  /**
   * The server's certificate: the one on disk while it names all that is wanted and has a third of its life left, else a
   * new one. The key stays the same, so that a crash between two files cannot leave a pair that does not fit.
   * Throws SECRET_DAMAGED where another CA issued the one on disk.
   */
  async serverCertificate(wanted: ServerNames, lifeDays: number = SERVER_DAYS_MAX): Promise<ServerCertificate> {
    const now = this.#clock.now();
    this.#check(now);
    const [existingKey, existing] = [this.#secrets.read("server.key"), this.#secrets.read("server.crt")];
    if (existingKey !== null && existing !== null) {
      const why = this.#renewalReason(new X509Certificate(existing), wanted, now);
      if (why === null) return this.#server(existingKey, existing, false);
      this.#log.info("renewing the server certificate", { reason: why });
    }
    const keyPem = existingKey ?? privateKeyPem(newKeyPair().privateKey);
    if (existingKey === null) this.#secrets.write("server.key", keyPem);
    const certificatePem = await this.#issueServer(
      createPublicKey(keyPem),
      wanted,
      now,
      Math.min(lifeDays, SERVER_DAYS_MAX),
    );
    this.#secrets.write("server.crt", certificatePem);
    return this.#server(keyPem, certificatePem, true);
  }

  /**
   * A certificate for a device that made its own key, in the name of `thing`. Without one the name that the request asks
   * for is taken, so leave it out only where whoever asks may name devices. Throws CERTIFICATE_REFUSED.
   */
  async issueDeviceCertificate(request: {
    readonly csrPem: string;
    readonly thing?: string | undefined;
    readonly days?: number | undefined;
  }): Promise<DeviceCertificate> {
    const { publicKey, commonName } = await readSigningRequest(request.csrPem);
    return this.#issueDevice(publicKey, request.thing ?? commonName ?? NAMELESS, request.days);
  }

  /** Key and certificate for a device that cannot make a key. The private key is not kept. */
  async createDeviceKeyAndCertificate(
    thing: string = NAMELESS,
    lifeDays?: number,
  ): Promise<DeviceCertificate & { readonly privateKeyPem: string; readonly publicKeyPem: string }> {
    const { privateKey, publicKey } = newKeyPair();
    const issued = await this.#issueDevice(publicKey, thing, lifeDays);
    return { ...issued, privateKeyPem: privateKeyPem(privateKey), publicKeyPem: publicKeyPem(publicKey) };
  }

  /** Whether our key signed it; for RegisterCertificate. Never throws. */
  issued(certificatePem: string): boolean {
    try {
      return new X509Certificate(certificatePem).verify(this.#certificate.publicKey);
    } catch {
      return false;
    }
  }

  async #issueDevice(publicKey: KeyObject, thing: string, lifeDays: number = DEVICE_DAYS): Promise<DeviceCertificate> {
    const { deviceCertificateDaysMax } = LIMITS.identity;
    if (!Number.isInteger(lifeDays) || lifeDays < 1 || lifeDays > deviceCertificateDaysMax) {
      const reason = `a certificate must live 1 to ${deviceCertificateDaysMax} days`;
      throw new TidewireError("REQUEST_INVALID", { reason });
    }
    const now = this.#clock.now();
    this.#check(now);
    const x509 = await loadX509();
    const certificatePem = await this.#sign(x509, publicKey, {
      commonName: thing,
      notBefore: now - DEVICE_BACKDATED,
      notAfter: now + days(lifeDays),
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      ],
    });
    const facts = readCertificate(certificatePem);
    this.#log.info("issued a device certificate", { audit: true, thing, certificateId: facts.certificateId });
    return { certificatePem, facts };
  }

  async #issueServer(publicKey: KeyObject, wanted: ServerNames, now: EpochMs, lifeDays: number): Promise<string> {
    const x509 = await loadX509();
    return this.#sign(x509, publicKey, {
      commonName: wanted.names[0] ?? wanted.addresses[0] ?? "tidewire",
      notBefore: now - BACKDATED,
      notAfter: now - BACKDATED + days(lifeDays),
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          ...wanted.names.map((value) => ({ type: "dns" as const, value })),
          ...wanted.addresses.map((value) => ({ type: "ip" as const, value })),
        ]),
      ],
    });
  }

  async #sign(
    x509: X509Module,
    publicKey: KeyObject,
    of: {
      readonly commonName: string;
      readonly notBefore: EpochMs;
      readonly notAfter: EpochMs;
      readonly extensions: readonly InstanceType<X509Module["Extension"]>[];
    },
  ): Promise<string> {
    const issuer = new x509.X509Certificate(this.#certificate.raw);
    const spki = new x509.PublicKey(publicKey.export({ type: "spki", format: "der" }));
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerialNumber(),
      subject: [{ CN: [of.commonName] }],
      issuer: issuer.subjectName,
      notBefore: new Date(Math.max(of.notBefore, this.#certificate.validFromDate.getTime())),
      notAfter: new Date(Math.min(of.notAfter, this.notAfter)),
      publicKey: spki,
      signingKey: this.#key.toCryptoKey(ECDSA_P256, false, ["sign"]),
      signingAlgorithm: ECDSA_SHA256,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        ...of.extensions,
        await x509.SubjectKeyIdentifierExtension.create(spki),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ],
    });
    return `${certificate.toString("pem")}\n`;
  }

  #renewalReason(certificate: X509Certificate, wanted: ServerNames, now: EpochMs): string | null {
    const [from, until] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    // Somebody put it there, or the CA was restored without it: not ours to write over.
    if (!certificate.verify(this.#certificate.publicKey)) {
      throw damaged(this.#secrets.folder, "server.crt", "it was not issued by the CA beside it");
    }
    if (now < from) return "this machine's clock was set back";
    if (now >= renewalTime(from, until)) return "less than a third of its life is left";
    const listed = (certificate.subjectAltName ?? "").split(", ");
    const missing =
      wanted.names.find((name) => !listed.includes(`DNS:${name}`)) ??
      wanted.addresses.find((address) => certificate.checkIP(address) === undefined);
    return missing === undefined ? null : `it does not name ${missing}`;
  }

  #server(keyPem: string, certificatePem: string, isNew: boolean): ServerCertificate {
    const certificate = new X509Certificate(certificatePem);
    const [from, notAfter] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    const chainPem = `${certificatePem.trimEnd()}\n${this.certificatePem}`;
    return { keyPem, chainPem, notAfter, renewAt: renewalTime(from, notAfter), isNew };
  }

  #check(now: EpochMs): void {
    if (!this.#certificate.ca) throw damaged(this.#secrets.folder, "ca.crt", "it is not a certificate authority's");
    const from = this.#certificate.validFromDate.getTime();
    if (now < from) throw implausible(now, `which is before the certificate authority was made (${iso(from)})`);
    if (now > this.notAfter)
      throw implausible(now, `which is after the certificate authority's end (${iso(this.notAfter)})`);
  }
}

async function makeAuthority(key: KeyObject, now: EpochMs, host: string): Promise<string> {
  const x509 = await loadX509();
  const publicKey = createPublicKey(key);
  const spki = publicKey.export({ type: "spki", format: "der" });
  const shortId = createHash("sha256").update(spki).digest("hex").slice(0, 8);
  // RFC 5280 allows 64 characters; "Tidewire CA " and the id take 21.
  const shownHost = host.replace(/[^a-zA-Z0-9._-]/g, "").slice(0, 40);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(),
    name: [{ CN: [`Tidewire CA ${shownHost} ${shortId}`.replace("  ", " ")] }],
    notBefore: new Date(now - BACKDATED),
    notAfter: new Date(now + CA_LIFE),
    signingAlgorithm: ECDSA_SHA256,
    keys: {
      privateKey: key.toCryptoKey(ECDSA_P256, true, ["sign"]),
      publicKey: publicKey.toCryptoKey(ECDSA_P256, true, ["verify"]),
    },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(new x509.PublicKey(spki)),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** 128 random bits; positive and never 0, as RFC 5280 section 4.1.2.2 wants. */
function newSerialNumber(): string {
  const bytes = randomBytes(17);
  bytes[0] = 1;
  return bytes.toString("hex");
}

function renewalTime(from: EpochMs, until: EpochMs): EpochMs {
  const life: Millis = until - from;
  return until - life / 3;
}

function implausible(now: EpochMs, reason: string): TidewireError {
  return new TidewireError("CLOCK_IMPLAUSIBLE", { now: iso(now), reason });
}

function iso(at: EpochMs): string {
  return new Date(at).toISOString();
}
