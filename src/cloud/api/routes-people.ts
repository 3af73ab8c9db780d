/** Users, the keys of programs, and the platform's own token. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import { PERMISSIONS, ROLES } from "../../people/mod.ts";
import type { KeyFacts } from "../../people/mod.ts";
import { actorOf, demandPermission } from "./actor.ts";
import type { InvitedUser, KeyList, NewKeyResult, UserList, UserView } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { ownerOf } from "./routes-session.ts";

const READS = { permission: "people:read" } as const;
const WRITES = { permission: "people:write" } as const;
const ACCOUNT = { permission: "account" } as const;
const FEW = { max: LIMITS.http.loginsPerMinuteMax, timeWindow: "1 minute" };

const Name = z.strictObject({ name: z.string().max(64) });

export function peopleRoutes(app: FastifyInstance, ports: ApiPorts): void {
  userRoutes(app, ports);
  keyRoutes(app, ports);
  tokenRoutes(app, ports);
}

function userRoutes(app: FastifyInstance, { people }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/api/users", { config: READS }, async (): Promise<UserList> => ({ users: people.users.list() }));

  const body = z.strictObject({ name: z.string().max(128), role: z.string().max(32) });
  const add = { ...WRITES, audit: "user.add" };
  routes.post("/api/users", { config: add, schema: { body } }, async (request): Promise<InvitedUser> => {
    const { name, role } = request.body;
    request.auditDetails = { user: name.slice(0, 64), role };
    return people.users.invite(name, role);
  });

  const change = z.strictObject({ role: z.string().max(32).optional(), disabled: z.boolean().optional() });
  const update = { ...WRITES, audit: "user.update" };
  const schema = { params: Name, body: change };
  routes.patch("/api/users/:name", { config: update, schema }, async (request): Promise<UserView> => {
    const { name } = request.params;
    const { role, disabled } = request.body;
    const before = people.users.get(name);
    request.auditDetails = { before: { role: before.role, state: before.state }, after: { role, disabled } };
    let user = before;
    if (role !== undefined) user = people.users.setRole(name, role);
    if (disabled !== undefined) user = people.users.setDisabled(name, disabled);
    return user;
  });

  const reset = { ...WRITES, audit: "user.reset" };
  routes.post("/api/users/:name/invitation", { config: reset, schema: { params: Name } }, async (request) =>
    people.users.reset(request.params.name),
  );

  const remove = { ...WRITES, audit: "user.remove" };
  routes.delete("/api/users/:name", { config: remove, schema: { params: Name } }, async (request, reply) => {
    people.users.delete(request.params.name);
    return reply.code(204).send();
  });
}

const NewKey = z.strictObject({
  kind: z.enum(["api", "access"]).default("api"),
  name: z.string().max(128),
  permissions: z.array(z.string().max(64)).max(PERMISSIONS.length),
  things: z.array(z.string().max(128)).max(100).nullish(),
  policies: z.array(z.string().max(128)).max(10).optional(),
  expiresAt: z.number().int().nullish(),
});

function keyRoutes(app: FastifyInstance, { people, registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const querystring = z.strictObject({ all: z.stringbool().default(false) });
  routes.get("/api/keys", { config: ACCOUNT, schema: { querystring } }, async (request): Promise<KeyList> => {
    const actor = actorOf(request);
    if (!request.query.all) return { keys: people.keys.list(ownerOf(actor.identity)) };
    demandPermission(actor, "people:read");
    return { keys: people.keys.list() };
  });

  routes.get("/api/permissions", { config: ACCOUNT }, async () => ({ permissions: PERMISSIONS, roles: ROLES }));

  const add = { ...ACCOUNT, audit: "key.add" };
  routes.post("/api/keys", { config: add, schema: { body: NewKey } }, async (request): Promise<NewKeyResult> => {
    const actor = actorOf(request);
    // A key that leaked must not be able to make another that outlives it.
    if (isKey(request)) demandPermission(actor, "people:write");
    const { kind, name, permissions, things, policies, expiresAt } = request.body;
    for (const policy of policies ?? []) registry.policies.describe(policy);
    request.auditDetails = { kind, name, permissions, things, policies, expiresAt };
    const made = people.keys.make(ownerOf(actor.identity), request.body, actor.permissions);
    request.auditDetails = { ...request.auditDetails, key: made.key.id };
    return made;
  });

  const params = z.strictObject({ id: z.string().max(64) });
  const revoke = { ...ACCOUNT, audit: "key.revoke" };
  routes.delete("/api/keys/:id", { config: revoke, schema: { params } }, async (request, reply) => {
    const actor = actorOf(request);
    const mine = people.keys.list(ownerOf(actor.identity)).some(({ id }) => id === request.params.id);
    if (!mine || isKey(request)) demandPermission(actor, "people:write");
    const { name, owner }: KeyFacts = people.revokeKey(request.params.id);
    request.auditDetails = { name, owner };
    return reply.code(204).send();
  });
}

function isKey(request: FastifyRequest): boolean {
  const { kind } = actorOf(request).identity;
  return kind === "api-key" || kind === "access-key";
}

function tokenRoutes(app: FastifyInstance, { people, logger }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const rotate = { ...WRITES, audit: "token.rotate", rateLimit: FEW };
  routes.post("/api/token/rotate", { config: rotate }, async (request) => {
    logger.info("The platform's token was replaced.", { by: ownerOf(actorOf(request).identity) });
    return { token: people.rotateToken() };
  });

  routes.delete("/api/token", { config: { ...WRITES, audit: "token.revoke" } }, async (request, reply) => {
    if (isKey(request)) throw new TidewireError("REQUEST_INVALID", { reason: "a key cannot revoke the token" });
    people.revokeToken();
    return reply.code(204).send();
  });
}
