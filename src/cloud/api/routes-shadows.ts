/** AWS IoT's data plane for shadows: bodies are its documents, as they are kept. And all of a thing, for the dashboard. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS } from "../../base/mod.ts";
import type { ApiPorts } from "./ports.ts";
import { ThingName, ThingParameters } from "./schemas.ts";

const Place = {
  params: z.strictObject({ thingName: ThingName }),
  querystring: z.object({ name: z.string().min(1).max(64).optional() }),
};
const ListPage = z.object({
  pageSize: z.coerce.number().int().min(1).max(LIMITS.shadow.listPageMax).optional(),
  nextToken: z.string().max(256).optional(),
});

const thingsOf = ({ params }: FastifyRequest): readonly string[] => Object.values(params as Record<string, string>);
const READS = { permission: "fleet:read", things: thingsOf } as const;
const WRITES = { permission: "telemetry:write", things: thingsOf } as const;

export function shadowRoutes(app: FastifyInstance, { shadows }: ApiPorts): void {
  // A document's bytes are read by the shadows themselves: they know how large and how deep it may be, and its numbers.
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
    const routes = scope.withTypeProvider<ZodTypeProvider>();

    routes.get("/things/:thingName/shadow", { config: READS, schema: Place }, async ({ params, query }, reply) =>
      document(reply, shadows.get({ thing: params.thingName, name: query.name ?? "" })),
    );

    routes.get(
      "/api/things/:thing/shadows",
      { config: READS, schema: { params: ThingParameters } },
      async ({ params }, reply) => document(reply, shadows.all(params.thing)),
    );

    routes.post(
      "/things/:thingName/shadow",
      { config: WRITES, schema: Place },
      async ({ params, query, body }, reply) => {
        const payload = body instanceof Uint8Array ? body : new Uint8Array(0);
        return document(reply, await shadows.update({ thing: params.thingName, name: query.name ?? "" }, payload));
      },
    );

    routes.delete("/things/:thingName/shadow", { config: WRITES, schema: Place }, async ({ params, query }, reply) =>
      document(reply, await shadows.delete({ thing: params.thingName, name: query.name ?? "" })),
    );

    routes.get(
      "/api/things/shadow/ListNamedShadowsForThing/:thingName",
      { config: READS, schema: { params: Place.params, querystring: ListPage } },
      async ({ params, query }) => shadows.list(params.thingName, query),
    );
  });
}

function document(reply: FastifyReply, text: string): FastifyReply {
  return reply.type("application/json").send(text);
}
