/** What the registry keeps. AWS IoT's names where AWS has the thing. */
import type { EpochMs } from "../base/mod.ts";

export type Attributes = Readonly<Record<string, string>>;

export interface Thing {
  readonly thingName: string;
  /** UUID; a thing that is deleted and made again under its old name is another thing. */
  readonly thingId: string;
  readonly thingTypeName: string | null;
  /** Kept for whoever put it there; nothing is billed. */
  readonly billingGroupName: string | null;
  readonly attributes: Attributes;
  /** 1 at creation; every change adds one. */
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

export interface ThingType {
  readonly thingTypeName: string;
  readonly thingTypeId: string;
  readonly description: string | null;
  readonly searchableAttributes: readonly string[];
  /** Since when no thing may get it any more; null: things may. */
  readonly deprecatedAt: EpochMs | null;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

/** BUILDING and REBUILDING: its members are still being looked for. */
export type DynamicGroupStatus = "ACTIVE" | "BUILDING" | "REBUILDING";

/** What makes a group dynamic: its members are the things that the query finds. */
export interface GroupQuery {
  readonly queryString: string;
  readonly indexName: string;
  readonly queryVersion: string;
  readonly status: DynamicGroupStatus;
}

export interface ThingGroup {
  readonly thingGroupName: string;
  readonly thingGroupId: string;
  /** Never changes. */
  readonly parentGroupName: string | null;
  readonly description: string | null;
  readonly attributes: Attributes;
  /** 1 at creation; every change adds one. */
  readonly version: number;
  /** Null: a static group. */
  readonly query: GroupQuery | null;
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

/** SNI_ONLY: registered without its CA; the name that the client asks for in the handshake chooses the account. */
export type CertificateMode = "DEFAULT" | "SNI_ONLY";

export interface CertificateRecord extends CertificateFacts {
  readonly status: CertificateStatus;
  /** Id of the registered CA certificate that signed it; null where that is our own, or none. */
  readonly caCertificateId: string | null;
  readonly certificateMode: CertificateMode;
  /** 1 at registration; every change of status adds one. */
  readonly version: number;
  /** UUID; a certificate that is deleted and registered again has another one. */
  readonly generationId: string;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

export interface Certificate extends CertificateRecord {
  readonly pem: string;
}

/** How a device certificate that nobody has registered is provisioned when it first connects. */
export interface RegistrationConfig {
  readonly templateBody?: string | undefined;
  readonly templateName?: string | undefined;
  readonly roleArn?: string | undefined;
}

/** A CA certificate of somebody else, whose device certificates may be registered. */
export interface CaCertificate extends CertificateFacts {
  readonly pem: string;
  readonly status: "ACTIVE" | "INACTIVE";
  readonly certificateMode: CertificateMode;
  /** Whether a certificate that it signed is registered by connecting. */
  readonly autoRegistration: boolean;
  readonly registrationConfig: RegistrationConfig | null;
  /** 1 at registration; every change adds one. */
  readonly version: number;
  readonly generationId: string;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

/** A policy as it holds now: its default version. */
export interface Policy {
  readonly policyName: string;
  /** The JSON text as it was put. */
  readonly document: string;
  /** The default version's number. */
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

export interface PolicyVersion {
  readonly policyName: string;
  readonly version: number;
  readonly document: string;
  readonly isDefault: boolean;
  readonly createdAt: EpochMs;
}

/** How a thing that cannot hold a certificate logs in; its name is the user name. */
export interface DevicePassword {
  readonly thingName: string;
  /** Slow to compute, and with its parameters; never the password. */
  readonly hash: string;
  /** Grows with every new password, by one; not where the same one is hashed anew. */
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

/** What a policy is attached to. */
export type PolicyTarget =
  | { readonly kind: "certificate"; readonly certificateId: string }
  | { readonly kind: "password"; readonly thingName: string }
  | { readonly kind: "group"; readonly thingGroupName: string };

/** `EXCLUSIVE_THING`: the certificate stands for this thing and no other, whatever client id it connects with. */
export type PrincipalType = "EXCLUSIVE_THING" | "NON_EXCLUSIVE_THING";

export interface Attachment {
  readonly thingName: string;
  readonly certificateId: string;
  readonly type: PrincipalType;
}

export interface AttachedThing {
  readonly thing: Thing;
  readonly exclusive: boolean;
}

/** Everything that decides what a certificate may do, in one look-up. The same object until something in it changes. */
export interface Principal {
  readonly certificate: CertificateRecord;
  readonly things: readonly AttachedThing[];
  /** Its own, and those of the groups of its things and of the groups above them; by name. */
  readonly policies: readonly Policy[];
}

/** The same of a thing's password: what decides about a connection that logged in with it. */
export interface PasswordPrincipal {
  readonly password: DevicePassword;
  /** The one thing that it belongs to. */
  readonly things: readonly AttachedThing[];
  /** Its own, and those of the thing's groups and of the groups above them; by name. */
  readonly policies: readonly Policy[];
  readonly certificate: null;
}

export interface Tag {
  readonly key: string;
  readonly value: string;
}

export type RecordKind = "thing" | "type" | "group" | "certificate" | "authority" | "password" | "policy" | "tags";

export interface Change {
  readonly kind: RecordKind;
  /** A name, a certificate id, or the resource whose tags changed (`thinggroup/…`). */
  readonly id: string;
  /** Attached: a principal to a thing, a thing to a group, a policy to a target. */
  readonly change: "created" | "updated" | "deleted" | "attached" | "detached";
  /** What was attached to it or detached from it: certificate ids, thing names, or a policy's targets. */
  readonly others?: readonly string[];
  /** Certificate ids, and `password/THING`, whose rights may be different now; `all` where they are too many to name. */
  readonly principals: readonly string[] | "all";
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; pass it to the same listing for the next page. Null at the end. */
  readonly nextToken: string | null;
}
