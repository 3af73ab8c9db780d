/** Things and what belongs to them, in AWS IoT's shapes (operations of the registry). */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError } from "../../base/mod.ts";
import { awsShapes } from "../../registry/mod.ts";
import type { ApiPorts } from "./ports.ts";
import { AwsPage, ThingName, thingInPath } from "./schemas.ts";

const READS = { permission: "fleet:read" } as const;
const WRITES = { permission: "fleet:write" } as const;
const CERTIFICATES_WRITES = { permission: "certificates:write" } as const;

const NameParameters = z.strictObject({ thingName: ThingName });
const Attributes = z.strictObject({
  attributes: z.record(z.string(), z.string()).optional(),
  merge: z.boolean().optional(),
});

/** Members of AWS's requests that have no meaning here are taken and left alone, so that its SDKs work. */
const CreateThing = z
  .looseObject({ thingTypeName: z.string().optional(), attributePayload: Attributes.optional() })
  .nullish();
const UpdateThing = z.looseObject({
  thingTypeName: z.string().optional(),
  attributePayload: Attributes.optional(),
  expectedVersion: z.int().optional(),
  removeThingType: z.boolean().optional(),
});

const ListThings = AwsPage.extend({
  attributeName: z.string().optional(),
  attributeValue: z.string().optional(),
  usePrefixAttributeValue: z.stringbool().optional(),
  thingTypeName: z.string().optional(),
});

export function thingRoutes(app: FastifyInstance, ports: ApiPorts): void {
  registryRoutes(app, ports);
  principalRoutes(app, ports);
}

function registryRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/things", { config: READS, schema: { querystring: ListThings } }, async (request) => {
    const { attributeName, attributeValue, usePrefixAttributeValue, thingTypeName, maxResults, nextToken } =
      request.query;
    if (attributeName === undefined && attributeValue !== undefined) {
      throw new TidewireError("REQUEST_INVALID", { reason: "attributeValue needs an attributeName" });
    }
    return awsShapes.listThings(
      registry.things.list({
        attributeName,
        attributeValue,
        prefix: usePrefixAttributeValue,
        thingTypeName,
        maxResults,
        nextToken,
      }),
    );
  });

  routes.post(
    "/things/:thingName",
    { config: WRITES, schema: { params: NameParameters, body: CreateThing } },
    async (request) => {
      const { thingTypeName, attributePayload } = request.body ?? {};
      const { thing } = registry.things.create(request.params.thingName, {
        thingTypeName,
        attributes: attributePayload?.attributes,
      });
      return awsShapes.createThing(thing);
    },
  );

  routes.get(
    "/things/:thingName",
    { config: { ...READS, things: thingInPath }, schema: { params: NameParameters } },
    async (request) => awsShapes.describeThing(registry.things.describe(request.params.thingName)),
  );

  routes.patch(
    "/things/:thingName",
    { config: WRITES, schema: { params: NameParameters, body: UpdateThing } },
    async (request) => {
      const { attributePayload, thingTypeName, removeThingType, expectedVersion } = request.body;
      registry.things.update(request.params.thingName, {
        attributes: attributePayload?.attributes,
        merge: attributePayload?.merge,
        thingTypeName,
        removeThingType,
        expectedVersion,
      });
      return {};
    },
  );

  const querystring = z.strictObject({ expectedVersion: z.coerce.number().int().optional() });
  routes.delete(
    "/things/:thingName",
    { config: WRITES, schema: { params: NameParameters, querystring } },
    async (request) => {
      registry.things.delete(request.params.thingName, request.query.expectedVersion);
      return {};
    },
  );
}

function principalRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/things/:thingName/principals", { config: READS, schema: { params: NameParameters } }, async (request) =>
    awsShapes.listThingPrincipals(registry.things.principalsOf(request.params.thingName)),
  );

  routes.put(
    "/things/:thingName/principals",
    { config: CERTIFICATES_WRITES, schema: { params: NameParameters } },
    async (request) => {
      registry.things.attach(request.params.thingName, principalOf(request));
      return {};
    },
  );

  routes.delete(
    "/things/:thingName/principals",
    { config: CERTIFICATES_WRITES, schema: { params: NameParameters } },
    async (request) => {
      registry.things.detach(request.params.thingName, principalOf(request));
      return {};
    },
  );

  routes.get("/principals/things", { config: READS }, async (request) =>
    awsShapes.listPrincipalThings(registry.things.ofPrincipal(principalOf(request))),
  );
}

/** AWS sends the principal's ARN in a header. */
function principalOf(request: FastifyRequest): string {
  const header = request.headers["x-amzn-principal"];
  if (typeof header === "string" && header !== "") return header;
  throw new TidewireError("REQUEST_INVALID", { reason: "the header x-amzn-principal is missing: a certificate's ARN" });
}
