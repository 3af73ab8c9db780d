/** Passwords of things that cannot hold a certificate: kept as hashes, one for a thing, with policies of its own. */
import type { EpochMs } from "../base/mod.ts";
import type { RegistryContext } from "./context.ts";
import { passwordKey } from "./names.ts";
import type { DevicePassword } from "./records.ts";
import { notFound } from "./refusals.ts";

export class Passwords {
  readonly #context: RegistryContext;

  constructor(context: RegistryContext) {
    this.#context = context;
  }

  find(thingName: string): DevicePassword | undefined {
    return this.#context.store.passwords.find(thingName);
  }

  /** A new one, or another in the place of the one before: whoever is connected with that has to log in anew. */
  set(thingName: string, hash: string): DevicePassword {
    const { store, ledger, clock } = this.#context;
    return ledger.atomically(() => {
      if (store.things.find(thingName) === undefined) notFound("thing", thingName);
      const before = store.passwords.find(thingName);
      const now = clock.now();
      const password: DevicePassword = {
        thingName,
        hash,
        version: (before?.version ?? 0) + 1,
        createdAt: before?.createdAt ?? now,
        updatedAt: now,
      };
      store.passwords.save(password);
      const change = before === undefined ? "created" : "updated";
      ledger.changed({ kind: "password", id: thingName, change, principals: [passwordKey(thingName)] });
      return password;
    });
  }

  /** The same password, hashed anew; false where there is another one by now. */
  rehash({ thingName, version }: DevicePassword, hash: string): boolean {
    const { store, ledger } = this.#context;
    return ledger.atomically(() => {
      const before = store.passwords.find(thingName);
      if (before?.version !== version) return false;
      store.passwords.save({ ...before, hash });
      ledger.changed({ kind: "password", id: thingName, change: "updated", principals: [passwordKey(thingName)] });
      return true;
    });
  }

  /** When it last let somebody in, as far as that was kept. */
  usedAt(thingName: string): EpochMs | null {
    return this.#context.store.passwords.usedAt(thingName);
  }

  /** What is told to nobody: it is no change of anybody's rights. */
  saveUses(uses: ReadonlyMap<string, EpochMs>): void {
    if (uses.size === 0) return;
    this.#context.ledger.atomically(() => this.#context.store.passwords.saveUses(uses));
  }

  /** False where there was none. */
  remove(thingName: string): boolean {
    return this.#context.ledger.atomically(() => removePassword(this.#context, thingName));
  }
}

/** Within a transaction; its policies are let go. */
export function removePassword({ store, ledger }: RegistryContext, thingName: string): boolean {
  if (store.passwords.find(thingName) === undefined) return false;
  const key = passwordKey(thingName);
  for (const { policyName } of store.policies.attachedTo(key)) store.policies.detach(policyName, key);
  store.passwords.remove(thingName);
  ledger.changed({ kind: "password", id: thingName, change: "deleted", principals: [key] });
  return true;
}
