import assert from "node:assert/strict";
import { test } from "node:test";
import { SimLogger } from "../../sim/world.ts";
import { LIMITS } from "../base/mod.ts";
import { connectionsWithin, descriptorLimit, withinDescriptors } from "./descriptors.ts";

test("connections leave room for files; where little is allowed, half of it", () => {
  assert.equal(connectionsWithin(1_048_576, 20_000), 20_000);
  assert.equal(connectionsWithin(Infinity, 20_000), 20_000);
  assert.equal(connectionsWithin(20_000, 20_000), 18_500);
  assert.equal(connectionsWithin(1_024, 20_000), 512);
});

test("a system that does not tell its limit has none", () => {
  assert.equal(descriptorLimit("/nowhere/limits"), Infinity);
  assert.ok(descriptorLimit() > 100);
});

test("too few descriptors: fewer connections and strangers, and a line that says how to have more", () => {
  const logger = new SimLogger();
  const { connectionsMax, greetingsMax } = LIMITS.mqtt;
  assert.equal(withinDescriptors(LIMITS, logger, 1_048_576), LIMITS);
  assert.equal(logger.lines.length, 0);
  for (const limit of [20_000, 1_024]) {
    const { mqtt } = withinDescriptors(LIMITS, logger, limit);
    assert.ok(mqtt.connectionsMax < connectionsMax && mqtt.connectionsMax > 300);
    assert.ok(mqtt.greetingsMax <= greetingsMax && mqtt.greetingsMax > 100);
    assert.ok(mqtt.connectionsMax + mqtt.greetingsMax < limit);
  }
  assert.match(String(logger.lines[0]?.fields["hint"]), /LimitNOFILE/);
});
