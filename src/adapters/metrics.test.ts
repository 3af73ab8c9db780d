import assert from "node:assert/strict";
import { test } from "node:test";
import { PrometheusMetrics } from "./metrics.ts";

async function lines(metrics: PrometheusMetrics, name: string): Promise<string[]> {
  return (await metrics.render()).split("\n").filter((line) => line.startsWith(name));
}

test("counters are exact, however often and at once somebody scrapes", async () => {
  const metrics = new PrometheusMetrics();
  const counter = metrics.counter({ name: "tidewire_a_total", help: "A" });
  counter.value += 5;
  assert.deepEqual(await lines(metrics, "tidewire_a_total"), ["tidewire_a_total 5"]);
  assert.deepEqual(await lines(metrics, "tidewire_a_total"), ["tidewire_a_total 5"]);
  counter.value++;
  const scrapes = await Promise.all([1, 2, 3].map(() => lines(metrics, "tidewire_a_total")));
  for (const scrape of scrapes) assert.deepEqual(scrape, ["tidewire_a_total 6"]);
});

test("one family with labels: one line each, help and type once; values with quotes and line ends are escaped", async () => {
  const metrics = new PrometheusMetrics();
  for (const [reason, count] of [
    ["slow", 1],
    ['say "no"\n', 2],
  ] as const) {
    metrics.counter({ name: "tidewire_b_total", help: "B", labels: { reason } }).value = count;
  }
  assert.deepEqual(await lines(metrics, "tidewire_b_total"), [
    'tidewire_b_total{reason="slow"} 1',
    String.raw`tidewire_b_total{reason="say \"no\"\n"} 2`,
  ]);
  assert.deepEqual(await lines(metrics, "# HELP tidewire_b_total"), ["# HELP tidewire_b_total B"]);
  assert.deepEqual(await lines(metrics, "# TYPE tidewire_b_total"), ["# TYPE tidewire_b_total counter"]);
});

test("the same name and labels are the same counter; gauges go down, observed ones are asked at each scrape", async () => {
  const metrics = new PrometheusMetrics();
  const definition = { name: "tidewire_c_total", help: "C", labels: { a: "1" } };
  assert.equal(metrics.counter(definition), metrics.counter({ ...definition }));
  const gauge = metrics.gauge({ name: "tidewire_d", help: "D" });
  gauge.value = 7;
  gauge.value = -2;
  let asked = 0;
  metrics.observe({ name: "tidewire_e", help: "E" }, () => ++asked);
  assert.deepEqual(await lines(metrics, "tidewire_d"), ["tidewire_d -2"]);
  await metrics.render();
  assert.deepEqual(await lines(metrics, "tidewire_e"), ["tidewire_e 3"]);
});

test("two platforms in one process do not share numbers; process metrics are there", async () => {
  const [one, other] = [new PrometheusMetrics(), new PrometheusMetrics()];
  one.counter({ name: "tidewire_f_total", help: "F" }).value = 3;
  other.counter({ name: "tidewire_f_total", help: "F" }).value = 4;
  assert.deepEqual(await lines(one, "tidewire_f_total"), ["tidewire_f_total 3"]);
  assert.ok((await lines(one, "process_resident_memory_bytes")).length > 0);
  assert.deepEqual(one.describe(), [{ name: "tidewire_f_total", kind: "counter", help: "F" }]);
});

test("an observed gauge that is defined again takes the place of the old one", async () => {
  const metrics = new PrometheusMetrics();
  metrics.observe({ name: "tidewire_g", help: "G" }, () => 1);
  metrics.observe({ name: "tidewire_g", help: "G" }, () => 2);
  assert.deepEqual(await lines(metrics, "tidewire_g"), ["tidewire_g 2"]);
});
