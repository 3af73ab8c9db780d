/** Whose rights may be different after a change. */
import { passwordKey } from "./names.ts";
import type { Change } from "./records.ts";
import type { ForeignChanges, RegistryStore } from "./store.ts";

type Concerned = Change["principals"];

export function principalsOfThing(store: RegistryStore, thingName: string): readonly string[] {
  const certificates = store.things.attachmentsOf(thingName).map((attachment) => attachment.certificateId);
  return store.passwords.find(thingName) === undefined ? certificates : [...certificates, passwordKey(thingName)];
}

/** Where concerned principals are more than may be named, everybody is. */
export class Concern {
  readonly #store: RegistryStore;
  readonly #namedMax: number;

  constructor(store: RegistryStore, namedMax: number) {
    this.#store = store;
    this.#namedMax = namedMax;
  }

  /** Of several things, each once. */
  ofThings(thingNames: readonly string[]): Concerned {
    const found = new Set<string>();
    for (const name of thingNames) {
      for (const id of principalsOfThing(this.#store, name)) found.add(id);
      if (found.size > this.#namedMax) return "all";
    }
    return [...found];
  }

  ofGroup(groupName: string): Concerned {
    return this.#nameable(this.#store.groups.principalsBelow(groupName, this.#namedMax + 1));
  }

  ofPolicy(policyName: string): Concerned {
    return this.#nameable(this.#store.policies.principalsWith(policyName, this.#namedMax + 1));
  }

  /** What others did, as changes of our own look. */
  ofForeign(foreign: ForeignChanges): readonly Change[] {
    return foreign.map(([kind, id, change]) => ({ kind, id, change, principals: this.#of(kind, id) }));
  }

  #of(kind: Change["kind"], id: string): Concerned {
    switch (kind) {
      case "certificate":
        return [id];
      case "thing":
        return principalsOfThing(this.#store, id);
      case "password":
        return [passwordKey(id)];
      case "policy":
        return this.ofPolicy(id);
      case "group":
        return this.ofGroup(id);
      case "type":
      case "authority":
      case "tags":
        return [];
    }
  }

  #nameable(ids: readonly string[]): Concerned {
    return ids.length > this.#namedMax ? "all" : ids;
  }
}
