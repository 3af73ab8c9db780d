import assert from "node:assert/strict";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { createKeyAndCsr } from "../../adapters/pki/mod.ts";
import { TOKEN, apiWorld, unavailable } from "./api.fixture.ts";
import type { Answer, ApiWorld } from "./api.fixture.ts";
import type {
  Alert,
  AlertPage,
  AlertRouteAnswer,
  AlertStory,
  ApiError,
  FleetPage,
  SeriesResult,
  SessionInfo,
  Silence,
  SilenceList,
  ThingDetail,
} from "./contract.ts";

const POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}';

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the shape of the answer
function ok<T = Record<string, unknown>>(answer: Answer): T {
  assert.equal(answer.status, 200, answer.text);
  return answer.json as T;
}

/** Status, our code and AWS's exception. */
function refusal({ status, headers, json }: Answer): readonly unknown[] {
  return [status, (json as ApiError).code, headers["x-amzn-errortype"]];
}

const MISSING = [404, "NOT_FOUND", "ResourceNotFoundException"];
const INVALID = [400, "REQUEST_INVALID", "InvalidRequestException"];

// ── AWS IoT: things ────────────────────────────────────────────────────────────────────────────

test("things: create, create again, describe, update with versions, delete, as AWS's SDK sends it", async () => {
  await using world = await apiWorld();
  const { ask } = world;
  const made = ok(
    await ask("POST", "/things/dev1", { attributePayload: { attributes: { k: "v" }, merge: true }, notKnown: "x" }),
  );
  assert.deepEqual(Object.keys(made).sort(), ["thingArn", "thingId", "thingName"]);
  assert.deepEqual(ok(await ask("POST", "/things/dev1", { attributePayload: { attributes: { k: "v" } } })), made);
  assert.deepEqual(refusal(await ask("POST", "/things/dev1", {})), [
    409,
    "ALREADY_EXISTS",
    "ResourceAlreadyExistsException",
  ]);
  const described = ok(await ask("GET", "/things/dev1"));
  assert.deepEqual(described, {
    ...made,
    defaultClientId: "dev1",
    attributes: { k: "v" },
    version: 1,
  });
  const update = {
    attributePayload: { attributes: { k: "", z: "1" }, merge: true },
    expectedVersion: 1,
    removeThingType: false,
  };
  assert.deepEqual(ok(await ask("PATCH", "/things/dev1", update)), {});
  const { attributes, version } = ok<{ attributes: object; version: number }>(await ask("GET", "/things/dev1"));
  assert.deepEqual([attributes, version], [{ z: "1" }, 2]);
  assert.deepEqual(refusal(await ask("PATCH", "/things/dev1", update)), [
    409,
    "VERSION_CONFLICT",
    "VersionConflictException",
  ]);
  assert.deepEqual(refusal(await ask("DELETE", "/things/dev1?expectedVersion=1")), [
    409,
    "VERSION_CONFLICT",
    "VersionConflictException",
  ]);
  assert.deepEqual(ok(await ask("DELETE", "/things/dev1?expectedVersion=2")), {});
  assert.deepEqual(refusal(await ask("GET", "/things/dev1")), MISSING);
  assert.deepEqual(refusal(await ask("PATCH", "/things/dev1", {})), MISSING);
  assert.deepEqual(ok(await ask("POST", "/things/no-body-at-all"))["thingName"], "no-body-at-all");
});

test("things: names that AWS does not allow, also percent-encoded, and wrong bodies are refused", async () => {
  await using world = await apiWorld();
  for (const name of ["dev%201%3Aa", "%C3%BC", "a%2Fb", "x".repeat(129)]) {
    assert.deepEqual(refusal(await world.ask("POST", `/things/${name}`, {})), INVALID, name);
  }
  assert.equal((await world.ask("POST", "/things/dev%3A1", {})).status, 200, "a colon is allowed");
  for (const body of [{ attributePayload: { attributes: { a: 1 } } }, { attributePayload: [] }, { thingTypeName: 5 }]) {
    assert.deepEqual(refusal(await world.ask("POST", "/things/a", body)), INVALID, JSON.stringify(body));
  }
  assert.deepEqual(refusal(await world.ask("PATCH", "/things/dev%3A1", { expectedVersion: "x" })), INVALID);
  assert.deepEqual(refusal(await world.ask("DELETE", "/things/dev%3A1?expectedVersion=x")), INVALID);
});

test("things: listing by pages and by attribute", async () => {
  await using world = await apiWorld();
  for (const name of ["a", "b", "c"])
    world.registry.things.create(name, { attributes: { site: name === "c" ? "north" : "south" } });
  const first = ok<{ things: { thingName: string }[]; nextToken: string }>(
    await world.ask("GET", "/things?maxResults=2"),
  );
  assert.deepEqual(
    first.things.map((thing) => thing.thingName),
    ["a", "b"],
  );
  const second = ok<typeof first>(
    await world.ask("GET", `/things?maxResults=2&nextToken=${encodeURIComponent(first.nextToken)}`),
  );
  assert.deepEqual([second.things.map((thing) => thing.thingName), second.nextToken], [["c"], undefined]);
  const found = ok<typeof first>(
    await world.ask("GET", "/things?attributeName=site&attributeValue=no&usePrefixAttributeValue=true"),
  );
  assert.deepEqual(
    found.things.map((thing) => thing.thingName),
    ["c"],
  );
  for (const query of ["attributeValue=x", "maxResults=0", "maxResults=251", "maxResults=x", "nextToken=forged"]) {
    assert.deepEqual(refusal(await world.ask("GET", `/things?${query}`)), INVALID, query);
  }
});

// ── AWS IoT: certificates, policies, attachments ───────────────────────────────────────────────

test("certificates: with a key made here, by signing request, their life cycle, and what is refused", async () => {
  await using world = await apiWorld();
  const { ask } = world;
  type Made = {
    certificateId: string;
    certificateArn: string;
    certificatePem: string;
    keyPair: { PublicKey: string; PrivateKey: string };
  };
  const withKey = ok<Made>(await ask("POST", "/keys-and-certificate?setAsActive=true"));
  const x509 = new X509Certificate(withKey.certificatePem);
  assert.ok(x509.checkPrivateKey(createPrivateKey(withKey.keyPair.PrivateKey)));
  assert.match(withKey.keyPair.PublicKey, /BEGIN PUBLIC KEY/);
  assert.ok(x509.checkIssued(new X509Certificate(world.authority.issuingChain[0]!)));
  const { csrPem } = await createKeyAndCsr("pump");
  const byCsr = ok<Made>(await ask("POST", "/certificates", { certificateSigningRequest: csrPem }));
  assert.equal("keyPair" in byCsr, false);
  const path = `/certificates/${byCsr.certificateId}`;
  const describe = async (): Promise<Record<string, unknown>> =>
    ok<{ certificateDescription: Record<string, unknown> }>(await ask("GET", path)).certificateDescription;
  assert.deepEqual(
    [(await describe())["status"], (await describe())["certificatePem"]],
    ["INACTIVE", byCsr.certificatePem],
  );
  assert.deepEqual(ok(await ask("PUT", `${path}?newStatus=ACTIVE`)), {});
  assert.equal((await describe())["status"], "ACTIVE");
  assert.deepEqual(refusal(await ask("DELETE", path)), [406, "CERTIFICATE_STATE", "CertificateStateException"]);
  assert.deepEqual(ok(await ask("PUT", `${path}?newStatus=REVOKED`)), {});
  assert.deepEqual(ok(await ask("DELETE", path)), {});
  assert.deepEqual(refusal(await ask("GET", path)), MISSING);
  type List = { certificates: { certificateId: string }[] };
  const list = ok<List>(await ask("GET", "/certificates?isAscendingOrder=true&pageSize=5"));
  assert.deepEqual(
    list.certificates.map((certificate) => certificate.certificateId),
    [withKey.certificateId],
  );
  assert.deepEqual(refusal(await ask("PUT", `/certificates/${withKey.certificateId}?newStatus=GREAT`)), INVALID);
  assert.deepEqual(refusal(await ask("POST", "/certificates", {})), INVALID);
  assert.deepEqual(refusal(await ask("POST", "/certificates", { certificateSigningRequest: "CSR" })), [
    400,
    "CERTIFICATE_REFUSED",
    "InvalidRequestException",
  ]);
  assert.deepEqual(
    refusal(await ask("POST", "/certificates", { certificateSigningRequest: "x".repeat(17_000) })),
    INVALID,
  );
  for (const id of ["a".repeat(64), "not-hex", "..%2F.."]) {
    assert.ok([400, 404].includes((await ask("GET", `/certificates/${id}`)).status), id);
  }
});

test("policies and attachments: the whole way of a device into the registry and out again", async () => {
  await using world = await apiWorld();
  const { ask } = world;
  const policy = ok(await ask("POST", "/policies/p1", { policyDocument: POLICY }));
  assert.deepEqual([policy["policyName"], policy["policyDocument"], policy["policyVersionId"]], ["p1", POLICY, "1"]);
  assert.equal(ok(await ask("GET", "/policies/p1"))["defaultVersionId"], "1");
  const names = async (url: string, method: "GET" | "POST"): Promise<string[]> =>
    ok<{ policies: { policyName: string }[] }>(await ask(method, url)).policies.map((one) => one.policyName);
  assert.deepEqual(await names("/policies?pageSize=10", "GET"), ["p1", "tidewire-default"]);
  assert.deepEqual(refusal(await ask("POST", "/policies/p1", { policyDocument: POLICY })), [
    409,
    "ALREADY_EXISTS",
    "ResourceAlreadyExistsException",
  ]);
  assert.deepEqual(refusal(await ask("POST", "/policies/p2", { policyDocument: "{}" })), [
    400,
    "POLICY_INVALID",
    "MalformedPolicyException",
  ]);
  assert.deepEqual(refusal(await ask("GET", "/policies/nope")), MISSING);

  ok(await ask("POST", "/things/dev1", {}));
  const { certificateArn } = ok<{ certificateArn: string }>(
    await ask("POST", "/keys-and-certificate?setAsActive=true"),
  );
  const principal = { "x-amzn-principal": certificateArn };
  assert.deepEqual(ok(await ask("PUT", "/things/dev1/principals", undefined, principal)), {});
  assert.deepEqual(ok(await ask("PUT", "/target-policies/p1", { target: certificateArn })), {});
  assert.deepEqual(ok(await ask("GET", "/things/dev1/principals"))["principals"], [certificateArn]);
  assert.deepEqual(ok(await ask("GET", "/principals/things", undefined, principal))["things"], ["dev1"]);
  const attached = `/attached-policies/${encodeURIComponent(certificateArn)}?recursive=true`;
  assert.deepEqual(await names(attached, "POST"), ["p1"]);
  assert.deepEqual(ok(await ask("POST", "/policy-targets/p1"))["targets"], [certificateArn]);

  assert.deepEqual(refusal(await ask("DELETE", "/things/dev1")), [
    400,
    "THING_HAS_PRINCIPALS",
    "InvalidRequestException",
  ]);
  assert.deepEqual(refusal(await ask("DELETE", "/policies/p1")), [409, "STILL_IN_USE", "DeleteConflictException"]);
  assert.deepEqual(ok(await ask("POST", "/target-policies/p1", { target: certificateArn })), {});
  assert.deepEqual(ok(await ask("DELETE", "/things/dev1/principals", undefined, principal)), {});
  assert.deepEqual(ok(await ask("DELETE", "/policies/p1")), {});
  assert.deepEqual(ok(await ask("DELETE", "/things/dev1")), {});

  for (const [method, url] of [
    ["PUT", "/things/dev1/principals"],
    ["DELETE", "/things/dev1/principals"],
    ["GET", "/principals/things"],
  ] as const) {
    assert.deepEqual(refusal(await ask(method, url)), INVALID, "without the header");
  }
  assert.deepEqual(
    refusal(await ask("PUT", "/target-policies/tidewire-default", { target: "arn:aws:iot:x:1:cert/zz" })).slice(0, 1),
    [400],
  );
  assert.deepEqual(refusal(await ask("PUT", "/target-policies/nope", { target: certificateArn })), MISSING);
});

// ── AWS IoT: rules ─────────────────────────────────────────────────────────────────────────────

const RULE = {
  sql: "SELECT temperature FROM 'a/+/b' WHERE temperature > 50",
  actions: [{ webhook: { url: "https://hooks.example/x", secret: `whsec_${Buffer.alloc(32).toString("base64")}` } }],
};

test("rules: create, get without secrets, replace, disable, enable, list by topic, delete", async () => {
  await using world = await apiWorld();
  const { ask } = world;
  assert.deepEqual(ok(await ask("POST", "/rules/r1", RULE)), {});
  assert.deepEqual(refusal(await ask("POST", "/rules/r1", RULE)), [
    409,
    "ALREADY_EXISTS",
    "ResourceAlreadyExistsException",
  ]);
  const got = await ask("GET", "/rules/r1");
  assert.equal(ok<{ rule: { sql: string } }>(got).rule.sql, RULE.sql);
  assert.doesNotMatch(got.text, /whsec_/);
  assert.equal(world.rules.get("r1")!.fromOffset, 42, "it sees messages from now on");
  type List = { rules: { ruleName: string; ruleDisabled: boolean; topicPattern: string }[] };
  const list = async (query: string): Promise<string[]> =>
    ok<List>(await ask("GET", `/rules${query}`)).rules.map((rule) => rule.ruleName);
  assert.ok((await list("")).length > 3);
  assert.deepEqual(await list("?topic=a%2Fx%2Fb"), ["r1"]);
  assert.deepEqual(ok(await ask("POST", "/rules/r1/disable")), {});
  assert.deepEqual(await list("?ruleDisabled=true"), ["r1"]);
  assert.deepEqual(ok(await ask("POST", "/rules/r1/enable")), {});
  assert.deepEqual(await list("?ruleDisabled=true"), []);
  assert.deepEqual(ok(await ask("PATCH", "/rules/r1", { ...RULE, sql: "SELECT * FROM 'c'" })), {});
  assert.deepEqual(await list("?topic=c"), ["r1"]);
  assert.deepEqual(ok(await ask("DELETE", "/rules/r1")), {});
  for (const [method, url] of [
    ["GET", ""],
    ["DELETE", ""],
    ["PATCH", ""],
    ["POST", "/enable"],
    ["POST", "/disable"],
  ] as const) {
    assert.deepEqual(
      refusal(await ask(method, `/rules/r1${url}`, method === "PATCH" ? RULE : undefined)),
      MISSING,
      method + url,
    );
  }
});

test("rules: what is wrong with a document is told with its place; SQL with an excerpt and a caret", async () => {
  await using world = await apiWorld();
  const sql = await world.ask("POST", "/rules/bad", { sql: "SELECT a FORM 'x'", actions: [] });
  assert.deepEqual(refusal(sql), [400, "RULE_SQL_INVALID", "SqlParseException"]);
  const { message, fix } = sql.json as ApiError;
  assert.match(message, /line 1, column 10/);
  assert.match(message, /SELECT a FORM 'x'\n +\^/);
  assert.match(fix, /FROM/);
  for (const [body, at] of [
    [{ actions: [] }, /sql/],
    [{ ...RULE, actions: [{ webhook: {} }] }, /url/],
    [{ ...RULE, actions: [{ fax: {} }] }, /actions/],
    [{ ...RULE, more: 1 }, /more/],
    [[], /./],
  ] as const) {
    const answer = await world.ask("POST", "/rules/bad", body);
    assert.deepEqual(refusal(answer), [400, "RULE_INVALID", "InvalidRequestException"], answer.text);
    assert.match((answer.json as ApiError).message, at);
  }
  assert.equal((await world.ask("POST", "/rules/bad%20name", RULE)).status, 400);
  assert.deepEqual(refusal(await world.ask("GET", "/rules/bad")), MISSING, "nothing of it was kept");
});

// ── ours ───────────────────────────────────────────────────────────────────────────────────────

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
