/** Connections of devices. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { notFound } from "../errors.ts";
import type { ApiPorts } from "../ports.ts";

const ClientPath = z.object({ clientId: z.string().max(1024) });
const How = z.object({
  cleanSession: z.stringbool().default(false),
  preventWillMessage: z.stringbool().default(false),
});

export function connectionRoutes(app: FastifyInstance, { messages }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const config = {
    permission: "telemetry:write",
    device: ({ params }: FastifyRequest) => [
      { action: "DeleteConnection", resource: (params as { clientId: string }).clientId } as const,
    ],
  } as const;

  routes.delete(
    "/connections/:clientId",
    { config, schema: { params: ClientPath, querystring: How } },
    async ({ params: { clientId }, query }) => {
      const { cleanSession, preventWillMessage: preventWill } = query;
      if (!messages.endConnection(clientId, { cleanSession, preventWill })) throw notFound("connection", clientId);
      return {};
    },
  );
}
