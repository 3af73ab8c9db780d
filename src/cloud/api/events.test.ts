import assert from "node:assert/strict";
import { test } from "node:test";
import { apiWorld } from "./api.fixture.ts";

const TOKEN_OF_DOOR = "0123456789abcdef-door";
const DOOR = {
  topic: "forms/${site}/${name}",
  token: TOKEN_OF_DOOR,
  payload: '{"level": ${level}, "by": "${by}"}',
  form: { title: "Tank <1>", fields: ["site", "level", "by"] },
  bytesMax: 200,
  requestsPerMinute: 20,
};
const bearer = { authorization: `Bearer ${TOKEN_OF_DOOR}` };
const JSON_TYPE = { "content-type": "application/json" };
const FORM_TYPE = { "content-type": "application/x-www-form-urlencoded" };

test("endpoint: JSON and forms become messages on a topic of what they hold; the token is never shown again", async () => {
  await using world = await apiWorld();
  const made = await world.ask("PUT", "/api/endpoints/tank", DOOR);
  assert.equal(made.status, 200, made.text);
  assert.doesNotMatch(made.text, /0123456789abcdef|hash:/);
  const body = '{"site":"north/#","level":7.5,"by":"ann"}';
  const sent = await world.askAs({ ...bearer, ...JSON_TYPE }, "POST", "/in/tank", body);
  assert.deepEqual([sent.status, sent.json], [200, { topic: "forms/north__/tank" }], sent.text);
  const posted = await world.askAs(
    { ...FORM_TYPE, accept: "text/html" },
    "POST",
    "/in/tank",
    `site=south&level=3&by=bob&token=${TOKEN_OF_DOOR}`,
  );
  assert.equal(posted.status, 200, posted.text);
  assert.match(posted.text, /Sent\./);
  assert.deepEqual(
    world.messages.published.map(({ topic, payload }) => [topic, new TextDecoder().decode(payload)]),
    [
      ["forms/north__/tank", '{"level": 7.5, "by": "ann"}'],
      ["forms/south/tank", '{"level": 3, "by": "bob"}'],
    ],
  );
  const again = await world.ask("PUT", "/api/endpoints/tank", { ...DOOR, token: "***" });
  assert.equal(again.status, 200, again.text);
  assert.equal((await world.askAs({ ...bearer, ...JSON_TYPE }, "POST", "/in/tank", body)).status, 200, "*** keeps it");
});

test("endpoint: bytes as they are, where no payload is written", async () => {
  await using world = await apiWorld();
  await world.ask("PUT", "/api/endpoints/raw", { topic: "raw", token: TOKEN_OF_DOOR });
  const sent = await world.askAs(
    { ...bearer, "content-type": "application/octet-stream" },
    "POST",
    "/in/raw",
    "\u0001x",
  );
  assert.equal(sent.status, 200, sent.text);
  assert.deepEqual([...world.messages.published[0]!.payload], [1, 120]);
});

test("endpoint: refused without its token, too large, too often, or without a topic; each is counted", async () => {
  await using world = await apiWorld();
  await world.ask("PUT", "/api/endpoints/tank", { ...DOOR, requestsPerMinute: 3 });
  const post = (headers: Record<string, string>, body: string) =>
    world.askAs({ ...JSON_TYPE, ...headers }, "POST", "/in/tank", body);
  assert.equal((await post({}, "{}")).status, 401);
  assert.equal((await post({ authorization: "Bearer wrong" }, "{}")).status, 401);
  assert.equal(
    (await world.ask("POST", "/in/tank", "{}", JSON_TYPE)).status,
    401,
    "the administrator's token opens no door",
  );
  assert.equal((await world.askAs(bearer, "POST", "/in/other", "x")).status, 404);
  assert.equal((await post(bearer, `{"a":"${"x".repeat(300)}"}`)).status, 413);
  assert.equal((await post(bearer, "{}")).status, 400, "a topic with an empty level is nobody's wish");
  assert.equal((await post(bearer, '{"site":"a"}')).status, 200);
  assert.equal((await post(bearer, '{"site":"a"}')).status, 429);
  const { endpoints } = (await world.ask("GET", "/api/endpoints")).json as {
    endpoints: { received: number; refused: number }[];
  };
  assert.deepEqual([endpoints[0]!.received, endpoints[0]!.refused], [1, 6]);
});

test("endpoint: its form, with what was configured escaped; none without one", async () => {
  await using world = await apiWorld();
  await world.ask("PUT", "/api/endpoints/tank", DOOR);
  const form = await world.askAs({}, "GET", "/in/tank");
  assert.match(form.text, /<h1>Tank &#60;1&#62;<\/h1><form method="post">.*name="level"/);
  assert.match(String(form.headers["content-security-policy"]), /form-action 'self'/);
  await world.ask("PUT", "/api/endpoints/plain", { topic: "a", token: TOKEN_OF_DOOR });
  assert.equal((await world.askAs({}, "GET", "/in/plain")).status, 404);
});

test("schedules and endpoints are documents like rules: compared, applied, faults with their place", async () => {
  await using world = await apiWorld();
  const documents = [
    {
      kind: "schedule",
      name: "night",
      document: { cron: "30 2 * * *", timezone: "Europe/Berlin", topic: "night", payload: "now" },
    },
    { kind: "endpoint", name: "tank", document: DOOR },
  ];
  const wrong = [
    ...documents,
    { kind: "schedule", name: "bad", document: { cron: "x", topic: "a" } },
    { kind: "endpoint", name: "weak", document: { topic: "a", token: "short" } },
  ];
  const plan = (await world.ask("POST", "/api/configuration/plan", { documents: wrong })).json as {
    faults: { index: number; at: string }[];
  };
  assert.deepEqual(
    plan.faults.map(({ index, at }) => [index, at]),
    [
      [2, "cron"],
      [3, "token"],
    ],
  );
  assert.equal((await world.ask("PUT", "/api/configuration", { documents: wrong }, { "if-match": "*" })).status, 400);
  assert.equal((await world.ask("PUT", "/api/configuration", { documents })).status, 400, "without If-Match");
  const applied = await world.ask("PUT", "/api/configuration", { documents }, { "if-match": "*" });
  assert.equal(applied.status, 200, applied.text);
  assert.doesNotMatch(applied.text, /0123456789abcdef/);
  const after = (await world.ask("POST", "/api/configuration/plan", { documents })).json as { changes: unknown[] };
  assert.deepEqual(after.changes, []);
  const stale = await world.ask(
    "PUT",
    "/api/configuration",
    { documents },
    { "if-match": '"000000000000000000000000.0"' },
  );
  assert.equal(stale.status, 409);
  assert.match(stale.text, /endpoint\.create tank/);
});
