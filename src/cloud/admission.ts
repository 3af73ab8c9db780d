/** What admission is made of: who asks, what he may do, and why somebody is not let in. */
import type { EpochMs } from "../base/mod.ts";
import type { CompiledPolicy, PolicyContext, RefusalReason } from "../identity/mod.ts";
import type { Policy, Principal } from "../registry/mod.ts";

/** A CONNECT that was not let in. */
export interface GateRefusal {
  readonly reason: string;
  readonly sentence: string;
  readonly certificateId: string | null;
  readonly clientId: string;
  readonly remoteAddress: string;
  /** What is known of it without a certificate: the thing that it says it is. */
  readonly thing: string | null;
}

/** What a grant is made of. A user has no certificate, and stands for no thing. */
export interface Rights {
  readonly policies: readonly Policy[];
  readonly things: Principal["things"];
  readonly certificate: Principal["certificate"] | null;
}

/** Whether the policies of who logged in so are named somewhere, and not attached in the registry. */
export function hasPoliciesByName(principal: string): boolean {
  return /^(?:user|jwt|key)\//.test(principal);
}

/** What a token says of its bearer's rights; `thing` null: he stands for none. */
export interface TokenGrant {
  readonly thing: string | null;
  readonly policies: readonly string[];
}

/** Who a connection is, as it is kept with its will: with this its rights can be looked up in another run. */
export interface KeptOwner {
  /** The certificate's id, `password/THING`, `user/NAME`, `jwt/SUBJECT`, `key/ID` or `account/…`. */
  readonly principal: string;
  readonly token?: TokenGrant;
  readonly connection: Omit<PolicyContext, "thing" | "certificate">;
}

/** Somebody who proved without a certificate who he is. */
export interface ProvedLogin {
  /** `password/THING`, `user/NAME`, `jwt/SUBJECT`, `key/ID`, `account/…`. */
  readonly principal: string;
  /** As sentences about it begin: `The password`. */
  readonly whose: string;
  /** Asked again when something has changed; the same object where nothing has. Null: it may not be here any more. */
  readonly look: () => Rights | null;
  /** Of who showed a token. */
  readonly token?: TokenGrant;
  /** From then on it is worth nothing. */
  readonly expiresAt?: EpochMs;
}

export type Refusal =
  | RefusalReason
  | "no-certificate"
  | "client-id"
  | "not-authorized"
  | "registry-away"
  | "no-password"
  | "unknown-name"
  | "wrong-password"
  | "token"
  | "too-often"
  | "busy";

export const REFUSALS: readonly Refusal[] = [
  "no-certificate",
  "unknown",
  "inactive",
  "revoked",
  "expired",
  "not-yet-valid",
  "pending",
  "client-id",
  "not-authorized",
  "registry-away",
  "no-password",
  "unknown-name",
  "wrong-password",
  "token",
  "too-often",
  "busy",
];

export interface Refused {
  readonly refusal: Refusal;
  readonly code: number;
  /** For whoever looks after the device. */
  readonly sentence: string;
  /** What the client is told, where that is less. */
  readonly told?: string;
}

export type RequestAdmission =
  | { readonly ok: true; readonly thing: string | null; readonly policy: CompiledPolicy }
  | { readonly ok: false; readonly sentence: string };
