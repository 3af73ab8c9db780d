export { canonicalText } from "./canonical.ts";
export { Configuration, documentInvalid, fieldsOf } from "./configuration.ts";
export type { ConfigurationOptions } from "./configuration.ts";
export type { ChangeElsewhere, KindElsewhere } from "./elsewhere.ts";
export type { DocumentKind, Documents, SecretChange } from "./kind.ts";
