import assert from "node:assert/strict";
import { test } from "node:test";
import { INVALID, MISSING, TOKEN, apiWorld, ok, refusal, unavailable } from "./api.fixture.ts";
import type { ApiWorld } from "./api.fixture.ts";
import type {
  Alert,
  AlertPage,
  AlertRouteAnswer,
  AlertStory,
  FleetPage,
  SeriesResult,
  SessionInfo,
  Silence,
  SilenceList,
  ThingDetail,
} from "./contract.ts";

test("the fleet: pages with presence, headline and alerts; a store that is away leaves the values out only", async () => {
  await using world = await apiWorld();
  for (const name of ["a", "b", "c"]) world.registry.things.create(name);
  world.presence.connected("b", "session", "192.0.2.9");
  world.reading("b", { cpu: { percent: 95 } });
  const value = { measurement: "system", field: "cpu.percent", value: 95, time: 7 };
  world.store.values.set("b", [value]);
  const page = ok<FleetPage>(await world.ask("GET", "/api/fleet?limit=2"));
  assert.deepEqual([page.total, page.online, page.things.length], [3, 1, 2]);
  const [a, b] = page.things;
  assert.deepEqual([a!.presence.state, a!.headline, a!.activeAlerts], ["never", [], 0]);
  assert.deepEqual([b!.presence.state, b!.headline, b!.activeAlerts], ["online", [value], 1]);
  const rest = ok<FleetPage>(await world.ask("GET", `/api/fleet?limit=2&cursor=${page.cursor!}`));
  assert.deepEqual([rest.things.map((thing) => thing.thingName), rest.cursor], [["c"], null]);
  assert.deepEqual(ok<FleetPage>(await world.ask("GET", "/api/fleet?search=b")).total, 1);
  world.store.failure = unavailable;
  assert.deepEqual(ok<FleetPage>(await world.ask("GET", "/api/fleet")).things[1]!.headline, []);
  for (const query of ["limit=0", "limit=1000", "cursor=x", "serach=a", `search=${"x".repeat(1_001)}`]) {
    assert.deepEqual(refusal(await world.ask("GET", `/api/fleet?${query}`)), INVALID, query);
  }
});

test("one thing: its certificates and alerts; latest values; one that does not exist", async () => {
  await using world = await apiWorld();
  world.registry.things.create("pump");
  const { certificateArn, certificateId } = ok<{ certificateArn: string; certificateId: string }>(
    await world.ask("POST", "/keys-and-certificate?setAsActive=true"),
  );
  ok(await world.ask("PUT", "/things/pump/principals", undefined, { "x-amzn-principal": certificateArn }));
  world.reading("pump", { cpu: { percent: 95 } });
  const detail = ok<ThingDetail>(await world.ask("GET", "/api/things/pump"));
  assert.deepEqual(
    [detail.certificates.map((one) => [one.certificateId, one.status]), detail.alerts.length],
    [[[certificateId, "ACTIVE"]], 1],
  );
  assert.equal(detail.createdAt, world.clock.now());
  world.store.values.set("pump", [{ measurement: "m", field: "f", value: true, time: 1 }]);
  assert.deepEqual(ok(await world.ask("GET", "/api/things/pump/latest")), {
    thing: "pump",
    values: world.store.values.get("pump"),
  });
  assert.deepEqual(refusal(await world.ask("GET", "/api/things/nobody")), MISSING);
  assert.deepEqual(refusal(await world.ask("GET", "/api/things/a%2Fb")), INVALID);
  world.store.failure = unavailable;
  assert.deepEqual(refusal(await world.ask("GET", "/api/things/pump/latest")), [
    503,
    "STORE_UNAVAILABLE",
    "ServiceUnavailableException",
  ]);
});

test("series: parameters become a query; what is too large or nonsense is refused before the store is asked", async () => {
  await using world = await apiWorld();
  const result = ok<SeriesResult>(
    await world.ask(
      "GET",
      "/api/series?thing=pump&measurement=system&fields=a,b&from=-1h&to=now&window=10s&aggregate=max",
    ),
  );
  const now = world.clock.now();
  assert.deepEqual(world.store.queries, [
    {
      thing: "pump",
      measurement: "system",
      fields: ["a", "b"],
      from: now - 3_600_000,
      to: now,
      window: 10_000,
      aggregate: "max",
      limit: 100_000,
    },
  ]);
  assert.deepEqual([result.thing, result.window, result.truncated], ["pump", 10_000, false]);
  for (const query of [
    "",
    "thing=",
    "thing=a&limit=100001",
    "thing=a&limit=0",
    "thing=a&from=now&to=-1h",
    "thing=a&from=yesterday",
    "thing=a&window=0s",
    "thing=a&window=9999d",
    "thing=a&window=1m&aggregate=median",
    "thing=a&aggregate=avg",
    "thing=a&thing=b",
    "thing=a&format=xlsx",
    "thing=a&layout=wide",
    "thing=a&expr=)",
    "thing=a&form=1",
    `thing=a&fields=${Array.from({ length: 201 }, (_, i) => `f${i}`).join(",")}`,
  ]) {
    assert.deepEqual(refusal(await world.ask("GET", `/api/series?${query}`)), INVALID, query);
  }
  assert.equal(world.store.queries.length, 1);
  world.store.failure = unavailable;
  assert.equal((await world.ask("GET", "/api/series?thing=a")).status, 503);
});

test("alerts: active and all, acknowledged once for all, unknown ones", async () => {
  await using world = await apiWorld();
  world.reading("pump", { cpu: { percent: 95 } });
  const page = ok<AlertPage>(await world.ask("GET", "/api/alerts"));
  assert.deepEqual([page.active, page.alerts.length], [1, 1]);
  const { id, summary, acknowledgedAt } = page.alerts[0]!;
  assert.deepEqual([summary, acknowledgedAt], ["CPU at 95 % on pump", null]);
  const path = `/api/alerts/${encodeURIComponent(id)}/acknowledge`;
  const acknowledged = ok<Alert>(await world.ask("POST", path));
  assert.equal(acknowledged.acknowledgedAt, world.clock.now());
  world.clock.advance(5000);
  assert.deepEqual(ok<Alert>(await world.ask("POST", path)).acknowledgedAt, acknowledged.acknowledgedAt);
  assert.deepEqual(refusal(await world.ask("POST", "/api/alerts/none/acknowledge")), MISSING);
  assert.equal(ok<AlertPage>(await world.ask("GET", "/api/alerts?state=all&limit=1")).alerts.length, 1);
  for (const query of ["state=open", "limit=0", "limit=1e9"]) {
    assert.deepEqual(refusal(await world.ask("GET", `/api/alerts?${query}`)), INVALID, query);
  }
});

test("an alert by hand: its story names who did what; it is listed by what is asked for", async () => {
  await using world = await apiWorld();
  const draft = { thing: "door", severity: "critical", summary: "The door is open", labels: { site: "ulm" } };
  const { id } = ok<Alert>(await world.ask("POST", "/api/alerts", draft));
  const path = `/api/alerts/${encodeURIComponent(id)}`;
  ok(await world.ask("POST", `${path}/acknowledge`, { comment: "on my way" }));
  ok(await world.ask("POST", `${path}/assign`, { assignee: "bob" }));
  ok(await world.ask("POST", `${path}/snooze`, { until: world.clock.now() + 60_000 }));
  const { alert, history, groups } = ok<AlertStory>(await world.ask("GET", path));
  assert.deepEqual(
    groups.map(({ muted }) => muted?.by),
    ["snooze"],
  );
  assert.deepEqual([alert.phase, alert.assignee, alert.labels], ["acknowledged", "bob", { site: "ulm" }]);
  assert.deepEqual(
    history.map(({ type, note }) => `${type} ${note?.slice(0, 9)}`),
    ["raised undefined", "acknowledged on my way", "assigned bob", "snoozed until 202"],
  );
  assert.ok(history.slice(1).every(({ by }) => by !== null && by !== ""));
  const found = async (query: string): Promise<number> =>
    ok<AlertPage>(await world.ask("GET", `/api/alerts?${query}`)).alerts.length;
  assert.deepEqual(
    [await found("phase=acknowledged"), await found("text=DOOR&severity=critical"), await found("assignee=ann")],
    [1, 1, 0],
  );
  assert.equal(await found(`after=${encodeURIComponent(id)}`), 0);
  ok(await world.ask("DELETE", `${path}/acknowledge`));
  assert.equal(ok<Alert>(await world.ask("POST", `${path}/resolve`, {})).state, "resolved");
  assert.deepEqual([await found("phase=resolved"), await found("phase=firing")], [1, 0]);
  assert.deepEqual(refusal(await world.ask("GET", "/api/alerts/none")), MISSING);
  assert.deepEqual(refusal(await world.ask("POST", `${path}/comment`, {})), INVALID);
});

test("silences: made by a person, listed, ended; and where an alert would go", async () => {
  await using world = await apiWorld();
  const draft = { matchers: ["rule=cpu_*"], endsAt: world.clock.now() + 3_600_000, comment: "new fan" };
  const { id, createdBy } = ok<Silence>(await world.ask("POST", "/api/alert-silences", draft));
  assert.notEqual(createdBy, "");
  const question = { rule: "cpu_high", thing: "pi", severity: "warning" };
  const muted = ok<AlertRouteAnswer>(await world.ask("POST", "/api/alert-route", question)).groups[0]!.muted;
  assert.equal(muted!.by, "silence");
  ok(await world.ask("DELETE", `/api/alert-silences/${id}`));
  const { silences, now } = ok<SilenceList>(await world.ask("GET", "/api/alert-silences"));
  assert.deepEqual([silences.length, silences[0]!.endsAt], [1, now]);
  assert.equal(ok<AlertRouteAnswer>(await world.ask("POST", "/api/alert-route", question)).groups[0]!.muted, null);
  assert.equal((await world.ask("POST", "/api/alert-silences", { ...draft, matchers: ["cpu"] })).status, 400);
  assert.deepEqual(refusal(await world.ask("DELETE", "/api/alert-silences/none")), MISSING);
});

test("an alert of the longest rule and thing names can be acknowledged", async () => {
  await using world = await apiWorld();
  const [rule, thing] = ["r".repeat(128), "t".repeat(128)];
  const actions = [{ alert: { severity: "info", summary: "x" } }];
  ok(await world.ask("POST", `/rules/${rule}`, { sql: "SELECT * FROM 'telemetry/#'", actions }));
  for (let i = 0; i < 50; i++) world.reading(thing, {}); // the rule begins at offset 42
  const { alerts } = ok<AlertPage>(await world.ask("GET", "/api/alerts"));
  const id = alerts.find((alert) => alert.rule === rule)!.id;
  ok(await world.ask("POST", `/api/alerts/${encodeURIComponent(id)}/acknowledge`));
});

// ── session, health, description ───────────────────────────────────────────────────────────────

test("logging in by token and by code, who I am, logging out", async () => {
  await using world = await apiWorld();
  assert.deepEqual(refusal(await world.askAs({}, "GET", "/api/session")), [
    401,
    "UNAUTHORIZED",
    "UnauthorizedException",
  ]);
  const { code } = ok<{ code: string }>(await world.ask("POST", "/api/login-codes"));
  for (const body of [{ token: TOKEN }, { code }]) {
    const login = await world.askAs({}, "POST", "/api/session", body);
    assert.equal(login.status, 204, login.text);
    const cookie = String(login.headers["set-cookie"]);
    assert.match(cookie, /^tw_session=[\w.-]+; Path=\/; Max-Age=604800; HttpOnly; SameSite=Strict$/);
    const info = ok<SessionInfo>(await world.askAs({ cookie }, "GET", "/api/session"));
    assert.deepEqual([info.user, info.version], ["administrator", "1.2.3"]);
    const out = await world.askAs({ cookie }, "DELETE", "/api/session");
    assert.deepEqual([out.status, /Max-Age=0/.test(String(out.headers["set-cookie"]))], [204, true]);
    assert.equal((await world.askAs({ cookie }, "GET", "/api/health")).status, 401);
  }
  assert.deepEqual(refusal(await world.askAs({}, "POST", "/api/session", { code })), [
    401,
    "LOGIN_CODE_INVALID",
    "UnauthorizedException",
  ]);
  for (const body of [{}, { token: "" }, { token: TOKEN, code }, { token: 5 }, { token: "x".repeat(600) }]) {
    assert.deepEqual(refusal(await world.askAs({}, "POST", "/api/session", body)), INVALID, JSON.stringify(body));
  }
});

test("a login code needs the token; a cookie alone cannot make one", async () => {
  await using world = await apiWorld();
  const cookie = `tw_session=${world.people.sessions.begin(null, "127.0.0.1", "").value}`;
  for (const headers of [{}, { cookie }, { authorization: "Bearer wrong" }]) {
    assert.equal((await world.askAs(headers, "POST", "/api/login-codes")).status, 401);
  }
});

test("health: one word for strangers, all of it for those who are logged in, 503 when it failed", async () => {
  await using world = await apiWorld();
  assert.deepEqual((await world.askAs({}, "GET", "/healthz")).text, "ok\n");
  world.health.now = {
    ...world.health.now,
    state: "degraded",
    parts: [{ name: "store", state: "degraded", detail: "secret detail" }],
  };
  assert.deepEqual(ok(await world.askAs({}, "GET", "/readyz")), { state: "degraded" });
  assert.deepEqual(ok(await world.ask("GET", "/api/health")), world.health.now);
  world.health.now = { ...world.health.now, state: "failed" };
  const failed = await world.askAs({}, "GET", "/readyz");
  assert.deepEqual([failed.status, failed.json], [503, { state: "failed" }]);
});

test("metrics are Prometheus text; the connection's facts; the OpenAPI document names every guarded route", async () => {
  await using world = await apiWorld();
  const metrics = await world.ask("GET", "/metrics");
  assert.match(String(metrics.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  assert.match(metrics.text, /^tidewire_registry_things 0$/m);
  assert.equal(ok(await world.ask("GET", "/api/connection"))["defaultPolicy"], "tidewire-default");
  const document = ok<{ openapi: string; paths: Record<string, unknown> }>(await world.ask("GET", "/api/openapi.json"));
  assert.match(document.openapi, /^3\.1/);
  const described = Object.keys(document.paths);
  const missing = served(world).filter((path) => !described.includes(path));
  assert.deepEqual(missing, []);
});

function served(world: ApiWorld): readonly string[] {
  const urls = world.api.routes.map(({ url }) => url.replace(/:([a-zA-Z]+)/g, "{$1}").replace(/(?<=[^/]\/)\*$/, "{*}"));
  return [...new Set(urls)].filter((url) => url !== "/*" && url !== "/api/openapi.json" && url !== "/api/live");
}
