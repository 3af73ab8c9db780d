/** What each principal may do, in one cheap look-up: those in use, bounded; the longest unused goes first. */
import { passwordKey } from "./names.ts";
import type { PasswordPrincipal, Policy, Principal } from "./records.ts";
import type { CertificateStore, PasswordStore, PolicyStore, ThingStore } from "./store.ts";

/** What of the registry's store decides about rights. */
export interface RightsStore {
  readonly certificates: Pick<CertificateStore, "find">;
  readonly passwords: Pick<PasswordStore, "find">;
  readonly things: Pick<ThingStore, "ofCertificate" | "find">;
  readonly policies: Pick<PolicyStore, "applyingTo" | "attachedTo" | "ofThing">;
}

export class Principals {
  readonly #store: RightsStore;
  readonly #entriesMax: number;
  readonly #certificates: RecentlyUsed<Principal>;
  readonly #passwords: RecentlyUsed<PasswordPrincipal>;
  /** One object per policy for all principals that have it: they are many, and its text is long. */
  readonly #policies = new Map<string, Policy>();

  constructor(store: RightsStore, entriesMax: number) {
    this.#store = store;
    this.#entriesMax = entriesMax;
    this.#certificates = new RecentlyUsed(entriesMax);
    this.#passwords = new RecentlyUsed(entriesMax);
  }

  get size(): number {
    return this.#certificates.entries.size + this.#passwords.entries.size;
  }

  of(certificateId: string): Principal | undefined {
    return this.#certificates.get(certificateId) ?? this.#certificates.add(certificateId, this.#read(certificateId));
  }

  ofPassword(thingName: string): PasswordPrincipal | undefined {
    const key = passwordKey(thingName);
    return this.#passwords.get(key) ?? this.#passwords.add(key, this.#readPassword(thingName));
  }

  /** A certificate's id, or `password/THING`. */
  drop(key: string): void {
    this.#certificates.entries.delete(key);
    this.#passwords.entries.delete(key);
  }

  /** Puts the policy in the place of the one of this name, for these principals or for all. */
  replace(policy: Policy, keys: readonly string[] | "all"): void {
    const shared = this.#shared(policy);
    this.#certificates.replace(shared, keys);
    this.#passwords.replace(shared, keys);
  }

  clear(): void {
    this.#certificates.entries.clear();
    this.#passwords.entries.clear();
    this.#policies.clear();
  }

  #read(certificateId: string): Principal | undefined {
    const found = this.#store.certificates.find(certificateId);
    if (found === undefined) return undefined;
    const { pem: _pem, ...certificate } = found; // a kilobyte that admission never needs
    const things = this.#store.things.ofCertificate(certificateId);
    const policies = this.#store.policies.applyingTo(certificateId).map((policy) => this.#shared(policy));
    return { certificate, things, policies };
  }

  #readPassword(thingName: string): PasswordPrincipal | undefined {
    const password = this.#store.passwords.find(thingName);
    const thing = password === undefined ? undefined : this.#store.things.find(thingName);
    if (password === undefined || thing === undefined) return undefined;
    const own = this.#store.policies.attachedTo(passwordKey(thingName));
    const byName = new Map([...own, ...this.#store.policies.ofThing(thingName)].map((one) => [one.policyName, one]));
    const policies = [...byName.values()]
      .sort((a, b) => (a.policyName < b.policyName ? -1 : 1))
      .map((policy) => this.#shared(policy));
    return { password, things: [{ thing, exclusive: true }], policies, certificate: null };
  }

  #shared(policy: Policy): Policy {
    const known = this.#policies.get(policy.policyName);
    if (known?.document === policy.document && known.version === policy.version) return known;
    if (this.#policies.size >= this.#entriesMax) this.#policies.clear();
    this.#policies.set(policy.policyName, policy);
    return policy;
  }
}

class RecentlyUsed<P extends { readonly policies: readonly Policy[] }> {
  /** In the order of last use: a Map keeps insertion order. */
  readonly entries = new Map<string, P>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get(key: string): P | undefined {
    const known = this.entries.get(key);
    if (known === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, known);
    return known;
  }

  add(key: string, principal: P | undefined): P | undefined {
    if (principal === undefined) return undefined;
    this.entries.set(key, principal);
    if (this.entries.size <= this.#entriesMax) return principal;
    for (const oldest of this.entries.keys()) {
      this.entries.delete(oldest);
      break;
    }
    return principal;
  }

  replace(policy: Policy, keys: readonly string[] | "all"): void {
    for (const key of keys === "all" ? this.entries.keys() : keys) {
      const known = this.entries.get(key);
      if (known === undefined) continue;
      const policies = known.policies.map((one) => (one.policyName === policy.policyName ? policy : one));
      this.entries.set(key, { ...known, policies });
    }
  }
}
