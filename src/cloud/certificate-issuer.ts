/** Certificates for devices: through the API by signing request, and for the first device here. */
import type { CertificateAuthority, SigningRequest } from "../adapters/pki/mod.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { CertificateFacts, Registry } from "../registry/mod.ts";
import type { CertificateIssuer } from "./api/ports.ts";

/** Common name of a certificate whose request names nobody; AWS IoT does the same with its own name. */
const NOBODY = "Tidewire device";

export function certificateIssuer(authority: CertificateAuthority): CertificateIssuer {
  return {
    fromCsr: (csrPem) => authority.issueDeviceCertificate({ csrPem }),
    withKey: () => authority.createDeviceKeyAndCertificate(NOBODY),
    get caPem() {
      return authority.certificatePem;
    },
  };
}

/** A thing for who made his own key: a certificate for it, and the default policy; all or nothing. */
export async function enrolDevice(
  registry: Registry,
  authority: CertificateAuthority,
  thing: string,
  { publicKey }: SigningRequest,
): Promise<string> {
  const { certificatePem, facts } = await authority.issueFor(publicKey, thing);
  admitAs(registry, thing, certificatePem, facts);
  return certificatePem;
}

/** A thing with its own key, certificate and the default policy: all or nothing. */
export async function provisionDevice(
  registry: Registry,
  authority: CertificateAuthority,
  thing: string,
): Promise<{ readonly certificatePem: string; readonly privateKeyPem: string }> {
  const issued = await authority.createDeviceKeyAndCertificate(thing);
  admitAs(registry, thing, issued.certificatePem, issued.facts);
  return issued;
}

function admitAs(registry: Registry, thing: string, certificatePem: string, facts: CertificateFacts): void {
  registry.atomically(() => {
    if (registry.things.find(thing) === undefined) registry.things.create(thing);
    const { certificateId } = registry.certificates.register(certificatePem, facts);
    registry.things.attach(thing, certificateId);
    registry.policies.attach(DEFAULT_POLICY_NAME, certificateId);
  });
}
