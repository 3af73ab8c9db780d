/** Policies, their versions, and what they are attached to. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { Concern } from "./concerned.ts";
import type { RegistryContext } from "./context.ts";
import { checkPolicyName, invalid, policyTargetOf, targetKey } from "./names.ts";
import { pageOf } from "./page.ts";
import type { PageOptions } from "./page.ts";
import type { Change, Page, Policy, PolicyTarget, PolicyVersion } from "./records.ts";
import { alreadyExists, limit, notFound, stillInUse } from "./refusals.ts";

export interface StoredPolicy {
  readonly policy: Policy;
  /** What is valid and surely not meant. */
  readonly warnings: readonly string[];
}

export interface StoredVersion {
  readonly version: PolicyVersion;
  readonly warnings: readonly string[];
}

/** A policy that counts for a certificate or thing, and through which targets it does. */
export interface EffectivePolicy {
  readonly policy: Policy;
  readonly through: readonly PolicyTarget[];
}

export class Policies {
  readonly #context: RegistryContext;

  constructor(context: RegistryContext) {
    this.#context = context;
  }

  /** Creates it, or makes `document` the default version; the oldest other one goes where there are too many. */
  put(policyName: string, document: string): StoredPolicy {
    const { store, ledger } = this.#context;
    checkPolicyName(policyName);
    const warnings = this.#checked(document);
    return ledger.atomically(() => {
      const before = store.policies.find(policyName);
      if (before === undefined) this.#created(policyName, document);
      else if (before.document !== document) {
        const versions = store.policies.versions(policyName);
        const oldest = versions.find((version) => !version.isDefault);
        if (versions.length >= LIMITS.registry.versionsPerPolicyMax && oldest !== undefined) {
          store.policies.removeVersion(policyName, oldest.version);
        }
        this.#added(policyName, document, true);
      }
      return { policy: this.describe(policyName), warnings };
    });
  }

  /** As `put`, but ALREADY_EXISTS where there is one of this name: AWS's CreatePolicy. */
  create(policyName: string, document: string): StoredPolicy {
    const { store, ledger } = this.#context;
    checkPolicyName(policyName);
    const warnings = this.#checked(document);
    return ledger.atomically(() => {
      if (store.policies.find(policyName) !== undefined) alreadyExists("policy", policyName);
      this.#created(policyName, document);
      return { policy: this.describe(policyName), warnings };
    });
  }

  /** Throws POLICY_VERSIONS_LIMIT where it has as many as it may. */
  createVersion(policyName: string, document: string, { setAsDefault = false } = {}): StoredVersion {
    const warnings = this.#checked(document);
    return this.#context.ledger.atomically(() => {
      this.describe(policyName);
      const { versionsPerPolicyMax } = LIMITS.registry;
      if (this.#context.store.policies.versions(policyName).length >= versionsPerPolicyMax) {
        throw new TidewireError("POLICY_VERSIONS_LIMIT", { name: policyName, limit: versionsPerPolicyMax });
      }
      return { version: this.version(policyName, this.#added(policyName, document, setAsDefault)), warnings };
    });
  }

  /** What is valid and surely not meant. Throws POLICY_INVALID. */
  check(document: string): readonly string[] {
    return this.#checked(document);
  }

  find(policyName: string): Policy | undefined {
    return this.#context.store.policies.find(policyName);
  }

  describe(policyName: string): Policy {
    return this.find(policyName) ?? notFound("policy", policyName);
  }

  versions(policyName: string): readonly PolicyVersion[] {
    this.describe(policyName);
    return this.#context.store.policies.versions(policyName);
  }

  version(policyName: string, version: number | string): PolicyVersion {
    const found = this.versions(policyName).find((one) => String(one.version) === String(version));
    return found ?? notFound("policy version", `${policyName}, version ${version}`);
  }

  setDefaultVersion(policyName: string, version: number | string): void {
    const { store, ledger, clock } = this.#context;
    ledger.atomically(() => {
      const found = this.version(policyName, version);
      if (found.isDefault) return;
      store.policies.setDefault(policyName, found.version, clock.now());
      this.#replaced(policyName);
    });
  }

  /** Refused for the default version. */
  deleteVersion(policyName: string, version: number | string): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => {
      const found = this.version(policyName, version);
      if (found.isDefault) {
        stillInUse("policy version", `${policyName}, version ${found.version}`, "it is the default version");
      }
      store.policies.removeVersion(policyName, found.version);
      ledger.changed({ kind: "policy", id: policyName, change: "updated", principals: [] });
    });
  }

  /** By name. */
  list(options: PageOptions = {}): Page<Policy> {
    return pageOf(
      "policies",
      options,
      (policy) => policy.policyName,
      (after, limit) => this.#context.store.policies.list({ after, limit }),
    );
  }

  /** Refused while it is attached, or has versions that are not the default, as on AWS. */
  delete(policyName: string): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => {
      this.describe(policyName);
      const [target] = store.policies.targets(policyName, { after: null, limit: 1 });
      if (target !== undefined) stillInUse("policy", policyName, "certificates or groups have it");
      const others = store.policies.versions(policyName).length - 1;
      if (others > 0) stillInUse("policy", policyName, `it has ${others} version(s) beside the default one`);
      store.tags.remove(`policy/${policyName}`, null);
      store.policies.remove(policyName);
      ledger.changed({ kind: "policy", id: policyName, change: "deleted", principals: [] });
    });
  }

  /** `target`: a certificate's id or ARN, a thing group's ARN, or `password/THING`. */
  attach(policyName: string, target: string): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => {
      this.describe(policyName);
      const to = this.#existing(policyTargetOf(target));
      const key = targetKey(to);
      const attached = store.policies.attachedTo(key);
      if (attached.some((policy) => policy.policyName === policyName)) return;
      const { policiesPerTargetMax } = LIMITS.registry;
      if (attached.length >= policiesPerTargetMax) limit(`policies of one ${to.kind}`, policiesPerTargetMax);
      store.policies.attach(policyName, key);
      this.#told(policyName, "attached", to);
    });
  }

  /** False where it was not attached. */
  detach(policyName: string, target: string): boolean {
    const { store, ledger } = this.#context;
    const from = policyTargetOf(target);
    return ledger.atomically(() => {
      this.describe(policyName);
      if (!store.policies.detach(policyName, targetKey(from))) return false;
      this.#told(policyName, "detached", from);
      return true;
    });
  }

  /** By name. `recursive`: with those that a group inherits from the groups above it. */
  attachedTo(
    target: string,
    { recursive = false }: { readonly recursive?: boolean | undefined } = {},
  ): readonly Policy[] {
    const { store } = this.#context;
    const of = this.#existing(policyTargetOf(target));
    if (!recursive || of.kind !== "group") return store.policies.attachedTo(targetKey(of));
    return effective(
      store.groups.pathTo(of.thingGroupName).map(({ thingGroupName }) => ({ kind: "group", thingGroupName })),
      (key) => store.policies.attachedTo(key),
    ).map(({ policy }) => policy);
  }

  /** Last parts of ARNs: `cert/ID`, `thinggroup/NAME`; ascending. */
  targets(policyName: string, options: PageOptions = {}): Page<string> {
    this.describe(policyName);
    return pageOf(
      `targets of ${policyName}`,
      options,
      (target) => target,
      (after, limit) => this.#context.store.policies.targets(policyName, { after, limit }),
    );
  }

  /**
   * By name. Of a certificate: its own, and those of the groups of its things. With `thingName` alone: those of the thing's
   * groups; with both, its own and those of this thing's groups.
   */
  effective(of: {
    readonly principal?: string | undefined;
    readonly thingName?: string | undefined;
  }): readonly EffectivePolicy[] {
    const { store } = this.#context;
    if (of.principal === undefined && of.thingName === undefined)
      throw invalid("a principal or a thingName is missing");
    const targets: PolicyTarget[] = [];
    const things: string[] = [];
    if (of.thingName !== undefined) {
      if (store.things.find(of.thingName) === undefined) notFound("thing", of.thingName);
      things.push(of.thingName);
    }
    if (of.principal !== undefined) {
      const target = this.#existing(policyTargetOf(of.principal));
      if (target.kind !== "certificate") throw invalid("a principal is a certificate");
      targets.push(target);
      if (of.thingName === undefined) {
        things.push(...store.things.attachedTo(target.certificateId).map(({ thingName }) => thingName));
      }
    }
    const groups = things.flatMap((name) => store.groups.ofThing(name));
    const names = new Set(
      groups.flatMap(({ thingGroupName }) => store.groups.pathTo(thingGroupName)).map((group) => group.thingGroupName),
    );
    targets.push(...[...names].map((thingGroupName): PolicyTarget => ({ kind: "group", thingGroupName })));
    return effective(targets, (key) => store.policies.attachedTo(key));
  }

  #checked(document: string): readonly string[] {
    return this.#context.rules.checkPolicy(document);
  }

  #created(policyName: string, document: string): void {
    const { store, ledger, clock } = this.#context;
    store.policies.addVersion(policyName, document, clock.now());
    ledger.changed({ kind: "policy", id: policyName, change: "created", principals: [] });
  }

  #added(policyName: string, document: string, setAsDefault: boolean): number {
    const { store, ledger, clock } = this.#context;
    const version = store.policies.addVersion(policyName, document, clock.now());
    if (setAsDefault) {
      store.policies.setDefault(policyName, version, clock.now());
      this.#replaced(policyName);
    } else {
      ledger.changed({ kind: "policy", id: policyName, change: "updated", principals: [] });
    }
    return version;
  }

  #replaced(policyName: string): void {
    const { concern, ledger } = this.#context;
    const principals = concern.ofPolicy(policyName);
    ledger.changed({ kind: "policy", id: policyName, change: "updated", principals }, this.describe(policyName));
  }

  #told(policyName: string, change: "attached" | "detached", target: PolicyTarget): void {
    const { concern, ledger } = this.#context;
    const principals = concernedBy(target, concern);
    ledger.changed({ kind: "policy", id: policyName, change, others: [targetKey(target)], principals });
  }

  /** Throws where there is no such certificate or group, or a group's members are not chosen by hand. */
  #existing(target: PolicyTarget): PolicyTarget {
    const { store } = this.#context;
    if (target.kind === "certificate") {
      if (store.certificates.find(target.certificateId) === undefined) notFound("certificate", target.certificateId);
      return target;
    }
    if (target.kind === "password") {
      if (store.passwords.find(target.thingName) === undefined) notFound("password of the thing", target.thingName);
      return target;
    }
    const group = store.groups.find(target.thingGroupName) ?? notFound("thing group", target.thingGroupName);
    if (group.query !== null) {
      // Its members follow from what devices report about themselves: one could report itself into rights.
      throw invalid(`'${target.thingGroupName}' is a dynamic group: policies are attached to static groups only`);
    }
    return target;
  }
}

function concernedBy(target: PolicyTarget, concern: Concern): Change["principals"] {
  switch (target.kind) {
    case "certificate":
      return [target.certificateId];
    case "password":
      return [targetKey(target)];
    case "group":
      return concern.ofGroup(target.thingGroupName);
  }
}

function effective(
  targets: readonly PolicyTarget[],
  policiesOf: (key: string) => readonly Policy[],
): readonly EffectivePolicy[] {
  const found = new Map<string, { policy: Policy; through: PolicyTarget[] }>();
  for (const target of targets) {
    for (const policy of policiesOf(targetKey(target))) {
      const known = found.get(policy.policyName);
      if (known === undefined) found.set(policy.policyName, { policy, through: [target] });
      else known.through.push(target);
    }
  }
  return [...found.values()].sort((a, b) => (a.policy.policyName < b.policy.policyName ? -1 : 1));
}
