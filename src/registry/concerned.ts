/** Whose rights may be different after a change. */
import { LIMITS } from "../base/mod.ts";
import type { Change } from "./records.ts";
import type { ForeignChanges, RegistryStore } from "./store.ts";

type Concerned = Change["principals"];

export function certificatesOfThing(store: RegistryStore, thingName: string): readonly string[] {
  return store.things.attachmentsOf(thingName).map((attachment) => attachment.certificateId);
}

/** Of several things, each once. */
export function certificatesOfThings(store: RegistryStore, thingNames: readonly string[]): Concerned {
  const found = new Set<string>();
  for (const name of thingNames) {
    for (const id of certificatesOfThing(store, name)) found.add(id);
    if (found.size > LIMITS.registry.principalsNamedMax) return "all";
  }
  return [...found];
}

export function certificatesOfGroup(store: RegistryStore, groupName: string): Concerned {
  return nameable((limit) => store.groups.certificatesBelow(groupName, limit));
}

export function certificatesOfPolicy(store: RegistryStore, policyName: string): Concerned {
  return nameable((limit) => store.policies.certificatesWith(policyName, limit));
}

/** What others did, as changes of our own look. */
export function changesOf(store: RegistryStore, foreign: ForeignChanges): readonly Change[] {
  return foreign.map(([kind, id, change]) => ({ kind, id, change, principals: concernedBy(store, kind, id) }));
}

function concernedBy(store: RegistryStore, kind: Change["kind"], id: string): Concerned {
  switch (kind) {
    case "certificate":
      return [id];
    case "thing":
      return certificatesOfThing(store, id);
    case "policy":
      return certificatesOfPolicy(store, id);
    case "group":
      return certificatesOfGroup(store, id);
    case "type":
    case "authority":
    case "tags":
      return [];
  }
}

function nameable(read: (limit: number) => readonly string[]): Concerned {
  const { principalsNamedMax } = LIMITS.registry;
  const ids = read(principalsNamedMax + 1);
  return ids.length > principalsNamedMax ? "all" : ids;
}
