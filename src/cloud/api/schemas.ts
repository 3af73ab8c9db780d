/** Shapes that several routes share. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { LIMITS } from "../../base/mod.ts";

/** For keys that are narrowed to some things. */
export function thingInPath(request: FastifyRequest): readonly string[] | null {
  const { thing, thingName } = request.params as { thing?: string; thingName?: string };
  const name = thing ?? thingName;
  return name === undefined ? null : [name];
}

/** Names as AWS IoT allows them. */
export const ThingName = z.string().regex(/^[a-zA-Z0-9:_-]{1,128}$/, "a thing name is 1 to 128 of a-z A-Z 0-9 : _ -");
export const ThingParameters = z.strictObject({ thing: ThingName });

export const PageLimit = z.coerce.number().int().min(1).max(LIMITS.http.pageSizeMax);

/** Of who left; `before`: the id of the page before's last. */
export const DeparturesQuery = z.strictObject({
  thing: ThingName.optional(),
  before: z.coerce.number().int().min(1).optional(),
  limit: PageLimit.default(100),
});
