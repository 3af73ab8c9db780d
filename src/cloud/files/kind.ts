/** What a kind of document answers, so that it can be compared, changed and given back like every other. */
import type { JsonObject } from "../../base/mod.ts";
import type { StoredDocument } from "../../rules/mod.ts";

/** Returns what is to stand in the place of a secret; `shown`, which ends with `***`: what people may see of it. */
export type SecretChange = (secret: string, shown: string) => string;

export type Documents = ReadonlyMap<string, JsonObject>;

/** A kind whose documents are kept beside the rules. */
export interface DocumentKind {
  readonly kind: string;
  readonly max: number;
  /** As it would be kept. `present`: what is kept now. Throws DOCUMENT_INVALID. */
  check(name: string, input: unknown, present: JsonObject | null): JsonObject;
  /** What is kept in the same transaction as the change of this document: its history. */
  beside?(name: string, after: JsonObject | null): readonly StoredDocument[];
  mapSecrets(document: JsonObject, change: SecretChange): JsonObject;
  /** As it lies on disk, where that is not as it is, and back; null: it cannot be read any more, and somebody was told. */
  readonly atRest?: { seal(document: JsonObject): JsonObject; open(sealed: JsonObject): JsonObject | null };
  /** All of this kind, after a change and at the start: they hold from now on. Never throws for what `check` has let through. */
  adopt(documents: Documents): void;
}
