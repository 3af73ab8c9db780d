import assert from "node:assert/strict";
import { test } from "node:test";
import { ForgottenThings, thingOfTopic } from "./forgotten.ts";

const source = (topic: string, thing: string | null = null, clientId = "c") => ({ topic, thing, clientId });

test("a topic names a thing below the roots of the default policy, and nowhere else", () => {
  assert.equal(thingOfTopic("telemetry/pump-7/system"), "pump-7");
  assert.equal(thingOfTopic("telemetry/pump-7"), "pump-7");
  assert.equal(thingOfTopic("$aws/things/pump-7/shadow/update"), "pump-7");
  assert.equal(thingOfTopic("commands/pump-7/restart"), "pump-7");
  assert.equal(thingOfTopic("responses/pump-7/1"), "pump-7");
  assert.equal(thingOfTopic("factory/pump-7/x"), null);
  assert.equal(thingOfTopic("telemetry"), null);
});

test("what a thing published or is named by is left out below its offset; others' and later messages are not", () => {
  const forgotten = new ForgottenThings([{ thing: "pump-7", below: 10 }]);
  assert.equal(forgotten.end, 10);
  assert.equal(forgotten.skips(9, source("factory/x", "pump-7")), true);
  assert.equal(forgotten.skips(10, source("factory/x", "pump-7")), false);
  assert.equal(forgotten.skips(9, source("telemetry/pump-7/m", "gateway")), true, "said for it by a gateway");
  assert.equal(forgotten.skips(9, source("factory/x", null, "pump-7")), true, "a client without a thing is its name");
  assert.equal(forgotten.skips(9, source("factory/x", "other", "pump-7")), false, "its client id is not its name");
  assert.equal(forgotten.skips(9, source("telemetry/pump-70/m", "pump-70")), false);
});

test("forgotten twice, the later offset counts; nothing forgotten, nothing is left out", () => {
  const forgotten = new ForgottenThings();
  assert.equal(forgotten.skips(0, source("telemetry/a/m", "a")), false);
  forgotten.set([
    { thing: "a", below: 20 },
    { thing: "a", below: 10 },
  ]);
  assert.equal(forgotten.covers("a", 19), true);
  assert.equal(forgotten.covers("a", 20), false);
});
