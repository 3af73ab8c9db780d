/** Who is logged in. The session itself is a cookie that scripts cannot read. */
import { signal } from "@preact/signals";
import type { ApiError, SessionInfo } from "../../cloud/api/contract.ts";
import { ApiFailure, apiErrorOf, call, whenUnauthorized } from "./client.ts";

export type Session =
  | { readonly kind: "unknown" }
  | { readonly kind: "none"; readonly why: "never" | "expired" | "logged-out"; readonly error: ApiError | null }
  | { readonly kind: "active"; readonly info: SessionInfo }
  | { readonly kind: "unreachable"; readonly error: ApiError };

export const session = signal<Session>({ kind: "unknown" });

const RETRY_MS = 3000;

whenUnauthorized(() => {
  const { kind } = session.peek();
  if (kind === "none") return; // of several answers at once the first one knew why
  const wasActive = kind === "active";
  session.value = { kind: "none", why: wasActive ? "expired" : "never", error: null };
});

/**
 * Takes a one-time code out of the address before anything else can read or remember it, and asks whether there is a
 * session. `code`: from the link that the platform prints at start.
 */
export async function beginSession(code: string | null): Promise<void> {
  if (code !== null) {
    const error = await login({ code });
    if (error === null) return;
    // Whoever is logged in already needs no code.
    await refreshSession();
    if (session.peek().kind !== "active") session.value = { kind: "none", why: "never", error };
    return;
  }
  await refreshSession();
}

/** Logs in; returns what went wrong, or null. */
export async function login(
  credentials: { readonly token: string } | { readonly code: string },
): Promise<ApiError | null> {
  try {
    await call<void>("api/session", { method: "POST", body: credentials, login: true });
    const info = await call<SessionInfo>("api/session", { login: true });
    session.value = { kind: "active", info };
    return null;
  } catch (thrown) {
    return apiErrorOf(thrown);
  }
}

export async function logout(): Promise<void> {
  try {
    await call<void>("api/session", { method: "DELETE", login: true });
  } catch (thrown) {
    // Not reachable: the cookie is still there, so saying "logged out" would be a lie.
    if (thrown instanceof ApiFailure && thrown.status !== 401) throw thrown;
  }
  session.value = { kind: "none", why: "logged-out", error: null };
}

/** Asks the server; a 401 ends the session through `whenUnauthorized`. */
export async function refreshSession(): Promise<void> {
  try {
    session.value = { kind: "active", info: await call<SessionInfo>("api/session") };
  } catch (thrown) {
    if (thrown instanceof ApiFailure && thrown.status === 401) return;
    if (session.peek().kind === "active") return;
    session.value = { kind: "unreachable", error: apiErrorOf(thrown) };
    setTimeout(() => void refreshSession(), RETRY_MS);
  }
}

/** The code in an address' fragment (`#code=…`), or null. */
export function codeInFragment(fragment: string): string | null {
  const match = /^#code=([^&]+)$/.exec(fragment);
  // Codes are base64url: nothing in them needs decoding.
  return match?.[1] ?? null;
}
