import assert from "node:assert/strict";
import { test } from "node:test";
import { SimLogger, SimMetrics } from "../../../sim/world.ts";
import type { JsonObject } from "../../base/mod.ts";
import { TopicSchemas } from "./schema-kind.ts";

test("a field's unit is what a schema of its topic says, however deep; nothing where none does", () => {
  const broker = { examine: () => () => {} };
  const schemas = new TopicSchemas({ stored: [], broker, logger: new SimLogger(), metrics: new SimMetrics() });
  const cpu = { type: "object", properties: { percent: { type: "number", "x-unit": "%" } } };
  const schema = (topic: string, properties: JsonObject): JsonObject =>
    schemas.check("s", { topic, schema: { type: "object", properties } });
  const documents = new Map([
    ["a", schema("telemetry/+/weather", { t: { type: "number", "x-unit": "°C" }, odd: { "x-unit": 7 } })],
    ["b", schema("telemetry/+/system", { cpu })],
    ["c", schema("telemetry/#", { t: { "x-unit": "K" } })],
  ]);
  schemas.adopt(documents);
  assert.equal(schemas.unitOf("pi", "weather", "t"), "°C");
  assert.equal(schemas.unitOf("pi", "system", "cpu.percent"), "%");
  assert.equal(schemas.unitOf("pi", "system", "t"), "K");
  for (const field of ["odd", "cpu", "__proto__", "constructor.name"])
    assert.equal(schemas.unitOf("pi", "weather", field), null);
  documents.set("a", schema("telemetry/+/weather", { t: { type: "number", "x-unit": "°F" } }));
  schemas.adopt(documents);
  assert.equal(schemas.unitOf("pi", "weather", "t"), "°F", "another schema, another unit, at once");
});
