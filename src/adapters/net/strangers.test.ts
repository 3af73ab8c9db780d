import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimLogger, SimMetrics } from "../../../sim/world.ts";
import { LIMIT_REACHED } from "../../broker/mod.ts";
import { ListenerRefusals } from "./listener-refusals.ts";
import { Strangers } from "./strangers.ts";

test("the stranger that has waited longest goes; who is known does not count any more", () => {
  const strangers = new Strangers<string>(2);
  assert.equal(strangers.add("a"), null);
  assert.equal(strangers.add("b"), null);
  strangers.delete("a");
  assert.equal(strangers.add("c"), null);
  assert.equal(strangers.add("d"), "b");
  assert.equal(strangers.size, 2);
});

test("a connection that a limit refuses counts for the limit too", () => {
  const metrics = new SimMetrics();
  const refusals = new ListenerRefusals("mqtts", { clock: new SimClock(), logger: new SimLogger(), metrics });
  refusals.refuse("192.0.2.1", "connections-per-address-full", "limit: 5 per address");
  refusals.refuse("192.0.2.1", "no-certificate", "the client sent no certificate");
  const reached = (limit: string): number => metrics.value(LIMIT_REACHED.name, { limit });
  assert.equal(reached("connectionsPerAddressMax"), 1);
  assert.throws(() => reached("connectionsMax"));
});
