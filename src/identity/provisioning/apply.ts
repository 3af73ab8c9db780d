/** One device's plan, written into the registry; to be called inside of one transaction. */
import type { ProvisioningPlan, ThingPlan } from "./plan.ts";
import type { DeviceRegistry, KnownThing, Sha256Hex } from "./ports.ts";
import { ProvisioningRefusal } from "./refusal.ts";

export interface Provisioned {
  readonly thingName: string | null;
  readonly certificateId: string;
  readonly deviceConfiguration: Readonly<Record<string, string>>;
  /** The thing was there before. */
  readonly isKnown: boolean;
}

/** Throws `ProvisioningRefusal` ResourceConflict, ResourceNotFound, or what the registry throws. */
export function applyPlan(
  registry: DeviceRegistry,
  plan: ProvisioningPlan,
  certificateId: string,
  sha256: Sha256Hex,
): Provisioned {
  const { thing, certificate, policies, deviceConfiguration } = plan;
  const isKnown = thing !== null && applyThing(registry, thing);
  for (const { name, document } of policies) {
    const called = name ?? sha256(document!);
    applyPolicy(registry, called, document);
    registry.attachPolicy(called, certificateId);
  }
  const before = registry.certificate(certificateId)?.status ?? null;
  if (before === null)
    throw new ProvisioningRefusal("registry", "ResourceNotFound", "The certificate is not there any more");
  if (before === "PENDING_ACTIVATION" || certificate.overrideStatus === "REPLACE")
    registry.setStatus(certificateId, certificate.status);
  else if (before !== certificate.status && certificate.overrideStatus === "FAIL")
    throw conflict("The certificate", `is ${before}`);
  if (thing !== null) registry.attachThing(thing.name, certificateId, thing.exclusive);
  return { thingName: thing?.name ?? null, certificateId, deviceConfiguration, isKnown };
}

function applyPolicy(registry: DeviceRegistry, name: string, document: string | null): void {
  const existing = registry.policy(name);
  if (existing === null) {
    if (document === null)
      throw new ProvisioningRefusal("registry", "ResourceNotFound", `There is no policy named '${name}'`);
    registry.createPolicy(name, document);
  } else if (document !== null && existing !== document) throw conflict(`The policy '${name}'`, "has another document");
}

/** True where the thing was there. */
function applyThing(registry: DeviceRegistry, plan: ThingPlan): boolean {
  const { name, typeName, overrides } = plan;
  const { attributes } = plan;
  const before = registry.thing(name);
  if (before === null) {
    registry.createThing(name, { typeName, attributes }, plan.billingGroup);
    for (const group of plan.groups) registry.addToGroup(name, group);
    return false;
  }
  const after: KnownThing = {
    typeName: typeAfter(before, plan),
    attributes: attributesAfter(before, plan, attributes),
  };
  if (after.typeName !== before.typeName || !same(after.attributes, before.attributes))
    registry.changeThing(name, after);
  applyGroups(registry, plan, overrides.groups);
  return true;
}

function typeAfter(before: KnownThing, { name, typeName, overrides }: ThingPlan): string | null {
  if (typeName === null || typeName === before.typeName) return before.typeName;
  if (overrides.typeName === "FAIL") throw conflict(`The thing '${name}'`, "has another type");
  return overrides.typeName === "REPLACE" ? typeName : before.typeName;
}

function attributesAfter(
  { attributes: before }: KnownThing,
  { name, overrides }: ThingPlan,
  wanted: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  switch (overrides.attributes) {
    case "DO_NOTHING":
      return before;
    case "MERGE":
      return { ...before, ...wanted };
    case "REPLACE":
      return wanted;
    case "FAIL":
      if (!same(before, wanted)) throw conflict(`The thing '${name}'`, "has other attributes");
      return before;
  }
}

function applyGroups(
  registry: DeviceRegistry,
  { name, groups }: ThingPlan,
  override: ThingPlan["overrides"]["groups"],
): void {
  if (override === "DO_NOTHING") return;
  const before = registry.groupsOf(name);
  const missing = groups.filter((group) => !before.includes(group));
  const surplus = before.filter((group) => !groups.includes(group));
  if (override === "FAIL" && missing.length + surplus.length > 0)
    throw conflict(`The thing '${name}'`, "is in other groups");
  for (const group of missing) registry.addToGroup(name, group);
  if (override === "REPLACE") for (const group of surplus) registry.removeFromGroup(name, group);
}

function same(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

function conflict(what: string, how: string): ProvisioningRefusal {
  return new ProvisioningRefusal("registry", "ResourceConflict", `${what} exists and ${how}`);
}
