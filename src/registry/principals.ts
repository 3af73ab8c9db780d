/** What each certificate may do, in one cheap look-up: the certificates in use, bounded; the longest unused goes first. */
import type { Policy, Principal } from "./records.ts";
import type { CertificateStore, PolicyStore, ThingStore } from "./store.ts";

/** What of the registry's store decides about rights. */
export interface RightsStore {
  readonly certificates: Pick<CertificateStore, "find">;
  readonly things: Pick<ThingStore, "ofCertificate">;
  readonly policies: Pick<PolicyStore, "applyingTo">;
}

export class Principals {
  readonly #store: RightsStore;
  readonly #entriesMax: number;
  /** In the order of last use: a Map keeps insertion order. */
  readonly #entries = new Map<string, Principal>();
  /** One object per policy for all certificates that have it: they are many, and its text is long. */
  readonly #policies = new Map<string, Policy>();

  constructor(store: RightsStore, entriesMax: number) {
    this.#store = store;
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  of(certificateId: string): Principal | undefined {
    const known = this.#entries.get(certificateId);
    if (known !== undefined) {
      this.#entries.delete(certificateId);
      this.#entries.set(certificateId, known);
      return known;
    }
    const read = this.#read(certificateId);
    if (read !== undefined) this.#add(certificateId, read);
    return read;
  }

  drop(certificateId: string): void {
    this.#entries.delete(certificateId);
  }

  /** Puts the policy in the place of the one of this name, for these certificates or for all. */
  replace(policy: Policy, certificateIds: readonly string[] | "all"): void {
    const shared = this.#shared(policy);
    for (const id of certificateIds === "all" ? this.#entries.keys() : certificateIds) {
      const known = this.#entries.get(id);
      if (known === undefined) continue;
      const policies = known.policies.map((one) => (one.policyName === policy.policyName ? shared : one));
      this.#entries.set(id, { ...known, policies });
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#policies.clear();
  }

  #add(certificateId: string, principal: Principal): void {
    this.#entries.set(certificateId, principal);
    if (this.#entries.size <= this.#entriesMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  #read(certificateId: string): Principal | undefined {
    const found = this.#store.certificates.find(certificateId);
    if (found === undefined) return undefined;
    const { pem: _pem, ...certificate } = found; // a kilobyte that admission never needs
    const things = this.#store.things.ofCertificate(certificateId);
    const policies = this.#store.policies.applyingTo(certificateId).map((policy) => this.#shared(policy));
    return { certificate, things, policies };
  }

  #shared(policy: Policy): Policy {
    const known = this.#policies.get(policy.policyName);
    if (known?.document === policy.document && known.version === policy.version) return known;
    if (this.#policies.size >= this.#entriesMax) this.#policies.clear();
    this.#policies.set(policy.policyName, policy);
    return policy;
  }
}
