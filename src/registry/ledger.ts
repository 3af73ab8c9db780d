/** One transaction for all parts of the registry, and the stream of what they changed. */
import { LIMITS, isTidewireError, reasonOf } from "../base/mod.ts";
import type { Cancel, Logger } from "../base/mod.ts";
import type { Concern } from "./concerned.ts";
import { Principals } from "./principals.ts";
import type { Change, PasswordPrincipal, Policy, Principal } from "./records.ts";
import type { ForeignChanges, OtherWriters, RegistryStore } from "./store.ts";

export interface LedgerOptions {
  readonly store: RegistryStore;
  readonly concern: Concern;
  readonly logger: Logger;
  /** Default: `LIMITS.registry.principalsCachedMax`. */
  readonly principalsCachedMax?: number | undefined;
}

export class Ledger {
  readonly #store: RegistryStore;
  readonly #concern: Concern;
  readonly #log: Logger;
  readonly #principals: Principals;
  readonly #listeners = new Set<(change: Change) => void>();
  /** Who else writes to the store; null where nobody does. */
  readonly #others: OtherWriters | null;
  /** Changes of the transaction that runs now; null outside of one. */
  #pending: Change[] | null = null;

  constructor({ store, concern, logger, principalsCachedMax = LIMITS.registry.principalsCachedMax }: LedgerOptions) {
    this.#store = store;
    this.#concern = concern;
    this.#log = logger;
    this.#principals = new Principals(store, principalsCachedMax);
    this.#others = store.others ?? null;
    this.#others?.onNews(() => this.#hear(this.#others?.take() ?? null));
  }

  get principalsCached(): number {
    return this.#principals.size;
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

  /**
   * To be called by the part that changed something, within its transaction. `policy`: all that is different in the rights
   * of those whom it concerns is this policy, so that ten thousand of them need not be read again.
   */
  changed(change: Change, policy?: Policy): void {
    if (this.#pending === null) throw new Error("a change outside of a transaction");
    if (policy === undefined) this.#forget(change);
    else this.#principals.replace(policy, change.principals);
    this.#pending.push(change);
  }

  principalOf(certificateId: string): Principal | undefined {
    return this.#principals.of(certificateId);
  }

  freshPrincipalOf(certificateId: string): Principal | undefined {
    if (this.#others !== null && this.#pending === null) this.#hear(this.#others.ask());
    return this.#principals.of(certificateId);
  }

  passwordPrincipalOf(thingName: string): PasswordPrincipal | undefined {
    return this.#principals.ofPassword(thingName);
  }

  freshPasswordPrincipalOf(thingName: string): PasswordPrincipal | undefined {
    if (this.#others !== null && this.#pending === null) this.#hear(this.#others.ask());
    return this.#principals.ofPassword(thingName);
  }

  #forget({ principals }: Change): void {
    if (principals === "all") this.#principals.clear();
    else for (const id of principals) this.#principals.drop(id);
  }

  /** A policy's attachments touch their targets, so where it was updated, only its text is different. */
  #apply(change: Change): void {
    const replaced = change.kind === "policy" && change.change === "updated";
    const policy = replaced ? this.#store.policies.find(change.id) : undefined;
    if (policy === undefined) this.#forget(change);
    else this.#principals.replace(policy, change.principals);
  }

  /** Changes by others: what they concern is forgotten here, and told as a change of our own is. */
  #hear(news: readonly ForeignChanges[] | null): void {
    if (news !== null && news.length === 0) return;
    try {
      if (news === null) throw new Error("changes were missed");
      const changes = news.flatMap((one) => this.#concern.ofForeign(one));
      for (const change of changes) this.#apply(change);
      for (const change of changes) this.#publish(change);
    } catch (error) {
      this.#log.info("everything is read again from the registry", { reason: reasonOf(error) });
      this.#principals.clear();
      this.#publish({ kind: "policy", id: "*", change: "updated", principals: "all" });
    }
  }

  #publish(change: Change): void {
    const { kind, id, change: what, principals, others } = change;
    const concerned = principals === "all" ? principals : principals.length;
    this.#log.info("registry changed", {
      audit: true,
      kind,
      id,
      change: what,
      principals: concerned,
      ...(others === undefined ? {} : { others: others.slice(0, OTHERS_LOGGED).join(" ") }),
    });
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#log.error("a listener of the registry failed", { kind, id, reason: reasonOf(error) });
      }
    }
  }
}

/** A line of the log stays short when a query fills a group. */
const OTHERS_LOGGED = 10;

/** A number for metrics, which stays as it was while the database is away. */
export function lastKnown(read: () => number): () => number {
  let known = 0;
  return () => {
    try {
      known = read();
    } catch (error) {
      if (!isTidewireError(error)) throw error;
    }
    return known;
  };
}
