import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { days } from "../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { PolicyAnswer, PolicyVersions, PutPolicy } from "./api/contract.ts";
import { apiWorld } from "./api/api.fixture.ts";
import type { ApiWorld } from "./api/api.fixture.ts";

const certificateId = "ab".repeat(32);
let world: ApiWorld;
before(async () => {
  world = await apiWorld();
  const { registry, clock } = world;
  registry.things.create("pump-7");
  registry.certificates.register("PEM", {
    certificateId,
    serialNumber: "1",
    subject: { CommonName: ["pump-7"] },
    issuer: { CommonName: ["CA"] },
    notBefore: clock.now() - days(1),
    notAfter: clock.now() + days(30),
  });
  registry.things.attach("pump-7", certificateId);
  registry.policies.attach(DEFAULT_POLICY_NAME, certificateId);
});
after(() => world[Symbol.asyncDispose]());

async function ask(question: Record<string, unknown>): Promise<PolicyAnswer> {
  const answer = await world.ask("POST", "/api/policy-tests", question);
  assert.equal(answer.status, 200, answer.text);
  return answer.json as PolicyAnswer;
}

async function allow(body: Record<string, unknown>): Promise<PutPolicy> {
  const answer = await world.ask("POST", "/api/policy-allowances", { certificateId, ...body });
  assert.equal(answer.status, 200, answer.text);
  return answer.json as PutPolicy;
}

test("a test names the policy, its version and the statement that decided", async () => {
  const { allowed, decidedBy, clientId, thing } = await ask({
    thing: "pump-7",
    action: "Publish",
    resource: "telemetry/pump-7/x",
  });
  assert.deepEqual([allowed, clientId, thing], [true, "pump-7", "pump-7"]);
  assert.equal(decidedBy?.policy, DEFAULT_POLICY_NAME);
  assert.equal(decidedBy?.version, 1);
  assert.equal(decidedBy?.sid, "Report");
});

test("what is missing is said: the statement, the connection, the certificate's state", async () => {
  const other = await ask({ thing: "pump-7", action: "Publish", resource: "telemetry/pump-8/x" });
  assert.equal(other.allowed, false);
  assert.equal(other.decidedBy, null);
  assert.match(other.sentence, /no statement of the attached policies allows it/);
  const stranger = await ask({ certificateId, clientId: "x", action: "Publish", resource: "telemetry/x/y" });
  assert.match(stranger.notes.join(), /Connection\.Thing\.ThingName\} has no usable value/);
  assert.match(stranger.notes.join(), /cannot even connect as 'x'/);
  world.registry.certificates.updateStatus(certificateId, "INACTIVE");
  const inactive = await ask({ certificateId, action: "Connect", resource: "pump-7" });
  assert.match(inactive.notes.join(), /inactive/);
  world.registry.certificates.updateStatus(certificateId, "ACTIVE");
});

test("a document is tried without being put, alone or beside the others", async () => {
  const Statement = { Sid: "X", Effect: "Allow", Action: "iot:Publish", Resource: "arn:aws:iot:local:0:topic/x" };
  const document = JSON.stringify({ Version: "2012-10-17", Statement });
  const question = { thing: "pump-7", action: "Publish", document };
  const alone = await ask({ ...question, resource: "x" });
  assert.deepEqual([alone.allowed, alone.decidedBy?.sid, alone.decidedBy?.version], [true, "X", null]);
  assert.equal((await ask({ ...question, resource: "telemetry/pump-7/x" })).allowed, false);
  assert.equal((await ask({ ...question, beside: true, resource: "telemetry/pump-7/x" })).allowed, true);
  assert.equal((await ask({ thing: "pump-7", action: "Publish", resource: "x" })).allowed, false);
  const wrong = await world.ask("POST", "/api/policy-tests", { ...question, resource: "x", document: "{}" });
  assert.equal(wrong.status, 400);
});

test("allowing allows exactly that, to this certificate alone, and nothing that the topic's name could mean", async () => {
  const { policyName } = await allow({ action: "Publish", resource: "x/*/$y" });
  const may = async (action: string, resource: string): Promise<boolean> =>
    (await ask({ thing: "pump-7", action, resource })).allowed;
  assert.ok(await may("Publish", "x/*/$y"));
  assert.ok(!(await may("Publish", "x/1/$y")));
  assert.ok(!(await may("RetainPublish", "x/*/$y")));
  await allow({ action: "Publish", resource: "z" });
  await allow({ action: "Publish", resource: "z" });
  await allow({ action: "Publish", retain: true, resource: "r" });
  await allow({ action: "Subscribe", resource: "a/+/#" });
  for (const [action, resource] of [
    ["Publish", "z"],
    ["RetainPublish", "r"],
    ["Subscribe", "a/+/#"],
  ] as const)
    assert.ok(await may(action, resource), `${action} ${resource}`);
  const targets = await world.ask("POST", `/policy-targets/${policyName}`);
  assert.match(targets.text, new RegExp(certificateId));
  const document = JSON.parse(world.registry.policies.describe(policyName).document) as { Statement: unknown[] };
  assert.equal(document.Statement.length, 3, "what is alike stands together, and nothing twice");
});

test("devices that log in with a password or a token: what counts for them, in both questions", async () => {
  const { registry } = world;
  registry.things.create("meter");
  const question = { thing: "meter", action: "Publish", resource: "telemetry/meter/x" };
  const nobody = await world.ask("POST", "/api/policy-tests", { ...question, login: "password" });
  assert.equal(nobody.status, 404, nobody.text);
  registry.passwords.set("meter", "hash");
  const withPassword = { ...question, login: "password" };
  const before = await ask(withPassword);
  assert.deepEqual([before.allowed, before.certificateId, before.principal], [false, null, "password/meter"]);
  registry.policies.attach(DEFAULT_POLICY_NAME, "password/meter");
  const after = await ask(withPassword);
  assert.deepEqual([after.allowed, after.decidedBy?.policy, after.thing], [true, DEFAULT_POLICY_NAME, "meter"]);
  const withToken = { ...question, login: "token" };
  assert.equal((await ask(withToken)).allowed, false);
  assert.equal((await ask({ ...withToken, tokenPolicies: [DEFAULT_POLICY_NAME] })).allowed, true);
  const unbound = { ...withToken, thing: undefined, clientId: "any", tokenPolicies: [DEFAULT_POLICY_NAME] };
  assert.equal((await ask(unbound)).allowed, false, "the policy asks for a thing");
  const unknown = await world.ask("POST", "/api/policy-tests", { ...withToken, tokenPolicies: ["none"] });
  assert.equal(unknown.status, 404);

  const authInfos = [{ actionType: "PUBLISH", resources: ["arn:aws:iot:local:000000000000:topic/telemetry/meter/x"] }];
  const decision = async (principal: string, more: object = {}): Promise<unknown> => {
    const { json, status } = await world.ask("POST", "/test-authorization", { principal, authInfos, ...more });
    return status === 200 ? (json as { authResults: { authDecision: string }[] }).authResults[0]!.authDecision : status;
  };
  assert.equal(await decision("password/meter"), "ALLOWED");
  assert.equal(await decision("password/nobody"), 404);
  assert.equal(await decision("jwt/meter"), "IMPLICIT_DENY");
  assert.equal(await decision("jwt/meter", { policyNamesToAdd: [DEFAULT_POLICY_NAME] }), "ALLOWED");
  assert.equal(await decision("jwt/nobody"), 404);
});

test("who may look at policies may test, and may not allow", async () => {
  for (const url of ["/api/policy-tests", "/api/policy-allowances"])
    assert.equal((await world.askAs({}, "POST", url, {})).status, 401);
  const unknown = { certificateId: "0".repeat(64), action: "Connect", resource: "x" };
  assert.equal((await world.ask("POST", "/api/policy-tests", unknown)).status, 404);
  assert.equal((await world.ask("POST", "/api/policy-allowances", unknown)).status, 404);
});

test("a policy is put, and its versions are listed", async () => {
  const put = async (resource: string): Promise<PutPolicy> => {
    const Statement = { Effect: "Allow", Action: "iot:Connect", Resource: resource };
    const policyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
    const answer = await world.ask("PUT", "/api/policies/some", { policyDocument });
    assert.equal(answer.status, 200, answer.text);
    return answer.json as PutPolicy;
  };
  const first = await put("arn:aws:iot:local:0:client/a");
  const second = await put("*");
  assert.deepEqual([first.version, second.version], [1, 2]);
  const { versions } = (await world.ask("GET", "/api/policies/some/versions")).json as PolicyVersions;
  assert.deepEqual(
    versions.map(({ version, isDefault }) => [version, isDefault]),
    [
      [1, false],
      [2, true],
    ],
  );
});
