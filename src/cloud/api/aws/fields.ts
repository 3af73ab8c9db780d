/** What requests and answers of AWS IoT's operations have in common. Members that are not known are ignored, as on AWS. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { LIMITS, TidewireError } from "../../../base/mod.ts";
import type { EpochMs } from "../../../base/mod.ts";
import { ThingName } from "../schemas.ts";

export const READS_FLEET = { permission: "fleet:read" } as const;
export const WRITES_FLEET = { permission: "fleet:write" } as const;
export const READS_CERTIFICATES = { permission: "certificates:read" } as const;
export const WRITES_CERTIFICATES = { permission: "certificates:write" } as const;
export const READS_POLICIES = { permission: "policies:read" } as const;
export const WRITES_POLICIES = { permission: "policies:write" } as const;

/** Of routes about one thing: who is narrowed to some things may use them for those. */
const things = ({ params }: FastifyRequest): readonly string[] => [(params as { thingName: string }).thingName];
export const READS_THING = { ...READS_FLEET, things } as const;
export const WRITES_THING = { ...WRITES_FLEET, things } as const;

export const ThingPath = z.object({ thingName: ThingName });
export const Name = z.string().max(256);

const PageSize = z.coerce.number().int().min(1).max(LIMITS.http.pageSizeMax);
const Token = z.string().max(2048);

/** Paging as the registry's operations do it. */
export const Page = z.object({ maxResults: PageSize.optional(), nextToken: Token.optional() });
/** Paging as the older operations of certificates and policies do it. */
export const MarkerPage = z.object({
  pageSize: PageSize.optional(),
  marker: Token.optional(),
  isAscendingOrder: z.stringbool().optional(),
});

export const Attributes = z.object({
  attributes: z.record(z.string(), z.string()).optional(),
  merge: z.boolean().optional(),
});

export const Tags = z
  .array(z.object({ Key: z.string(), Value: z.string().default("") }))
  .max(LIMITS.registry.tagsPerResourceMax);

/** AWS writes epoch seconds, with milliseconds behind the point. */
export function seconds(at: EpochMs): number {
  return at / 1000;
}

/** The certificate's ARN, which AWS sends in a header. */
export function principalOf({ headers }: FastifyRequest): string {
  const principal = headers["x-amzn-principal"];
  if (typeof principal === "string" && principal !== "") return principal;
  throw new TidewireError("REQUEST_INVALID", { reason: "the header x-amzn-principal is missing: a certificate's ARN" });
}
