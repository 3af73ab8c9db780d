/**
 * CAs of others that are registered here, read once and again when they change; `caCertificatesMax` bounds them. TLS trusts
 * roots only: what a registered CA signed that is none is let through to be looked up, as what was registered without a CA.
 */
import { X509Certificate } from "node:crypto";
import { isTidewireError } from "../base/mod.ts";
import type { Cancel } from "../base/mod.ts";
import type { CaCertificate, Page, Registry } from "../registry/mod.ts";

export interface RegisteredAuthority extends CaCertificate {
  /** As certificates name it that it signed. */
  readonly subjectText: string;
  /** Its own issuer. */
  readonly isRoot: boolean;
}

export class RegisteredAuthorities {
  readonly #registry: Registry;
  readonly #cancel: Cancel;
  #all: readonly RegisteredAuthority[] | null = null;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#cancel = registry.onChange(({ kind }) => {
      if (kind === "authority") this.#all = null;
    });
  }

  close(): void {
    this.#cancel();
  }

  /** Throws where the registry is away and nobody has asked before. */
  all(): readonly RegisteredAuthority[] {
    return (this.#all ??= this.#read());
  }

  active(): readonly RegisteredAuthority[] {
    return this.all().filter(({ status }) => status === "ACTIVE");
  }

  /** Whether certificates may come that TLS does not trust by itself. */
  readonly expected = (): boolean => this.#quietly(() => this.active().some(({ isRoot }) => !isRoot), true);

  /** Its chain was looked at when it was registered, its status and time are by who admits it. */
  readonly admits = (certificateId: string): boolean =>
    this.#quietly(() => {
      const by = this.#registry.principalOf(certificateId)?.certificate.caCertificateId ?? null;
      return by !== null && this.active().some((one) => one.certificateId === by && !one.isRoot);
    }, false);

  /** `away`: the answer where the registry cannot be asked. */
  #quietly(answer: () => boolean, away: boolean): boolean {
    try {
      return answer();
    } catch (error) {
      if (isTidewireError(error)) return away;
      throw error;
    }
  }

  #read(): readonly RegisteredAuthority[] {
    const all: RegisteredAuthority[] = [];
    let nextToken: string | null = null;
    do {
      const page: Page<CaCertificate> = this.#registry.authorities.list({ nextToken });
      for (const authority of page.items) {
        const { subject, issuer } = new X509Certificate(authority.pem);
        all.push({ ...authority, subjectText: subject, isRoot: subject === issuer });
      }
      ({ nextToken } = page);
    } while (nextToken !== null);
    return all;
  }
}
