/** What the registry keeps. AWS IoT's names where AWS has the thing. */
import type { EpochMs } from "../base/mod.ts";

export interface Thing {
  readonly thingName: string;
  /** UUID; a thing that is deleted and made again under its old name is another thing. */
  readonly thingId: string;
  readonly thingTypeName: string | null;
  readonly attributes: Readonly<Record<string, string>>;
  /** 1 at creation; every change adds one. */
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

export type CertificateStatus = "ACTIVE" | "INACTIVE" | "REVOKED" | "PENDING_ACTIVATION";

/** Attributes of a distinguished name by AWS IoT's names: `CommonName`, `Organization` … */
export type DistinguishedName = Readonly<Record<string, readonly string[]>>;

/** What a certificate says about itself; `adapters/pki` reads it. */
export interface CertificateFacts {
  /** SHA-256 of the DER, 64 hex digits. */
  readonly certificateId: string;
  readonly serialNumber: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly notBefore: EpochMs;
  readonly notAfter: EpochMs;
}

export interface CertificateRecord extends CertificateFacts {
  readonly status: CertificateStatus;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

export interface Certificate extends CertificateRecord {
  readonly pem: string;
}

export interface Policy {
  readonly policyName: string;
  /** The JSON text as it was put. */
  readonly document: string;
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

/** `EXCLUSIVE_THING`: the certificate stands for this thing and no other, whatever client id it connects with. */
export type PrincipalType = "EXCLUSIVE_THING" | "NON_EXCLUSIVE_THING";

export interface Attachment {
  readonly thingName: string;
  readonly certificateId: string;
  readonly type: PrincipalType;
}

/** Everything that decides what a certificate may do, in one look-up. The same object until something in it changes. */
export interface Principal {
  readonly certificate: CertificateRecord;
  readonly things: readonly { readonly thing: Thing; readonly exclusive: boolean }[];
  readonly policies: readonly Policy[];
}

export interface Change {
  readonly kind: "thing" | "certificate" | "policy";
  /** Thing name, certificate id or policy name. */
  readonly id: string;
  readonly change: "created" | "updated" | "deleted" | "attached" | "detached";
  /** Certificates whose rights may be different now. */
  readonly principals: readonly string[];
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; pass it to the same listing for the next page. Null at the end. */
  readonly nextToken: string | null;
}
