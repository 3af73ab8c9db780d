/**
 * Things, certificates and policies, and what belongs to what. Every change is on disk before the call returns, is told to
 * the listeners, and is written to the audit log.
 */
import { LIMITS, TidewireError, isTidewireError, reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Logger, Metrics, Random } from "../base/mod.ts";
import { checkAttributes, checkFilter, sameAttributes, withoutEmpty } from "./attributes.ts";
import { certificatesOfPolicy, certificatesOfThing, changesOf } from "./concerned.ts";
import { certificateIdOf, checkName, checkPolicyName, invalid } from "./names.ts";
import { pageOf } from "./page.ts";
import type { PageOptions } from "./page.ts";
import { Principals } from "./principals.ts";
import { checkVersion, limit, notFound } from "./refusals.ts";
import type { ListThings, NewThing, ThingUpdate } from "./requests.ts";
import type {
  Attachment,
  Certificate,
  CertificateFacts,
  CertificateRecord,
  CertificateStatus,
  Change,
  Page,
  Policy,
  Principal,
  PrincipalType,
  Thing,
} from "./records.ts";
import type { ForeignChanges, OtherWriters, RegistryStore, ThingFilter } from "./store.ts";
import { uuid } from "./uuid.ts";

/** What the registry must know about policies and statuses without knowing the room `identity`. */
export interface RegistryRules {
  /** Throws POLICY_INVALID; returns sentences about what is valid but surely not meant. */
  checkPolicy(document: string): readonly string[];
  mayBecome(from: CertificateStatus, to: CertificateStatus): boolean;
}

export interface RegistryOptions {
  /** Default: `LIMITS.registry.principalsCachedMax`. */
  readonly principalsCachedMax?: number;
  readonly store: RegistryStore;
  readonly rules: RegistryRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export class Registry {
  readonly #store: RegistryStore;
  readonly #rules: RegistryRules;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #principals: Principals;
  readonly #listeners = new Set<(change: Change) => void>();
  /** Who else writes to the store; null where nobody does. */
  readonly #others: OtherWriters | null;
  /** Changes of the transaction that runs now; null outside of one. */
  #pending: Change[] | null = null;

  constructor(options: RegistryOptions) {
    this.#store = options.store;
    this.#rules = options.rules;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#log = options.logger;
    this.#principals = new Principals(
      options.store,
      options.principalsCachedMax ?? LIMITS.registry.principalsCachedMax,
    );
    const { metrics } = options;
    this.#others = options.store.others ?? null;
    this.#others?.onNews(() => this.#hear(this.#others?.take() ?? null));
    let things = 0;
    metrics.observe({ name: "tidewire_registry_things", help: "Registered things" }, () => {
      try {
        things = this.countThings();
      } catch (error) {
        if (!isTidewireError(error)) throw error; // a database that is away: the last number stays
      }
      return things;
    });
    metrics.observe(
      { name: "tidewire_registry_principals_cached", help: "Certificates whose rights are in memory" },
      () => this.#principals.size,
    );
  }

  /** Told after the change is on disk; must not throw. */
  onChange(listener: (change: Change) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Several calls as one: all are kept or none, with one wait for the disk. Listeners hear of them afterwards. */
  atomically<T>(work: () => T): T {
    if (this.#pending !== null) return work();
    const pending: Change[] = [];
    this.#pending = pending;
    let result: T;
    let begun = false;
    try {
      result = this.#store.transaction(() => {
        begun = true;
        return work();
      });
    } catch (error) {
      if (begun) this.#principals.clear(); // they may hold what the transaction saw before it was undone
      throw error;
    } finally {
      this.#pending = null;
    }
    for (const change of pending) this.#publish(change);
    return result;
  }

  // ── things ───────────────────────────────────────────────────────────────────────────────────

  /** Making the same thing again succeeds, as on AWS (`created: false`); with other attributes it is ALREADY_EXISTS. */
  createThing(thingName: string, given: NewThing = {}): { readonly thing: Thing; readonly created: boolean } {
    checkName("thing", thingName);
    const thingTypeName = given.thingTypeName ?? null;
    if (thingTypeName !== null) checkName("thing type", thingTypeName);
    const attributes = withoutEmpty(given.attributes ?? {});
    checkAttributes(attributes);
    return this.atomically(() => {
      const existing = this.#store.thing(thingName);
      if (existing !== undefined) {
        const same = existing.thingTypeName === thingTypeName && sameAttributes(existing.attributes, attributes);
        if (!same) throw new TidewireError("ALREADY_EXISTS", { kind: "thing", name: thingName });
        return { thing: existing, created: false };
      }
      const now = this.#clock.now();
      const thingId = uuid(this.#random.bytes(16));
      const thing: Thing = {
        thingName,
        thingId,
        thingTypeName,
        attributes,
        version: 1,
        createdAt: now,
        updatedAt: now,
      };
      this.#store.saveThing(thing);
      this.#changed({ kind: "thing", id: thingName, change: "created", principals: [] });
      return { thing, created: true };
    });
  }

  findThing(thingName: string): Thing | undefined {
    return this.#store.thing(thingName);
  }

  describeThing(thingName: string): Thing {
    return this.#store.thing(thingName) ?? notFound("thing", thingName);
  }

  updateThing(thingName: string, update: ThingUpdate): Thing {
    if (update.thingTypeName !== undefined) {
      checkName("thing type", update.thingTypeName);
      if (update.removeThingType === true) throw invalid("thingTypeName and removeThingType contradict each other");
    }
    return this.atomically(() => {
      const before = this.describeThing(thingName);
      checkVersion(before, update.expectedVersion);
      const given = update.attributes;
      const attributes =
        given === undefined
          ? before.attributes
          : withoutEmpty(update.merge === true ? { ...before.attributes, ...given } : given);
      checkAttributes(attributes);
      const thing: Thing = {
        ...before,
        attributes,
        thingTypeName: update.removeThingType === true ? null : (update.thingTypeName ?? before.thingTypeName),
        version: before.version + 1,
        updatedAt: this.#clock.now(),
      };
      this.#store.saveThing(thing);
      this.#changed({
        kind: "thing",
        id: thingName,
        change: "updated",
        principals: certificatesOfThing(this.#store, thingName),
      });
      return thing;
    });
  }

  /** False where there was none, which AWS counts as success. Refused while certificates are attached. */
  deleteThing(thingName: string, expectedVersion?: number): boolean {
    return this.atomically(() => {
      const thing = this.#store.thing(thingName);
      if (thing === undefined) return false;
      checkVersion(thing, expectedVersion);
      const count = this.#store.certificatesOf(thingName).length;
      if (count > 0) throw new TidewireError("THING_HAS_PRINCIPALS", { name: thingName, count });
      this.#store.removeThing(thingName);
      this.#changed({ kind: "thing", id: thingName, change: "deleted", principals: [] });
      return true;
    });
  }

  /** By name. */
  listThings(options: ListThings = {}): Page<Thing> {
    checkFilter(options);
    return pageOf(
      "things",
      options,
      (thing) => thing.thingName,
      (after, limit) => this.#store.things(options, { after, limit }),
    );
  }

  countThings(filter: ThingFilter = {}): number {
    checkFilter(filter);
    return this.#store.countThings(filter);
  }

  // ── certificates ─────────────────────────────────────────────────────────────────────────────

  /** `pem` is what was issued or registered; `facts` is what it says (adapters/pki reads them). */
  registerCertificate(pem: string, facts: CertificateFacts, status: CertificateStatus = "ACTIVE"): Certificate {
    const id = certificateIdOf(facts.certificateId);
    return this.atomically(() => {
      if (this.#store.certificate(id) !== undefined) {
        throw new TidewireError("ALREADY_EXISTS", { kind: "certificate", name: id });
      }
      const { serialNumber, subject, issuer, notBefore, notAfter } = facts;
      const now = this.#clock.now();
      const certificate: Certificate = {
        certificateId: id,
        serialNumber,
        subject,
        issuer,
        notBefore,
        notAfter,
        pem,
        status,
        createdAt: now,
        updatedAt: now,
      };
      this.#store.saveCertificate(certificate);
      this.#changed({ kind: "certificate", id, change: "created", principals: [id] });
      return certificate;
    });
  }

  describeCertificate(principal: string): Certificate {
    const id = certificateIdOf(principal);
    return this.#store.certificate(id) ?? notFound("certificate", id);
  }

  updateCertificateStatus(principal: string, status: CertificateStatus): Certificate {
    return this.atomically(() => {
      const before = this.describeCertificate(principal);
      if (before.status === status) return before;
      const id = before.certificateId;
      if (!this.#rules.mayBecome(before.status, status)) {
        const remedy =
          before.status === "REVOKED"
            ? "Revoking is final: give the device a new certificate."
            : "Choose a status that may follow: ACTIVE, INACTIVE or REVOKED.";
        throw new TidewireError("CERTIFICATE_STATE", { id, status: before.status, wanted: `set to ${status}`, remedy });
      }
      const certificate: Certificate = { ...before, status, updatedAt: this.#clock.now() };
      this.#store.saveCertificate(certificate);
      this.#changed({ kind: "certificate", id, change: "updated", principals: [id] });
      return certificate;
    });
  }

  /** Refused while ACTIVE or attached to a thing; attached policies are let go with `force`, as on AWS. */
  deleteCertificate(principal: string, options: { readonly force?: boolean | undefined } = {}): void {
    this.atomically(() => {
      const { certificateId: id, status } = this.describeCertificate(principal);
      if (status === "ACTIVE") {
        const remedy = "Make it INACTIVE or REVOKED first, then delete it.";
        throw new TidewireError("CERTIFICATE_STATE", { id, status, wanted: "deleted", remedy });
      }
      const things = this.#store.thingsOf(id).length;
      const policies = this.#store.policiesOf(id).length;
      if (things > 0 || (policies > 0 && options.force !== true)) {
        const reason = things > 0 ? `${things} thing(s) are attached` : `${policies} policies are attached`;
        throw new TidewireError("STILL_IN_USE", { kind: "certificate", name: id, reason });
      }
      this.#store.removeCertificate(id);
      this.#changed({ kind: "certificate", id, change: "deleted", principals: [id] });
    });
  }

  /** Newest first unless `ascending`. */
  listCertificates(options: PageOptions & { readonly ascending?: boolean | undefined } = {}): Page<CertificateRecord> {
    const descending = options.ascending !== true;
    return pageOf(
      descending ? "certificates-newest" : "certificates-oldest",
      options,
      (certificate) => `${certificate.createdAt}:${certificate.certificateId}`,
      (after, limit) => {
        const [createdAt, id = ""] = after?.split(":") ?? [];
        const key = createdAt === undefined ? null : { createdAt: Number(createdAt), id };
        return this.#store.certificates({ after: key, limit, descending });
      },
    );
  }

  // ── which certificate stands for which thing ─────────────────────────────────────────────────

  /** Attaching again changes only the type. */
  attachThingPrincipal(thingName: string, principal: string, type: PrincipalType = "NON_EXCLUSIVE_THING"): void {
    this.atomically(() => {
      this.describeThing(thingName);
      const { certificateId } = this.describeCertificate(principal);
      const things = this.#store.thingsOf(certificateId).filter((attachment) => attachment.thingName !== thingName);
      const exclusive = things.find((attachment) => attachment.type === "EXCLUSIVE_THING");
      if (exclusive !== undefined) {
        throw invalid(`the certificate is attached exclusively to the thing '${exclusive.thingName}'`);
      }
      if (type === "EXCLUSIVE_THING" && things.length > 0) {
        throw invalid(`the certificate is attached to the thing '${things[0]!.thingName}' as well`);
      }
      const { thingsPerCertificateMax, certificatesPerThingMax } = LIMITS.registry;
      if (things.length >= thingsPerCertificateMax) limit("things of one certificate", thingsPerCertificateMax);
      const others = this.#store.certificatesOf(thingName).filter((other) => other.certificateId !== certificateId);
      if (others.length >= certificatesPerThingMax) limit("certificates of one thing", certificatesPerThingMax);
      this.#store.attachThing({ thingName, certificateId, type });
      this.#changed({ kind: "thing", id: thingName, change: "attached", principals: [certificateId] });
    });
  }

  /** False where it was not attached. */
  detachThingPrincipal(thingName: string, principal: string): boolean {
    const certificateId = certificateIdOf(principal);
    return this.atomically(() => {
      this.describeThing(thingName);
      if (!this.#store.detachThing(thingName, certificateId)) return false;
      this.#changed({ kind: "thing", id: thingName, change: "detached", principals: [certificateId] });
      return true;
    });
  }

  listThingPrincipals(thingName: string): readonly Attachment[] {
    this.describeThing(thingName);
    return this.#store.certificatesOf(thingName);
  }

  listPrincipalThings(principal: string): readonly Attachment[] {
    return this.#store.thingsOf(this.describeCertificate(principal).certificateId);
  }

  // ── policies ─────────────────────────────────────────────────────────────────────────────────

  /** Creates or replaces. `warnings`: what is valid and surely not meant. */
  putPolicy(policyName: string, document: string): { readonly policy: Policy; readonly warnings: readonly string[] } {
    checkPolicyName(policyName);
    const warnings = this.#rules.checkPolicy(document);
    return this.atomically(() => {
      const before = this.#store.policy(policyName);
      if (before?.document === document) return { policy: before, warnings };
      const now = this.#clock.now();
      const version = (before?.version ?? 0) + 1;
      const policy: Policy = { policyName, document, version, createdAt: before?.createdAt ?? now, updatedAt: now };
      this.#store.savePolicy(policy);
      const principals = before === undefined ? [] : certificatesOfPolicy(this.#store, policyName);
      const change = before === undefined ? "created" : "updated";
      this.#changed({ kind: "policy", id: policyName, change, principals });
      return { policy, warnings };
    });
  }

  /** As `putPolicy`, but ALREADY_EXISTS where there is one of this name: AWS's CreatePolicy. */
  createPolicy(
    policyName: string,
    document: string,
  ): { readonly policy: Policy; readonly warnings: readonly string[] } {
    return this.atomically(() => {
      if (this.#store.policy(policyName) !== undefined) {
        throw new TidewireError("ALREADY_EXISTS", { kind: "policy", name: policyName });
      }
      return this.putPolicy(policyName, document);
    });
  }

  getPolicy(policyName: string): Policy {
    return this.#store.policy(policyName) ?? notFound("policy", policyName);
  }

  /** By name. */
  listPolicies(options: PageOptions = {}): Page<Policy> {
    return pageOf(
      "policies",
      options,
      (policy) => policy.policyName,
      (after, limit) => this.#store.policies({ after, limit }),
    );
  }

  deletePolicy(policyName: string): void {
    this.atomically(() => {
      this.getPolicy(policyName);
      if (this.#store.targetsOf(policyName, { after: null, limit: 1 }).length > 0) {
        throw new TidewireError("STILL_IN_USE", { kind: "policy", name: policyName, reason: "certificates have it" });
      }
      this.#store.removePolicy(policyName);
      this.#changed({ kind: "policy", id: policyName, change: "deleted", principals: [] });
    });
  }

  attachPolicy(policyName: string, principal: string): void {
    this.atomically(() => {
      this.getPolicy(policyName);
      const { certificateId } = this.describeCertificate(principal);
      const attached = this.#store.policiesOf(certificateId);
      if (attached.some((policy) => policy.policyName === policyName)) return;
      const { policiesPerCertificateMax } = LIMITS.registry;
      if (attached.length >= policiesPerCertificateMax) limit("policies of one certificate", policiesPerCertificateMax);
      this.#store.attachPolicy(policyName, certificateId);
      this.#changed({ kind: "policy", id: policyName, change: "attached", principals: [certificateId] });
    });
  }

  /** False where it was not attached. */
  detachPolicy(policyName: string, principal: string): boolean {
    const certificateId = certificateIdOf(principal);
    return this.atomically(() => {
      this.getPolicy(policyName);
      if (!this.#store.detachPolicy(policyName, certificateId)) return false;
      this.#changed({ kind: "policy", id: policyName, change: "detached", principals: [certificateId] });
      return true;
    });
  }

  listAttachedPolicies(principal: string): readonly Policy[] {
    return this.#store.policiesOf(this.describeCertificate(principal).certificateId);
  }

  /** Certificate ids. */
  listTargetsForPolicy(policyName: string, options: PageOptions = {}): Page<string> {
    this.getPolicy(policyName);
    return pageOf(
      `targets of ${policyName}`,
      options,
      (id) => id,
      (after, limit) => this.#store.targetsOf(policyName, { after, limit }),
    );
  }

  // ── admission ────────────────────────────────────────────────────────────────────────────────

  /** All that decides what this certificate may do; the same object as last time unless something changed. */
  principalOf(certificateId: string): Principal | undefined {
    return this.#principals.of(certificateId);
  }

  /**
   * As `principalOf`, with every change that another platform had committed before this call. For letting somebody in;
   * waits for the database where others write to it, and throws REGISTRY_UNAVAILABLE where it is away.
   */
  freshPrincipalOf(certificateId: string): Principal | undefined {
    if (this.#others !== null && this.#pending === null) this.#hear(this.#others.ask());
    return this.#principals.of(certificateId);
  }

  // ── changes ──────────────────────────────────────────────────────────────────────────────────

  #changed(change: Change): void {
    if (this.#pending === null) throw new Error("a change outside of a transaction");
    for (const id of change.principals) this.#principals.drop(id);
    this.#pending.push(change);
  }

  /** Changes by others: what they concern is forgotten here, and told as a change of our own is. */
  #hear(news: readonly ForeignChanges[] | null): void {
    if (news !== null && news.length === 0) return;
    const principals = this.#principals.known();
    try {
      if (news === null) throw new Error("changes were missed");
      const changes = news.flatMap((one) => changesOf(this.#store, one));
      for (const change of changes) for (const id of change.principals) this.#principals.drop(id);
      for (const change of changes) this.#publish(change);
    } catch (error) {
      this.#log.info("everything is read again from the registry", { reason: reasonOf(error) });
      this.#principals.clear();
      this.#publish({ kind: "policy", id: "*", change: "updated", principals });
    }
  }

  #publish(change: Change): void {
    const { kind, id, change: what, principals } = change;
    this.#log.info("registry changed", { audit: true, kind, id, change: what, principals: principals.length });
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#log.error("a listener of the registry failed", { kind, id, reason: reasonOf(error) });
      }
    }
  }
}
