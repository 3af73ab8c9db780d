/** Logging in and out of the dashboard. */
import type { FastifyInstance, FastifyReply } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { SessionInfo } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { SESSION_COOKIE, bearerOf, cookieOf } from "./session.ts";

const Login = z.union([
  z.strictObject({ token: z.string().min(1).max(512) }),
  z.strictObject({ code: z.string().min(1).max(512) }),
]);

const ACCOUNT = { permission: "account" } as const;
const FEW = { max: LIMITS.http.loginsPerMinuteMax, timeWindow: "1 minute" };

export function sessionRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { sessions } = ports;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const redeem = (code: string, remoteAddress: string): void => {
    try {
      sessions.redeemCode(code);
    } catch (error) {
      ports.logger.warn("A log-in with a code that is used, old or invented was refused.", { remoteAddress });
      throw error;
    }
  };
  routes.post(
    "/api/session",
    { schema: { body: Login }, config: { permission: "public", rateLimit: FEW } },
    async (request, reply) => {
      if ("code" in request.body) redeem(request.body.code, request.ip);
      else if (!sessions.isAdminToken(request.body.token)) {
        ports.logger.warn("A log-in with a wrong token was refused.", { remoteAddress: request.ip });
        throw new TidewireError("UNAUTHORIZED");
      }
      const { value, expiresAt } = sessions.issueCookie();
      setCookie(reply, value, Math.floor((expiresAt - ports.clock.now()) / 1000), request.protocol === "https");
      return reply.code(204).send();
    },
  );

  routes.delete("/api/session", { config: { permission: "public" } }, async (request, reply) => {
    const cookie = cookieOf(request.headers.cookie, SESSION_COOKIE);
    if (cookie !== null) sessions.endCookie(cookie);
    setCookie(reply, "", 0, request.protocol === "https");
    return reply.code(204).send();
  });
}

/** For those who are logged in. */
export function accountRoutes(app: FastifyInstance, { sessions, version }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/api/session", { config: ACCOUNT }, async (request): Promise<SessionInfo> => {
    const expiresAt = sessions.cookieExpiry(cookieOf(request.headers.cookie, SESSION_COOKIE) ?? "");
    if (expiresAt === null) throw new TidewireError("UNAUTHORIZED");
    return { user: "administrator", expiresAt, version };
  });

  /** A new one-time code, for `tidewire login-link`. */
  routes.post("/api/login-codes", { config: { ...ACCOUNT, rateLimit: FEW } }, async (request) => {
    const token = bearerOf(request.headers.authorization);
    if (token === null || !sessions.isAdminToken(token)) throw new TidewireError("UNAUTHORIZED");
    return { code: sessions.issueCode() };
  });
}

function setCookie(reply: FastifyReply, value: string, maxAgeSeconds: number, secure: boolean): void {
  const parts = [`${SESSION_COOKIE}=${value}`, "Path=/", `Max-Age=${maxAgeSeconds}`, "HttpOnly", "SameSite=Strict"];
  if (secure) parts.push("Secure");
  void reply.header("set-cookie", parts.join("; "));
}
