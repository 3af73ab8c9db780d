/**
 * Certificates that come by themselves (AWS IoT's just-in-time registration and provisioning): nobody has registered them,
 * but a registered CA that allows it has signed them. Over MQTT on TLS, on a WebSocket or not; the name that the client asks for
 * (SNI) does not matter, because there is one account. The first connection is refused in any case.
 */
import { X509Certificate } from "node:crypto";
import type { Newcomer, Refused } from "../../adapters/net/mod.ts";
import { readCertificate } from "../../adapters/pki/facts.ts";
import { checkChain } from "../../adapters/pki/mod.ts";
import { ACCOUNT_ID, LIMITS, encodeUtf8, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Clock, Counter, Logger, Message, Metrics, Scheduler } from "../../base/mod.ts";
import { ProvisioningRefusal, RequestRates } from "../../identity/mod.ts";
import type { Provisioner } from "../../identity/mod.ts";
import type { Certificate, CertificateFacts, Registry } from "../../registry/mod.ts";
import type { RegisteredAuthorities, RegisteredAuthority } from "../registered-authorities.ts";
import { presentedBy } from "./device-registry.ts";
import { PendingCertificates } from "./pending-certificates.ts";

export interface JustInTimeOptions {
  readonly registry: Registry;
  readonly authorities: RegisteredAuthorities;
  readonly provisioner: Pick<Provisioner, "provisionKnown">;
  /** Throws where the log does not take the message. */
  readonly publish: (message: Message) => void;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const EVENTS = "$aws/events/certificates/registered/";

type Outcome = "registered" | "announced" | "provisioned" | "refused" | "limited" | "full" | "failed";
const OUTCOMES: readonly Outcome[] = ["registered", "announced", "provisioned", "refused", "limited", "full", "failed"];

export class JustInTime {
  readonly #o: JustInTimeOptions;
  readonly #counters: ReadonlyMap<Outcome, Counter>;
  readonly #perAuthority: RequestRates;
  readonly #perAddress: RequestRates;
  /** By certificate; `justInTimeAtOnceMax` bounds them. */
  readonly #busy = new Map<string, Promise<Refused>>();
  readonly #pending: PendingCertificates;

  constructor(options: JustInTimeOptions) {
    this.#o = options;
    this.#pending = new PendingCertificates(options);
    const counterOf = (outcome: Outcome): Counter =>
      options.metrics.counter({
        name: "tidewire_just_in_time_total",
        help: "Connections with a certificate that a registered CA signed and that was not in use yet, by what became of it",
        labels: { outcome },
      });
    this.#counters = new Map(OUTCOMES.map((outcome) => [outcome, counterOf(outcome)]));
    const limits = LIMITS.provisioning;
    this.#perAuthority = new RequestRates(options.clock, {
      perSecond: limits.justInTimePerSecondMax,
      burst: limits.justInTimeBurstMax,
      watchedMax: LIMITS.registry.caCertificatesMax,
    });
    this.#perAddress = new RequestRates(options.clock, {
      perSecond: limits.justInTimePerAddressPerSecondMax,
      burst: limits.justInTimePerAddressBurstMax,
      watchedMax: limits.justInTimeAddressesWatchedMax,
    });
  }

  /** Resolves when those that wait since an earlier run are counted. */
  start(): Promise<void> {
    return this.#pending.load();
  }

  close(): void {
    this.#pending.close();
  }

  /** What a listener asks; null where the certificate is none that registers itself. */
  readonly came = (newcomer: Newcomer): Promise<Refused> | null => {
    try {
      return this.#come(newcomer);
    } catch (error) {
      if (isTidewireError(error)) return null; // the registry is away
      throw error;
    }
  };

  #come(newcomer: Newcomer): Promise<Refused> | null {
    const { registry, authorities } = this.#o;
    const { certificateId, remoteAddress } = newcomer;
    if (!authorities.active().some(({ autoRegistration }) => autoRegistration)) return null;
    const known = registry.certificates.find(certificateId);
    // One that waits for somebody to activate it is told of again, as on AWS: he may have missed it.
    if (known !== undefined && (known.status !== "PENDING_ACTIVATION" || known.caCertificateId === null)) return null;
    const busy = this.#busy.get(certificateId);
    if (busy !== undefined) return busy;
    const chain = newcomer.chain();
    const issuers = new Set(chain.map((der) => new X509Certificate(der).issuer));
    const likely = authorities.all().find(({ subjectText }) => issuers.has(subjectText));
    if (likely === undefined) return null;
    if (
      this.#busy.size >= LIMITS.provisioning.justInTimeAtOnceMax ||
      !this.#perAddress.take(remoteAddress) ||
      !this.#perAuthority.take(likely.certificateId)
    ) {
      const hint =
        "too many certificates of its CA, or from its address, register themselves at once; it may come again";
      return Promise.resolve(this.#counted("limited", "just-in-time-rate", hint));
    }
    const work = this.#judge(chain, remoteAddress).finally(() => this.#busy.delete(certificateId));
    this.#busy.set(certificateId, work);
    return work;
  }

  async #judge([leaf, ...others]: readonly Uint8Array[], remoteAddress: string): Promise<Refused> {
    const { authorities, clock, logger } = this.#o;
    try {
      if (new X509Certificate(leaf!).ca) return this.#refused("its certificate is a CA's, and not registered here");
      const anchors = authorities.all().map(({ pem }) => pem);
      const chain = await checkChain({ certificate: leaf!, others, anchors, now: clock.now() });
      if (!chain.ok) return this.#refused(`its certificate is not registered here, and cannot be: ${chain.reason}`);
      const authority = authorities.all().find(({ certificateId }) => certificateId === chain.anchor);
      if (authority?.status !== "ACTIVE")
        return this.#refused("its certificate is not registered here, nor is its CA ACTIVE");
      if (!authority.autoRegistration)
        return this.#refused("its certificate is not registered here, and its CA does not register by itself");
      return await this.#admit(leaf!, authority, remoteAddress);
    } catch (error) {
      if (error instanceof ProvisioningRefusal && error.code !== "InternalFailure")
        return this.#counted(
          "failed",
          "just-in-time-failed",
          `its CA's template could not provision it: ${error.message}`,
        );
      logger.error("A certificate could not be registered just in time.", { remoteAddress, reason: reasonOf(error) });
      return this.#counted(
        "failed",
        "just-in-time-failed",
        "the platform could not register its certificate; its log says why",
      );
    }
  }

  async #admit(leaf: Uint8Array, authority: RegisteredAuthority, remoteAddress: string): Promise<Refused> {
    const { provisioner, logger } = this.#o;
    const facts = readCertificate(leaf);
    const pem = new X509Certificate(leaf).toString();
    const { certificateId } = facts;
    const { registrationConfig, certificateId: caCertificateId } = authority;
    if (registrationConfig?.templateBody === undefined && registrationConfig?.templateName === undefined) {
      const isNew = this.#o.registry.certificates.find(certificateId) === undefined;
      if (isNew && this.#pending.isFull(caCertificateId)) {
        const waiting = `${LIMITS.provisioning.justInTimePendingMax} certificates of its CA wait to be activated`;
        return this.#counted("full", "just-in-time-full", `${waiting}: activate or delete some of them first`);
      }
      const outcome = this.#announce(pem, facts, caCertificateId);
      logger.info("a certificate has registered itself", {
        audit: true,
        certificateId,
        caCertificateId,
        remoteAddress,
      });
      const hint = `its certificate is registered, and waits to be activated: tidewire certs activate ${certificateId}`;
      return this.#counted(outcome, "just-in-time-registered", hint);
    }
    const issued = presentedBy(caCertificateId, pem, facts);
    const { thingName } = await provisioner.provisionKnown(issued, facts.subject, registrationConfig);
    logger.info("a device has provisioned itself by its certificate", {
      audit: true,
      certificateId,
      caCertificateId,
      thing: thingName,
      remoteAddress,
    });
    return this.#counted(
      "provisioned",
      "just-in-time-provisioned",
      "it is provisioned now: its next connection is let in",
    );
  }

  /** Registered and told of, or neither: nobody would activate what nobody has heard of. */
  #announce(pem: string, facts: CertificateFacts, caCertificateId: string): "registered" | "announced" {
    const { registry, publish, clock } = this.#o;
    const { certificate, outcome } = registry.atomically(() => {
      const known = registry.certificates.find(facts.certificateId);
      const registered = { status: "PENDING_ACTIVATION", caCertificateId } as const;
      const certificate = known ?? registry.certificates.register(pem, facts, registered);
      if (certificate.status === "PENDING_ACTIVATION") publish(eventOf(certificate, caCertificateId, clock.now()));
      return { certificate, outcome: known === undefined ? ("registered" as const) : ("announced" as const) };
    });
    this.#pending.add(certificate);
    return outcome;
  }

  #refused(hint: string): Refused {
    return this.#counted("refused", "certificate-refused", hint);
  }

  #counted(outcome: Outcome, reason: string, hint: string): Refused {
    this.#counters.get(outcome)!.value++;
    return { reason, hint };
  }
}

/** AWS IoT's document, in its order; times are milliseconds, one of them as text. */
function eventOf({ certificateId, status, createdAt }: Certificate, caCertificateId: string, now: number): Message {
  const document = {
    certificateId,
    caCertificateId,
    timestamp: now,
    certificateStatus: status,
    awsAccountId: ACCOUNT_ID,
    certificateRegistrationTimestamp: String(createdAt),
  };
  const said = { clientId: "", thing: null, qos: 1, retain: false, receivedAt: now, properties: null } as const;
  return { topic: `${EVENTS}${caCertificateId}`, payload: encodeUtf8(JSON.stringify(document)), ...said };
}
