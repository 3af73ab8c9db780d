/** Certificates for devices: through the API by signing request, and for the first device here. */
import type { CertificateAuthority } from "../adapters/pki/mod.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { Registry } from "../registry/mod.ts";
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

/** A thing with its own key, certificate and the default policy: all or nothing. */
export async function provisionDevice(
  registry: Registry,
  authority: CertificateAuthority,
  thing: string,
): Promise<{ readonly certificatePem: string; readonly privateKeyPem: string }> {
  const issued = await authority.createDeviceKeyAndCertificate(thing);
  registry.atomically(() => {
    registry.things.create(thing);
    const { certificateId } = registry.certificates.register(issued.certificatePem, issued.facts);
    registry.things.attach(thing, certificateId);
    registry.policies.attach(DEFAULT_POLICY_NAME, certificateId);
  });
  return issued;
}
