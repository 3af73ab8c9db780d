/** Rights that are made of policies by name. */
import type { Policy, Registry } from "../../registry/mod.ts";
import type { Rights, TokenGrant } from "../admission.ts";

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

/** What a token's bearer may do now: by the policies that it names, and those of its thing's groups. Null as above. */
export function tokenRightsOf(
  registry: Pick<Registry, "policies" | "standingOf">,
  { thing, policies: names }: TokenGrant,
  missing: (name: string) => void,
): Rights | null {
  const named = policiesNamed(registry, names, missing);
  if (named === null) return null;
  const standing = thing === null ? { things: [], policies: [] } : registry.standingOf(thing);
  const policies = [...new Map([...named, ...standing.policies].map((one) => [one.policyName, one])).values()];
  return { policies, things: standing.things, certificate: null };
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
