/** The registry and the CA, as provisioning sees them. */
import type { CertificateAuthority } from "../../adapters/pki/mod.ts";
import { TidewireError } from "../../base/mod.ts";
import type { DeviceIssuer, DeviceRegistry, IssuedDevice, KnownThing } from "../../identity/mod.ts";
import type { CertificateFacts, Registry } from "../../registry/mod.ts";

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

function remember<T extends IssuedDevice>(issued: T, facts: CertificateFacts): T {
  FACTS.set(issued, facts);
  return issued;
}

export function deviceRegistry(registry: Registry): DeviceRegistry {
  const orNull = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch (error) {
      if (error instanceof TidewireError && error.code === "NOT_FOUND") return null;
      throw error;
    }
  };
  return {
    atomically: (work) => registry.atomically(work),
    thing: (name) => knownThing(registry, name),
    createThing: (name, { typeName, attributes }) =>
      void registry.createThing(name, { thingTypeName: typeName ?? undefined, attributes }),
    changeThing: (name, { typeName, attributes }) =>
      void registry.updateThing(name, { thingTypeName: typeName ?? undefined, attributes }),
    groupsOf: () => [],
    addToGroup: (_thing, group) => {
      throw new TidewireError("NOT_FOUND", { kind: "thing group", name: group });
    },
    removeFromGroup: () => {},
    certificate: (id) => orNull(() => registry.describeCertificate(id)),
    register: (issued, status) => void registry.registerCertificate(issued.certificatePem, FACTS.get(issued)!, status),
    setStatus: (id, status) => void registry.updateCertificateStatus(id, status),
    deleteCertificate: (id) => registry.deleteCertificate(id, { force: true }),
    attachThing: (thing, id, exclusive) =>
      registry.attachThingPrincipal(thing, id, exclusive ? "EXCLUSIVE_THING" : "NON_EXCLUSIVE_THING"),
    policy: (name) => orNull(() => registry.getPolicy(name).document),
    createPolicy: (name, document) => void registry.createPolicy(name, document),
    attachPolicy: (name, id) => registry.attachPolicy(name, id),
    policiesOf: (id) => registry.listAttachedPolicies(id).map(({ policyName }) => policyName),
  };
}

function knownThing(registry: Registry, name: string): KnownThing | null {
  const thing = registry.findThing(name);
  return thing === undefined ? null : { typeName: thing.thingTypeName, attributes: thing.attributes };
}
