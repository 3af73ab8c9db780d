/** AWS IoT's fleet indexing: things by query, and numbers about them. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError } from "../../../base/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { READS_FLEET, WRITES_FLEET } from "./fields.ts";

const { pageSizeMax } = LIMITS.search;
/** AWS's numbers. */
const BUCKETS_MAX = 10_000;
const PERCENTS = [1, 5, 25, 50, 75, 95, 99];

const Query = z.object({
  indexName: z.string().optional(),
  queryString: z.string(),
  queryVersion: z.string().optional(),
});
const Search = Query.extend({
  maxResults: z.number().int().min(1).max(pageSizeMax).nullish(),
  nextToken: z.string().max(2048).nullish(),
});
const Aggregation = Query.extend({ aggregationField: z.string().min(1).max(1024).default("registry.version") });
const Percentiles = Aggregation.extend({ percents: z.array(z.number().min(0).max(100)).max(100).default(PERCENTS) });
const Buckets = Aggregation.extend({
  aggregationType: z.object({
    termsAggregation: z.object({ maxBuckets: z.number().int().min(1).max(BUCKETS_MAX).default(10) }),
  }),
});

/** All of it is always indexed; less may be asked for, and more is refused. */
const Configuration = z.object({
  thingIndexingConfiguration: z.object({ deviceDefenderIndexingMode: z.literal("OFF").optional() }).optional(),
  thingGroupIndexingConfiguration: z.object({ thingGroupIndexingMode: z.literal("OFF") }).optional(),
});

const THINGS_INDEX = "AWS_Things";

export function searchRoutes(app: FastifyInstance, { search }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post("/indices/search", { config: READS_FLEET, schema: { body: Search } }, async ({ body }) => {
    const { things, nextToken } = await search.run(queryOf(body), {
      maxResults: body.maxResults ?? undefined,
      nextToken: body.nextToken ?? null,
    });
    return { things, ...(nextToken === null ? {} : { nextToken }) };
  });

  routes.post("/indices/statistics", { config: READS_FLEET, schema: { body: Aggregation } }, async ({ body }) => ({
    statistics: await search.aggregate({ ask: "statistics", query: queryOf(body), field: body.aggregationField }),
  }));

  routes.post("/indices/cardinality", { config: READS_FLEET, schema: { body: Aggregation } }, async ({ body }) => ({
    cardinality: await search.aggregate({ ask: "cardinality", query: queryOf(body), field: body.aggregationField }),
  }));

  routes.post("/indices/percentiles", { config: READS_FLEET, schema: { body: Percentiles } }, async ({ body }) => {
    const { aggregationField: field, percents } = body;
    return { percentiles: await search.aggregate({ ask: "percentiles", query: queryOf(body), field, percents }) };
  });

  routes.post("/indices/buckets", { config: READS_FLEET, schema: { body: Buckets } }, async ({ body }) => {
    const { maxBuckets } = body.aggregationType.termsAggregation;
    return search.aggregate({ ask: "buckets", query: queryOf(body), field: body.aggregationField, maxBuckets });
  });

  routes.get("/indices", { config: READS_FLEET }, async () => ({ indexNames: [THINGS_INDEX] }));

  routes.get(
    "/indices/:indexName",
    { config: READS_FLEET, schema: { params: z.object({ indexName: z.string().max(128) }) } },
    async ({ params: { indexName } }) => {
      checkIndex(indexName);
      const schema = "REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS";
      return { indexName, indexStatus: search.complete() ? "ACTIVE" : "BUILDING", schema };
    },
  );

  routes.get("/indexing/config", { config: READS_FLEET }, async () => ({
    thingIndexingConfiguration: {
      thingIndexingMode: "REGISTRY_AND_SHADOW",
      thingConnectivityIndexingMode: "STATUS",
      deviceDefenderIndexingMode: "OFF",
      namedShadowIndexingMode: "ON",
    },
    thingGroupIndexingConfiguration: { thingGroupIndexingMode: "OFF" },
  }));

  routes.post("/indexing/config", { config: WRITES_FLEET, schema: { body: Configuration } }, async () => ({}));
}

function queryOf({ indexName = THINGS_INDEX, queryString }: z.infer<typeof Query>): string {
  checkIndex(indexName);
  return queryString;
}

function checkIndex(indexName: string): void {
  if (indexName !== THINGS_INDEX) throw new TidewireError("NOT_FOUND", { kind: "index", name: shown(indexName) });
}

function shown(text: string): string {
  return text.slice(0, 128).replaceAll(/[^\w:-]/g, "?");
}
