/** The ports under the registry. Calls are synchronous: admission must not wait, and the embedded store never does. */
import type { Cancel, EpochMs } from "../base/mod.ts";
import type {
  AttachedThing,
  Attachment,
  CaCertificate,
  Certificate,
  CertificateRecord,
  DevicePassword,
  Policy,
  PolicyVersion,
  RecordKind,
  Tag,
  Thing,
  ThingGroup,
  ThingType,
} from "./records.ts";

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

/** By creation time, then id. */
export type ByCreation = Slice<{ readonly createdAt: number; readonly id: string }>;

/** What one transaction of somebody else touched; an attachment touches both of its ends. */
export type ForeignChanges = readonly (readonly [kind: RecordKind, id: string, change: "updated" | "deleted"])[];

/** Where other platforms write to the same data. */
export interface OtherWriters {
  /** What they changed since the last call, as far as it is known here; null: so much that everything may be different. */
  take(): readonly ForeignChanges[] | null;
  /** The same, with all that was committed before this call. Waits for the database; throws REGISTRY_UNAVAILABLE. */
  ask(): readonly ForeignChanges[] | null;
  /** Told soon after there is something to take. */
  onNews(listener: () => void): Cancel;
}

/** Opened for one tenant: its rows are all that can be seen. */
export interface RegistryStore {
  /** Only where others write to the same data. */
  readonly others?: OtherWriters;
  readonly things: ThingStore;
  readonly types: ThingTypeStore;
  readonly groups: GroupStore;
  readonly certificates: CertificateStore;
  readonly authorities: CaCertificateStore;
  readonly passwords: PasswordStore;
  readonly policies: PolicyStore;
  readonly tags: TagStore;

  /** All or nothing, on disk when it returns. Not reentrant. What changes something is called within one. */
  transaction<T>(work: () => T): T;
}

export interface ThingStore {
  find(thingName: string): Thing | undefined;
  /** Inserts or replaces. */
  save(thing: Thing): void;
  /** Also removes its attachments and memberships. */
  remove(thingName: string): void;
  /** By name. */
  list(filter: ThingFilter, slice: Slice<string>): readonly Thing[];
  count(filter: ThingFilter): number;

  attach(attachment: Attachment): void;
  /** False where it was not attached. */
  detach(thingName: string, certificateId: string): boolean;
  attachmentsOf(thingName: string): readonly Attachment[];
  /** Of a certificate, by thing. */
  attachedTo(certificateId: string): readonly Attachment[];
  /** As `attachedTo`, with the things themselves, in one look-up. */
  ofCertificate(certificateId: string): readonly AttachedThing[];
}

export interface ThingTypeStore {
  find(thingTypeName: string): ThingType | undefined;
  save(type: ThingType): void;
  remove(thingTypeName: string): void;
  /** By name. */
  list(slice: Slice<string>): readonly ThingType[];
}

export interface GroupFilter {
  /** Below this group. */
  readonly parent?: string | undefined;
  /** With what is below its children; without a parent: not only roots. */
  readonly recursive?: boolean | undefined;
  readonly prefix?: string | undefined;
  /** Only those that a query fills. */
  readonly dynamic?: boolean | undefined;
}

export interface GroupStore {
  find(groupName: string): ThingGroup | undefined;
  /** Inserts or replaces; the parent of one that is there stays. */
  save(group: ThingGroup): void;
  /** Also removes its memberships. */
  remove(groupName: string): void;
  /** By name. */
  list(filter: GroupFilter, slice: Slice<string>): readonly ThingGroup[];
  /** From the root down to the group itself. */
  pathTo(groupName: string): readonly ThingGroup[];

  addMembers(groupName: string, things: readonly string[]): void;
  /** The number of those that were members. */
  removeMembers(groupName: string, things: readonly string[]): number;
  /** Thing names, ascending; `recursive`: also of the groups below. */
  members(groupName: string, recursive: boolean, slice: Slice<string>): readonly string[];
  /** The groups that the thing is directly in, by name. */
  ofThing(thingName: string): readonly ThingGroup[];
  /** The same of many things, as names; things in no group are left out. */
  namesOf(things: readonly string[]): ReadonlyMap<string, readonly string[]>;
  /** Certificates and passwords (`password/THING`) of the things in the group and below it, in no order. */
  principalsBelow(groupName: string, limit: number): readonly string[];
}

export interface CertificateFilter {
  readonly caCertificateId?: string | undefined;
}

export interface CertificateStore {
  find(certificateId: string): Certificate | undefined;
  save(certificate: Certificate): void;
  /** Also removes its attachments to things. */
  remove(certificateId: string): void;
  list(filter: CertificateFilter, slice: ByCreation): readonly CertificateRecord[];
}

export interface CaCertificateStore {
  find(certificateId: string): CaCertificate | undefined;
  save(certificate: CaCertificate): void;
  remove(certificateId: string): void;
  list(slice: ByCreation): readonly CaCertificate[];
  registrationCode(): string | undefined;
  /** Null: there is none any more. */
  saveRegistrationCode(code: string | null): void;
}

export interface PasswordStore {
  find(thingName: string): DevicePassword | undefined;
  /** When it was last used is kept where it is the same password, by its version. */
  save(password: DevicePassword): void;
  remove(thingName: string): void;
  usedAt(thingName: string): EpochMs | null;
  /** Of passwords that are there, and were not set or used later; by thing. */
  saveUses(uses: ReadonlyMap<string, EpochMs>): void;
}

/** `target`: the last part of an ARN, `cert/ID` or `thinggroup/NAME`; or `password/THING`. */
export interface PolicyStore {
  /** With its default version's document. */
  find(policyName: string): Policy | undefined;
  /** Adds a version with the number after the greatest that there ever was, and makes it the default where it is the first. */
  addVersion(policyName: string, document: string, at: number): number;
  setDefault(policyName: string, version: number, at: number): void;
  removeVersion(policyName: string, version: number): void;
  /** By number. */
  versions(policyName: string): readonly PolicyVersion[];
  /** With all its versions; it must be attached to nothing. */
  remove(policyName: string): void;
  /** By name. */
  list(slice: Slice<string>): readonly Policy[];

  attach(policyName: string, target: string): void;
  /** False where it was not attached. */
  detach(policyName: string, target: string): boolean;
  /** By name. */
  attachedTo(target: string): readonly Policy[];
  /** Ascending. */
  targets(policyName: string, slice: Slice<string>): readonly string[];
  /** The certificate's own, those of its things' groups and of the groups above them, each once, by name. */
  applyingTo(certificateId: string): readonly Policy[];
  /** Those of the thing's groups and of the groups above them, each once, by name. */
  ofThing(thingName: string): readonly Policy[];
  /** Certificates and passwords (`password/THING`) whose rights it is a part of, each once, in no order. */
  principalsWith(policyName: string, limit: number): readonly string[];
}

/** `resource`: the last part of an ARN, as `thinggroup/NAME`. */
export interface TagStore {
  /** By key. */
  of(resource: string): readonly Tag[];
  save(resource: string, tags: readonly Tag[]): void;
  /** Null: all. */
  remove(resource: string, keys: readonly string[] | null): void;
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
