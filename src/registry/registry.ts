/**
 * What exists and what belongs to what. Every change is on disk before the call returns, is told to the listeners, and is
 * written to the audit log. The parts share one transaction and one stream of changes.
 */
import { LIMITS } from "../base/mod.ts";
import type { Cancel, Clock, Logger, Metrics, Millis, Random } from "../base/mod.ts";
import { CaCertificates } from "./authorities.ts";
import { Certificates } from "./certificates.ts";
import { Concern } from "./concerned.ts";
import type { RegistryContext, RegistryRules } from "./context.ts";
import { Groups } from "./groups.ts";
import { Ledger, lastKnown } from "./ledger.ts";
import { Passwords } from "./passwords.ts";
import { Policies } from "./policies.ts";
import type { AttachedThing, Change, PasswordPrincipal, Policy, Principal } from "./records.ts";
import type { RegistryStore } from "./store.ts";
import { Tags } from "./tags.ts";
import { ThingTypes } from "./thing-types.ts";
import { Things } from "./things.ts";

export interface RegistryOptions {
  readonly store: RegistryStore;
  readonly rules: RegistryRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: `LIMITS.registry.principalsCachedMax`. */
  readonly principalsCachedMax?: number;
  /** Certificates that one change may name; where it concerns more, it concerns all. Default: the limit of this name. */
  readonly principalsNamedMax?: number;
  /** How long after its deprecation a thing type may be deleted. Default: AWS's five minutes. */
  readonly deprecationDelay?: Millis;
}

export class Registry {
  readonly things: Things;
  readonly types: ThingTypes;
  readonly groups: Groups;
  readonly certificates: Certificates;
  /** CA certificates of others; our own is `adapters/pki`'s. */
  readonly authorities: CaCertificates;
  /** Of things that cannot hold a certificate. */
  readonly passwords: Passwords;
  readonly policies: Policies;
  readonly tags: Tags;
  readonly #ledger: Ledger;
  readonly #store: RegistryStore;

  constructor(options: RegistryOptions) {
    const { store, rules, clock, random, logger, metrics, principalsCachedMax } = options;
    const { typeDeprecationDelay, principalsNamedMax: namedMax } = LIMITS.registry;
    const { deprecationDelay = typeDeprecationDelay, principalsNamedMax = namedMax } = options;
    const concern = new Concern(store, principalsNamedMax);
    this.#store = store;
    this.#ledger = new Ledger({ store, concern, logger, principalsCachedMax });
    const context: RegistryContext = { store, ledger: this.#ledger, concern, rules, clock, random, deprecationDelay };
    this.things = new Things(context);
    this.types = new ThingTypes(context);
    this.groups = new Groups(context);
    this.certificates = new Certificates(context);
    this.authorities = new CaCertificates(context);
    this.passwords = new Passwords(context);
    this.policies = new Policies(context);
    this.tags = new Tags(context);
    metrics.observe(
      { name: "tidewire_registry_things", help: "Registered things" },
      lastKnown(() => store.things.count({})),
    );
    metrics.observe(
      { name: "tidewire_registry_principals_cached", help: "Certificates whose rights are in memory" },
      () => this.#ledger.principalsCached,
    );
  }

  /** Told after the change is on disk; must not throw. */
  onChange(listener: (change: Change) => void): Cancel {
    return this.#ledger.onChange(listener);
  }

  /** Several calls as one: all are kept or none, with one wait for the disk. Listeners hear of them afterwards. */
  atomically<T>(work: () => T): T {
    return this.#ledger.atomically(work);
  }

  /** All that decides what this certificate may do; the same object as last time unless something changed. */
  principalOf(certificateId: string): Principal | undefined {
    return this.#ledger.principalOf(certificateId);
  }

  /**
   * As `principalOf`, with every change that another platform had committed before this call. For letting somebody in;
   * waits for the database where others write to it, and throws REGISTRY_UNAVAILABLE where it is away.
   */
  freshPrincipalOf(certificateId: string): Principal | undefined {
    return this.#ledger.freshPrincipalOf(certificateId);
  }

  /** As `principalOf`, of a thing's password. */
  passwordPrincipalOf(thingName: string): PasswordPrincipal | undefined {
    return this.#ledger.passwordPrincipalOf(thingName);
  }

  /** As `freshPrincipalOf`, of a thing's password. */
  freshPasswordPrincipalOf(thingName: string): PasswordPrincipal | undefined {
    return this.#ledger.freshPasswordPrincipalOf(thingName);
  }

  /** What a thing brings to whoever is proved to be it by other means than ours; read anew with each call. */
  standingOf(thingName: string): { readonly things: readonly AttachedThing[]; readonly policies: readonly Policy[] } {
    const thing = this.#store.things.find(thingName);
    if (thing === undefined) return { things: [], policies: [] };
    return { things: [{ thing, exclusive: true }], policies: this.#store.policies.ofThing(thingName) };
  }
}
