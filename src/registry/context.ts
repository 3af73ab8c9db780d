/** What every part of the registry works with. */
import type { Clock, Millis, Random } from "../base/mod.ts";
import type { Concern } from "./concerned.ts";
import type { Ledger } from "./ledger.ts";
import type { CertificateStatus } from "./records.ts";
import type { RegistryStore } from "./store.ts";
import { uuid } from "./uuid.ts";

/** What the registry must know about policies and statuses without knowing the room `identity`. */
export interface RegistryRules {
  /** Throws POLICY_INVALID; returns sentences about what is valid but surely not meant. */
  checkPolicy(document: string): readonly string[];
  mayBecome(from: CertificateStatus, to: CertificateStatus): boolean;
}

export interface RegistryContext {
  readonly store: RegistryStore;
  readonly ledger: Ledger;
  readonly concern: Concern;
  readonly rules: RegistryRules;
  readonly clock: Clock;
  readonly random: Random;
  /** How long after its deprecation a thing type may be deleted. */
  readonly deprecationDelay: Millis;
}

export function newId({ random }: RegistryContext): string {
  return uuid(random.bytes(16));
}
