/** The port under the registry. Calls are synchronous: admission must not wait, and the embedded store never does. */
import type { Cancel } from "../base/mod.ts";
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

/** What one transaction of somebody else touched. */
export interface ForeignChanges {
  readonly things: readonly (readonly [name: string, change: "updated" | "deleted"])[];
  /** Ids of certificates that have changed, or to which something was attached or from which it was detached. */
  readonly certificates: readonly string[];
  readonly policies: readonly string[];
}

/** Where other platforms write to the same data. */
export interface OtherWriters {
  /** What they changed since the last call, as far as it is known here; null: so much that everything may be different. */
  take(): readonly ForeignChanges[] | null;
  /** The same, with all that was committed before this call. Waits for the database; throws REGISTRY_UNAVAILABLE. */
  ask(): readonly ForeignChanges[] | null;
  /** Told soon after there is something to take. */
  onNews(listener: () => void): Cancel;
}

export interface RegistryStore {
  /** Only where others write to the same data. */
  readonly others?: OtherWriters;

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
