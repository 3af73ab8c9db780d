/**
 * Checks tokens (JWT, RFC 7519) with `jose`. Keys come from a set of the issuer's (RFC 7517), as a file or by HTTPS: kept,
 * asked for anew before they are old, and where a token names one that is not among them, but not as often as somebody sends
 * such tokens. What a token's header says about where its key is (jku, x5u, jwk) is not looked at.
 */
import { readFile } from "node:fs/promises";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify } from "jose";
import type { JSONWebKeySet, JWTPayload } from "jose";
import { LIMITS, TidewireError, isJsonObject, reasonOf } from "../base/mod.ts";
import type { Clock, EpochMs, JsonObject, JsonValue, Logger } from "../base/mod.ts";
import type { TokenRules, TokenVerdict, TokenVerifier } from "../identity/mod.ts";

/** Whoever fetches them: with the rules of `outgoing-http.ts`, and never more bytes than asked for. */
export type FetchText = (
  url: string,
  limits: { readonly timeout: number; readonly bytesMax: number },
) => Promise<string>;

export interface JwtVerifierOptions {
  /** By issuer: a path, or an `https://` URL. As many as the configuration names. */
  readonly keys: ReadonlyMap<string, string>;
  readonly fetchText: FetchText;
  readonly clock: Clock;
  readonly logger: Logger;
}

const { tokenSkewMax, issuerKeysMax, issuerKeysBytesMax, issuerKeysTimeout } = LIMITS.logins;
const { issuerKeysFreshFor, issuerKeysAskedEvery, issuerKeysKeptFor } = LIMITS.logins;

export function jwtVerifier(options: JwtVerifierOptions): TokenVerifier {
  const issuers = new Map([...options.keys].map(([issuer, from]) => [issuer, new IssuerKeys(from, options)]));
  return {
    issuerOf: (token) => {
      try {
        return decodeJwt(token).iss ?? null;
      } catch {
        return null;
      }
    },
    verify: async (token, rules, now) => {
      const keys = issuers.get(rules.issuer);
      if (keys === undefined) return refused("The token's issuer is not known here");
      let kid: string | undefined;
      try {
        ({ kid } = decodeProtectedHeader(token));
      } catch {
        return refused("The password is no token (JWT)");
      }
      return judged(token, rules, now, await keys.holding(typeof kid === "string" ? kid : null));
    },
  };
}

async function judged(token: string, rules: TokenRules, now: EpochMs, keys: JSONWebKeySet): Promise<TokenVerdict> {
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
      issuer: rules.issuer,
      audience: [...rules.audience],
      algorithms: [...rules.algorithms],
      requiredClaims: ["exp"],
      clockTolerance: tokenSkewMax / 1000,
      currentDate: new Date(now),
    });
    return { ok: true, claims: payload as JWTPayload & JsonObject };
  } catch (error) {
    return refused(sentenceOf(error));
  }
}

/** jose's own words are for programmers, and some hold what the token says. */
function sentenceOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "The token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "nbf")
      return "The token is not valid yet: compare the clocks of its issuer and of this machine";
    if (error.claim === "aud") return "The token is meant for somebody else (aud)";
    return `The token's claim '${error.claim}' is missing or wrong`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return "The token is signed with an algorithm that its issuer does not use";
  if (error instanceof errors.JWKSNoMatchingKey) return "The token is signed with a key that its issuer does not have";
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return "The token does not say with which key it is signed (kid)";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "The token's signature is wrong";
  return "The token is not well-formed";
}

function refused(sentence: string): TokenVerdict {
  return { ok: false, sentence };
}

class IssuerKeys {
  readonly #from: string;
  readonly #o: JwtVerifierOptions;
  /** `issuerKeysMax` at most. */
  #keys: JSONWebKeySet | null = null;
  /** By the monotonic clock: a wall clock that leaps must not make old keys new. */
  #readAt = -Infinity;
  #askedAt = -Infinity;
  #asking: Promise<void> | null = null;
  #failure: unknown = null;

  constructor(from: string, options: JwtVerifierOptions) {
    this.#from = from;
    this.#o = options;
  }

  /** The set, asked for anew where it has no such key. Rejects where there is none that is young enough. */
  async holding(kid: string | null): Promise<JSONWebKeySet> {
    const age = this.#o.clock.monotonic() - this.#readAt;
    const known = this.#keys !== null && (kid === null || this.#keys.keys.some((key) => key.kid === kid));
    if (!known || age > issuerKeysKeptFor) await this.#ask();
    else if (age > issuerKeysFreshFor) void this.#ask();
    if (this.#keys === null || this.#o.clock.monotonic() - this.#readAt > issuerKeysKeptFor) {
      throw this.#failure instanceof TidewireError
        ? this.#failure
        : new TidewireError("OUTGOING_FAILED", { origin: this.#from, reason: reasonOf(this.#failure) });
    }
    return this.#keys;
  }

  /** One at a time, and not again soon; never rejects. */
  #ask(): Promise<void> {
    if (this.#asking !== null) return this.#asking;
    const now = this.#o.clock.monotonic();
    if (now - this.#askedAt < issuerKeysAskedEvery) return Promise.resolve();
    this.#askedAt = now;
    return (this.#asking = this.#read().finally(() => (this.#asking = null)));
  }

  async #read(): Promise<void> {
    try {
      this.#keys = keySetOf(await this.#text());
      this.#readAt = this.#o.clock.monotonic();
      this.#failure = null;
    } catch (error) {
      this.#failure = error;
      this.#o.logger.warn("The keys of a token issuer cannot be had; those of before stay for a day.", {
        from: this.#from,
        reason: reasonOf(error),
      });
    }
  }

  #text(): Promise<string> {
    if (!/^https:/i.test(this.#from)) return readFile(this.#from, "utf8");
    return this.#o.fetchText(this.#from, { timeout: issuerKeysTimeout, bytesMax: issuerKeysBytesMax });
  }
}

/** Throws where it is none. Secrets are no keys that somebody publishes, so they are none of ours. */
function keySetOf(text: string): JSONWebKeySet {
  if (text.length > issuerKeysBytesMax) throw new Error(`it has more than ${issuerKeysBytesMax} bytes`);
  const set = JSON.parse(text) as JsonValue;
  const keys = isJsonObject(set) ? set["keys"] : null;
  if (!Array.isArray(keys)) throw new Error("it is no JSON Web Key Set");
  if (keys.length > issuerKeysMax) throw new Error(`it has more than ${issuerKeysMax} keys`);
  const usable = keys.filter((key) => isJsonObject(key) && typeof key["kty"] === "string" && key["kty"] !== "oct");
  return { keys: usable as JSONWebKeySet["keys"] };
}
