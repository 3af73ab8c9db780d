/** Logging in and out of the dashboard, and one's own account. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError, isTidewireError } from "../../base/mod.ts";
import type { Identity, LoginResult } from "../../people/mod.ts";
import { actorOf, demandPermission } from "./actor.ts";
import type { SessionInfo, SessionList } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { SESSION_COOKIE, cookieOf } from "./session.ts";

const Secret = z.string().min(1).max(512);
const Login = z.union([
  z.strictObject({ token: Secret }),
  z.strictObject({ code: Secret }),
  z.strictObject({ name: z.string().min(1).max(128), password: Secret }),
  z.strictObject({ invitation: Secret, password: Secret }),
]);

const ACCOUNT = { permission: "account" } as const;
const FEW = { max: LIMITS.http.loginsPerMinuteMax, timeWindow: "1 minute" };

export function sessionRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { people } = ports;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const open = { permission: "public", rateLimit: FEW } as const;
  routes.post("/api/session", { schema: { body: Login }, config: open }, async (request, reply) => {
    const user = await whoLogsIn(ports, request, request.body);
    const { value, session } = people.sessions.begin(user, request.ip, request.headers["user-agent"] ?? "");
    const identity: Identity =
      user === null ? { kind: "token", session: session.id } : { kind: "user", user, session: session.id };
    ports.audit.note({
      actor: identity,
      address: request.ip,
      action: "session.begin",
      target: session.id,
      outcome: "ok",
    });
    const age = Math.floor((session.endsAt - ports.clock.now()) / 1000);
    setCookie(reply, value, age, request.protocol === "https");
    return reply.code(204).send();
  });

  /** Who an invitation is for, so that the page can say so. */
  const invitation = z.strictObject({ invitation: Secret });
  routes.post("/api/invitation", { schema: { body: invitation }, config: open }, async (request) => {
    const { name, role } = people.users.invited(request.body.invitation);
    return { name, role };
  });

  routes.delete("/api/session", { config: { permission: "public" } }, async (request, reply) => {
    const cookie = cookieOf(request.headers.cookie, SESSION_COOKIE);
    const found = cookie === null ? null : people.byCookie(cookie);
    if (found !== null) {
      people.endSessions(({ id }) => id === found.session.id);
      const { identity } = found.actor;
      ports.audit.note({
        actor: identity,
        address: request.ip,
        action: "session.end",
        target: found.session.id,
        outcome: "ok",
      });
    }
    setCookie(reply, "", 0, request.protocol === "https");
    return reply.code(204).send();
  });
}

/** The user, or null for the platform's token. Throws what the stranger may read; the audit log has the reason. */
async function whoLogsIn(
  ports: ApiPorts,
  request: FastifyRequest,
  body: z.infer<typeof Login>,
): Promise<string | null> {
  const { people } = ports;
  try {
    if ("code" in body) people.redeemCode(body.code);
    else if ("token" in body) {
      if (!people.isPlatformToken(body.token)) throw new TidewireError("UNAUTHORIZED");
    } else if ("invitation" in body) return (await people.users.accept(body.invitation, body.password)).name;
    else return nameIn(await people.users.login(body.name, body.password, request.ip), ports, request, body.name);
    return null;
  } catch (error) {
    const known = isTidewireError(error) && error.code !== "LOGIN_REFUSED" && error.code !== "LOGIN_TOO_OFTEN";
    if (known) noteRefusedLogin(ports, request, null, error.code);
    throw error;
  }
}

function nameIn(result: LoginResult, ports: ApiPorts, request: FastifyRequest, name: string): string {
  if (result.ok) return result.user.name;
  noteRefusedLogin(ports, request, name.slice(0, 64), result.why);
  throw result.error;
}

function noteRefusedLogin(
  { audit, logger }: ApiPorts,
  request: FastifyRequest,
  name: string | null,
  why: string,
): void {
  logger.warn("A log-in was refused.", { remoteAddress: request.ip, user: name, why });
  audit.refused(request.ip, {
    actor: { kind: "stranger" },
    address: request.ip,
    action: "session.refuse",
    target: name,
    outcome: "refused",
    reason: why,
  });
}

/** For those who are logged in. */
export function accountRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { people, version } = ports;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/api/session", { config: ACCOUNT }, async (request): Promise<SessionInfo> => {
    const { identity, permissions, things } = actorOf(request);
    const session = "session" in identity ? identity.session : null;
    const expiresAt = session === null ? null : (people.sessions.get(session)?.endsAt ?? null);
    return {
      user:
        identity.kind === "user" ? identity.user : identity.kind === "token" ? "administrator" : nameOfKey(identity),
      kind: identity.kind === "user" ? "user" : identity.kind === "token" ? "token" : "key",
      role: identity.kind === "user" ? people.users.roleOf(identity.user) : null,
      permissions: [...permissions],
      things,
      session,
      expiresAt,
      version,
    };
  });

  /** A new one-time code, for `tidewire login-link`. It logs in as the token does, so only the token may make it. */
  const code = { ...ACCOUNT, audit: "login-code.add", rateLimit: FEW };
  routes.post("/api/login-codes", { config: code }, async (request) => {
    const { identity } = actorOf(request);
    if (identity.kind !== "token" || identity.session !== null) throw new TidewireError("UNAUTHORIZED");
    return { code: people.issueCode() };
  });

  const body = z.strictObject({ current: Secret, password: Secret });
  const password = { ...ACCOUNT, audit: "password.change", rateLimit: FEW };
  routes.post("/api/account/password", { schema: { body }, config: password }, async (request, reply) => {
    const { identity } = actorOf(request);
    if (identity.kind !== "user") {
      throw new TidewireError("REQUEST_INVALID", { reason: "only a user who is logged in has a password" });
    }
    const { current, password: next } = request.body;
    const result = await people.users.changePassword(identity.user, current, next, request.ip);
    nameIn(result, ports, request, identity.user);
    people.endSessions(({ user, id }) => user === identity.user && id !== identity.session);
    return reply.code(204).send();
  });

  sessionListRoutes(app, ports);
}

function sessionListRoutes(app: FastifyInstance, { people }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const querystring = z.strictObject({ all: z.stringbool().default(false) });
  routes.get("/api/sessions", { schema: { querystring }, config: ACCOUNT }, async (request): Promise<SessionList> => {
    const actor = actorOf(request);
    if (request.query.all) {
      demandPermission(actor, "people:read");
      return { sessions: people.sessions.list() };
    }
    return { sessions: people.sessions.list(ownerOf(actor.identity)) };
  });

  const params = z.strictObject({ id: z.string().max(64) });
  const end = { ...ACCOUNT, audit: "session.end" };
  routes.delete("/api/sessions/:id", { schema: { params }, config: end }, async (request, reply) => {
    const actor = actorOf(request);
    const session = people.sessions.get(request.params.id);
    const isMine = session !== null && session.user === ownerOf(actor.identity) && actor.identity.kind !== "api-key";
    if (!isMine) demandPermission(actor, "people:write");
    if (session === null) throw new TidewireError("NOT_FOUND", { kind: "session", name: request.params.id });
    people.endSessions(({ id }) => id === session.id);
    return reply.code(204).send();
  });
}

export function ownerOf(identity: Identity): string | null {
  return identity.kind === "user" ? identity.user : "owner" in identity ? identity.owner : null;
}

function nameOfKey(identity: Identity): string {
  return "name" in identity ? identity.name : "";
}

function setCookie(reply: FastifyReply, value: string, maxAgeSeconds: number, secure: boolean): void {
  const parts = [`${SESSION_COOKIE}=${value}`, "Path=/", `Max-Age=${maxAgeSeconds}`, "HttpOnly", "SameSite=Strict"];
  if (secure) parts.push("Secure");
  void reply.header("set-cookie", parts.join("; "));
}
