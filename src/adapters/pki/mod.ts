export { CertificateAuthority } from "./authority.ts";
export type { AuthorityOptions, DeviceCertificate, ServerCertificate } from "./authority.ts";
export { createKeyAndCsr, keyFault } from "./device-key.ts";
export { readCertificate } from "./facts.ts";
export { serverNames } from "./host-names.ts";
export type { ServerNames } from "./host-names.ts";
