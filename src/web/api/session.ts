/** Who is logged in. The session itself is a cookie that scripts cannot read. */
import { signal } from "@preact/signals";
import type { ApiError, SessionInfo } from "../../cloud/api/contract.ts";
import { setLoginWith } from "../shell/preferences.ts";
import { ApiFailure, apiErrorOf, call, whenUnauthorized } from "./client.ts";

export type Session =
  | { readonly kind: "unknown" }
  | { readonly kind: "none"; readonly why: "never" | "expired" | "logged-out"; readonly error: ApiError | null }
  | { readonly kind: "active"; readonly info: SessionInfo }
  | { readonly kind: "unreachable"; readonly error: ApiError };

export const session = signal<Session>({ kind: "unknown" });

/** An invitation that is being taken: its code, and whose it is. */
export const invitation = signal<{ readonly code: string; readonly name: string; readonly role: string } | null>(null);

export type Credentials =
  | { readonly token: string }
  | { readonly code: string }
  | { readonly name: string; readonly password: string }
  | { readonly invitation: string; readonly password: string };

/** Whether the platform would do it: what it would refuse is not shown. */
export function may(permission: string): boolean {
  const current = session.value;
  return current.kind === "active" && current.info.permissions.includes(permission);
}

const RETRY_MS = 3000;

whenUnauthorized(() => {
  const before = session.peek();
  if (before.kind === "none") return; // of several answers at once the first one knew why
  if (before.kind === "active") setLoginWith(before.info.kind === "user" ? "name" : "token");
  session.value = { kind: "none", why: before.kind === "active" ? "expired" : "never", error: null };
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
export async function login(credentials: Credentials): Promise<ApiError | null> {
  try {
    await call<void>("api/session", { method: "POST", body: credentials, login: true });
    const info = await call<SessionInfo>("api/session", { login: true });
    session.value = { kind: "active", info };
    invitation.value = null;
    // The next time the form that fits is there first.
    if (!("code" in credentials)) setLoginWith("token" in credentials ? "token" : "name");
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

/** Shows the form of an invitation, or why it is none. */
export async function beginInvitation(code: string): Promise<void> {
  try {
    const whose = await call<{ name: string; role: string }>("api/invitation", {
      method: "POST",
      body: { invitation: code },
      login: true,
    });
    invitation.value = { code, ...whose };
    session.value = { kind: "none", why: "never", error: null };
  } catch (thrown) {
    session.value = { kind: "none", why: "never", error: apiErrorOf(thrown) };
  }
}

export function invitationInFragment(fragment: string): string | null {
  return /^#invitation=([^&]+)$/.exec(fragment)?.[1] ?? null;
}

/** The code in an address' fragment (`#code=…`), or null. */
export function codeInFragment(fragment: string): string | null {
  const match = /^#code=([^&]+)$/.exec(fragment);
  // Codes are base64url: nothing in them needs decoding.
  return match?.[1] ?? null;
}
