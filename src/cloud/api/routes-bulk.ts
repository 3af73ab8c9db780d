/** Bulk provisioning: NDJSON in, NDJSON out; keys are made by whoever sends the signing requests. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { actorOf, demandPermission } from "./actor.ts";
import type { ApiPorts } from "./ports.ts";

const NDJSON = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];

const params = z.strictObject({ templateName: z.string().max(64) });
const querystring = z.strictObject({
  dryRun: z.stringbool().default(false),
  /** Things that exist already get another certificate. */
  known: z.enum(["refuse", "allow"]).default("refuse"),
});

export function bulkRoutes(app: FastifyInstance, { provisioning: { bulk } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  app.addContentTypeParser(NDJSON, { parseAs: "string" }, (_request, body, done) => done(null, body));

  routes.get(
    "/api/bulk-provisioning/:templateName",
    { config: { permission: "certificates:read" }, schema: { params } },
    async ({ params: { templateName } }) => ({ template: templateName, parameters: bulk.describe(templateName) }),
  );

  routes.post(
    "/api/bulk-provisioning/:templateName",
    { config: { permission: "certificates:write" }, schema: { params, querystring, body: z.string() } },
    async (request, reply) => {
      demandPermission(actorOf(request), "fleet:write"); // it makes things
      const { templateName: template } = request.params;
      const { dryRun, known } = request.query;
      const answers = await bulk.take(request.body, { template, mayBeKnown: known === "allow" }, dryRun);
      const things = answers.flatMap((answer) => (answer.outcome === "done" ? [answer.thing] : []));
      request.auditDetails = { things, failed: answers.filter(({ outcome }) => outcome === "failed").length };
      return reply.type(NDJSON[0]!).send(answers.map((answer) => `${JSON.stringify(answer)}\n`).join(""));
    },
  );
}
