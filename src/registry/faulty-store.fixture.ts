/** A store whose disk fails: at the n-th call, or when the transaction is to be kept. */
import type { RegistryStore } from "./store.ts";

export class DiskFailure extends Error {}

export interface FaultyStore {
  readonly store: RegistryStore;
  /** From now on the `call`-th one fails, once. */
  failAt(call: number): void;
  /** Whether it has failed since. */
  failed(): boolean;
}

export function faulty(under: RegistryStore): FaultyStore {
  let left = Number.POSITIVE_INFINITY;
  const tick = (): void => {
    if (--left === 0) throw new DiskFailure("the disk is full");
  };
  const part = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(of, key): unknown {
        const member: unknown = Reflect.get(of, key);
        if (typeof member !== "function") return member;
        return (...given: unknown[]): unknown => {
          tick();
          return Reflect.apply(member, of, given);
        };
      },
    });
  const store: RegistryStore = {
    things: part(under.things),
    types: part(under.types),
    groups: part(under.groups),
    certificates: part(under.certificates),
    authorities: part(under.authorities),
    passwords: part(under.passwords),
    policies: part(under.policies),
    tags: part(under.tags),
    transaction: (work) => {
      tick();
      return under.transaction(() => {
        const result = work();
        tick(); // the commit
        return result;
      });
    },
  };
  return { store, failAt: (call) => (left = call), failed: () => left <= 0 };
}
