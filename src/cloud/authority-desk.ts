/** What administrators do with the CAs while the platform runs: look, replace, retire; and the lists of revoked certificates. */
import type { AuthorityStatus, CertificateAuthority, RevocationList } from "../adapters/pki/mod.ts";
import { minutes } from "../base/mod.ts";
import type { Clock, EpochMs } from "../base/mod.ts";
import type { CertificateCensus } from "./certificate-census.ts";

export interface AuthorityDesk {
  status(): AuthorityStatus;
  /** Throws CA_ROOT_OFFLINE, TOKEN_UNUSABLE. */
  rolloverIssuer(): Promise<void>;
  /** Throws CA_ROOT_OFFLINE. */
  rolloverRoot(): Promise<void>;
  /** Throws CA_REFUSED. */
  retireFormer(): Promise<void>;
  /** No older than some minutes: our own listeners ask the registry, which knows at once. */
  revocationLists(): Promise<readonly RevocationList[]>;
}

export interface AuthorityDeskOptions {
  readonly authority: CertificateAuthority;
  readonly census: CertificateCensus;
  readonly clock: Clock;
}

const LISTS_AGE_MAX = minutes(5);

export function authorityDesk({ authority, census, clock }: AuthorityDeskOptions): AuthorityDesk {
  let lists: { readonly at: EpochMs; readonly made: Promise<readonly RevocationList[]> } | null = null;
  const make = async (): Promise<readonly RevocationList[]> => {
    const { revoked } = await census.take(LISTS_AGE_MAX);
    return authority.revocationLists((issuer) => revoked.get(issuer) ?? []);
  };
  const change = async (work: () => Promise<void>): Promise<void> => {
    await work();
    lists = null;
  };
  return {
    status: () => authority.status(),
    rolloverIssuer: () => change(() => authority.rolloverIssuer()),
    rolloverRoot: () => change(() => authority.rolloverRoot()),
    retireFormer: () =>
      change(async () => {
        const { byIssuer } = await census.take(0);
        await authority.retireFormer((names) => names.reduce((sum, name) => sum + (byIssuer.get(name) ?? 0), 0));
      }),
    revocationLists: () => {
      const now = clock.now();
      if (lists === null || now - lists.at > LISTS_AGE_MAX || now < lists.at) {
        const made = make();
        made.catch(() => (lists = null));
        lists = { at: now, made };
      }
      return lists.made;
    },
  };
}
