import assert from "node:assert/strict";
import { test } from "node:test";
import { SimMetrics } from "../../../sim/world.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { Latencies } from "./latencies.ts";

const definition = { name: "tidewire_test_seconds", help: "A test", labels: { kind: "webhook" } };

test("a bucket counts all that took no longer, the last one all of them", () => {
  const metrics = new SimMetrics();
  const latencies = new Latencies(metrics, definition);
  const upTo = (le: string): number => metrics.value("tidewire_test_seconds_bucket", { kind: "webhook", le });
  assert.equal(upTo("+Inf"), 0);
  latencies.add(1);
  latencies.add(1.5, 3);
  latencies.add(400);
  latencies.add(60_000);
  latencies.add(-5);
  assert.deepEqual(["0.001", "0.002", "0.2", "0.5", "10", "+Inf"].map(upTo), [2, 5, 5, 6, 6, 7]);
  assert.equal(metrics.value("tidewire_test_seconds_count", { kind: "webhook" }), 7);
  assert.equal(metrics.value("tidewire_test_seconds_sum", { kind: "webhook" }), 60.4055);
});

test("Prometheus reads it as a histogram", async () => {
  const metrics = new PrometheusMetrics();
  new Latencies(metrics, definition).add(3);
  const text = await metrics.render();
  assert.match(text, /^tidewire_test_seconds_bucket\{kind="webhook",le="0.002"\} 0$/m);
  assert.match(text, /^tidewire_test_seconds_bucket\{kind="webhook",le="0.005"\} 1$/m);
  assert.match(text, /^tidewire_test_seconds_count\{kind="webhook"\} 1$/m);
});
