/** What was done, by whom. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, momentAsked } from "../../base/mod.ts";
import { checkpointJson } from "../../audit/mod.ts";
import type { AuditCheckpointView, AuditPageView } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";

const Word = z.string().min(1).max(256).optional();

const Query = z.strictObject({
  actor: Word,
  action: Word,
  target: Word,
  outcome: z.enum(["ok", "refused", "failed"]).optional(),
  since: Word,
  until: Word,
  before: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.audit.pageSizeMax).default(100),
});

export function auditRoutes(app: FastifyInstance, { audit, auditSearch, clock }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const reads = { permission: "audit:read" } as const;
  routes.get(
    "/api/audit",
    { config: reads, schema: { querystring: Query } },
    async (request): Promise<AuditPageView> => {
      const { since, until, ...query } = request.query;
      const now = clock.now();
      return auditSearch({
        ...query,
        since: since === undefined ? undefined : momentAsked("since", since, now),
        until: until === undefined ? undefined : momentAsked("until", until, now),
      });
    },
  );
  routes.get("/api/audit/checkpoint", { config: reads }, async (): Promise<AuditCheckpointView> => {
    const { checkpoint, publicKey } = audit;
    return { checkpoint: checkpoint === null ? null : checkpointJson(checkpoint), publicKey };
  });
}
