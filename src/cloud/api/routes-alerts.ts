/** Alerts: what is wrong now, what was, and "I have seen it". */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Alert, AlertPage } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { PageLimit } from "./schemas.ts";

const READS = { permission: "alerts:read" } as const;
const WRITES = { permission: "alerts:write" } as const;

const AlertParameters = z.strictObject({
  state: z.enum(["active", "all"]).default("active"),
  limit: PageLimit.default(100),
});

export function alertRoutes(app: FastifyInstance, { alerts }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/api/alerts",
    { config: READS, schema: { querystring: AlertParameters } },
    async (request): Promise<AlertPage> => {
      return { alerts: alerts.list(request.query), active: alerts.activeCount() };
    },
  );

  const params = z.strictObject({ id: z.string().min(1).max(1024) });
  routes.post(
    "/api/alerts/:id/acknowledge",
    { config: WRITES, schema: { params } },
    async (request): Promise<Alert> => {
      return alerts.acknowledge(request.params.id);
    },
  );
}
