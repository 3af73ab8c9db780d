/** The registry and the CA, as provisioning sees them. */
import type { CertificateAuthority, DeviceCertificate } from "../../adapters/pki/mod.ts";
import { TidewireError } from "../../base/mod.ts";
import type { DeviceIssuer, DeviceRegistry, IssuedDevice, KnownThing } from "../../identity/mod.ts";
import type { CertificateFacts, Registry, ThingGroup } from "../../registry/mod.ts";

/** What an issued certificate says, kept from its making to its registering; gone with the object. */
const FACTS = new WeakMap<IssuedDevice, CertificateFacts>();
const NOBODY = "Tidewire device";

/** A name that a request asks for is not taken over: whoever provisions by a claim may not name devices. */
export function deviceIssuer(authority: CertificateAuthority): DeviceIssuer {
  return {
    fromCsr: async (csrPem) => {
      const { certificatePem, facts } = await authority.issueDeviceCertificate({ csrPem, thing: NOBODY });
      return remember({ certificateId: facts.certificateId, certificatePem }, facts);
    },
    withKey: async () => {
      const { certificatePem, facts, ...keys } = await authority.createDeviceKeyAndCertificate(NOBODY);
      return remember({ certificateId: facts.certificateId, certificatePem, ...keys }, facts);
    },
  };
}

/** A certificate that was issued elsewhere, for provisioning to register. */
export function issuedFor({
  certificatePem,
  facts,
}: DeviceCertificate): IssuedDevice & { readonly facts: CertificateFacts } {
  return remember({ certificateId: facts.certificateId, certificatePem, facts }, facts);
}

/** A certificate of a registered CA, as a device has shown it. */
export function presentedBy(authorityId: string, certificatePem: string, facts: CertificateFacts): IssuedDevice {
  return remember({ certificateId: facts.certificateId, certificatePem, authorityId }, facts);
}

function remember<T extends IssuedDevice>(issued: T, facts: CertificateFacts): T {
  FACTS.set(issued, facts);
  return issued;
}

export function deviceRegistry(registry: Registry): DeviceRegistry {
  const { things, groups, certificates, policies } = registry;
  return {
    atomically: (work) => registry.atomically(work),
    thing: (name) => knownThing(registry, name),
    createThing: (name, { typeName, attributes }, billingGroupName) =>
      void things.create(name, { thingTypeName: typeName, attributes, billingGroupName }),
    changeThing: (name, { typeName, attributes }) =>
      void things.update(name, { thingTypeName: typeName ?? undefined, attributes }),
    groupsOf: (thing) =>
      groups
        .ofThing(thing)
        .filter(isStatic)
        .map(({ thingGroupName }) => thingGroupName),
    addToGroup: (thing, group) => groups.add(group, thing),
    removeFromGroup: (thing, group) => void groups.remove(group, thing),
    certificate: (id) => certificates.find(id) ?? null,
    register: (issued, status) => {
      const { certificatePem, authorityId: caCertificateId } = issued;
      certificates.register(certificatePem, FACTS.get(issued)!, { status, caCertificateId });
    },
    setStatus: (id, status) => void certificates.updateStatus(id, status),
    deleteCertificate: (id) => certificates.delete(id, { force: true }),
    attachThing: (thing, id, exclusive) =>
      things.attach(thing, id, exclusive ? "EXCLUSIVE_THING" : "NON_EXCLUSIVE_THING"),
    policy: (name) => policyOf(registry, name),
    createPolicy: (name, document) => void policies.create(name, document),
    attachPolicy: (name, id) => policies.attach(name, id),
  };
}

/** Members of dynamic groups are what their queries say. */
function isStatic({ query }: ThingGroup): boolean {
  return query === null;
}

function knownThing({ things }: Registry, name: string): KnownThing | null {
  const thing = things.find(name);
  return thing === undefined ? null : { typeName: thing.thingTypeName, attributes: thing.attributes };
}

function policyOf({ policies }: Registry, name: string): string | null {
  try {
    return policies.describe(name).document;
  } catch (error) {
    if (error instanceof TidewireError && error.code === "NOT_FOUND") return null;
    throw error;
  }
}
