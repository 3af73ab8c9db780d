/** Passwords of things that cannot hold a certificate. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS } from "../../base/mod.ts";
import type { PasswordFacts } from "../logins/mod.ts";
import { actorOf, demandPermission } from "./actor.ts";
import type { MadePassword } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { ThingParameters } from "./schemas.ts";

const New = z.strictObject({
  password: z.string().max(LIMITS.logins.passwordBytesMax).optional(),
  policies: z.array(z.string().max(128)).max(LIMITS.registry.policiesPerTargetMax).optional(),
});
const PATH = "/api/things/:thing/password";
const WRITES = { permission: "certificates:write" } as const;

export function passwordRoutes(app: FastifyInstance, { passwords }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const params = ThingParameters;

  routes.get(
    PATH,
    { config: { permission: "certificates:read" }, schema: { params } },
    async ({ params: { thing } }): Promise<PasswordFacts> => passwords.get(thing),
  );

  routes.put(
    PATH,
    { config: { ...WRITES, audit: "thing.password" }, schema: { params, body: New } },
    async (request): Promise<MadePassword> => {
      // What a device may do at most is not everybody's to say.
      if (request.body.policies !== undefined) demandPermission(actorOf(request), "policies:write");
      return passwords.set(request.params.thing, request.body);
    },
  );

  routes.delete(
    PATH,
    { config: { ...WRITES, audit: "thing.password-remove" }, schema: { params } },
    async ({ params: { thing } }) => {
      passwords.remove(thing);
      return {};
    },
  );
}
