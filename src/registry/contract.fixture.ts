/** What the contracts of the registry's parts share. */
import assert from "node:assert/strict";
import { isTidewireError } from "../base/mod.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import type { RegistryRules } from "./context.ts";
import type { Certificate, CertificateFacts, CertificateStatus, Change, Page } from "./records.ts";
import { Registry } from "./registry.ts";
import type { RegistryStore } from "./store.ts";

export interface StoreUnderTest {
  readonly store: RegistryStore;
  /** Closes and opens the same data again, as a restart does. */
  reopen(): RegistryStore | Promise<RegistryStore>;
  close(): void | Promise<void>;
}

export type OpenStore = () => StoreUnderTest | Promise<StoreUnderTest>;

/** The n-th certificate of a test. */
export function factsOf(n: number): CertificateFacts {
  return {
    certificateId: n.toString(16).padStart(64, "0"),
    serialNumber: String(n),
    subject: { CommonName: [`thing-${n}`], OrganizationalUnit: ["a", "b"] },
    issuer: { CommonName: ["Tidewire CA test"] },
    notBefore: 1_700_000_000_000,
    notAfter: 1_900_000_000_000,
  };
}

/** The n-th certificate as a store keeps it. */
export function certificateOf(n: number): Certificate {
  return {
    ...factsOf(n),
    pem: `PEM ${n}`,
    status: "ACTIVE",
    caCertificateId: null,
    certificateMode: "DEFAULT",
    version: 1,
    generationId: `generation ${n}`,
    createdAt: n,
    updatedAt: n,
  };
}

export const id = (n: number): string => factsOf(n).certificateId;

export const RULES: RegistryRules = {
  checkPolicy: (document) => (document.includes("odd") ? ["odd document"] : []),
  mayBecome: (from: CertificateStatus, to: CertificateStatus) => from !== "REVOKED" || to === "REVOKED",
};

export function refused(code: string, says: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTidewireError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, says);
    return true;
  };
}

/** All items, page by page. */
export function allOf<T>(list: (nextToken: string | null) => Page<T>): T[] {
  const items: T[] = [];
  for (let nextToken: string | null = null; ;) {
    const page = list(nextToken);
    items.push(...page.items);
    if (page.nextToken === null) return items;
    ({ nextToken } = page);
  }
}

/** A registry over a store, its clock, and what its listeners heard. */
export class RegistryWorld {
  readonly under: StoreUnderTest;
  readonly clock = new SimClock();
  readonly logger = new SimLogger();
  metrics = new SimMetrics();
  registry: Registry;
  changes: Change[] = [];

  private constructor(under: StoreUnderTest) {
    this.under = under;
    this.registry = this.#start(under.store);
  }

  static async open(open: OpenStore): Promise<RegistryWorld> {
    return new RegistryWorld(await open());
  }

  async restart(): Promise<void> {
    this.registry = this.#start(await this.under.reopen());
  }

  /** What was heard since the last call, as `kind id change`. */
  heard(): readonly string[] {
    return this.changes.splice(0).map(({ kind, id: what, change }) => `${kind} ${what} ${change}`);
  }

  #start(store: RegistryStore): Registry {
    const { clock, logger } = this;
    const metrics = (this.metrics = new SimMetrics());
    const registry = new Registry({ store, rules: RULES, clock, random: new SimRandom(7), logger, metrics });
    this.changes = [];
    registry.onChange((change) => this.changes.push(change));
    return registry;
  }
}
