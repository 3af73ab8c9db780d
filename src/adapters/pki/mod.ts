export { CertificateAuthority } from "./authority.ts";
export type { AuthorityOptions, DeviceCertificate, ServerCertificate } from "./authority.ts";
export { createKeyAndCsr } from "./device-key.ts";
export { serverNames } from "./host-names.ts";
export type { ServerNames } from "./host-names.ts";
