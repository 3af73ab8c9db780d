import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "../../../sim/world.ts";
import { LIMITS } from "../../base/mod.ts";
import { apiWorld } from "./api.fixture.ts";
import { RequestRates } from "./request-rates.ts";

const TOO_MANY = { code: "TOO_MANY_REQUESTS" };

test("each may make so many requests in a minute, and then has to wait for the next", async () => {
  const clock = new SimClock();
  const rates = new RequestRates(clock, 2);
  rates.count("a");
  rates.count("a");
  rates.count("b");
  assert.throws(() => rates.count("a"), TOO_MANY);
  await clock.run(59_000);
  assert.throws(() => rates.count("a"), TOO_MANY);
  await clock.run(1000);
  rates.count("a");
});

test("who logs in wrongly is limited by his address, and nobody with a login is for that", async () => {
  await using world = await apiWorld();
  const { requestsPerMinuteMax } = LIMITS.http;
  const wrong = { authorization: "Bearer wrong" };
  const statuses = new Set<number>();
  for (let i = 0; i < requestsPerMinuteMax; i++) statuses.add((await world.askAs(wrong, "GET", "/things")).status);
  assert.deepEqual([...statuses], [401]);
  const limited = await world.askAs(wrong, "GET", "/things");
  assert.deepEqual([limited.status, limited.headers["x-amzn-errortype"]], [429, "ThrottlingException"]);
  assert.equal((await world.ask("GET", "/things")).status, 200);
});

test("an operator's SDK may register ten thousand things without a pause", async () => {
  await using world = await apiWorld();
  const { requestsPerMinuteMax } = LIMITS.http;
  for (let i = 0; i < requestsPerMinuteMax + 10; i++) {
    const { status } = await world.ask("GET", "/tags?resourceArn=x/y");
    if (status !== 400) assert.fail(`${status} at request ${i}`);
  }
  assert.ok(LIMITS.http.requestsPerActorPerMinuteMax > 4 * 10_000);
});
