/** Tags of resources. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Registry } from "../../../registry/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { READS_FLEET, Tags, WRITES_FLEET } from "./fields.ts";

const Arn = z.string().max(2048);
const TagResource = z.object({ resourceArn: Arn, tags: Tags });
const UntagResource = z.object({ resourceArn: Arn, tagKeys: z.array(z.string()) });
/** All tags of a resource fit one answer. */
const ListTags = z.object({ resourceArn: Arn });

export function tagRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post("/tags", { config: WRITES_FLEET, schema: { body: TagResource } }, async ({ body }) => {
    registry.tags.add(body.resourceArn, body.tags.map(tagOf));
    return {};
  });

  routes.post("/untag", { config: WRITES_FLEET, schema: { body: UntagResource } }, async ({ body }) => {
    registry.tags.remove(body.resourceArn, body.tagKeys);
    return {};
  });

  routes.get("/tags", { config: READS_FLEET, schema: { querystring: ListTags } }, async ({ query }) => ({
    tags: registry.tags.of(query.resourceArn).map(({ key, value }) => ({ Key: key, Value: value })),
  }));
}

/** Tags that come along with what is being made; `resource` as `policy/NAME`. */
export function tagNew(registry: Registry, resource: string, tags: z.infer<typeof Tags> | undefined): void {
  if (tags !== undefined && tags.length > 0) registry.tags.add(resource, tags.map(tagOf));
}

/** Of the header `x-amz-tagging`: `key=value&…`, percent-encoded. */
export function tagsOfHeader(header: string | readonly string[] | undefined): z.infer<typeof Tags> {
  if (typeof header !== "string") return [];
  return [...new URLSearchParams(header)].map(([Key, Value]) => ({ Key, Value }));
}

function tagOf({ Key, Value }: z.infer<typeof Tags>[number]): { readonly key: string; readonly value: string } {
  return { key: Key, value: Value };
}
