import assert from "node:assert/strict";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { createKeyAndCsr } from "../../../adapters/pki/mod.ts";
import { INVALID, MISSING, apiWorld, ok, refusal } from "../api.fixture.ts";
import type { ApiError } from "../contract.ts";

const POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}';

// ── things ────────────────────────────────────────────────────────────────────────────

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

// ── certificates, policies, attachments ───────────────────────────────────────────────

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

// ── rules ─────────────────────────────────────────────────────────────────────────────

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
