/** Rights that are made of policies by name. */
import type { Policy, Registry } from "../../registry/mod.ts";
import type { Rights } from "../admission.ts";

/** Null where one is missing, which `missing` is told: it may be the one that denies something. */
export function policiesNamed(
  registry: Pick<Registry, "policies">,
  names: readonly string[],
  missing: (name: string) => void,
): readonly Policy[] | null {
  const found: Policy[] = [];
  for (const name of names) {
    const policy = registry.policies.find(name);
    if (policy === undefined) {
      missing(name);
      return null;
    }
    found.push(policy);
  }
  return found;
}

/** Whether they come to the same, so that nothing has to be compiled anew. */
export function sameRights(a: Rights, b: Rights): boolean {
  return (
    a.policies.length === b.policies.length &&
    a.policies.every((policy, i) => {
      const other = b.policies[i]!;
      return (
        policy.policyName === other.policyName && policy.version === other.version && policy.document === other.document
      );
    }) &&
    a.things.length === b.things.length &&
    a.things.every(
      ({ thing }, i) => thing.thingId === b.things[i]!.thing.thingId && thing.version === b.things[i]!.thing.version,
    )
  );
}
