/** Thing types. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { arnOf } from "../../../base/mod.ts";
import type { ThingType, ThingTypeProperties } from "../../../registry/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { Name, Page, READS_FLEET, Tags, WRITES_FLEET, seconds } from "./fields.ts";
import { tagNew } from "./tags.ts";

const TypePath = z.object({ thingTypeName: Name });
const Properties = z.object({
  thingTypeDescription: z.string().optional(),
  searchableAttributes: z.array(z.string()).optional(),
});
const CreateType = z.object({ thingTypeProperties: Properties.optional(), tags: Tags.optional() }).nullish();
const UpdateType = z.object({ thingTypeProperties: Properties.optional() }).nullish();
const Deprecate = z.object({ undoDeprecate: z.boolean().optional() }).nullish();
const ListTypes = Page.extend({ thingTypeName: Name.optional() });

export function thingTypeRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/thing-types", { config: READS_FLEET, schema: { querystring: ListTypes } }, async ({ query }) => {
    const { items, nextToken } = registry.types.list(query);
    return { thingTypes: items.map(described), nextToken: nextToken ?? undefined };
  });

  const create = { params: TypePath, body: CreateType };
  routes.post("/thing-types/:thingTypeName", { config: WRITES_FLEET, schema: create }, async ({ params, body }) => {
    const { type } = registry.atomically(() => {
      const made = registry.types.create(params.thingTypeName, propertiesOf(body?.thingTypeProperties));
      tagNew(registry, `thingtype/${params.thingTypeName}`, body?.tags);
      return made;
    });
    const { thingTypeName, thingTypeId } = type;
    return { thingTypeName, thingTypeArn: arnOf.type(thingTypeName), thingTypeId };
  });

  routes.get(
    "/thing-types/:thingTypeName",
    { config: READS_FLEET, schema: { params: TypePath } },
    async ({ params }) => {
      const type = registry.types.describe(params.thingTypeName);
      return { ...described(type), thingTypeId: type.thingTypeId };
    },
  );

  const update = { params: TypePath, body: UpdateType };
  routes.patch("/thing-types/:thingTypeName", { config: WRITES_FLEET, schema: update }, async ({ params, body }) => {
    registry.types.update(params.thingTypeName, propertiesOf(body?.thingTypeProperties));
    return {};
  });

  const deprecate = { params: TypePath, body: Deprecate };
  routes.post(
    "/thing-types/:thingTypeName/deprecate",
    { config: WRITES_FLEET, schema: deprecate },
    async ({ params, body }) => {
      registry.types.deprecate(params.thingTypeName, { undo: body?.undoDeprecate });
      return {};
    },
  );

  routes.delete(
    "/thing-types/:thingTypeName",
    { config: WRITES_FLEET, schema: { params: TypePath } },
    async ({ params }) => {
      registry.types.delete(params.thingTypeName);
      return {};
    },
  );
}

function propertiesOf(given: z.infer<typeof Properties> | undefined): ThingTypeProperties {
  return { description: given?.thingTypeDescription, searchableAttributes: given?.searchableAttributes };
}

function described({ thingTypeName, description, searchableAttributes, deprecatedAt, createdAt }: ThingType): object {
  return {
    thingTypeName,
    thingTypeArn: arnOf.type(thingTypeName),
    thingTypeProperties: { thingTypeDescription: description ?? undefined, searchableAttributes },
    thingTypeMetadata: {
      deprecated: deprecatedAt !== null,
      deprecationDate: deprecatedAt === null ? undefined : seconds(deprecatedAt),
      creationDate: seconds(createdAt),
    },
  };
}
