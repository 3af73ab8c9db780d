/**
 * A device's new certificate for its old one: issued to who holds the old key, with the same rights; the old one goes when
 * the device has come back with the new one. What is asked twice is answered twice with the same.
 */
import { X509Certificate, createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { renewalProof } from "../adapters/device-identity.ts";
import type { CertificateAuthority } from "../adapters/pki/mod.ts";
import { keyFault } from "../adapters/pki/mod.ts";
import { TidewireError, days, reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Counter, EpochMs, Logger, Metrics } from "../base/mod.ts";
import { fateOf } from "../identity/mod.ts";
import type { Succession, SuccessionStore, SuccessionTimes } from "../identity/mod.ts";
import type { Certificate, Registry } from "../registry/mod.ts";

export interface RenewalsOptions {
  readonly registry: Registry;
  readonly authority: Pick<CertificateAuthority, "issueFor" | "issuedEver" | "certificatePem">;
  readonly store: SuccessionStore;
  readonly times: SuccessionTimes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface Renewed {
  readonly certificatePem: string;
  /** The roots that the device is to trust from now on. */
  readonly trustPem: string;
}

/** News of other platforms come within a turn of the event loop, so a few would do. */
const JUST_SEEN_MAX = 256;

export class Renewals {
  readonly #options: RenewalsOptions;
  /** Those that are not over: a few per hundred devices, see `SuccessionStore.load`. */
  readonly #bySuccessor = new Map<string, Succession>();
  readonly #byPredecessor = new Map<string, Succession>();
  /** One at a time for each certificate; as many as there are requests. */
  readonly #running = new Map<string, Promise<Renewed>>();
  readonly #issued: Counter;
  readonly #refused: Counter;
  readonly #cancel: Cancel;
  /** Certificates of the latest connections that follow no other, as far as it is known; `JUST_SEEN_MAX` at most. */
  readonly #justSeen = new Set<string>();

  constructor(options: RenewalsOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#issued = metrics.counter({ name: "tidewire_renewals_total", help: "Certificates that followed another" });
    this.#refused = metrics.counter({ name: "tidewire_renewals_refused_total", help: "Renewals that were refused" });
    this.#read();
    this.#cancel = options.store.onNews(() => this.#hear());
    const help = "Renewed certificates whose device has not come back with the new one yet";
    metrics.observe({ name: "tidewire_renewals_unconfirmed", help }, () => {
      let count = 0;
      for (const { confirmedAt } of this.#bySuccessor.values()) if (confirmedAt === null) count++;
      return count;
    });
  }

  close(): void {
    this.#cancel();
  }

  /** As the agent asks: the new public key, and a signature by it over the old certificate. Throws as `renew`. */
  async renewByProof(certificateId: string, publicKeyPem: string, proof: string): Promise<Renewed> {
    const kind = "request for renewal";
    let key: KeyObject;
    try {
      key = createPublicKey(publicKeyPem);
    } catch (error) {
      throw new TidewireError("CERTIFICATE_REFUSED", { kind, reason: "it holds no public key" }, { cause: error });
    }
    const algorithm = key.asymmetricKeyType === "ed25519" ? null : "sha256";
    if (!verify(algorithm, renewalProof(certificateId, publicKeyPem), key, Buffer.from(proof, "base64"))) {
      throw new TidewireError("CERTIFICATE_REFUSED", { kind, reason: "its signature does not fit its key" });
    }
    return this.renew(certificateId, key);
  }

  /**
   * For who has proved to hold both keys. Throws RENEWAL_REFUSED, CERTIFICATE_REFUSED, REGISTRY_UNAVAILABLE, and what issuing
   * throws.
   */
  async renew(certificateId: string, publicKey: KeyObject): Promise<Renewed> {
    const before = this.#running.get(certificateId);
    const turn = before === undefined ? Promise.resolve() : before.then(noMatter, noMatter);
    const running = turn.then(() => this.#renew(certificateId, publicKey));
    this.#running.set(certificateId, running);
    try {
      return await running;
    } catch (error) {
      this.#refused.value++;
      throw error;
    } finally {
      if (this.#running.get(certificateId) === running) this.#running.delete(certificateId);
    }
  }

  /** A device has been let in with this certificate. */
  seen(certificateId: string): void {
    const { clock, logger } = this.#options;
    const as = this.#bySuccessor.get(certificateId);
    if (as === undefined) this.#remember(certificateId);
    if (as?.confirmedAt === null) {
      this.#save({ ...as, confirmedAt: clock.now() });
      logger.info("a device uses its renewed certificate", { audit: true, certificateId });
    }
    // It went back to the old one, perhaps from a backup: that one is needed again.
    const from = this.#byPredecessor.get(certificateId);
    if (from !== undefined && from.confirmedAt !== null) this.#save({ ...from, confirmedAt: null });
  }

  /** A newer one is in use in its place. */
  isReplaced(certificateId: string): boolean {
    const succession = this.#byPredecessor.get(certificateId);
    return succession !== undefined && succession.confirmedAt !== null;
  }

  /** Lets an expired certificate be renewed until then, although its grace is over. Throws NOT_FOUND. */
  readmit(certificateId: string, until: EpochMs): void {
    const certificate = this.#options.registry.certificates.describe(certificateId);
    this.#options.store.allow(certificate.certificateId, until);
    this.#options.logger.info("an expired certificate may be renewed once more", { audit: true, certificateId, until });
  }

  /** Deactivates and deletes what has been replaced. Call it once an hour or so. */
  tidy(): void {
    const { store, times, clock } = this.#options;
    const now = clock.now();
    for (const succession of this.#bySuccessor.values()) {
      const fate = fateOf(succession, times, now);
      try {
        if (fate === "deactivate") this.#deactivate(succession.predecessor);
        if (fate === "delete") this.#delete(succession.predecessor);
        if (fate === "delete" || this.#isForgotten(succession, now)) this.#forget(succession);
      } catch (error) {
        const reason = reasonOf(error);
        this.#options.logger.warn("a replaced certificate could not be retired", { ...succession, reason });
      }
    }
    store.removeAllowances(now);
  }

  async #renew(certificateId: string, publicKey: KeyObject): Promise<Renewed> {
    const { registry, authority, store, logger, clock } = this.#options;
    const fault = keyFault(publicKey);
    if (fault !== null) throw new TidewireError("CERTIFICATE_REFUSED", { kind: "new key", reason: fault });
    const old = this.#renewable(certificateId);
    let known = this.#lastOf(certificateId);
    this.seen(old.certificateId);
    if (known !== undefined) {
      const again = this.#sameKey(known, publicKey);
      if (again !== null) return { certificatePem: again, trustPem: authority.certificatePem };
      if (known.confirmedAt !== null) {
        logger.warn("a certificate is renewed again although its successor is in use: is its key in two places?", {
          audit: true,
          certificateId,
          successor: known.successor,
        });
      } else {
        this.#delete(known.successor); // nobody has used it, and its key is lost or was never kept
        this.#forget(known);
        known = this.#lastOf(certificateId);
      }
    }
    const name = old.subject["CommonName"]?.[0];
    const issued = await authority.issueFor(publicKey, name ?? "Tidewire Device");
    const successor = issued.facts.certificateId;
    const succession = { predecessor: certificateId, successor, issuedAt: clock.now(), confirmedAt: null };
    const isFirst = registry.atomically(() => {
      this.#renewable(certificateId); // nobody has revoked it meanwhile
      if (!this.#isLast(known, certificateId)) return false;
      registry.certificates.register(issued.certificatePem, issued.facts);
      for (const { thingName, type } of registry.things.ofPrincipal(certificateId)) {
        registry.things.attach(thingName, successor, type);
      }
      for (const { policyName } of registry.policies.attachedTo(certificateId)) {
        registry.policies.attach(policyName, successor);
      }
      store.save(succession); // one that follows nobody is forgotten by `tidy`
      return true;
    });
    // Another platform was asked as well, and was faster: the device gets what that one has issued.
    if (!isFirst) return this.#renew(certificateId, publicKey);
    this.#know(succession);
    this.#issued.value++;
    logger.info("a certificate was renewed", { audit: true, certificateId, successor });
    return { certificatePem: issued.certificatePem, trustPem: authority.certificatePem };
  }

  /** As it is kept: another platform may have just written it. */
  #lastOf(certificateId: string): Succession | undefined {
    const last = this.#options.store.ofPredecessor(certificateId).at(-1);
    if (last !== undefined) this.#know(last);
    return last;
  }

  #isLast(known: Succession | undefined, certificateId: string): boolean {
    const last = this.#options.store.ofPredecessor(certificateId).at(-1);
    return last === undefined || last.successor === known?.successor;
  }

  /** Throws RENEWAL_REFUSED. */
  #renewable(certificateId: string): Certificate {
    const { registry, authority, store, times, clock } = this.#options;
    const found = registry.certificates.find(certificateId);
    if (found === undefined) {
      throw refused("it is not registered here", "Register the device again: `tidewire things add NAME --out FOLDER`.");
    }
    const { status, notAfter, pem } = found;
    if (status === "REVOKED") throw refused("it was revoked", "Give the device a new one, if it may come back.");
    if (status !== "ACTIVE") {
      throw refused(`it is ${status}`, `Set it to ACTIVE, and let the device ask again.`);
    }
    if (!authority.issuedEver(pem)) {
      throw refused("another CA issued it", "Renew it with that CA, and register the new certificate here.");
    }
    const now = clock.now();
    if (now <= notAfter + times.renewalGrace || now <= (store.allowance(certificateId) ?? 0)) return found;
    const grace = `${Math.round(times.renewalGrace / days(1))} days`;
    throw refused(
      `it expired on ${new Date(notAfter).toISOString().slice(0, 10)}, more than ${grace} ago`,
      `Allow it once more: tidewire certs readmit ${certificateId}`,
    );
  }

  /** What was issued already for this key and never used: the answer did not arrive. */
  #sameKey({ successor }: Succession, publicKey: KeyObject): string | null {
    const found = this.#options.registry.certificates.find(successor);
    if (found?.status !== "ACTIVE") return null;
    return new X509Certificate(found.pem).publicKey.equals(publicKey) ? found.pem : null;
  }

  /** Nobody ever used it, and it cannot be renewed any more either; or somebody has deleted it. */
  #isForgotten({ successor, confirmedAt }: Succession, now: EpochMs): boolean {
    const certificate = this.#options.registry.certificates.find(successor);
    if (certificate === undefined) return true;
    if (confirmedAt !== null || now <= certificate.notAfter + this.#options.times.renewalGrace) return false;
    this.#delete(successor);
    return true;
  }

  #deactivate(certificateId: string): void {
    if (this.#options.registry.certificates.find(certificateId)?.status === "ACTIVE") {
      this.#options.registry.certificates.updateStatus(certificateId, "INACTIVE");
    }
  }

  #delete(certificateId: string): void {
    const { registry } = this.#options;
    const found = this.#options.registry.certificates.find(certificateId);
    // A revoked one stays: revocation lists name it.
    if (found === undefined || found.status === "REVOKED") return;
    registry.atomically(() => {
      this.#deactivate(certificateId);
      for (const { thingName } of registry.things.ofPrincipal(certificateId)) {
        registry.things.detach(thingName, certificateId);
      }
      registry.certificates.delete(certificateId, { force: true });
    });
  }

  #save(succession: Succession): void {
    this.#options.store.save(succession);
    this.#know(succession);
  }

  #read(): void {
    const all = this.#options.store.load();
    this.#bySuccessor.clear();
    this.#byPredecessor.clear();
    for (const succession of all) this.#know(succession);
  }

  /** Another platform has renewed something; whoever has come here with it already was not known then. */
  #hear(): void {
    this.#read();
    for (const certificateId of this.#justSeen) {
      if (this.#bySuccessor.has(certificateId)) this.seen(certificateId);
    }
  }

  #remember(certificateId: string): void {
    this.#justSeen.delete(certificateId);
    this.#justSeen.add(certificateId);
    for (const oldest of this.#justSeen) {
      if (this.#justSeen.size <= JUST_SEEN_MAX) return;
      this.#justSeen.delete(oldest);
    }
  }

  #know(succession: Succession): void {
    this.#bySuccessor.set(succession.successor, succession);
    this.#byPredecessor.set(succession.predecessor, succession);
  }

  #forget({ successor, predecessor }: Succession): void {
    this.#options.store.remove(successor);
    this.#bySuccessor.delete(successor);
    if (this.#byPredecessor.get(predecessor)?.successor === successor) this.#byPredecessor.delete(predecessor);
  }
}

/** Whatever became of the one before. */
function noMatter(): void {}

function refused(reason: string, remedy: string): TidewireError {
  return new TidewireError("RENEWAL_REFUSED", { reason, remedy });
}
