export { Configuration, documentInvalid, fieldsOf } from "./configuration.ts";
export type { ConfigurationOptions } from "./configuration.ts";
export type { DocumentKind, Documents, SecretChange } from "./kind.ts";
