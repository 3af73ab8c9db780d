/** What a device's token (JWT, RFC 7519) says about it, once its signature, issuer, audience and times have been checked. */
import { LIMITS } from "../base/mod.ts";
import type { EpochMs, JsonObject, JsonValue } from "../base/mod.ts";

/** Which claims say what. */
export interface TokenMapping {
  /** Whose value is the thing's name; null: it stands for no thing. */
  readonly thing: string | null;
  /** Whose value the client id has to be; null: any that the policies allow. */
  readonly clientId: string | null;
  /** Every token of the issuer has these. */
  readonly policies: readonly string[];
  /** Whose value, a list of names or names with spaces between them, adds policies from `policiesAllowed`. */
  readonly policiesClaim: string | null;
  readonly policiesAllowed: readonly string[];
}

/** What a token must be besides rightly signed. */
export interface TokenRules {
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Asymmetric ones; a token that names another is refused, whatever its signature. */
  readonly algorithms: readonly string[];
}

export type TokenVerdict =
  | { readonly ok: true; readonly claims: JsonObject }
  | { readonly ok: false; readonly sentence: string };

/** Served by `adapters/jwt-verifier.ts`. */
export interface TokenVerifier {
  /** The issuer that an unverified token names; null where it is no token. */
  issuerOf(token: string): string | null;
  /** Never rejects for what is wrong with the token; rejects OUTGOING_* where the issuer's keys cannot be had. */
  verify(token: string, rules: TokenRules, now: EpochMs): Promise<TokenVerdict>;
}

export interface Bearer {
  readonly subject: string;
  readonly thing: string | null;
  readonly clientId: string | null;
  readonly policies: readonly string[];
  readonly expiresAt: EpochMs;
}

const THING_NAME = /^[a-zA-Z0-9:_-]{1,128}$/;
const SUBJECT_LENGTH_MAX = 128;

/** A sentence where the token is signed, and good for nothing here all the same. */
export function bearerOf(claims: JsonObject, mapping: TokenMapping, now: EpochMs): Bearer | string {
  const { tokenSkewMax, tokenLifetimeMax } = LIMITS.logins;
  const { exp, iat } = claims;
  if (typeof exp !== "number") return "The token has no expiry (exp)";
  if (typeof iat === "number" && iat * 1000 > now + tokenSkewMax)
    return "The token was issued in the future: compare the clocks of its issuer and of this machine";
  if (exp * 1000 > now + tokenLifetimeMax) return "The token is good for more than a year, and could not be revoked";
  const thing = mapping.thing === null ? null : textOf(claims[mapping.thing]);
  if (mapping.thing !== null && (thing === null || !THING_NAME.test(thing)))
    return `The token's claim '${mapping.thing}' is no thing's name`;
  const clientId = mapping.clientId === null ? null : textOf(claims[mapping.clientId]);
  if (mapping.clientId !== null && clientId === null) return `The token has no claim '${mapping.clientId}'`;
  const asked = mapping.policiesClaim === null ? [] : namesIn(claims[mapping.policiesClaim]);
  const foreign = asked.find((name) => !mapping.policiesAllowed.includes(name));
  // Leaving it out could leave out what denies something.
  if (foreign !== undefined)
    return `The token asks for the policy '${foreign.slice(0, SUBJECT_LENGTH_MAX)}', which its issuer may not give`;
  const subject = (textOf(claims["sub"]) ?? thing ?? clientId ?? "").slice(0, SUBJECT_LENGTH_MAX);
  // Who was let in within the skew stays for it, and nobody longer.
  const expiresAt = exp * 1000 > now ? exp * 1000 : exp * 1000 + tokenSkewMax;
  return { subject, thing, clientId, policies: [...new Set([...mapping.policies, ...asked])], expiresAt };
}

function textOf(value: JsonValue | undefined): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function namesIn(value: JsonValue | undefined): readonly string[] {
  if (typeof value === "string") return value.split(" ").filter((name) => name !== "");
  if (Array.isArray(value)) return value.map((name) => (typeof name === "string" ? name : JSON.stringify(name)));
  // Neither is none, unless it is not there: then nothing is asked for.
  return value === undefined || value === null ? [] : [JSON.stringify(value)];
}
