/**
 * From nothing to a device with its own identity: a certificate that waits (PENDING_ACTIVATION) with a token for whoever got
 * it, then a template that makes thing, policies and status in one transaction. Every front door ends here.
 */
import { LIMITS, TidewireError, arnOf, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Clock, Counter, LogFields, Logger, Metrics, Random, Scheduler } from "../../base/mod.ts";
import { applyPlan } from "./apply.ts";
import type { Provisioned } from "./apply.ts";
import { claimPolicyDocument, claimPolicyName } from "./claim-policy.ts";
import { askHook } from "./hook.ts";
import { mustBeOf, planFor } from "./plan.ts";
import type { PlanChecks, ProvisioningPlan } from "./plan.ts";
import type {
  DeviceIssuer,
  DeviceRegistry,
  HookRunner,
  IssuedDevice,
  ProvisioningStore,
  RegistrationTemplate,
  Sha256Hex,
  TokenRecord,
} from "./ports.ts";
import { ProvisioningRefusal, refusalOf } from "./refusal.ts";
import { RequestRates } from "./request-rates.ts";
import { undone } from "./rehearsal.ts";
import { subjectParameters } from "./subject-parameters.ts";
import { CERTIFICATE_ID, parseTemplateBody } from "./template-body.ts";
import type { TemplateBody } from "./template-body.ts";
import type { Templates } from "./templates.ts";
import { Together } from "./together.ts";
import { parsePolicy } from "../policy-document.ts";
import type { DistinguishedName } from "../variables.ts";

export interface ProvisionerOptions {
  readonly store: ProvisioningStore;
  readonly templates: Templates;
  readonly issuer: DeviceIssuer;
  readonly registry: DeviceRegistry;
  readonly hooks: HookRunner;
  readonly sha256: Sha256Hex;
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "defer">;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Who asks over MQTT: a claim certificate, and the client identifier of its connection. */
export interface Claimant {
  readonly certificateId: string | null;
  readonly clientId: string;
}

export interface NewKeys extends NewCertificate {
  readonly privateKey: string;
}

export interface NewCertificate {
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly certificateOwnershipToken: string;
}

/** What the platform has of one expired token or claim at a time. */
const SWEEP_AT_ONCE = 200;

export class Provisioner {
  readonly #o: ProvisionerOptions;
  readonly #rates: RequestRates;
  /** Tokens that a request is using now: bounded by the requests that are worked on at once. */
  readonly #inUse = new Set<string>();
  readonly #tokenChanges: Together;
  readonly #registryChanges: Together;
  readonly #provisioned: Counter;
  readonly #expired: Counter;
  readonly #refusals = new Map<string, Counter>();
  readonly #noted = new WeakSet<ProvisioningRefusal>();

  constructor(options: ProvisionerOptions) {
    this.#o = options;
    const { store, registry, scheduler } = options;
    this.#tokenChanges = new Together((work) => store.atomically(work), scheduler);
    this.#registryChanges = new Together((work) => registry.atomically(work), scheduler);
    const {
      requestsPerSecondMax: perSecond,
      requestsBurstMax: burst,
      claimsWatchedMax: watchedMax,
    } = LIMITS.provisioning;
    this.#rates = new RequestRates(options.clock, { perSecond, burst, watchedMax });
    this.#provisioned = options.metrics.counter({
      name: "tidewire_provisioned_total",
      help: "Devices provisioned by a template",
    });
    this.#expired = options.metrics.counter({
      name: "tidewire_provisioning_expired_total",
      help: "Certificates deleted because no thing came for them, and claims that ended",
    });
  }

  // ── AWS's three operations ───────────────────────────────────────────────────────────────────

  createKeysAndCertificate(claimant: Claimant): Promise<NewKeys> {
    return this.#told({ operation: "CreateKeysAndCertificate", ...claimant }, async () => {
      const claimId = this.#admit(claimant);
      const issued = await this.#issuing(() => this.#o.issuer.withKey());
      const pending = await this.#pending(issued, claimId, claimant.clientId);
      return { ...pending, privateKey: issued.privateKeyPem };
    });
  }

  createCertificateFromCsr(claimant: Claimant, csrPem: string): Promise<NewCertificate> {
    return this.#told({ operation: "CreateCertificateFromCsr", ...claimant }, async () => {
      const claimId = this.#admit(claimant);
      const issued = await this.#issuing(() => this.#o.issuer.fromCsr(csrPem));
      return this.#pending(issued, claimId, claimant.clientId);
    });
  }

  registerThing(
    claimant: Claimant,
    templateName: string,
    token: string,
    parameters: Readonly<Record<string, string>>,
  ): Promise<Provisioned> {
    return this.#told({ operation: "RegisterThing", template: templateName, ...claimant }, async () => {
      const claimId = this.#admit(claimant);
      this.#mayUse(claimId, templateName);
      const owned = this.#owned(token, claimId, claimant.clientId);
      this.#inUse.add(owned.tokenHash);
      try {
        const provisioned = await this.#register(claimant, claimId, templateName, owned, parameters);
        this.#forget(owned);
        return provisioned;
      } finally {
        this.#inUse.delete(owned.tokenHash);
      }
    });
  }

  async #register(
    claimant: Claimant,
    claimId: string,
    templateName: string,
    { certificateId }: TokenRecord,
    parameters: Readonly<Record<string, string>>,
  ): Promise<Provisioned> {
    const { template, body } = this.#usable(templateName, "FLEET_PROVISIONING");
    const given = { ...parameters };
    if (template.hook !== null) {
      const input = {
        claimCertificateId: claimId,
        certificateId,
        certificatePem: this.#o.registry.certificate(certificateId)?.pem ?? "",
        templateArn: arnOf.template(templateName),
        templateName,
        clientId: claimant.clientId,
        parameters,
      };
      Object.assign(given, await askHook(this.#o.hooks, template.hook, input));
    }
    const plan = planFor(body, given, { [CERTIFICATE_ID]: certificateId });
    mustBeOf(plan, certificateId);
    // Looked at again: the hook took its time.
    return this.#apply(plan, certificateId, () => {
      if (this.#o.registry.certificate(certificateId)?.status !== "PENDING_ACTIVATION")
        throw invalidToken("it was used already");
    });
  }

  // ── without a claim: an operator's own doors ─────────────────────────────────────────────────

  /**
   * AWS's RegisterThing of the control plane, and its registration tasks: the body says whose certificate it is. `planned` is
   * told of a certificate that was made, before it is written anywhere.
   */
  provision(
    body: string | TemplateBody,
    parameters: Readonly<Record<string, string>>,
    planned?: (plan: ProvisioningPlan, certificateId: string) => Promise<void>,
  ): Promise<Provisioned & { readonly certificatePem: string }> {
    const template = typeof body === "string" ? parseTemplateBody(body, "FLEET_PROVISIONING", parsePolicy) : body;
    return this.#told({ operation: "Provision" }, async () => {
      const plan = planFor(template, parameters, {});
      const { from, value } = plan.certificate;
      if (from === "CertificateSigningRequest") {
        const issued = await this.#issuing(() => this.#o.issuer.fromCsr(value));
        await planned?.(plan, issued.certificateId);
        return { ...(await this.#registerAndApply(issued, plan)), certificatePem: issued.certificatePem };
      }
      if (from === "CertificateId") return { ...(await this.#apply(plan, value)), certificatePem: "" };
      const reason = "CertificatePem needs a registered CA; use CertificateSigningRequest";
      throw new ProvisioningRefusal("certificate", "InvalidParameters", reason);
    });
  }

  /** A device that has just made its key, by a template; for bulk files and join codes. */
  provisionWith(
    issued: IssuedDevice,
    template: string,
    parameters: Readonly<Record<string, string>>,
    { planned, first }: PlanChecks = {},
  ): Promise<Provisioned> {
    return this.#told({ operation: "Provision", template }, async () => {
      const { body } = this.#usable(template, "FLEET_PROVISIONING");
      const plan = planFor(body, parameters, { [CERTIFICATE_ID]: issued.certificateId });
      await planned?.(plan);
      return this.#registerAndApply(issued, plan, () => first?.(plan));
    });
  }

  /** What `provisionWith` would say of each, one after the other; nothing of it stays. */
  rehearse(
    template: string,
    devices: readonly { readonly issued: IssuedDevice; readonly parameters: Readonly<Record<string, string>> }[],
    { first }: Pick<PlanChecks, "first"> = {},
  ): readonly (Provisioned | ProvisioningRefusal)[] {
    const { registry, sha256 } = this.#o;
    return undone(registry, () =>
      devices.map(({ issued, parameters }) => {
        try {
          const { body } = this.#usable(template, "FLEET_PROVISIONING");
          const plan = planFor(body, parameters, { [CERTIFICATE_ID]: issued.certificateId });
          first?.(plan);
          registry.register(issued, "PENDING_ACTIVATION");
          return applyPlan(registry, plan, issued.certificateId, sha256);
        } catch (error) {
          return refusalOf(error);
        }
      }),
    );
  }

  /**
   * A certificate that came by itself, signed by a CA that was registered with this template (AWS IoT's JITP). Nothing is
   * left of one that cannot be provisioned, so its next connection tries again.
   */
  provisionKnown(
    issued: IssuedDevice,
    subject: DistinguishedName,
    registration: RegistrationTemplate,
  ): Promise<Provisioned> {
    const { certificateId } = issued;
    return this.#told({ operation: "JustInTime", certificateId }, async () => {
      const { templateName, templateBody } = registration;
      const body =
        templateName === undefined
          ? parseTemplateBody(templateBody ?? "", "JITP", parsePolicy)
          : this.#usable(templateName, "JITP").body;
      const plan = planFor(body, {}, subjectParameters(certificateId, subject));
      mustBeOf(plan, certificateId);
      return this.#apply(plan, certificateId, () => {
        const status = this.#o.registry.certificate(certificateId)?.status;
        if (status === undefined) this.#o.registry.register(issued, "PENDING_ACTIVATION");
        else if (status !== "PENDING_ACTIVATION")
          throw new ProvisioningRefusal("registry", "ResourceConflict", `The certificate is ${status} by now`);
      });
    });
  }

  /** Before a CA is registered with it. Throws REQUEST_INVALID, NOT_FOUND. */
  checkRegistration({ templateName, templateBody }: RegistrationTemplate): void {
    if (templateBody !== undefined) parseTemplateBody(templateBody, "JITP", parsePolicy);
    if (templateName === undefined) return;
    if (this.#o.templates.describe(templateName).type === "JITP") return;
    const reason = `the provisioning template '${templateName}' is not of type JITP`;
    throw new TidewireError("REQUEST_INVALID", { reason });
  }

  #registerAndApply(issued: IssuedDevice, plan: ProvisioningPlan, first = (): void => {}): Promise<Provisioned> {
    return this.#apply(plan, issued.certificateId, () => {
      first();
      this.#o.registry.register(issued, "PENDING_ACTIVATION");
    });
  }

  async #apply(plan: ProvisioningPlan, certificateId: string, first: () => void = () => {}): Promise<Provisioned> {
    const { registry, sha256, logger } = this.#o;
    const provisioned = await this.#registryChanges.make(() => {
      first();
      return applyPlan(registry, plan, certificateId, sha256);
    });
    this.#provisioned.value++;
    const { thingName, isKnown } = provisioned;
    logger.info(isKnown ? "a known thing got another certificate" : "a device was provisioned", {
      audit: true,
      thing: thingName,
      certificateId,
    });
    return provisioned;
  }

  /** Nobody waits for it: a token whose certificate is in use is worth nothing, and swept if it stays. */
  #forget({ tokenHash }: TokenRecord): void {
    this.#tokenChanges
      .make(() => this.#o.store.removeToken(tokenHash))
      .catch((error: unknown) => this.#o.logger.warn("a used token is removed later", { reason: reasonOf(error) }));
  }

  // ── claims ───────────────────────────────────────────────────────────────────────────────────

  /** AWS's CreateProvisioningClaim: a certificate for a person's telephone or an installer's tool, good for some minutes. */
  async createClaim(templateName: string): Promise<NewClaim> {
    const { issuer, registry, store, clock, logger } = this.#o;
    this.#o.templates.describe(templateName);
    const issued = await issuer.withKey();
    const { certificateId, certificatePem, privateKeyPem, publicKeyPem } = issued;
    const expiresAt = clock.now() + LIMITS.provisioning.claimLifetime;
    store.saveClaim({ certificateId, template: templateName, expiresAt });
    registry.atomically(() => {
      registry.register(issued, "ACTIVE");
      registry.attachPolicy(this.claimPolicy(templateName), certificateId);
    });
    logger.info("a provisioning claim was made", { audit: true, template: templateName, certificateId, expiresAt });
    return { certificateId, certificatePem, privateKeyPem, publicKeyPem, expiresAt };
  }

  /** Makes the policy of the template's claims where it is missing; returns its name. */
  claimPolicy(templateName: string): string {
    const { registry } = this.#o;
    const name = claimPolicyName(templateName);
    if (registry.policy(name) === null) registry.createPolicy(name, claimPolicyDocument(templateName));
    return name;
  }

  // ── time ─────────────────────────────────────────────────────────────────────────────────────

  /** Deletes certificates for which no thing came, and ends claims; true where there is more to do. */
  sweep(): boolean {
    const { store, registry, clock, logger } = this.#o;
    const now = clock.now();
    const tokens = store.expiredTokens(now, SWEEP_AT_ONCE);
    for (const { tokenHash, certificateId } of tokens) {
      if (this.#inUse.has(tokenHash)) continue;
      registry.atomically(() => {
        if (registry.certificate(certificateId)?.status !== "PENDING_ACTIVATION") return;
        registry.setStatus(certificateId, "INACTIVE");
        registry.deleteCertificate(certificateId);
      });
      store.removeToken(tokenHash);
      this.#expired.value++;
    }
    const claims = store.expiredClaims(now, SWEEP_AT_ONCE);
    for (const { certificateId, template } of claims) {
      registry.atomically(() => {
        if (registry.certificate(certificateId) === null) return;
        registry.setStatus(certificateId, "REVOKED");
        registry.deleteCertificate(certificateId);
      });
      store.removeClaim(certificateId);
      this.#expired.value++;
      logger.info("a provisioning claim has ended", { audit: true, template, certificateId });
    }
    return tokens.length === SWEEP_AT_ONCE || claims.length === SWEEP_AT_ONCE;
  }

  // ── checks ───────────────────────────────────────────────────────────────────────────────────

  #admit({ certificateId }: Claimant): string {
    if (certificateId === null)
      throw new ProvisioningRefusal("request", "ACCESS_DENIED", "Provisioning needs a client certificate");
    if (!this.#rates.take(certificateId)) {
      throw new ProvisioningRefusal(
        "limits",
        "Throttling",
        "This claim asks for too much at once; try again in a moment",
      );
    }
    return certificateId;
  }

  /** A claim of a trusted user is for its template, and for its time. */
  #mayUse(claimId: string, templateName: string): void {
    const claim = this.#o.store.claim(claimId);
    if (claim === null) return;
    if (claim.template !== templateName)
      throw new ProvisioningRefusal("template", "ACCESS_DENIED", `This claim is for the template '${claim.template}'`);
    if (claim.expiresAt <= this.#o.clock.now())
      throw new ProvisioningRefusal("certificate", "ACCESS_DENIED", "This claim has expired");
  }

  async #issuing<T>(issue: () => Promise<T>): Promise<T> {
    try {
      return await issue();
    } catch (error) {
      if (isTidewireError(error) && error.entry.fault === "peer")
        throw new ProvisioningRefusal("certificate", "InvalidCertificateSigningRequest", error.message, {
          cause: error,
        });
      throw error;
    }
  }

  async #pending(issued: IssuedDevice, claimId: string, clientId: string): Promise<NewCertificate> {
    const { store, registry, clock, random, sha256 } = this.#o;
    const { tokensPerClaimMax, tokenLifetime } = LIMITS.provisioning;
    if (store.countTokens(claimId) >= tokensPerClaimMax)
      throw new ProvisioningRefusal(
        "limits",
        "Throttling",
        `${tokensPerClaimMax} certificates of this claim wait for their things`,
      );
    const { certificateId, certificatePem } = issued;
    const certificateOwnershipToken = hexOf(random.bytes(32));
    const tokenHash = sha256(certificateOwnershipToken);
    // First the token: a crash between the two leaves nothing that is not swept.
    const token = { tokenHash, certificateId, claimId, clientId, expiresAt: clock.now() + tokenLifetime };
    await this.#tokenChanges.make(() => store.saveToken(token));
    await this.#registryChanges.make(() => registry.register(issued, "PENDING_ACTIVATION"));
    return { certificateId, certificatePem, certificateOwnershipToken };
  }

  #owned(token: string, claimId: string, clientId: string): TokenRecord {
    if (token === "") throw invalidToken("it is empty");
    const tokenHash = this.#o.sha256(token);
    const found = this.#o.store.token(tokenHash);
    if (found === null) throw invalidToken("it is unknown, or was used already");
    if (found.expiresAt <= this.#o.clock.now()) throw invalidToken("it has expired");
    if (found.claimId !== claimId || found.clientId !== clientId) throw invalidToken("it was given to another client");
    if (this.#inUse.has(tokenHash)) throw invalidToken("it is being used");
    return found;
  }

  #usable(name: string, type: TemplateBodyOf["type"]): TemplateBodyOf {
    const found = this.#o.templates.find(name);
    if (found === null)
      throw new ProvisioningRefusal("template", "ResourceNotFound", `There is no provisioning template '${name}'`);
    if (!found.template.enabled)
      throw new ProvisioningRefusal("template", "ACCESS_DENIED", `The provisioning template '${name}' is not enabled`);
    if (found.template.type !== type)
      throw new ProvisioningRefusal(
        "template",
        "ACCESS_DENIED",
        `The provisioning template '${name}' is of type ${found.template.type}`,
      );
    return { ...found, type };
  }

  /** Refusals are logged with their step and counted; what is not ours to explain becomes one. */
  async #told<T>(fields: LogFields, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const refusal = refusalOf(error);
      this.note(refusal, fields);
      throw refusal;
    }
  }

  /** For a front door that refuses by itself; once per refusal, however often it is called. */
  note(refusal: ProvisioningRefusal, fields: LogFields): void {
    if (this.#noted.has(refusal)) return;
    this.#noted.add(refusal);
    this.#count(refusal);
    const { step, code, message: reason } = refusal;
    const level = code === "InternalFailure" ? "error" : "warn";
    this.#o.logger[level]("a device was not provisioned", { ...fields, step, reason, cause: causeOf(refusal) });
  }

  #count({ step, code }: ProvisioningRefusal): void {
    const key = `${step} ${code}`;
    let counter = this.#refusals.get(key);
    if (counter === undefined) {
      const definition = {
        name: "tidewire_provisioning_refusals_total",
        help: "Devices that were not provisioned, by step and reason",
      };
      counter = this.#o.metrics.counter({ ...definition, labels: { step, code } });
      this.#refusals.set(key, counter); // as many as there are steps and codes
    }
    counter.value++;
  }
}

export interface NewClaim extends IssuedDevice {
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
  readonly expiresAt: number;
}

type TemplateBodyOf = NonNullable<ReturnType<Templates["find"]>> & { readonly type: "FLEET_PROVISIONING" | "JITP" };

function invalidToken(why: string): ProvisioningRefusal {
  return new ProvisioningRefusal(
    "token",
    "InvalidCertificateOwnershipToken",
    `The certificate ownership token cannot be used: ${why}.`,
  );
}

function causeOf({ cause }: ProvisioningRefusal): string | undefined {
  return cause === undefined ? undefined : reasonOf(cause);
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
