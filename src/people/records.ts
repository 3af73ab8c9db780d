/** What is kept of people and of the keys that they give to programs. No secret among it can be read back as it was, but an access key's. */
import type { EpochMs } from "../base/mod.ts";
import type { Permission, Role } from "./permissions.ts";

export interface User {
  /** Lower case; unique. */
  readonly name: string;
  readonly role: Role;
  readonly disabled: boolean;
  /** As the hasher writes it, with its parameters; null until the invitation was taken. */
  readonly password: string | null;
  readonly passwordChangedAt: EpochMs | null;
  /** SHA-256 of the code; null where none is open. */
  readonly invitation: { readonly hash: string; readonly expiresAt: EpochMs } | null;
  readonly createdAt: EpochMs;
  readonly lastLoginAt: EpochMs | null;
}

/** `api`: a bearer token. `access`: an id and a secret that sign requests (Signature Version 4). */
export type KeyKind = "api" | "access";

export interface Key {
  readonly id: string;
  readonly kind: KeyKind;
  readonly name: string;
  /** Whose right it can never exceed; null: made with the platform's token. */
  readonly owner: string | null;
  readonly permissions: readonly Permission[];
  /** Patterns of thing names; null: all things. */
  readonly things: readonly string[] | null;
  /** Of the registry, by name: what an access key's MQTT connections may do. Most have none. */
  readonly policies: readonly string[];
  /** `api`: the token's SHA-256. `access`: the secret, encrypted. */
  readonly secret: string;
  readonly createdAt: EpochMs;
  readonly expiresAt: EpochMs | null;
  readonly lastUsedAt: EpochMs | null;
  readonly lastUsedFrom: string | null;
}

export interface SavedSession {
  /** For lists; proves nothing. */
  readonly id: string;
  /** HMAC of the cookie's value. */
  readonly hash: string;
  /** Null: begun with the platform's token or a login link. */
  readonly user: string | null;
  readonly createdAt: EpochMs;
  readonly lastSeenAt: EpochMs;
  /** Whatever happens. */
  readonly endsAt: EpochMs;
  readonly address: string;
  /** What the browser calls itself. */
  readonly agent: string;
}
