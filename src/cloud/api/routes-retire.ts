/** Taking a device out of service for good. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { actorOf, demandPermission } from "./actor.ts";
import type { ForgetReport, ForgottenThings } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { DeparturesQuery, ThingName, ThingParameters } from "./schemas.ts";

const Retire = z.strictObject({ eraseData: z.boolean().default(false), blockName: z.boolean().default(false) });
const WRITES = { permission: "certificates:write" } as const;
const READS = { permission: "fleet:read" } as const;

export function retireRoutes(app: FastifyInstance, { forgetter }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    "/api/things/:thing/retire",
    { config: WRITES, schema: { params: ThingParameters, body: Retire } },
    async (request): Promise<ForgetReport> => {
      const actor = actorOf(request);
      demandPermission(actor, "fleet:write");
      if (request.body.eraseData) demandPermission(actor, "telemetry:erase");
      return forgetter.retire(request.params.thing, request.body);
    },
  );

  routes.get(
    "/api/retirements",
    { config: READS, schema: { querystring: DeparturesQuery } },
    async ({ query }): Promise<ForgottenThings> => forgetter.list({ ...query, withRegistration: true }),
  );

  const params = z.strictObject({ name: ThingName });
  routes.delete("/api/blocked-names/:name", { config: WRITES, schema: { params } }, async ({ params: { name } }) => {
    forgetter.freeName(name);
    return {};
  });
}
