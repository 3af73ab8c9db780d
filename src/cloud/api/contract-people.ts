/** Part of the contract in `contract.ts`: who asks, users, keys, sessions, and the audit log. */
import type { EpochMs } from "../../base/mod.ts";

export interface SessionInfo {
  /** A user's or a key's name; `administrator` for the platform's token. */
  readonly user: string;
  readonly kind: "user" | "token" | "key";
  readonly role: Role | null;
  /** What may be asked for: pages leave out what would be refused. */
  readonly permissions: readonly string[];
  /** Patterns of things that a key is narrowed to; null: all. */
  readonly things: readonly string[] | null;
  /** Null for keys and tokens. */
  readonly session: string | null;
  readonly expiresAt: EpochMs | null;
  readonly version: string;
}

export type Role = "administrator" | "operator" | "viewer";

export interface UserView {
  readonly name: string;
  readonly role: Role;
  readonly state: "active" | "invited" | "disabled";
  readonly createdAt: EpochMs;
  readonly lastLoginAt: EpochMs | null;
  readonly passwordChangedAt: EpochMs | null;
}

export interface UserList {
  readonly users: readonly UserView[];
}

export interface InvitedUser {
  readonly user: UserView;
  /** Shown once; the link is `/#invitation=CODE`. */
  readonly invitation: { readonly code: string; readonly expiresAt: EpochMs };
}

export interface SessionView {
  readonly id: string;
  /** Null: begun with the platform's token or a login link. */
  readonly user: string | null;
  readonly createdAt: EpochMs;
  readonly lastSeenAt: EpochMs;
  readonly endsAt: EpochMs;
  readonly address: string;
  readonly agent: string;
}

export interface SessionList {
  readonly sessions: readonly SessionView[];
}

/** `api`: a bearer token. `access`: an id and a secret for Signature Version 4, as AWS's SDKs take them. */
export type KeyKind = "api" | "access";

export interface KeyView {
  readonly id: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly owner: string | null;
  readonly permissions: readonly string[];
  readonly things: readonly string[] | null;
  /** What its MQTT connections may do. */
  readonly policies: readonly string[];
  readonly createdAt: EpochMs;
  readonly expiresAt: EpochMs | null;
  readonly lastUsedAt: EpochMs | null;
  readonly lastUsedFrom: string | null;
}

export interface KeyList {
  readonly keys: readonly KeyView[];
}

export interface NewKeyRequest {
  readonly kind?: KeyKind;
  readonly name: string;
  readonly permissions: readonly string[];
  /** Thing names, with `*` for any characters: the key is good only for routes that are about named things. */
  readonly things?: readonly string[] | null;
  /** Of an access key: what it may do by MQTT over WebSocket. */
  readonly policies?: readonly string[];
  readonly expiresAt?: EpochMs | null;
}

export interface NewKeyResult {
  readonly key: KeyView;
  /** Shown once: the bearer token, or the secret of an access key. */
  readonly secret: string;
}

export interface AuditEntryView {
  readonly sequence: number;
  readonly time: EpochMs;
  readonly actor: { readonly kind: string } & Readonly<Record<string, string | null>>;
  readonly address: string | null;
  readonly action: string;
  readonly target: string | null;
  readonly outcome: "ok" | "refused" | "failed";
  readonly reason?: string | null;
  readonly incident?: string | null;
  readonly details?: Readonly<Record<string, unknown>> | null;
}

/** What `tidewire audit verify --checkpoint` takes, and `--key`; null: nothing is signed yet. */
export interface AuditCheckpointView {
  readonly checkpoint: Readonly<Record<string, unknown>> | null;
  /** PEM. */
  readonly publicKey: string | null;
}

export interface AuditPageView {
  readonly entries: readonly AuditEntryView[];
  /** Pass it as `before` for the next page; null at the end. */
  readonly before: number | null;
}
