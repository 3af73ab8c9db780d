import assert from "node:assert/strict";
import { test } from "node:test";
import type { FleetEntry } from "../../cloud/api/contract.ts";
import { headlineColumns, headlineValue } from "./headline.ts";

function entry(thingName: string, ...fields: string[]): FleetEntry {
  return {
    thingName,
    thingTypeName: null,
    attributes: {},
    presence: { state: "online", lastSeenAt: 0, disconnectReason: null, remoteAddress: null },
    activeAlerts: 0,
    headline: fields.map((field) => ({ measurement: "m", field, value: 1, time: 0 })),
  };
}

test("columns: what one asks of a machine first, then what most things have, at most three", () => {
  const entries = [entry("a", "humidity", "memory.percent"), entry("b", "humidity", "co2", "cpu.percent"), entry("c")];
  assert.deepEqual(
    headlineColumns(entries).map(({ label }) => label),
    ["CPU", "Memory", "Humidity"],
  );
  assert.deepEqual(headlineColumns([entry("c")]), []);
});

test("a thing without the value has none", () => {
  const [column] = headlineColumns([entry("a", "co2")]);
  assert.equal(headlineValue(entry("b", "humidity"), column!), null);
  assert.equal(headlineValue(entry("b", "co2"), column!)?.value, 1);
});
