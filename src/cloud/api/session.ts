/** Who may use the HTTP API: the administrator token, a dashboard session cookie, or a one-time login code. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Cancel, Clock, EpochMs, Random } from "../../base/mod.ts";
import { LIMITS, TidewireError } from "../../base/mod.ts";

export const SESSION_COOKIE = "tw_session";

export interface SessionOptions {
  readonly adminToken: string;
  /** Signs session cookies; kept in the data folder, so a restart logs nobody out. */
  readonly sessionKey: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly ended: EndedSessions;
}

/** Where logged-out sessions are remembered until they would have ended anyway: a restart must not revive them. */
export interface EndedSessions {
  load(): readonly (readonly [body: string, endsAt: EpochMs])[];
  save(entries: readonly (readonly [body: string, endsAt: EpochMs])[]): void;
}

export class Sessions {
  readonly #options: SessionOptions;
  /** Login code → when it ends. Only in memory: a restart prints a new link. */
  readonly #codes = new Map<string, EpochMs>();
  readonly #ended: Map<string, EpochMs>;
  readonly #endListeners = new Set<(cookie: string) => void>();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#ended = new Map(options.ended.load());
  }

  /** A one-time code for the login link. */
  issueCode(): string {
    const code = Buffer.from(this.#options.random.bytes(24)).toString("base64url");
    const now = this.#options.clock.now();
    for (const [old, endsAt] of this.#codes) {
      // In order of their making, so the first ones are the oldest.
      if (endsAt >= now && this.#codes.size < LIMITS.http.loginCodesMax) break;
      this.#codes.delete(old);
    }
    this.#codes.set(code, now + LIMITS.http.loginCodeLifetime);
    return code;
  }

  /** Takes the code; it never works again. Throws LOGIN_CODE_INVALID. */
  redeemCode(code: string): void {
    const endsAt = this.#codes.get(code);
    this.#codes.delete(code);
    if (endsAt === undefined || endsAt < this.#options.clock.now()) throw new TidewireError("LOGIN_CODE_INVALID");
  }

  isAdminToken(token: string): boolean {
    return equalInConstantTime(token, this.#options.adminToken);
  }

  /** A signed cookie value: end of the session, a random part, and the signature over both. */
  issueCookie(): { readonly value: string; readonly expiresAt: EpochMs } {
    const expiresAt = this.#options.clock.now() + LIMITS.http.sessionLifetime;
    const body = `${expiresAt}.${Buffer.from(this.#options.random.bytes(16)).toString("base64url")}`;
    return { value: `${body}.${this.#sign(body)}`, expiresAt };
  }

  /** When the session of a cookie ends; `null` where it is forged, over or logged out. */
  cookieExpiry(value: string): EpochMs | null {
    const cut = value.lastIndexOf(".");
    const body = value.slice(0, cut);
    if (cut < 0 || !equalInConstantTime(value.slice(cut + 1), this.#sign(body))) return null;
    const expiresAt = Number(body.split(".")[0]);
    return expiresAt > this.#options.clock.now() && !this.#ended.has(body) ? expiresAt : null;
  }

  /** A value that is no session changes nothing: strangers may call this, and must not make us write. */
  endCookie(value: string): void {
    const expiresAt = this.cookieExpiry(value);
    if (expiresAt === null) return;
    const now = this.#options.clock.now();
    for (const [body, endsAt] of this.#ended) if (endsAt < now) this.#ended.delete(body);
    this.#ended.set(value.slice(0, value.lastIndexOf(".")), expiresAt);
    for (const listener of this.#endListeners) listener(value);
    this.#options.ended.save([...this.#ended]);
  }

  /** Told of each session that is logged out, by its cookie's value. */
  onEnd(listener: (cookie: string) => void): Cancel {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  #sign(body: string): string {
    return createHmac("sha256", this.#options.sessionKey).update(body).digest("base64url");
  }
}

/** The value of one cookie in a `Cookie` header (RFC 6265 section 4.2); `null` where it is not there. */
export function cookieOf(header: string | undefined, name: string): string | null {
  for (const part of header?.split(";") ?? []) {
    const [key, ...value] = part.trim().split("=");
    if (key === name) return value.join("=");
  }
  return null;
}

/** The token of `Authorization: Bearer …` (RFC 6750 section 2.1). */
export function bearerOf(header: string | undefined): string | null {
  return /^Bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? null;
}

/** Hashing first makes the lengths equal, so that neither length nor content shows in the time taken. */
function equalInConstantTime(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
