/** The port under the registry. Calls are synchronous: admission must not wait, and the embedded store never does. */
import type { Attachment, Certificate, CertificateRecord, Policy, Thing } from "./records.ts";

export interface ThingFilter {
  readonly thingTypeName?: string | undefined;
  readonly attributeName?: string | undefined;
  readonly attributeValue?: string | undefined;
  /** `attributeValue` is a prefix. */
  readonly prefix?: boolean | undefined;
  /** Part of the name, the type or an attribute's value, without regard to case. */
  readonly search?: string | undefined;
}

/** Place after which a listing goes on, in the listing's own order. */
export interface Slice<Key> {
  readonly after: Key | null;
  readonly limit: number;
  readonly descending?: boolean | undefined;
}

export interface RegistryStore {
  /** All or nothing, on disk when it returns. Not reentrant. */
  transaction<T>(work: () => T): T;

  thing(thingName: string): Thing | undefined;
  /** Inserts or replaces. */
  saveThing(thing: Thing): void;
  /** Also removes its attachments. */
  removeThing(thingName: string): void;
  /** By name. */
  things(filter: ThingFilter, slice: Slice<string>): readonly Thing[];
  countThings(filter: ThingFilter): number;

  certificate(certificateId: string): Certificate | undefined;
  saveCertificate(certificate: Certificate): void;
  /** Also removes its attachments. */
  removeCertificate(certificateId: string): void;
  /** By creation time, then id. */
  certificates(slice: Slice<{ readonly createdAt: number; readonly id: string }>): readonly CertificateRecord[];

  policy(policyName: string): Policy | undefined;
  savePolicy(policy: Policy): void;
  removePolicy(policyName: string): void;
  /** By name. */
  policies(slice: Slice<string>): readonly Policy[];

  attachThing(attachment: Attachment): void;
  /** False where it was not attached. */
  detachThing(thingName: string, certificateId: string): boolean;
  thingsOf(certificateId: string): readonly Attachment[];
  certificatesOf(thingName: string): readonly Attachment[];

  attachPolicy(policyName: string, certificateId: string): void;
  /** False where it was not attached. */
  detachPolicy(policyName: string, certificateId: string): boolean;
  policiesOf(certificateId: string): readonly Policy[];
  /** Certificate ids, ascending. */
  targetsOf(policyName: string, slice: Slice<string>): readonly string[];
}

export interface SavedPresence {
  readonly thing: string;
  readonly online: boolean;
  readonly lastSeenAt: number;
  readonly disconnectReason: string | null;
  readonly remoteAddress: string | null;
}

/** Where presence survives a restart. A power cut may lose the last changes, never the file. */
export interface PresenceStore {
  load(): readonly SavedPresence[];
  /** All in one transaction. */
  save(entries: readonly SavedPresence[]): void;
  remove(thing: string): void;
}
