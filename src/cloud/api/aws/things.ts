/** Things, and which certificates stand for them. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError, arnOf } from "../../../base/mod.ts";
import type { Attachment, Page as RegistryPage, PrincipalType, Thing } from "../../../registry/mod.ts";
import type { ApiPorts } from "../ports.ts";
import {
  Attributes,
  Name,
  Page,
  READS_FLEET,
  READS_THING,
  ThingPath,
  WRITES_CERTIFICATES,
  WRITES_THING,
  principalOf,
} from "./fields.ts";
import { slice } from "./pages.ts";

const CreateThing = z
  .object({
    thingTypeName: Name.optional(),
    billingGroupName: Name.optional(),
    attributePayload: Attributes.optional(),
  })
  .nullish();
const UpdateThing = z.object({
  thingTypeName: Name.optional(),
  attributePayload: Attributes.optional(),
  expectedVersion: z.int().optional(),
  removeThingType: z.boolean().optional(),
});
const ListThings = Page.extend({
  attributeName: z.string().optional(),
  attributeValue: z.string().optional(),
  usePrefixAttributeValue: z.stringbool().optional(),
  thingTypeName: z.string().optional(),
});
const ExpectedVersion = z.object({ expectedVersion: z.coerce.number().int().optional() });
const PrincipalTypes = z.enum(["EXCLUSIVE_THING", "NON_EXCLUSIVE_THING"]);
const PrincipalsPage = Page.extend({ thingPrincipalType: PrincipalTypes.optional() });

export function thingRoutes(app: FastifyInstance, ports: ApiPorts): void {
  registryRoutes(app, ports);
  attachmentRoutes(app, ports);
  principalRoutes(app, ports);
}

function registryRoutes(app: FastifyInstance, { registry, forgetter }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/things", { config: READS_FLEET, schema: { querystring: ListThings } }, async ({ query }) => {
    const { usePrefixAttributeValue: prefix, ...wanted } = query;
    if (wanted.attributeName === undefined && wanted.attributeValue !== undefined) {
      throw new TidewireError("REQUEST_INVALID", { reason: "attributeValue needs an attributeName" });
    }
    return listed(registry.things.list({ ...wanted, prefix }));
  });

  const create = { params: ThingPath, body: CreateThing };
  routes.post("/things/:thingName", { config: WRITES_THING, schema: create }, async ({ params, body }) => {
    const { thingTypeName, billingGroupName, attributePayload } = body ?? {};
    const attributes = attributePayload?.attributes;
    const { thing } = registry.things.create(params.thingName, { thingTypeName, billingGroupName, attributes });
    return { thingName: thing.thingName, thingArn: arnOf.thing(thing.thingName), thingId: thing.thingId };
  });

  routes.get("/things/:thingName", { config: READS_THING, schema: { params: ThingPath } }, async ({ params }) =>
    describedThing(registry.things.describe(params.thingName)),
  );

  const update = { params: ThingPath, body: UpdateThing };
  routes.patch("/things/:thingName", { config: WRITES_THING, schema: update }, async ({ params, body }) => {
    const { attributePayload, thingTypeName, removeThingType, expectedVersion } = body;
    const { attributes, merge } = attributePayload ?? {};
    registry.things.update(params.thingName, { attributes, merge, thingTypeName, removeThingType, expectedVersion });
    return {};
  });

  const gone = { params: ThingPath, querystring: ExpectedVersion };
  routes.delete("/things/:thingName", { config: WRITES_THING, schema: gone }, async ({ params, query }) => {
    forgetter.delete(params.thingName, query.expectedVersion);
    return {};
  });
}

function attachmentRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const attach = { params: ThingPath, querystring: z.object({ thingPrincipalType: PrincipalTypes.optional() }) };
  routes.put("/things/:thingName/principals", { config: WRITES_CERTIFICATES, schema: attach }, async (request) => {
    const { thingName } = request.params;
    registry.things.attach(thingName, principalOf(request), request.query.thingPrincipalType);
    return {};
  });

  routes.delete(
    "/things/:thingName/principals",
    { config: WRITES_CERTIFICATES, schema: { params: ThingPath } },
    async (request) => {
      registry.things.detach(request.params.thingName, principalOf(request));
      return {};
    },
  );
}

function principalRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const ofType = (all: readonly Attachment[], type: PrincipalType | undefined): readonly Attachment[] =>
    type === undefined ? all : all.filter((attachment) => attachment.type === type);

  const ofThing = { params: ThingPath, querystring: Page };
  routes.get("/things/:thingName/principals", { config: READS_THING, schema: ofThing }, async ({ params, query }) => {
    const { items, ...next } = slice(registry.things.principalsOf(params.thingName), query);
    return { principals: items.map(({ certificateId }) => arnOf.certificate(certificateId)), ...next };
  });

  const typed = { params: ThingPath, querystring: PrincipalsPage };
  routes.get("/things/:thingName/principals-v2", { config: READS_THING, schema: typed }, async ({ params, query }) => {
    const all = registry.things.principalsOf(params.thingName);
    const { items, ...next } = slice(ofType(all, query.thingPrincipalType), query);
    const thingPrincipalObjects = items.map(({ certificateId, type }) => ({
      principal: arnOf.certificate(certificateId),
      thingPrincipalType: type,
    }));
    return { thingPrincipalObjects, ...next };
  });

  routes.get("/principals/things", { config: READS_FLEET, schema: { querystring: Page } }, async (request) => {
    const { items, ...next } = slice(registry.things.ofPrincipal(principalOf(request)), request.query);
    return { things: items.map(({ thingName }) => thingName), ...next };
  });

  routes.get(
    "/principals/things-v2",
    { config: READS_FLEET, schema: { querystring: PrincipalsPage } },
    async (request) => {
      const all = registry.things.ofPrincipal(principalOf(request));
      const { items, ...next } = slice(ofType(all, request.query.thingPrincipalType), request.query);
      return {
        principalThingObjects: items.map(({ thingName, type }) => ({ thingName, thingPrincipalType: type })),
        ...next,
      };
    },
  );
}

/** JSON leaves out what is undefined, as AWS does. */
/** As DescribeThing answers. */
export function describedThing(thing: Thing): object {
  const { thingName, thingId, thingTypeName, attributes, version, billingGroupName } = thing;
  return {
    defaultClientId: thingName,
    thingName,
    thingId,
    thingArn: arnOf.thing(thingName),
    thingTypeName: thingTypeName ?? undefined,
    attributes,
    version,
    billingGroupName: billingGroupName ?? undefined,
  };
}

function listed({ items, nextToken }: RegistryPage<Thing>): object {
  const things = items.map(({ thingName, thingTypeName, attributes, version }) => ({
    thingName,
    thingTypeName: thingTypeName ?? undefined,
    thingArn: arnOf.thing(thingName),
    attributes,
    version,
  }));
  return { things, nextToken: nextToken ?? undefined };
}
