/** Thing groups, static and dynamic, and who is in them. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError, arnOf } from "../../../base/mod.ts";
import type { GroupUpdate, Registry, ThingGroup } from "../../../registry/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { Attributes, Name, Page, READS_FLEET, READS_THING, Tags, ThingPath, WRITES_FLEET, seconds } from "./fields.ts";
import { slice } from "./pages.ts";
import { tagNew } from "./tags.ts";

const GroupPath = z.object({ thingGroupName: Name });
const Properties = z.object({
  thingGroupDescription: z.string().optional(),
  attributePayload: Attributes.optional(),
});
const CreateGroup = z
  .object({ parentGroupName: Name.optional(), thingGroupProperties: Properties.optional(), tags: Tags.optional() })
  .nullish();
const UpdateGroup = z.object({ thingGroupProperties: Properties.optional(), expectedVersion: z.int().optional() });
const Query = { indexName: z.string().optional(), queryVersion: z.string().optional() };
const CreateDynamic = z.object({
  ...Query,
  queryString: z.string(),
  thingGroupProperties: Properties.optional(),
  tags: Tags.optional(),
});
const UpdateDynamic = UpdateGroup.extend({ ...Query, queryString: z.string().optional() });
const ExpectedVersion = z.object({ expectedVersion: z.coerce.number().int().optional() });
const ListGroups = Page.extend({
  parentGroup: Name.optional(),
  namePrefixFilter: Name.optional(),
  recursive: z.stringbool().optional(),
});
/** A thing and a group by name, or by ARN. */
const Membership = z.object({
  thingGroupName: Name.optional(),
  thingGroupArn: z.string().optional(),
  thingName: Name.optional(),
  thingArn: z.string().optional(),
  overrideDynamicGroups: z.boolean().optional(),
});
const GroupsForThing = z.object({
  thingName: Name,
  thingGroupsToAdd: z.array(Name).optional(),
  thingGroupsToRemove: z.array(Name).optional(),
  overrideDynamicGroups: z.boolean().optional(),
});
const ListMembers = Page.extend({ recursive: z.stringbool().optional() });

export function groupRoutes(app: FastifyInstance, ports: ApiPorts): void {
  staticRoutes(app, ports);
  dynamicRoutes(app, ports);
  membershipRoutes(app, ports);
  memberListRoutes(app, ports);
}

function staticRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/thing-groups", { config: READS_FLEET, schema: { querystring: ListGroups } }, async ({ query }) => {
    const { parentGroup: parent, namePrefixFilter: prefix, ...wanted } = query;
    const { items, nextToken } = registry.groups.list({ ...wanted, parent, prefix });
    return { thingGroups: items.map(namedGroup), nextToken: nextToken ?? undefined };
  });

  const create = { params: GroupPath, body: CreateGroup };
  routes.post("/thing-groups/:thingGroupName", { config: WRITES_FLEET, schema: create }, async ({ params, body }) => {
    const { parentGroupName, thingGroupProperties, tags } = body ?? {};
    const { description, attributes } = propertiesOf(thingGroupProperties);
    return registry.atomically(() => {
      const { group } = registry.groups.create(params.thingGroupName, { parentGroupName, description, attributes });
      tagNew(registry, `thinggroup/${params.thingGroupName}`, tags);
      return created(group);
    });
  });

  routes.get(
    "/thing-groups/:thingGroupName",
    { config: READS_FLEET, schema: { params: GroupPath } },
    async ({ params }) => described(registry, registry.groups.describe(params.thingGroupName)),
  );

  const update = { params: GroupPath, body: UpdateGroup };
  routes.patch("/thing-groups/:thingGroupName", { config: WRITES_FLEET, schema: update }, async ({ params, body }) => {
    const { version } = registry.groups.update(params.thingGroupName, updateOf(body));
    return { version };
  });

  const gone = { params: GroupPath, querystring: ExpectedVersion };
  routes.delete("/thing-groups/:thingGroupName", { config: WRITES_FLEET, schema: gone }, async ({ params, query }) => {
    registry.groups.delete(params.thingGroupName, query.expectedVersion);
    return {};
  });
}

function dynamicRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const path = "/dynamic-thing-groups/:thingGroupName";

  const create = { params: GroupPath, body: CreateDynamic };
  routes.post(path, { config: WRITES_FLEET, schema: create }, async ({ params, body }) => {
    const { queryString, indexName, queryVersion, thingGroupProperties, tags } = body;
    const { description, attributes } = propertiesOf(thingGroupProperties);
    return registry.atomically(() => {
      const query = { queryString, indexName, queryVersion };
      const { group } = registry.groups.createDynamic(params.thingGroupName, query, { description, attributes });
      tagNew(registry, `thinggroup/${params.thingGroupName}`, tags);
      return { ...created(group), ...queryOf(group) };
    });
  });

  const update = { params: GroupPath, body: UpdateDynamic };
  routes.patch(path, { config: WRITES_FLEET, schema: update }, async ({ params, body }) => {
    const { queryString, indexName, queryVersion } = body;
    const change = { ...updateOf(body), queryString, indexName, queryVersion };
    const { version } = registry.groups.updateDynamic(params.thingGroupName, change);
    return { version };
  });

  const gone = { params: GroupPath, querystring: ExpectedVersion };
  routes.delete(path, { config: WRITES_FLEET, schema: gone }, async ({ params, query }) => {
    registry.groups.deleteDynamic(params.thingGroupName, query.expectedVersion);
    return {};
  });
}

function membershipRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const membership = { config: WRITES_FLEET, schema: { body: Membership } };

  routes.put("/thing-groups/addThingToThingGroup", membership, async ({ body }) => {
    const { group, thing } = membershipOf(body);
    registry.groups.add(group, thing, { override: body.overrideDynamicGroups });
    return {};
  });

  routes.put("/thing-groups/removeThingFromThingGroup", membership, async ({ body }) => {
    const { group, thing } = membershipOf(body);
    registry.groups.remove(group, thing);
    return {};
  });

  const several = { config: WRITES_FLEET, schema: { body: GroupsForThing } };
  routes.put("/thing-groups/updateThingGroupsForThing", several, async ({ body }) => {
    const { thingName, thingGroupsToAdd: add, thingGroupsToRemove: remove, overrideDynamicGroups: override } = body;
    registry.groups.updateForThing(thingName, { add, remove, override });
    return {};
  });
}

function memberListRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const members = { params: GroupPath, querystring: ListMembers };
  routes.get(
    "/thing-groups/:thingGroupName/things",
    { config: READS_FLEET, schema: members },
    async ({ params, query }) => {
      const { items, nextToken } = registry.groups.members(params.thingGroupName, query);
      return { things: items, nextToken: nextToken ?? undefined };
    },
  );

  const ofThing = { params: ThingPath, querystring: Page };
  routes.get("/things/:thingName/thing-groups", { config: READS_THING, schema: ofThing }, async ({ params, query }) => {
    const { items, nextToken } = slice(registry.groups.ofThing(params.thingName), query);
    return { thingGroups: items.map(namedGroup), nextToken };
  });
}

function membershipOf(body: z.infer<typeof Membership>): { readonly group: string; readonly thing: string } {
  const group = body.thingGroupName ?? nameInArn(body.thingGroupArn, "thinggroup");
  const thing = body.thingName ?? nameInArn(body.thingArn, "thing");
  const missing = group === undefined ? "thingGroupName" : "thingName";
  if (group !== undefined && thing !== undefined) return { group, thing };
  throw new TidewireError("REQUEST_INVALID", { reason: `${missing} is missing` });
}

function nameInArn(arn: string | undefined, kind: string): string | undefined {
  const cut = arn?.lastIndexOf(`:${kind}/`) ?? -1;
  return cut < 0 ? undefined : arn!.slice(cut + kind.length + 2);
}

function propertiesOf(
  given: z.infer<typeof Properties> | undefined,
): Pick<GroupUpdate, "description" | "attributes" | "merge"> {
  const { attributes, merge } = given?.attributePayload ?? {};
  return { description: given?.thingGroupDescription, attributes, merge };
}

function updateOf({ thingGroupProperties, expectedVersion }: z.infer<typeof UpdateGroup>): GroupUpdate {
  return { ...propertiesOf(thingGroupProperties), expectedVersion };
}

export function namedGroup({ thingGroupName }: ThingGroup): object {
  return { groupName: thingGroupName, groupArn: arnOf.group(thingGroupName) };
}

function created({ thingGroupName, thingGroupId }: ThingGroup): object {
  return { thingGroupName, thingGroupArn: arnOf.group(thingGroupName), thingGroupId };
}

function queryOf({ query }: ThingGroup): object {
  if (query === null) return {};
  const { indexName, queryString, queryVersion } = query;
  return { indexName, queryString, queryVersion };
}

function described(registry: Registry, group: ThingGroup): object {
  const { version, description, attributes, parentGroupName, createdAt, query } = group;
  const above = parentGroupName === null ? [] : registry.groups.pathTo(parentGroupName);
  return {
    ...created(group),
    version,
    thingGroupProperties: { thingGroupDescription: description ?? undefined, attributePayload: { attributes } },
    thingGroupMetadata: {
      parentGroupName: parentGroupName ?? undefined,
      rootToParentThingGroups: above.map(namedGroup),
      creationDate: seconds(createdAt),
    },
    ...queryOf(group),
    status: query?.status,
  };
}
