import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { TOKEN, apiWorld } from "./api.fixture.ts";
import type { ApiWorld } from "./api.fixture.ts";
import type { BackTestLine, ExplainAnswer, RuleCheck, RuleDetail, RuleDocumentView, RulePage } from "./contract.ts";

const HOOK = {
  webhook: { url: "https://hooks.example/secret-path?token=T0P", headers: { authorization: "Bearer S3CRET" } },
};

function putHot(world: ApiWorld): void {
  world.rules.put("hot", { sql: "SELECT n FROM 'a/#' WHERE n > 1", description: "Too hot", actions: [HOOK] }, 0);
}

async function get<T>(world: ApiWorld, url: string): Promise<T> {
  const answer = await world.ask("GET", url);
  assert.equal(answer.status, 200, answer.text);
  return answer.json as T;
}

test("rules are listed by name in pages, found by their words, and no secret is among it", async () => {
  await using world = await apiWorld();
  putHot(world);
  const first = await get<RulePage>(world, "/api/rules?limit=2");
  assert.deepEqual(
    first.rules.map(({ name }) => name),
    ["cpu_high", "disk_high"],
  );
  assert.deepEqual([first.total, first.next], [5, "disk_high"]);
  const rest = await get<RulePage>(world, `/api/rules?after=${first.next}`);
  assert.deepEqual(
    rest.rules.map(({ name }) => name),
    ["hot", "memory_high", "tidewire_telemetry"],
  );
  assert.equal(rest.next, null);
  const found = await world.ask("GET", "/api/rules?search=TOO+HOT");
  assert.doesNotMatch(found.text, /S3CRET|T0P/);
  const [hot] = (found.json as RulePage).rules;
  assert.deepEqual(hot, {
    name: "hot",
    description: "Too hot",
    sql: "SELECT n FROM 'a/#' WHERE n > 1",
    disabled: false,
    actions: [{ kind: "webhook", receiver: "https://hooks.example" }],
    errorAction: null,
    activity: {
      matched: 0,
      lastMatchAt: null,
      failed: 0,
      failure: null,
      delivered: 0,
      retried: 0,
      dead: 0,
      deliveryFailure: null,
    },
  });
});

test("one rule: its receivers; its document with the revision that a change needs", async () => {
  await using world = await apiWorld();
  putHot(world);
  world.reading("pump", { "cpu.percent": 97 });
  const cpu = await get<RuleDetail>(world, "/api/rules/cpu_high");
  assert.deepEqual(cpu.receivers, []);
  assert.deepEqual(cpu.actions, [{ kind: "alert", receiver: null }]);
  const [receiver] = (await get<RuleDetail>(world, "/api/rules/hot")).receivers;
  assert.deepEqual([receiver!.kind, receiver!.label, receiver!.waiting], ["webhook", "https://hooks.example", 0]);
  const { document, revision } = await get<RuleDocumentView>(world, "/api/rules/hot/document");
  assert.doesNotMatch(JSON.stringify(document), /S3CRET/);
  const change = { documents: [{ kind: "rule", name: "hot", document: { ...document, ruleDisabled: true } }] };
  const changed = await world.ask("PUT", "/api/configuration", change, { "if-match": revision });
  assert.equal(changed.status, 200, changed.text);
  const { disabled, activity } = await get<RuleDetail>(world, "/api/rules/hot");
  assert.deepEqual([disabled, activity], [true, null]);
  assert.match(JSON.stringify(world.rules.get("hot")), /S3CRET/); // what was hidden stood for it
  assert.equal((await world.ask("PUT", "/api/configuration", change, { "if-match": revision })).status, 409);
  const { behind } = await get<RuleDetail>(world, "/api/rules/cpu_high");
  assert.deepEqual(behind, { messages: 42 - world.rules.positionOf("cpu_high"), age: 5_000 });
  assert.equal((await world.ask("GET", "/api/rules/nobody")).status, 404);
  assert.equal((await world.ask("GET", "/api/rules/nobody/document")).status, 404);
});

test("what is wrong with a rule that is being written, and where", async () => {
  await using world = await apiWorld();
  const check = async (name: string, document: object): Promise<RuleCheck> => {
    const answer = await world.ask("POST", "/api/rules/check", { name, document });
    assert.equal(answer.status, 200, answer.text);
    return answer.json as RuleCheck;
  };
  const sql = "SELECT *\nFORM 'a/#'";
  const { fault } = await check("new", { sql, actions: [] });
  assert.deepEqual([fault!.at, fault!.line, fault!.column, fault!.position], ["sql", 2, 1, 9]);
  assert.match(fault!.reason, /FROM/);
  const action = await check("new", { sql: "SELECT * FROM 'a'", actions: [{ webhook: { url: "no" } }] });
  assert.deepEqual([action.fault!.at, action.fault!.line], ["actions[0].webhook.url", null]);
  assert.equal((await check("a name", { sql: "SELECT * FROM 'a'", actions: [] })).fault!.at, "ruleName");
  assert.deepEqual(await check("new", { sql: "SELECT * FROM 'a/+'", actions: [] }), {
    fault: null,
    filter: "a/+",
    stateful: false,
  });
  assert.equal((await check("new", { sql: "SELECT v FROM 'a' WHERE v > lag(v)", actions: [] })).stateful, true);
});

const RESULT = { from: 0, to: 10, took: 5, complete: true, notes: [] } as const;

function lines(text: string): BackTestLine[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as BackTestLine);
}

test("a back-test: what is tried is handed on whole, its progress and result come line by line", async () => {
  await using world = await apiWorld();
  putHot(world);
  const progress = { offset: 7, counts: { log: 7, archive: 0, forgotten: 0, unreadable: 0 }, at: null };
  world.past.answer = () => [
    { type: "progress", progress },
    { type: "tested", result: RESULT as never },
  ];
  const against = { name: "hot", document: { sql: "SELECT n FROM 'a/#' WHERE n > 5", actions: [HOOK] } };
  const answer = await world.ask("POST", "/api/rules/back-test", {
    rule: { name: "hot" },
    against,
    since: 5,
    examples: 3,
  });
  assert.equal(answer.headers["content-type"], "application/x-ndjson");
  assert.deepEqual(lines(answer.text), [{ progress }, { result: RESULT }]);
  const [order] = world.past.orders;
  assert.ok(order?.type === "test");
  const { rule, against: second, from, to, untilNow, examples, data } = order.order;
  assert.deepEqual(
    [rule.sql, second?.sql, from, to, untilNow, examples, data],
    ["SELECT n FROM 'a/#' WHERE n > 1", "SELECT n FROM 'a/#' WHERE n > 5", 5, world.clock.now(), true, 3, world.folder],
  );
});

test("what cannot be tried is refused before anything runs; a viewer tries nothing", async () => {
  await using world = await apiWorld();
  const since = 5;
  for (const [body, status, code] of [
    [{ rule: "SELECT", since }, 400, "RULE_SQL_INVALID"],
    [{ rule: { name: "nobody" }, since }, 404, "NOT_FOUND"],
    [{ rule: "SELECT * FROM 'a'", since, until: 5 }, 400, "REQUEST_INVALID"],
    [{ rule: "SELECT * FROM 'a'", since, examples: 1000 }, 400, "REQUEST_INVALID"],
    [{ since }, 400, "REQUEST_INVALID"],
  ] as const) {
    const answer = await world.ask("POST", "/api/rules/back-test", body);
    assert.deepEqual([answer.status, (answer.json as { code: string }).code], [status, code], JSON.stringify(body));
  }
  const key = await world.ask("POST", "/api/keys", {
    kind: "api",
    name: "reader",
    permissions: ["rules:read"],
    expiresAt: null,
  });
  const { secret } = key.json as { secret: string };
  const headers = { authorization: `Bearer ${secret}` };
  const tries = { rule: "SELECT * FROM 'a'", since };
  assert.equal((await world.askAs(headers, "POST", "/api/rules/back-test", tries)).status, 403);
  assert.equal((await world.askAs(headers, "POST", "/api/rules/explain", { rule: tries.rule })).status, 403);
  assert.equal((await world.askAs(headers, "GET", "/api/rules")).status, 200);
  assert.deepEqual(world.past.orders, []);
});

test("one at a time; what breaks off in the middle says so in its last line", async () => {
  await using world = await apiWorld();
  const body = { rule: "SELECT * FROM 'a'", since: 5 };
  const first = world.ask("POST", "/api/rules/back-test", body);
  while (world.past.orders.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const second = await world.ask("POST", "/api/rules/back-test", body);
  assert.deepEqual([second.status, (second.json as { code: string }).code], [503, "BACK_TEST_BUSY"]);
  const counts = { log: 1, archive: 0, forgotten: 0, unreadable: 0 };
  world.past.say({ type: "progress", progress: { offset: 1, counts, at: null } });
  world.past.die("SIGABRT");
  const { status, text } = await first;
  const [, last] = lines(text);
  assert.equal(status, 200);
  assert.ok(last !== undefined && "error" in last && last.error.code === "BACK_TEST_FAILED");
});

test("who goes away ends it", async () => {
  await using world = await apiWorld();
  const { httpPort } = await world.listen();
  const body = JSON.stringify({ rule: "SELECT * FROM 'a'", since: 5 });
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const asked = request({ host: "127.0.0.1", port: httpPort, method: "POST", path: "/api/rules/back-test", headers });
  asked.on("error", () => {});
  asked.end(body);
  while (world.past.orders.length === 0) await new Promise((resolve) => setImmediate(resolve));
  asked.destroy();
  while (world.past.killed === 0) await new Promise((resolve) => setImmediate(resolve));
  world.past.answer = () => [{ type: "tested", result: RESULT as never }];
  assert.equal((await world.ask("POST", "/api/rules/back-test", JSON.parse(body))).status, 200);
  assert.match(
    (await world.ask("GET", "/metrics")).text,
    /tidewire_back_tests_total\{kind="test",outcome="cancelled"\} 1/,
  );
});

test("why the newest messages match: as the process tells it", async () => {
  await using world = await apiWorld();
  const past: ExplainAnswer = { messages: [], askedToday: [], looked: 12 };
  world.past.answer = () => [{ type: "explained", past }];
  const answer = await world.ask("POST", "/api/rules/explain", { rule: { name: "cpu_high" }, limit: 3 });
  assert.deepEqual([answer.status, answer.json], [200, past]);
  const [order] = world.past.orders;
  assert.ok(order?.type === "explain");
  assert.deepEqual([order.order.count, order.order.rule.ruleName], [3, "cpu_high"]);
});
