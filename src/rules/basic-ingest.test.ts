import assert from "node:assert/strict";
import { test } from "node:test";
import { asRuleSees, ingestOf } from "../base/mod.ts";
import { Receiver, World, messageOf } from "./rules.fixture.ts";

test("the prefix names the rule, and is not part of the topic that it sees", () => {
  const nothing = new Uint8Array();
  for (const [topic, ruleName, rest] of [
    ["$aws/rules/r/a/b", "r", "a/b"],
    ["$aws/rules/r/a", "r", "a"],
    ["$aws/rules/r//", "r", "/"],
    ["$aws/rules/r/", "r", ""],
    ["$aws/rules/r", "r", ""],
    ["$aws/rules/", "", ""],
  ] as const) {
    assert.deepEqual(ingestOf(topic), { ruleName, rest }, topic);
    assert.equal(asRuleSees(messageOf(topic, nothing)).topic, rest);
  }
  for (const topic of ["a/b", "$aws/rulesr/a", "a/$aws/rules/r", "$aws/things/t/shadow/get"]) {
    assert.equal(ingestOf(topic), null, topic);
    assert.equal(asRuleSees(messageOf(topic, nothing)).topic, topic);
  }
});

test("the named rule alone sees the message, whatever its filter, with topic(n) shifted", async () => {
  const receiver = await Receiver.start();
  const world = await World.start();
  const actions = [{ webhook: { url: receiver.url } }];
  world.rules.put("named", { sql: "SELECT topic() AS t, topic(2) AS second, v FROM 'elsewhere'", actions }, 0);
  world.rules.put("everything", { sql: "SELECT 'wrong' AS t FROM '#'", actions }, 0);
  world.rules.put("rest", { sql: "SELECT 'wrong' AS t FROM 'a/b'", actions }, 0);
  world.rules.put("literal", { sql: "SELECT 'wrong' AS t FROM '$aws/rules/#'", actions }, 0);
  assert.equal(world.rules.wants("$aws/rules/named/a/b"), true);
  world.publish("$aws/rules/named/a/b", { v: 1 });
  world.publish("$aws/rules/named", { v: 2 });
  await world.pass(1000);
  assert.deepEqual(
    receiver.received.map(({ body }) => JSON.parse(body) as unknown),
    [
      { t: "a/b", second: "b", v: 1 },
      { t: "", v: 2 },
    ],
  );
  await world.close();
  await receiver.down();
});

test("a rule that nobody has made is counted, told of once a minute, and starts with the rule's making", async () => {
  const world = await World.start();
  const notFound = (): number => world.metrics.value("tidewire_rules_not_found_total");
  const matched = (): number => world.metrics.value("tidewire_rule_matches_total");
  assert.equal(world.rules.wants("$aws/rules/r/a"), true, "it is decoded to be counted");
  for (let i = 0; i < 3; i++) world.publish("$aws/rules/r/a", {});
  assert.equal(notFound(), 3);
  assert.equal(world.logger.lines.filter(({ message }) => message.includes("does not exist")).length, 1);
  const alert = { severity: "info", summary: "s" };
  world.rules.put("r", { sql: "SELECT * FROM 'x'", actions: [{ alert }] }, 3);
  world.publish("$aws/rules/r/a", {});
  assert.deepEqual([notFound(), matched()], [3, 1]);
  world.rules.disable("r");
  assert.equal(world.rules.wants("$aws/rules/r/a"), false, "it exists");
  world.publish("$aws/rules/r/a", {});
  assert.deepEqual([notFound(), matched()], [3, 1]);
  await world.close();
});
