/** Looks at a device's key, certificate and CA before they are used, so that a wrong file is told in words at start. */
import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { EpochMs } from "../base/mod.ts";
import { reasonOf } from "../base/mod.ts";

export interface CredentialPaths {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

export type CredentialInspection =
  | {
      readonly ok: true;
      readonly notBefore: EpochMs;
      readonly notAfter: EpochMs;
      /** Others than the owner may read the private key. */
      readonly keyExposed: boolean;
    }
  /** `file`: which of the three is at fault. */
  | { readonly ok: false; readonly file: keyof CredentialPaths; readonly reason: string };

export function inspectCredentials(paths: CredentialPaths): CredentialInspection {
  const parts: { certificate?: X509Certificate; matches?: boolean } = {};
  const checks: readonly (readonly [keyof CredentialPaths, (pem: Buffer) => void])[] = [
    ["certificate", (pem) => (parts.certificate = new X509Certificate(pem))],
    ["privateKey", (pem) => (parts.matches = parts.certificate!.checkPrivateKey(createPrivateKey(pem)))],
    ["ca", (pem) => new X509Certificate(pem)],
  ];
  for (const [file, check] of checks) {
    try {
      check(readFileSync(paths[file]));
    } catch (error) {
      return { ok: false, file, reason: `${paths[file]} cannot be used (${reasonOf(error)})` };
    }
  }
  if (parts.matches === false) {
    return { ok: false, file: "privateKey", reason: `${paths.privateKey} does not belong to the certificate` };
  }
  return {
    ok: true,
    notBefore: parts.certificate!.validFromDate.getTime(),
    notAfter: parts.certificate!.validToDate.getTime(),
    keyExposed: process.platform !== "win32" && (statSync(paths.privateKey).mode & 0o077) !== 0,
  };
}
