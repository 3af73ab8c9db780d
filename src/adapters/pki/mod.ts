export { CertificateAuthority } from "./authority.ts";
export type { AuthorityOptions, AuthorityStatus, CaStatus, DeviceCertificate, ServerCertificate } from "./authority.ts";
export { changePassphrase, exportRoot, importRoot } from "./root-key.ts";
export { findPassphrase } from "./passphrase.ts";
export type { RevocationList, RevokedCertificate } from "./revocation-list.ts";
export { createKeyAndCsr } from "./device-key.ts";
export { serverNames } from "./host-names.ts";
export type { ServerNames } from "./host-names.ts";
