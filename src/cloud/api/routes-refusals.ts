/** Who was refused lately, why, and what would allow it. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS } from "../../base/mod.ts";
import type { RefusalPage } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { ThingName } from "./schemas.ts";

const Query = z.strictObject({
  after: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.refusals.pageSizeMax).default(100),
  thing: ThingName.optional(),
});

/** Without a thing, strangers are shown as well, so it takes the sight of all. */
function thingsOf({ query }: FastifyRequest): readonly string[] | null {
  const { thing } = query as z.infer<typeof Query>;
  return thing === undefined ? null : [thing];
}

export function refusalRoutes(app: FastifyInstance, { refusals }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const config = { permission: "fleet:read", things: thingsOf } as const;
  routes.get("/api/refusals", { config, schema: { querystring: Query } }, async ({ query }): Promise<RefusalPage> =>
    refusals.list(query),
  );
}
