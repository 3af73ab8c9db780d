import assert from "node:assert/strict";
import { test } from "node:test";
import { planCharts } from "./plan.ts";
import type { FieldInfo } from "./plan.ts";

const numbers = (measurement: string, ...fields: string[]): FieldInfo[] =>
  fields.map((field) => ({ measurement, field, type: "number" }));

const SYSTEM = numbers(
  "system",
  "uptime.seconds",
  "cpu.core10",
  "cpu.core2",
  "cpu.percent",
  "load.m1",
  "load.m5",
  "load.m15",
  "memory.percent",
  "memory.usedBytes",
  "memory.totalBytes",
  "disk.percent",
  "disk.usedBytes",
  "disk.totalBytes",
  "network.rxBytesPerSecond",
  "network.txBytesPerSecond",
  "network.rxBytes",
  "network.txBytes",
);

test("a machine gets the charts that one asks for, in that order; temperature only where it has a sensor", () => {
  const titles = (fields: FieldInfo[]): string[] => planCharts(fields).charts.map((chart) => chart.title);
  assert.deepEqual(titles(SYSTEM), ["CPU", "Memory", "Network", "Load", "Disk"]);
  assert.deepEqual(titles([...SYSTEM, ...numbers("system", "temperature.celsius")]).at(-1), "Temperature");
});

test("cores stand faintly behind the total, core 2 before core 10", () => {
  const cpu = planCharts(SYSTEM).charts[0]!;
  assert.deepEqual(
    cpu.lines.map(({ label, role }) => [label, role]),
    [
      ["Total", "main"],
      ["Core 2", "faint"],
      ["Core 10", "faint"],
    ],
  );
});

test("other fields: one chart each, siblings of one parent and unit together, booleans as steps, strings as texts", () => {
  const plan = planCharts([
    ...numbers("plant", "pressure", "vibration.x", "vibration.y", "vibration.celsius"),
    { measurement: "plant", field: "running", type: "boolean" },
    { measurement: "plant", field: "mode", type: "string" },
  ]);
  assert.deepEqual(
    plan.charts.map(({ title, scale, lines }) => [title, scale, lines.length]),
    [
      ["Pressure", "free", 1],
      ["Vibration", "free", 1],
      ["Vibration", "free", 2],
      ["Running", "step", 1],
    ],
  );
  assert.deepEqual(
    plan.texts.map(({ field }) => field),
    ["mode"],
  );
});

test("no chart has more lines than one can tell apart, and none is lost", () => {
  const fields = Array.from({ length: 20 }, (_, i) => `cell.v${i}`);
  const { charts } = planCharts(numbers("battery", ...fields));
  assert.ok(charts.every((chart) => chart.lines.length <= 8));
  assert.deepEqual(
    charts.flatMap((chart) => chart.lines.map((line) => line.field)),
    fields,
  );
});

test("the same field in two measurements gives two charts with different ids", () => {
  const { charts } = planCharts([...numbers("a", "value"), ...numbers("b", "value")]);
  assert.equal(new Set(charts.map((chart) => chart.id)).size, 2);
  assert.deepEqual(
    charts.map((chart) => chart.title),
    ["A: Value", "B: Value"],
  );
});

test("units of schemas are the charts' units; fields of one parent with different ones are drawn apart", () => {
  const field = (name: string, unit?: string): FieldInfo => ({ measurement: "m", field: name, type: "number", unit });
  const { charts } = planCharts([
    field("flow", "l/min"),
    field("oven.t", "°C"),
    field("oven.p", "bar"),
    field("oven.q", "bar"),
  ]);
  assert.deepEqual(
    charts.map(({ unit, lines }) => [unit, lines.length]),
    [
      ["named l/min", 1],
      ["named bar", 2],
      ["celsius", 1],
    ],
  );
});
