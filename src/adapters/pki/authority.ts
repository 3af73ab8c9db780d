/**
 * Tidewire's own certificate authority over the files of `secrets`: a root that may be kept elsewhere, an issuing CA below it,
 * the server's and the devices' certificates, and how one root or issuing CA follows another with nobody locked out.
 */
import { X509Certificate, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { hostname } from "node:os";
import { LIMITS, TidewireError, days } from "../../base/mod.ts";
import type { Clock, EpochMs, Logger, Millis } from "../../base/mod.ts";
import type { CertificateFacts } from "../../registry/mod.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { damaged } from "../secrets/secrets.ts";
import { ROOT_LIFE, issuerOf, newIssuer, openAuthorityFiles, rootOf, settle } from "./authority-files.ts";
import type { AuthorityFiles } from "./authority-files.ts";
import { certificatesOf, pruned, trustOf, writeState } from "./authority-state.ts";
import type { AuthorityState } from "./authority-state.ts";
import { crossSign, keyIdOf, makeDevice, makeRoot, makeServer } from "./certificates.ts";
import type { Issuer } from "./certificates.ts";
import { newKeyPair, privateKeyPem, publicKeyPem, readSigningRequest } from "./device-key.ts";
import { readCertificate } from "./facts.ts";
import type { ServerNames } from "./host-names.ts";
import { KeyVault } from "./key-vault.ts";
import { revocationList } from "./revocation-list.ts";
import type { RevocationList, RevokedCertificate } from "./revocation-list.ts";
import { localSigner } from "./signer.ts";
import { loadPkcs11 } from "./token.ts";
import type { LoadPkcs11 } from "./token.ts";

export interface AuthorityOptions {
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For the CAs' names; this machine's unless told otherwise. */
  readonly host?: string;
  /** The CAs' keys are encrypted with it. */
  readonly passphrase?: string | null;
  /** PKCS#11 URI of the key that new issuing CAs have. */
  readonly token?: string | null;
  /** How a token is reached; for tests. */
  readonly loadToken?: LoadPkcs11;
  /** Of a device's certificate, where nobody asks for another life. */
  readonly deviceDays?: number;
}

export interface ServerCertificate {
  readonly keyPem: string;
  /** The server's certificate followed by those between it and a root. */
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

export interface CaStatus {
  readonly name: string;
  readonly keyId: string;
  readonly notAfter: EpochMs;
  readonly role: "root" | "issuing" | "former root" | "former issuing";
}

export interface AuthorityStatus {
  readonly cas: readonly CaStatus[];
  readonly rootKey: "here" | "elsewhere";
  readonly keysEncrypted: boolean;
  /** What somebody should do; a sentence with its command. Null where there is nothing. */
  readonly advice: string | null;
}

/** Browsers and Apple's TLS refuse server certificates that live longer than 398 days. */
const SERVER_DAYS_MAX = 397;
/** The common name where nobody gave one; AWS IoT writes "AWS IoT Certificate". */
const NAMELESS = "Tidewire Device";

/** A clock outside of this is wrong: this code is from 2026, and our own CA lives ten years. */
const PLAUSIBLE_FROM = Date.UTC(2026, 0, 1);
const PLAUSIBLE_UNTIL = Date.UTC(2100, 0, 1);

export class CertificateAuthority {
  readonly #files: AuthorityFiles;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #deviceDays: number;
  #state: AuthorityState;
  #issuer: Issuer;
  /** One, of whoever assembles. */
  readonly #listeners: (() => void)[] = [];
  /** One change of the CAs at a time. */
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(options: AuthorityOptions, files: AuthorityFiles, state: AuthorityState) {
    this.#files = files;
    this.#clock = options.clock;
    this.#log = options.logger;
    this.#deviceDays = options.deviceDays ?? LIMITS.identity.deviceCertificateDays;
    this.#state = state;
    this.#issuer = issuerOf(files, state.issuer);
  }

  /**
   * Makes the CA at first start. Throws CLOCK_IMPLAUSIBLE, SECRET_DAMAGED, SECRETS_UNUSABLE, CA_KEY_LOCKED,
   * CA_PASSPHRASE_WRONG.
   */
  static async open(options: AuthorityOptions): Promise<CertificateAuthority> {
    const now = options.clock.now();
    if (now < PLAUSIBLE_FROM) throw implausible(now, "which is before this version of Tidewire was made");
    if (now >= PLAUSIBLE_UNTIL) throw implausible(now, "which is too far in the future");
    const { secrets, logger, host = hostname(), token = null, loadToken = loadPkcs11 } = options;
    const files = { secrets, logger, host, token, loadToken, vault: new KeyVault(options.passphrase ?? null) };
    const authority = new CertificateAuthority(options, files, await openAuthorityFiles(files, now));
    authority.#check(now);
    await authority.maintain();
    return authority;
  }

  /** Told when there is another issuing CA or root: the listeners must know it before its first device comes. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The roots that devices trust, the present one first. */
  get certificatePem(): string {
    return trustOf(this.#state);
  }

  /** The same, each for itself. */
  get roots(): readonly string[] {
    return [this.#state.root, ...this.#state.formerRoots.map(({ certificate }) => certificate)];
  }

  /** Every CA whose clients' certificates are known here: for the TLS listeners' `ca`. */
  get clientCas(): readonly string[] {
    return [this.#state.root, ...certificatesOf(this.#state)];
  }

  /** The present issuing CA and what stands between it and a root; for devices that send or check whole chains. */
  get issuingChain(): readonly string[] {
    return [this.#state.issuer.certificate, ...this.#state.crossed];
  }

  /** End of the root. */
  get notAfter(): EpochMs {
    return endOf(this.#state.root);
  }

  /** When the device's certificate life is over, in days. */
  get deviceDays(): number {
    return this.#deviceDays;
  }

  /**
   * The server's certificate: the one on disk while it names all that is wanted and has a third of its life left, else a
   * new one. The key stays the same, so that a crash between two files cannot leave a pair that does not fit.
   * Throws SECRET_DAMAGED where another CA issued the one on disk.
   */
  async serverCertificate(wanted: ServerNames, lifeDays: number = SERVER_DAYS_MAX): Promise<ServerCertificate> {
    const now = this.#clock.now();
    this.#check(now);
    await this.maintain();
    const { secrets } = this.#files;
    const [existingKey, existing] = [secrets.read("server.key"), secrets.read("server.crt")];
    if (existingKey !== null && existing !== null) {
      const why = this.#renewalReason(new X509Certificate(existing), wanted, now);
      if (why === null) return this.#server(existingKey, existing, false);
      this.#log.info("renewing the server certificate", { reason: why });
    }
    const keyPem = existingKey ?? privateKeyPem(newKeyPair().privateKey);
    if (existingKey === null) secrets.write("server.key", keyPem);
    const life = { from: now, until: now + days(Math.min(lifeDays, SERVER_DAYS_MAX)) };
    const certificatePem = await makeServer(this.#serverIssuer(), createPublicKey(keyPem), wanted, life);
    secrets.write("server.crt", certificatePem);
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
    return this.issueFor(publicKey, request.thing ?? commonName ?? NAMELESS, request.days);
  }

  /** Key and certificate for a device that cannot make a key. The private key is not kept. */
  async createDeviceKeyAndCertificate(
    thing: string = NAMELESS,
    lifeDays?: number,
  ): Promise<DeviceCertificate & { readonly privateKeyPem: string; readonly publicKeyPem: string }> {
    const { privateKey, publicKey } = newKeyPair();
    const issued = await this.issueFor(publicKey, thing, lifeDays);
    return { ...issued, privateKeyPem: privateKeyPem(privateKey), publicKeyPem: publicKeyPem(publicKey) };
  }

  /** For a key whose owner has proved elsewhere that he holds it. */
  async issueFor(publicKey: KeyObject, commonName: string, lifeDays = this.#deviceDays): Promise<DeviceCertificate> {
    const { deviceCertificateDaysMax } = LIMITS.identity;
    if (!Number.isInteger(lifeDays) || lifeDays < 1 || lifeDays > deviceCertificateDaysMax) {
      const reason = `a certificate must live 1 to ${deviceCertificateDaysMax} days`;
      throw new TidewireError("REQUEST_INVALID", { reason });
    }
    const now = this.#clock.now();
    this.#check(now);
    await this.maintain();
    const certificatePem = await makeDevice(this.#issuer, publicKey, commonName, {
      from: now,
      until: now + days(lifeDays),
    });
    const facts = readCertificate(certificatePem);
    const { certificateId } = facts;
    this.#log.info("issued a device certificate", { audit: true, thing: commonName, certificateId });
    return { certificatePem, facts };
  }

  /** Whether one of our CAs signed it, former ones too; for RegisterCertificate. Never throws. */
  issued(certificatePem: string): boolean {
    try {
      const certificate = new X509Certificate(certificatePem);
      return this.clientCas.some((ca) => certificate.verify(new X509Certificate(ca).publicKey));
    } catch {
      return false;
    }
  }

  /** The same, of CAs too that were retired since: who has such a certificate may still ask for another. */
  issuedEver(certificatePem: string): boolean {
    if (this.issued(certificatePem)) return true;
    const certificate = new X509Certificate(certificatePem);
    return this.#state.retired.some((ca) => certificate.verify(new X509Certificate(ca).publicKey));
  }

  status(): AuthorityStatus {
    const { root, issuer, formerRoots, formerIssuers, rootOffline } = this.#state;
    const cas = [
      caStatus(root, "root"),
      caStatus(issuer.certificate, "issuing"),
      ...formerRoots.map(({ certificate }) => caStatus(certificate, "former root")),
      ...formerIssuers.map(({ certificate }) => caStatus(certificate, "former issuing")),
    ];
    const rootKey = rootOffline ? "elsewhere" : "here";
    return { cas, rootKey, keysEncrypted: this.#files.vault.sealing, advice: this.#advice(this.#clock.now()) };
  }

  /** Replaces the issuing CA when a third of its life is left, and forgets what has expired. Cheap where nothing is due. */
  async maintain(): Promise<void> {
    const now = this.#clock.now();
    if (!this.#issuerIsDue(now) || this.#state.rootOffline) return;
    await this.#change(async () => {
      if (this.#issuerIsDue(now)) await this.#replaceIssuer("its time has come");
    });
  }

  /** Throws CA_ROOT_OFFLINE, TOKEN_UNUSABLE. */
  rolloverIssuer(): Promise<void> {
    return this.#change(() => this.#replaceIssuer("it was asked for"));
  }

  /**
   * A new root and an issuing CA below it. The old root stays trusted, and signs the new one, so that who trusts only the old
   * one goes on; `retireFormer` ends that. Throws CA_ROOT_OFFLINE.
   */
  rolloverRoot(): Promise<void> {
    return this.#change(async () => {
      const now = this.#clock.now();
      const state = pruned(this.#state, now);
      const { vault, secrets, host } = this.#files;
      const old = rootOf(this.#files, state, "make a new root");
      const { privateKey } = newKeyPair();
      const signer = localSigner(privateKey);
      const root = await makeRoot(signer, host, { from: now, until: now + ROOT_LIFE });
      const certificate = new X509Certificate(root);
      const crossed = state.direct
        ? []
        : [await crossSign(old, certificate, { from: now, until: endOf(state.root) }), ...state.crossed];
      const issuer = await newIssuer(this.#files, { certificate, signer }, now);
      const next: AuthorityState = {
        ...state,
        root,
        direct: false,
        issuer,
        formerRoots: [
          { certificate: state.root, key: state.direct ? secrets.read("ca.key") : null },
          ...state.formerRoots,
        ],
        formerIssuers: [state.issuer, ...state.formerIssuers],
        crossed,
        pendingKey: await vault.seal(privateKey),
      };
      writeState(secrets, next);
      this.#take(settle(this.#files, next, null));
      this.#log.info("a new root is trusted beside the old one", { audit: true, id: keyIdOf(certificate.publicKey) });
    });
  }

  /**
   * Drops former roots and what they stand for. `needing`: how many certificates of issuers with these common names are still
   * in use. Throws CA_REFUSED where there are any, or nothing to retire.
   */
  retireFormer(needing: (issuerNames: readonly string[]) => number): Promise<void> {
    return this.#change(async () => {
      const state = this.#state;
      if (state.formerRoots.length === 0) {
        throw refused("there is no former root", "Nothing has to be done; `tidewire ca status` shows what there is.");
      }
      const root = new X509Certificate(state.root);
      const below = (pem: string): boolean => new X509Certificate(pem).verify(root.publicKey);
      const dropped = state.formerIssuers.filter(({ certificate }) => !below(certificate));
      const names = [...dropped, ...state.formerRoots].map(({ certificate }) => commonNameOf(certificate));
      const count = needing(names);
      if (count > 0) {
        throw refused(
          `${count} active certificate(s) were issued below the former root, and their devices would be locked out`,
          "Wait until they have been renewed (`tidewire certs` lists them), or revoke those that will not come back.",
        );
      }
      const formerIssuers = state.formerIssuers.filter(({ certificate }) => below(certificate));
      const retired = [...dropped, ...state.formerRoots].map(({ certificate }) => certificate);
      const next = { ...state, formerRoots: [], formerIssuers, crossed: [], retired: [...retired, ...state.retired] };
      writeState(this.#files.secrets, next);
      this.#take(settle(this.#files, next, null));
      this.#log.info("the former root was retired", { audit: true, names });
    });
  }

  /** A list for each of our CAs that signs devices; `revoked` is asked for the certificates of one issuer's name. */
  async revocationLists(
    revoked: (issuerName: string) => readonly RevokedCertificate[],
  ): Promise<readonly RevocationList[]> {
    const now = this.#clock.now();
    const own = [this.#state.issuer, ...this.#state.formerIssuers];
    return Promise.all(
      own.map((ca) => revocationList(issuerOf(this.#files, ca), revoked(commonNameOf(ca.certificate)), now)),
    );
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(work);
    this.#changing = result.catch(() => {});
    return result;
  }

  async #replaceIssuer(why: string): Promise<void> {
    const now = this.#clock.now();
    const state = pruned(this.#state, now);
    const root = rootOf(this.#files, state, "make an issuing CA");
    const issuer = await newIssuer(this.#files, root, now);
    const next = { ...state, issuer, formerIssuers: [state.issuer, ...state.formerIssuers] };
    writeState(this.#files.secrets, next);
    this.#take(next);
    this.#log.info("the issuing CA was replaced; certificates of the one before stay good", { audit: true, why });
  }

  #take(state: AuthorityState): void {
    this.#state = state;
    this.#issuer = issuerOf(this.#files, state.issuer);
    for (const listener of this.#listeners) listener();
  }

  #issuerIsDue(now: EpochMs): boolean {
    const { validFromDate, validToDate } = this.#issuer.certificate;
    const end = validToDate.getTime();
    // One that ends with its root gains nothing from being replaced.
    return now >= renewalTime(validFromDate.getTime(), end) && end < this.notAfter;
  }

  #advice(now: EpochMs): string | null {
    const { notBefore, notAfter } = readCertificate(this.#state.root);
    if (now >= renewalTime(notBefore, notAfter)) {
      return `The root ends on ${iso(notAfter).slice(0, 10)}: make a new one with \`tidewire ca rollover root\``;
    }
    if (this.#issuerIsDue(now)) {
      const end = iso(this.#issuer.certificate.validToDate.getTime()).slice(0, 10);
      return `The issuing CA ends on ${end}, and the root's key is kept elsewhere: bring it with \`tidewire ca import FILE\``;
    }
    return null;
  }

  /** Who signs the server's certificate: the issuing CA, unless devices accept it only straight from a root of before. */
  #serverIssuer(): Issuer {
    const { direct, formerRoots } = this.#state;
    if (direct) return rootOf(this.#files, this.#state, "sign the server's certificate");
    const former = formerRoots.find(({ key }) => key !== null);
    if (former === undefined) return this.#issuer;
    return issuerOf(this.#files, { certificate: former.certificate, key: former.key! });
  }

  #serverIssuerPem(): string {
    const { direct, root, formerRoots, issuer } = this.#state;
    return direct ? root : (formerRoots.find(({ key }) => key !== null)?.certificate ?? issuer.certificate);
  }

  #renewalReason(certificate: X509Certificate, wanted: ServerNames, now: EpochMs): string | null {
    const [from, until] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    // Somebody put it there, or the CA was restored without it: not ours to write over.
    const retired = this.#state.retired.some((pem) => certificate.verify(new X509Certificate(pem).publicKey));
    if (!retired && !this.issued(certificate.toString())) {
      throw damaged(this.#files.secrets.folder, "server.crt", "it was not issued by the CA beside it");
    }
    if (!certificate.verify(new X509Certificate(this.#serverIssuerPem()).publicKey)) return "another CA issues it now";
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
    const by = this.#serverIssuerPem();
    const between = by === this.#state.issuer.certificate ? this.issuingChain : [by];
    const chainPem = [certificatePem, ...between].map((pem) => `${pem.trimEnd()}\n`).join("");
    return { keyPem, chainPem, notAfter, renewAt: renewalTime(from, notAfter), isNew };
  }

  #check(now: EpochMs): void {
    const from = new X509Certificate(this.#state.root).validFromDate.getTime();
    if (now < from) throw implausible(now, `which is before the certificate authority was made (${iso(from)})`);
    if (now > this.notAfter)
      throw implausible(now, `which is after the certificate authority's end (${iso(this.notAfter)})`);
  }
}

function caStatus(pem: string, role: CaStatus["role"]): CaStatus {
  const certificate = new X509Certificate(pem);
  return { name: commonNameOf(pem), keyId: keyIdOf(certificate.publicKey), notAfter: endOf(pem), role };
}

function commonNameOf(pem: string): string {
  return readCertificate(pem).subject["CommonName"]?.[0] ?? "";
}

function endOf(pem: string): EpochMs {
  return new X509Certificate(pem).validToDate.getTime();
}

function renewalTime(from: EpochMs, until: EpochMs): EpochMs {
  const life: Millis = until - from;
  return until - life / 3;
}

function refused(reason: string, remedy: string): TidewireError {
  return new TidewireError("CA_REFUSED", { reason, remedy });
}

function implausible(now: EpochMs, reason: string): TidewireError {
  return new TidewireError("CLOCK_IMPLAUSIBLE", { now: iso(now), reason });
}

function iso(at: EpochMs): string {
  return new Date(at).toISOString();
}
