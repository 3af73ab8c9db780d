/** Every route behind it needs a valid token or session; a browser must also come from our own pages. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { TidewireError } from "../../base/mod.ts";
import type { ApiPorts } from "./ports.ts";
import { SESSION_COOKIE, bearerOf, cookieOf } from "./session.ts";

export function guard(scope: FastifyInstance, ports: Pick<ApiPorts, "sessions">): void {
  scope.addHook("onRequest", async (request) => {
    if (isAllowed(request, ports)) return;
    throw new TidewireError("UNAUTHORIZED");
  });
}

/** A bearer token is enough by itself; a cookie comes along by itself, so the page that used it must be ours. */
function isAllowed(request: FastifyRequest, { sessions }: Pick<ApiPorts, "sessions">): boolean {
  const token = bearerOf(request.headers.authorization);
  if (token !== null) return sessions.isAdminToken(token);
  const cookie = cookieOf(request.headers.cookie, SESSION_COOKIE);
  if (cookie === null || sessions.cookieExpiry(cookie) === null) return false;
  refuseForeignOrigin(request);
  return true;
}

/** Throws FORBIDDEN_ORIGIN for a request that another web site's page caused (CSRF, cross-site WebSocket hijacking). */
export function refuseForeignOrigin(request: FastifyRequest): void {
  const origin = request.headers.origin;
  if (origin === undefined) return; // not a browser, or a same-origin GET
  const host = URL.canParse(origin) ? new URL(origin).host : null;
  if (host === null || host !== request.headers.host) throw new TidewireError("FORBIDDEN_ORIGIN", { origin });
}
