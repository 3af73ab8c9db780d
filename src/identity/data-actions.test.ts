import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePolicy } from "./compiled-policy.ts";
import type { CompiledPolicy } from "./compiled-policy.ts";
import { BARE, REGISTERED, aws } from "./policy.fixture.ts";
import { parsePolicy } from "./policy-document.ts";

const THING = "${iot:Connection.Thing.ThingName}";

function policyOf(
  context: typeof BARE,
  ...statements: readonly (readonly [effect: string, action: string, resource: string])[]
): CompiledPolicy {
  const policies = statements.map(([Effect, Action, Resource], index) => {
    const document = { Version: "2012-10-17", Statement: [{ Effect, Action, Resource }] };
    return { name: `p${index}`, document: parsePolicy(JSON.stringify(document)) };
  });
  return compilePolicy(policies, context);
}

test("shadows are things to a policy, and named ones are below them", () => {
  const policy = policyOf(REGISTERED, ["Allow", "iot:GetThingShadow", aws(`thing/${THING}`)]);
  assert.equal(policy.allows("GetThingShadow", "sensor-7"), true);
  assert.equal(policy.allows("GetThingShadow", "sensor-7/cfg"), false);
  assert.equal(policy.allows("GetThingShadow", "sensor-8"), false);
  assert.equal(policy.allows("UpdateThingShadow", "sensor-7"), false);
  assert.equal(policy.publish("sensor-7", false), false);
});

test("a wildcard of actions and resources reaches HTTP's actions, and a Deny takes one away", () => {
  const policy = policyOf(
    REGISTERED,
    ["Allow", "iot:*", "*"],
    ["Deny", "iot:GetRetainedMessage", aws("topic/secret/*")],
  );
  assert.equal(policy.allows("GetRetainedMessage", "open/a"), true);
  assert.equal(policy.allows("GetRetainedMessage", "secret/a"), false);
  assert.equal(policy.allows("DeleteConnection", "c1"), true);
  assert.equal(policy.allows("ListNamedShadowsForThing", "x"), true);
});

test("a resource of a thing does not reach topics, nor one of topics a thing", () => {
  const policy = policyOf(REGISTERED, ["Allow", "iot:*", aws("thing/*")]);
  assert.deepEqual(
    [policy.publish("a", false), policy.connect("a"), policy.allows("GetThingShadow", "a")],
    [false, false, true],
  );
  const topics = policyOf(REGISTERED, ["Allow", "iot:*", aws("topic/*")]);
  assert.deepEqual([topics.publish("a", false), topics.allows("GetThingShadow", "a")], [true, false]);
});

test("weighing names every statement with a say, and the variables that had no value", () => {
  const policy = policyOf(
    BARE,
    ["Allow", "iot:Publish", aws("topic/a/*")],
    ["Allow", "iot:*", "*"],
    ["Deny", "iot:Publish", aws("topic/*/x")],
    ["Allow", "iot:Publish", aws(`topic/${THING}`)],
  );
  const names = (refs: readonly { readonly policy: string }[]): string[] => refs.map(({ policy: name }) => name);
  const weighed = policy.weigh("Publish", "a/x");
  assert.deepEqual([names(weighed.allows), names(weighed.denies)], [["p0", "p1"], ["p2"]]);
  assert.deepEqual(weighed.missing, ["iot:Connection.Thing.ThingName"]);
  assert.deepEqual(names(policy.weigh("Publish", "b").allows), ["p1"]);
  assert.deepEqual(policy.weigh("Subscribe", "$share/g/a").missing, []);
});

test("Basic Ingest for another thing: every question about it gives the same answer, and the explanation names what is missing", () => {
  const topic = "$aws/rules/r/telemetry/other/x";
  const ingest = ["Allow", "iot:Publish", aws("topic/$aws/rules/*")] as const;
  const without = policyOf(REGISTERED, ingest);
  assert.deepEqual([without.publish(topic, false), without.allows("Publish", topic)], [false, false]);
  const { allowed, sentence, notes } = without.explain("Publish", topic);
  assert.equal(allowed, false);
  assert.match(sentence, /iot:Publish on topic 'telemetry\/other\/x' is denied/);
  assert.match(notes.join(), /speak for another thing/);
  assert.deepEqual(without.weigh("Publish", topic).allows, []);
  const gateway = policyOf(REGISTERED, ingest, ["Allow", "iot:Publish", aws("topic/telemetry/*")]);
  assert.deepEqual([gateway.publish(topic, false), gateway.explain("Publish", topic).allowed], [true, true]);
  assert.deepEqual(
    gateway.weigh("Publish", topic).allows.map(({ policy }) => policy),
    ["p0", "p1"],
  );
  const denied = policyOf(REGISTERED, ["Allow", "iot:*", "*"], ["Deny", "iot:Publish", aws("topic/telemetry/*")]);
  assert.equal(denied.publish(topic, false), false);
  assert.equal(denied.weigh("Publish", topic).denies.length, 1);
});
