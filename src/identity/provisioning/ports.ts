/** What provisioning needs from the outside; `cloud/services` connects it. */
import type { EpochMs } from "../../base/mod.ts";
import type { CertificateStatus } from "../certificate-status.ts";
import type { TemplateType } from "./template-body.ts";

export interface TemplateRecord {
  readonly name: string;
  readonly type: TemplateType;
  readonly description: string;
  readonly enabled: boolean;
  readonly hook: string | null;
  /** As it was given; nothing here uses it. */
  readonly roleArn: string | null;
  readonly defaultVersion: number;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
}

export interface TemplateVersion {
  readonly version: number;
  readonly body: string;
  readonly createdAt: EpochMs;
}

/** Of a certificate that waits for its thing. The token itself is nowhere. */
export interface TokenRecord {
  readonly tokenHash: string;
  readonly certificateId: string;
  /** Who asked: the claim, and the client identifier of its connection. */
  readonly claimId: string;
  readonly clientId: string;
  readonly expiresAt: EpochMs;
}

/** A certificate that is good for provisioning only, and for a few minutes. */
export interface ClaimRecord {
  readonly certificateId: string;
  readonly template: string;
  readonly expiresAt: EpochMs;
}

/** Every call is on disk when it returns. Other platforms may write to the same tables. */
export interface ProvisioningStore {
  /**
   * Several calls as one: all are kept or none, with one wait for the disk, and nobody else changes anything meanwhile. Within
   * one of the registry it is a part of that, where both are in one database; otherwise it is kept before the registry's is.
   */
  atomically<T>(work: () => T): T;
  template(name: string): TemplateRecord | null;
  /** By name. */
  templates(after: string | null, limit: number): readonly TemplateRecord[];
  countTemplates(): number;
  /** Inserts or replaces; `version` comes with it. */
  saveTemplate(template: TemplateRecord, version?: TemplateVersion): void;
  /** With its versions. */
  removeTemplate(name: string): void;
  versions(name: string): readonly TemplateVersion[];
  removeVersion(name: string, version: number): void;

  saveToken(token: TokenRecord): void;
  token(tokenHash: string): TokenRecord | null;
  removeToken(tokenHash: string): void;
  countTokens(claimId: string): number;
  expiredTokens(now: EpochMs, limit: number): readonly TokenRecord[];

  saveClaim(claim: ClaimRecord): void;
  removeClaim(certificateId: string): void;
  claim(certificateId: string): ClaimRecord | null;
  expiredClaims(now: EpochMs, limit: number): readonly ClaimRecord[];
}

/** A thing that leaves, for the other platforms on the same database. */
export interface RetirementRecord {
  readonly thing: string;
  readonly eraseData: boolean;
  readonly blockName: boolean;
  readonly startedAt: EpochMs;
  /** Absent: of a platform of before, which had not finished it. */
  readonly withRegistration?: boolean;
}

/** What is kept of a thing beside its registration, and ends with it. */
export interface DepartureStore {
  /** Join and enrolment codes for it; how many. */
  removeCodesOf(thing: string): number;
  /**
   * What a join code, bulk file or registration task remembers of it, among the next `limit` records after `after` (first: "").
   * `upTo`: go on there; null: these were the last.
   */
  removeRecordsOf(
    thing: string,
    after: string,
    limit: number,
  ): { readonly removed: number; readonly upTo: string | null };
  blockName(name: string, at: EpochMs): void;
  /** False where it was not blocked. */
  freeName(name: string): boolean;
  isBlocked(name: string): boolean;
  /** Inserts or replaces. */
  saveRetirement(retirement: RetirementRecord): void;
  /** By thing. */
  retirements(): readonly RetirementRecord[];
  removeRetirement(thing: string): void;
}

/** AWS IoT's registrationConfig of a CA: a template's name or its body. */
export interface RegistrationTemplate {
  readonly templateName?: string | undefined;
  readonly templateBody?: string | undefined;
}

/** A device of a bulk file: who asks again with the same key gets the same certificate. */
export interface BulkRecord {
  /** Of the public key. */
  readonly keyHash: string;
  /** Of template and parameters. */
  readonly requestHash: string;
  readonly certificateId: string;
  readonly thing: string;
  readonly deviceConfiguration: Readonly<Record<string, string>>;
  readonly at: EpochMs;
}

export interface BulkStore {
  /** As that of `ProvisioningStore`. */
  atomically<T>(work: () => T): T;
  bulkDevice(keyHash: string): BulkRecord | null;
  /** Inserts or replaces. */
  saveBulkDevice(record: BulkRecord): void;
  /** Returns how many it has removed. */
  removeBulkDevices(before: EpochMs, limit: number): number;
}

export type RegistrationTaskStatus = "InProgress" | "Cancelling" | "Cancelled" | "Completed" | "Failed";

/** AWS IoT's members, and what a start needs to go on. */
export interface RegistrationTask {
  readonly taskId: string;
  readonly templateBody: string;
  readonly inputFileBucket: string;
  readonly inputFileKey: string;
  /** As it was given; nothing here uses it. */
  readonly roleArn: string;
  readonly status: RegistrationTaskStatus;
  /** Why it failed. */
  readonly message: string | null;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
  /** Null: it has not been opened yet. */
  readonly inputBytes: number | null;
  readonly bytesRead: number;
  readonly succeeded: number;
  readonly failed: number;
}

/** `planned`: a certificate was made for it, and may be in the registry by now. */
export interface RegistrationLine {
  readonly line: number;
  readonly outcome: "planned" | "done" | "failed";
  readonly thing: string | null;
  readonly certificateId: string | null;
  /** Both where it failed. */
  readonly code: string | null;
  readonly reason: string | null;
}

export interface RegistrationTaskStore {
  /** As that of `ProvisioningStore`. */
  atomically<T>(work: () => T): T;
  /**
   * Takes the task for this platform, of several on one database, where no other has it; false where one does. Until it is
   * left, the platform ends, or loses its connection: so it is to be asked again from time to time.
   */
  mayWorkOn(taskId: string): boolean;
  leaveWorkOn(taskId: string): void;
  /** Inserts or replaces. */
  saveRegistrationTask(task: RegistrationTask): void;
  registrationTask(taskId: string): RegistrationTask | null;
  /** The newest first. */
  registrationTasks(): readonly RegistrationTask[];
  removeRegistrationTask(taskId: string): void;
  /** Inserts or replaces. */
  saveRegistrationLine(taskId: string, line: RegistrationLine): void;
  registrationLine(taskId: string, line: number): RegistrationLine | null;
  /** In their order, behind `after`. */
  registrationLines(
    taskId: string,
    outcome: RegistrationLine["outcome"],
    after: number,
    limit: number,
  ): readonly RegistrationLine[];
  countRegistrationLines(taskId: string): { readonly succeeded: number; readonly failed: number };
  /** Returns how many it has removed. */
  removeRegistrationLines(taskId: string, limit: number): number;
}

/** A task's input file. */
export interface RegistrationInput {
  readonly bytes: number;
  /** In order, and all of it or an error. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** What a join code is good for. The code itself is nowhere. */
export interface JoinCodeRecord {
  readonly secretHash: string;
  readonly offer: JoinOffer;
  readonly usesLeft: number;
  readonly createdAt: EpochMs;
  readonly expiresAt: EpochMs;
  /** Who has joined by it: a device whose answer was lost asks again with the same key. */
  readonly joined: readonly { readonly keyHash: string; readonly thing: string; readonly certificateId: string }[];
}

export type JoinOffer =
  | { readonly kind: "thing"; readonly thing: string }
  | { readonly kind: "template"; readonly template: string; readonly parameters: Readonly<Record<string, string>> };

export interface JoinCodeStore {
  /** As that of `ProvisioningStore`. */
  atomically<T>(work: () => T): T;
  joinCode(secretHash: string): JoinCodeRecord | null;
  /** Inserts or replaces. */
  saveJoinCode(code: JoinCodeRecord): void;
  removeJoinCode(secretHash: string): void;
  countJoinCodes(): number;
  /** Those that end next come first. */
  joinCodes(limit: number): readonly JoinCodeRecord[];
  removeExpiredJoinCodes(now: EpochMs): void;
}

/** EST's password of one thing, used once. The code itself is nowhere. */
export interface EnrolmentCodeRecord {
  readonly thing: string;
  readonly codeHash: string;
  readonly expiresAt: EpochMs;
}

export interface EnrolmentCodeStore {
  /** As that of `ProvisioningStore`. */
  atomically<T>(work: () => T): T;
  enrolmentCode(thing: string): EnrolmentCodeRecord | null;
  /** Inserts or replaces. */
  saveEnrolmentCode(code: EnrolmentCodeRecord): void;
  /** False where this code is not there any more: of several who come with it, one gets true. */
  removeEnrolmentCode(thing: string, codeHash: string): boolean;
  removeEnrolmentCodes(now: EpochMs): void;
  countEnrolmentCodes(): number;
}

export interface IssuedDevice {
  readonly certificateId: string;
  readonly certificatePem: string;
  /** The registered CA that signed it; absent where it was ours. */
  readonly authorityId?: string;
}

/** Makes certificates; knows nothing of the registry. */
export interface DeviceIssuer {
  /** Throws TidewireError CERTIFICATE_REFUSED. */
  fromCsr(csrPem: string): Promise<IssuedDevice>;
  withKey(): Promise<IssuedDevice & { readonly privateKeyPem: string; readonly publicKeyPem: string }>;
}

export interface KnownThing {
  readonly typeName: string | null;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The registry, as far as one device is written into it. All synchronous, inside of `atomically`. */
export interface DeviceRegistry {
  /** All of it or nothing, on disk when it returns. */
  atomically<T>(work: () => T): T;
  thing(name: string): KnownThing | null;
  createThing(name: string, thing: KnownThing, billingGroup: string | null): void;
  changeThing(name: string, thing: KnownThing): void;
  groupsOf(thing: string): readonly string[];
  addToGroup(thing: string, group: string): void;
  removeFromGroup(thing: string, group: string): void;
  certificate(certificateId: string): { readonly status: CertificateStatus; readonly pem: string } | null;
  /** One that `DeviceIssuer` has just made, or that a device has brought. */
  register(issued: IssuedDevice, status: CertificateStatus): void;
  setStatus(certificateId: string, status: CertificateStatus): void;
  deleteCertificate(certificateId: string): void;
  attachThing(thing: string, certificateId: string, exclusive: boolean): void;
  policy(name: string): string | null;
  createPolicy(name: string, document: string): void;
  attachPolicy(name: string, certificateId: string): void;
}

export interface HookInput {
  readonly claimCertificateId: string;
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly templateArn: string;
  readonly templateName: string;
  readonly clientId: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Asks whoever decides. Rejects where there is no answer within the time; the text is whatever came. */
export interface HookRunner {
  /** Why this target cannot be a hook; null where it can. */
  fault(target: string): string | null;
  run(target: string, input: HookInput): Promise<string>;
}

/** Hex of SHA-256. */
export type Sha256Hex = (text: string) => string;
