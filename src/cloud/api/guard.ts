/** Who may speak at all: the right host, our own pages, and behind `guard` an actor: by token, signature, session or device certificate. */
import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { Actor } from "../../people/mod.ts";
import { proofOf } from "../../people/mod.ts";
import { demand } from "./actor.ts";
import { deviceOf } from "./device-access.ts";
import type { ApiPorts } from "./ports.ts";
import { RequestRates } from "./request-rates.ts";
import { SESSION_COOKIE, bearerOf, cookieOf } from "./session.ts";
import { carriesSignature, verifySigned } from "./signed.ts";

type GuardPorts = Pick<ApiPorts, "people" | "clock" | "gatekeeper" | "visitorOf">;

/** Every route behind it needs an actor with the route's permission; a browser must also come from our own pages. */
export function guard(scope: FastifyInstance, ports: GuardPorts): void {
  const strangers = new RequestRates(ports.clock, LIMITS.http.requestsPerMinuteMax);
  const actors = new RequestRates(ports.clock, LIMITS.http.requestsPerActorPerMinuteMax);
  /** Whoever cannot say who he is counts with his address. */
  const known = async <T>(request: FastifyRequest, identified: () => T | Promise<T>): Promise<T> => {
    try {
      return await identified();
    } catch (error) {
      strangers.count(request.ip);
      throw error;
    }
  };
  const admit = (request: FastifyRequest, actor: Actor): void => {
    request.actor = actor; // known before he is refused, so that the refusal has a name
    actors.count(proofOf(actor.identity));
    // What a device may do, its policies have said.
    if (actor.identity.kind !== "device") demand(request, actor);
  };
  scope.addHook("onRequest", async (request, reply) => {
    // Answers hold keys, names and readings; neither the browser nor a proxy may keep them.
    void reply.header("cache-control", "no-store");
    if (!carriesSignature(request)) admit(request, await known(request, () => identify(request, ports)));
  });
  scope.addHook("preParsing", async (request, _reply, payload) => {
    if (request.actor !== null) return payload;
    const signed = await known(request, () => verifySigned(request, payload, ports));
    admit(request, signed.actor);
    return signed.payload;
  });
}

/**
 * A bearer token is enough by itself; a cookie or a certificate comes along by itself, so the page that used it must be
 * ours. Throws UNAUTHORIZED and what the certificate is refused for.
 */
function identify(request: FastifyRequest, ports: GuardPorts): Actor {
  const token = bearerOf(request.headers.authorization);
  if (token !== null) return ports.people.byToken(token, request.ip) ?? stranger();
  const cookie = cookieOf(request.headers.cookie, SESSION_COOKIE);
  const actor =
    (cookie === null ? null : ports.people.byCookie(cookie))?.actor ?? deviceOf(request, ports) ?? stranger();
  refuseForeignOrigin(request);
  return actor;
}

function stranger(): never {
  throw new TidewireError("UNAUTHORIZED");
}

/** Fetch Metadata (W3C): who caused the request, as the browser itself says; other programs do not send it. */
const OWN_SITES: readonly unknown[] = [undefined, "same-origin", "none"];

/** Throws FORBIDDEN_ORIGIN for a request that another web site's page caused (CSRF, cross-site WebSocket hijacking). */
export function refuseForeignOrigin({ headers }: Pick<FastifyRequest, "headers">): void {
  const site = headers["sec-fetch-site"];
  const { origin, host } = headers;
  const foreign = origin !== undefined && (URL.canParse(origin) ? new URL(origin).host : null) !== host;
  if (foreign || !OWN_SITES.includes(site)) {
    throw new TidewireError("FORBIDDEN_ORIGIN", { origin: shown(origin ?? String(site)) });
  }
}

/** As above, and throws HOST_UNKNOWN where a page's name may point here without being ours (DNS rebinding). */
export function refuseForeignPage(request: IncomingMessage, ownNames: ReadonlySet<string> | null): void {
  const { host } = request.headers;
  if (ownNames !== null && host !== undefined && !isOwn(host, ownNames)) {
    throw new TidewireError("HOST_UNKNOWN", { host: shown(host) });
  }
  refuseForeignOrigin(request);
}

/**
 * For all routes, public ones too, before anything is counted or read. A name that only an attacker's DNS points to
 * 127.0.0.1 would make his page "our own" in the browser's eyes (DNS rebinding), so the plain listener answers to its own
 * names only. The TLS listener needs no such check: nobody else's certificate is good for it.
 */
export function refuseStrangers(app: FastifyInstance, ownNames: readonly string[]): void {
  const own = new Set(ownNames.map((name) => name.toLowerCase()));
  app.addHook("onRequest", async (request) => {
    const { host, origin, authorization } = request.headers;
    // A request without Host is HTTP/1.0, which no browser speaks.
    if (request.protocol !== "https" && host !== undefined && !isOwn(host, own)) {
      throw new TidewireError("HOST_UNKNOWN", { host: shown(host) });
    }
    if (origin !== undefined && bearerOf(authorization) === null) refuseForeignOrigin(request);
  });
}

/** `host`: name or address, IPv6 in brackets, with or without a port (RFC 9110 section 7.2). */
function isOwn(host: string, own: ReadonlySet<string>): boolean {
  if (!URL.canParse(`http://${host}/`)) return false;
  const name = new URL(`http://${host}/`).hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  return name === "localhost" || name === "::1" || /^127\.\d+\.\d+\.\d+$/.test(name) || own.has(name);
}

/** What a stranger wrote, for a message. */
function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
