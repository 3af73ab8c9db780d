/** Whose rights may be different after a change. */
import type { Change } from "./records.ts";
import type { ForeignChanges, RegistryStore } from "./store.ts";

type Attachments = Pick<RegistryStore, "certificatesOf" | "targetsOf">;

export function certificatesOfThing(store: Attachments, thingName: string): readonly string[] {
  return store.certificatesOf(thingName).map((attachment) => attachment.certificateId);
}

export function certificatesOfPolicy(store: Attachments, policyName: string): readonly string[] {
  return store.targetsOf(policyName, { after: null, limit: Number.MAX_SAFE_INTEGER });
}

/** What others did, as changes of our own look. */
export function changesOf(store: Attachments, foreign: ForeignChanges): readonly Change[] {
  const { things, certificates, policies } = foreign;
  return [
    ...certificates.map((id): Change => ({ kind: "certificate", id, change: "updated", principals: [id] })),
    ...things.map(([id, change]): Change => ({
      kind: "thing",
      id,
      change,
      principals: certificatesOfThing(store, id),
    })),
    ...policies.map((id): Change => ({
      kind: "policy",
      id,
      change: "updated",
      principals: certificatesOfPolicy(store, id),
    })),
  ];
}
