/** Stored values: the latest ones, and series over time. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { parseSeriesQuery } from "../../telemetry/mod.ts";
import type { LatestValues, SeriesResult } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { ThingParameters } from "./schemas.ts";

const SeriesParameters = z.strictObject({
  thing: z.string(),
  measurement: z.string().optional(),
  fields: z.string().optional(),
  from: z.string().optional(),
  to: z.string().optional(),
  window: z.string().optional(),
  aggregate: z.string().optional(),
  limit: z.string().optional(),
});

export function seriesRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/api/things/:thing/latest",
    { schema: { params: ThingParameters } },
    async (request): Promise<LatestValues> => {
      const { thing } = request.params;
      return { thing, values: await ports.telemetry.latest(thing) };
    },
  );

  routes.get("/api/series", { schema: { querystring: SeriesParameters } }, async (request): Promise<SeriesResult> => {
    return ports.telemetry.query(parseSeriesQuery(request.query, ports.clock.now()));
  });
}
