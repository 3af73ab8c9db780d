/** A device is forgotten: everything that it said, and on request its registration. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { ForgetReport, ForgottenThings } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { DeparturesQuery, ThingParameters } from "./schemas.ts";

const ERASES = { permission: "telemetry:erase" } as const;

const Options = z.strictObject({ withRegistration: z.stringbool().default(false) });
const Parameters = z.strictObject({ id: z.coerce.number().int().min(1) });

export function forgetRoutes(app: FastifyInstance, { forgetter }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.delete(
    "/api/things/:thing/data",
    { config: ERASES, schema: { params: ThingParameters, querystring: Options } },
    async (request, reply): Promise<ForgetReport> => {
      const { withRegistration } = request.query;
      void reply.code(202);
      return forgetter.forget(request.params.thing, { withRegistration });
    },
  );

  routes.get(
    "/api/forgotten",
    { config: ERASES, schema: { querystring: DeparturesQuery } },
    async ({ query }): Promise<ForgottenThings> => forgetter.list(query),
  );

  routes.get(
    "/api/forgotten/:id",
    { config: ERASES, schema: { params: Parameters } },
    async (request): Promise<ForgetReport> => forgetter.report(request.params.id),
  );
}
