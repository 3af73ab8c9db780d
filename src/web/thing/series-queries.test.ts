import assert from "node:assert/strict";
import { test } from "node:test";
import { planCharts } from "../charts/plan.ts";
import type { FieldInfo } from "../charts/plan.ts";
import { aggregateQueries, rawQueries } from "./series-queries.ts";

const field = (name: string, type: FieldInfo["type"] = "number"): FieldInfo => ({
  measurement: "m",
  field: name,
  type,
});
const parametersOf = (path: string): URLSearchParams => new URLSearchParams(path.slice(path.indexOf("?")));

test("windows: averages of all, bands of the strong lines, the last value of booleans", () => {
  const names = ["cpu.percent", "cpu.core0", "cpu.core1", "load.m1", "load.m5", "load.m15"];
  const { charts } = planCharts([...names.map((name) => field(name)), field("on", "boolean"), field("mode", "string")]);
  const asked = aggregateQueries("pump 1", charts, 1000.5, 9000, 10_000).map(({ path, aggregate }) => [
    aggregate,
    parametersOf(path).get("fields"),
  ]);
  assert.deepEqual(asked, [
    ["avg", "cpu.percent,cpu.core0,cpu.core1,load.m1,load.m5,load.m15"],
    ["min", "cpu.percent"],
    ["max", "cpu.percent"],
    ["last", "on"],
  ]);
});

test("raw points carry neither window nor aggregate, whole milliseconds, and the name as it is", () => {
  const { charts } = planCharts([field("a"), field("b")]);
  const [query] = rawQueries("pump & co", charts, 1000.5, 9000.1);
  assert.deepEqual(Object.fromEntries(parametersOf(query!.path)), {
    thing: "pump & co",
    measurement: "m",
    fields: "a,b",
    from: "1000",
    to: "9001",
  });
});

test("nothing is asked of an empty stretch, and never too many fields at once", () => {
  const { charts } = planCharts(Array.from({ length: 100 }, (_, i) => field(`f${i}`)));
  assert.deepEqual(rawQueries("t", charts, 5, 5), []);
  assert.equal(rawQueries("t", charts, 0, 5).length, 3);
});

test("a name with a comma cannot be asked for by name, so all fields are", () => {
  const { charts } = planCharts([field("a,b")]);
  assert.equal(parametersOf(rawQueries("t", charts, 0, 5)[0]!.path).has("fields"), false);
});
