/** Shadows: bodies are their documents, as they are kept. And all of a thing, for the dashboard. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS } from "../../../base/mod.ts";
import type { DataAction } from "../../../identity/mod.ts";
import type { RoutePermission } from "../../../people/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { ThingParameters } from "../schemas.ts";
import { readBytes } from "./bodies.ts";
import { ThingPath } from "./fields.ts";

const Place = { params: ThingPath, querystring: z.object({ name: z.string().min(1).max(64).optional() }) };
const ListPage = z.object({
  pageSize: z.coerce.number().int().min(1).max(LIMITS.shadow.listPageMax).optional(),
  nextToken: z.string().max(256).optional(),
});

const things = ({ params }: FastifyRequest): readonly string[] => Object.values(params as Record<string, string>);

/** `action`: what a device's policies must allow; a named shadow is a resource of its own, as on AWS. */
function needs(permission: RoutePermission, action: DataAction) {
  const device = ({ params, query }: FastifyRequest) => {
    const [{ thingName }, { name }] = [params as { thingName: string }, query as { readonly name?: string }];
    return [{ action, resource: name === undefined ? thingName : `${thingName}/${name}` }];
  };
  return { permission, things, device };
}

/** To be registered within a scope of its own. */
export function shadowRoutes(scope: FastifyInstance, { shadows }: ApiPorts): void {
  // A document's bytes are read by the shadows themselves: they know how large and how deep it may be, and its numbers.
  readBytes(scope);
  const routes = scope.withTypeProvider<ZodTypeProvider>();
  const path = "/things/:thingName/shadow";

  const get = { config: needs("fleet:read", "GetThingShadow"), schema: Place };
  routes.get(path, get, async ({ params, query }, reply) =>
    document(reply, shadows.get({ thing: params.thingName, name: query.name ?? "" })),
  );

  const update = { config: needs("telemetry:write", "UpdateThingShadow"), schema: Place };
  routes.post(path, update, async ({ params, query, body }, reply) => {
    const payload = body instanceof Uint8Array ? body : new Uint8Array(0);
    return document(reply, await shadows.update({ thing: params.thingName, name: query.name ?? "" }, payload));
  });

  const gone = { config: needs("telemetry:write", "DeleteThingShadow"), schema: Place };
  routes.delete(path, gone, async ({ params, query }, reply) =>
    document(reply, await shadows.delete({ thing: params.thingName, name: query.name ?? "" })),
  );

  const list = {
    config: needs("fleet:read", "ListNamedShadowsForThing"),
    schema: { params: ThingPath, querystring: ListPage },
  };
  routes.get("/api/things/shadow/ListNamedShadowsForThing/:thingName", list, async ({ params, query }) =>
    shadows.list(params.thingName, query),
  );

  const all = { config: { permission: "fleet:read", things } as const, schema: { params: ThingParameters } };
  routes.get("/api/things/:thing/shadows", all, async ({ params }, reply) =>
    document(reply, shadows.all(params.thing)),
  );
}

function document(reply: FastifyReply, text: string): FastifyReply {
  return reply.type("application/json").send(text);
}
