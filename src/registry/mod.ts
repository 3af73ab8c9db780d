export { Registry } from "./registry.ts";
export type { RegistryOptions } from "./registry.ts";
export type { RegistryRules } from "./context.ts";
export type { ListThings, NewThing, ThingUpdate, Things } from "./things.ts";
export type { ListThingTypes, ThingTypeProperties, ThingTypes } from "./thing-types.ts";
export type { GroupProperties, GroupUpdate, Groups, ListGroups, NewGroup, NewQuery } from "./groups.ts";
export type { Certificates, ListCertificates, NewCertificate } from "./certificates.ts";
export type { CaCertificateUpdate, CaCertificates, ListCaCertificates, NewCaCertificate } from "./authorities.ts";
export type { Passwords } from "./passwords.ts";
export type { EffectivePolicy, Policies, StoredPolicy, StoredVersion } from "./policies.ts";
export type { Tags } from "./tags.ts";
export { PresenceBook } from "./presence.ts";
export type { Presence, PresenceOptions, PresenceState } from "./presence.ts";
export type {
  ByCreation,
  CaCertificateStore,
  CertificateFilter,
  CertificateStore,
  ForeignChanges,
  GroupFilter,
  GroupStore,
  OtherWriters,
  PasswordStore,
  PolicyStore,
  PresenceStore,
  RegistryStore,
  PlatformPresence,
  SavedPresence,
  SharedPresence,
  Slice,
  TagStore,
  ThingFilter,
  ThingStore,
  ThingTypeStore,
} from "./store.ts";
export type {
  AttachedThing,
  Attachment,
  CaCertificate,
  Certificate,
  CertificateFacts,
  CertificateMode,
  CertificateRecord,
  CertificateStatus,
  Change,
  DevicePassword,
  DistinguishedName,
  GroupQuery,
  Page,
  PasswordPrincipal,
  Policy,
  PolicyTarget,
  PolicyVersion,
  Principal,
  PrincipalType,
  RecordKind,
  RegistrationConfig,
  Tag,
  Thing,
  ThingGroup,
  ThingType,
} from "./records.ts";
export type { PageOptions } from "./page.ts";
export { passwordKey } from "./names.ts";
export { isFleetQuery, parseQuery } from "./search/parse.ts";
export { find as findInFleet } from "./search/find.ts";
export type { Stride } from "./search/find.ts";
export { asIndexed, shortened } from "./search/offers.ts";
export type { FindLimits } from "./search/offers.ts";
export { isPieced, piecesOf } from "./search/pieces.ts";
export { holds } from "./search/holds.ts";
export { FleetDocument, indexedWords } from "./search/document.ts";
export type {
  ConnectivityPart,
  Json,
  PartBody as FleetPartBody,
  PartChange as FleetPartChange,
  RegistryPart,
  ShadowPart,
} from "./search/document.ts";
export type {
  Lookup as FleetLookup,
  SearchIndex,
  Stretch as FleetStretch,
  NumbersLookup as FleetNumbersLookup,
  Piece as FleetPiece,
  PiecesLookup as FleetPiecesLookup,
  Ids as FleetIds,
  Names as FleetNames,
  WordLookup as FleetWordLookup,
} from "./search/index.ts";
export { numberOf } from "./search/values.ts";
export type { Query as FleetQuery } from "./search/tree.ts";
export { FleetSearcher } from "./search/searcher.ts";
export type { SearchAnswers, SearchAnswer, SearchRequest } from "./search/searcher.ts";
export { DynamicGroups } from "./search/dynamic.ts";
export type { DynamicQuery, Move } from "./search/dynamic.ts";
export type { AwsThing } from "./search/aws-thing.ts";
