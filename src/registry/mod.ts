export { Registry } from "./registry.ts";
export type { RegistryOptions, RegistryRules } from "./registry.ts";
export type { ListThings, NewThing, ThingUpdate } from "./requests.ts";
export { PresenceBook } from "./presence.ts";
export type { Presence, PresenceOptions, PresenceState } from "./presence.ts";
export type {
  ForeignChanges,
  OtherWriters,
  PresenceStore,
  RegistryStore,
  SavedPresence,
  Slice,
  ThingFilter,
} from "./store.ts";
export type {
  Attachment,
  Certificate,
  CertificateFacts,
  CertificateRecord,
  CertificateStatus,
  Change,
  DistinguishedName,
  Page,
  Policy,
  Principal,
  PrincipalType,
  Thing,
} from "./records.ts";
export type { PageOptions } from "./page.ts";
export { arnOf } from "./names.ts";
export { awsShapes } from "./aws-shapes.ts";
