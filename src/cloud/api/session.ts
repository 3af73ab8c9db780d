/** What a request carries to say who it is from: a bearer token or the dashboard's cookie. */
export const SESSION_COOKIE = "tw_session";

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
