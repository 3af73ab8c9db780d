import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { apiWorld } from "../api.fixture.ts";
import type { Answer, ApiWorld } from "../api.fixture.ts";
import type { FleetPage } from "../contract.ts";

let world: ApiWorld;
beforeEach(async () => {
  world = await apiWorld();
  for (const [name, site] of Object.entries({ a: "berlin", b: "rome", c: "Berlin Mitte" })) {
    world.registry.things.create(name, { attributes: { site, floor: String(name.charCodeAt(0) - 96) } });
  }
});
afterEach(() => world[Symbol.asyncDispose]());

const ok = (answer: Answer): Answer["json"] => {
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};

interface SearchPage {
  readonly things: readonly { readonly thingName: string }[];
  readonly nextToken?: string;
}

const names = ({ things }: { readonly things: readonly { readonly thingName: string }[] }): string[] =>
  things.map((thing) => thing.thingName);

test("SearchIndex pages through what a query finds, in AWS's shape", async () => {
  const queryString = "attributes.site:berlin";
  const first = ok(
    await world.ask("POST", "/indices/search", { indexName: "AWS_Things", queryString, maxResults: 1 }),
  ) as SearchPage;
  const { thingId } = world.registry.things.describe("a");
  const attributes = { site: "berlin", floor: "1" };
  assert.deepEqual(first.things, [{ thingName: "a", thingId, attributes, connectivity: { connected: false } }]);
  const { nextToken } = first;
  const rest = ok(await world.ask("POST", "/indices/search", { queryString, maxResults: 1, nextToken })) as SearchPage;
  assert.deepEqual(names(rest), ["c"]);
  assert.ok(!("nextToken" in rest));
});

test("a query that is not valid is refused with the place, under AWS's name", async () => {
  const answer = await world.ask("POST", "/indices/search", { queryString: "attributes.site:(a" });
  assert.equal(answer.status, 400);
  assert.equal(answer.headers["x-amzn-errortype"], "InvalidQueryException");
  assert.match(JSON.stringify(answer.json), /character 17: the closing '\)'/);
  assert.equal((await world.ask("POST", "/indices/search", { indexName: "other", queryString: "*" })).status, 404);
  assert.equal((await world.ask("POST", "/indices/search", { queryString: "*", maxResults: 251 })).status, 400);
});

test("statistics, cardinality, percentiles and buckets of a field", async () => {
  const body = { queryString: "*", aggregationField: "attributes.floor" };
  const { statistics } = ok(await world.ask("POST", "/indices/statistics", body)) as { statistics: object };
  assert.deepEqual(statistics, {
    count: 3,
    average: 2,
    sum: 6,
    minimum: 1,
    maximum: 3,
    sumOfSquares: 14,
    variance: 2 / 3,
    stdDeviation: Math.sqrt(2 / 3),
  });
  assert.deepEqual(ok(await world.ask("POST", "/indices/cardinality", body)), { cardinality: 3 });
  const percentiles = ok(await world.ask("POST", "/indices/percentiles", { ...body, percents: [50] }));
  assert.deepEqual(percentiles, { percentiles: [{ percent: 50, value: 2 }] });
  const aggregationType = { termsAggregation: { maxBuckets: 1 } };
  const buckets = ok(await world.ask("POST", "/indices/buckets", { ...body, aggregationType }));
  assert.deepEqual(buckets, { totalCount: 3, buckets: [{ keyValue: "1", count: 1 }] });
});

test("the fleet takes a query as well as plain words", async () => {
  const fleet = async (search: string): Promise<FleetPage> =>
    ok(await world.ask("GET", `/api/fleet?search=${encodeURIComponent(search)}`)) as FleetPage;
  const found = await fleet("attributes.site:berlin attributes.floor>1");
  assert.deepEqual([names(found), found.total, found.totalIsLeast], [["c"], 1, undefined]);
  assert.deepEqual(names(await fleet("thingName:(a OR b)")), ["a", "b"]);
  assert.deepEqual(names(await fleet("lin mit")), ["c"]);
  assert.deepEqual(names(await fleet("aa:bb:cc")), []);
  assert.equal((await world.ask("GET", "/api/fleet?search=attributes.site:(")).status, 400);
});

test("there is one index, which has everything", async () => {
  assert.deepEqual(ok(await world.ask("GET", "/indices")), { indexNames: ["AWS_Things"] });
  const described = ok(await world.ask("GET", "/indices/AWS_Things")) as { readonly indexStatus: string };
  assert.equal(described.indexStatus, "ACTIVE");
  assert.equal((await world.ask("GET", "/indices/AWS_ThingGroups")).status, 404);
  const config = ok(await world.ask("GET", "/indexing/config"));
  assert.equal((await world.ask("POST", "/indexing/config", config as object)).status, 200);
  const more = { thingGroupIndexingConfiguration: { thingGroupIndexingMode: "ON" } };
  assert.equal((await world.ask("POST", "/indexing/config", more)).status, 400);
});
