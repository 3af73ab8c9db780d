/**
 * What questions cost: 1,000 devices × 4 metrics × 1,000 samples, and one device for a year, a sample a minute; as points
 * with rollups in several generations, sorted as compaction leaves them.
 * Run: node src/adapters/duckdb/query.bench.ts
 */
import { days, minutes, seconds } from "../../base/mod.ts";
import { PointBatch, parseSeriesQuery } from "../../telemetry/mod.ts";
import type { QueryParameters, SeriesResult } from "../../telemetry/mod.ts";
import { RolledUp } from "./rolled-up.scenario.ts";
import { START } from "./store.scenario.ts";

const DEVICES = 1_000;
const METRICS = ["cpu", "load", "memory", "temperature"];
const SAMPLES = 1_000;
const ROUNDS = 15;

/** One decimal, as most sensors have; sorted by series and time. */
function fleet(store: RolledUp): PointBatch {
  const batch = new PointBatch();
  for (let device = 0; device < DEVICES; device++) {
    const measurement = store.series.measurement(`dev-${device}`, "system");
    for (const [m, metric] of METRICS.entries()) {
      const id = store.series.resolve(measurement, metric, "number");
      for (let i = 0; i < SAMPLES; i++) {
        batch.add(id, START + i * seconds(10), Math.round(500 + 300 * Math.sin((i + device * 7 + m * 13) / 50)) / 10);
      }
    }
  }
  return batch;
}

function year(store: RolledUp): PointBatch {
  const batch = new PointBatch();
  const id = store.series.resolve(store.series.measurement("meter", "power"), "watts", "number");
  for (let i = 0; i < 365 * 1440; i++) {
    batch.add(id, START + i * minutes(1), Math.round(1000 + 800 * Math.sin(i / 230) + ((i * 7919) % 101)) / 10);
  }
  return batch;
}

async function time(store: RolledUp, what: string, parameters: QueryParameters): Promise<void> {
  const query = parseSeriesQuery(parameters, START + days(366));
  const times: number[] = [];
  const cpu: number[] = []; // what a busy machine changes least
  let result: SeriesResult | null = null;
  for (let round = 0; round < ROUNDS; round++) {
    const at = performance.now();
    const used = process.cpuUsage();
    result = await store.ask(query);
    times.push(performance.now() - at);
    const { user, system } = process.cpuUsage(used);
    cpu.push((user + system) / 1000);
  }
  for (const sample of [times, cpu]) sample.sort((a, b) => a - b);
  const points = result!.series.reduce((sum, one) => sum + one.times.length, 0);
  const median = times[ROUNDS >>> 1]!.toFixed(1);
  process.stdout.write(
    `${what.padEnd(62)} ${median.padStart(7)} ms (best ${times[0]!.toFixed(1)}; CPU ${cpu[ROUNDS >>> 1]!.toFixed(1)}), ${points} values, level ${result!.level}\n`,
  );
}

const store = await RolledUp.make();
store.believed = "true";
try {
  await store.add(fleet(store));
  await store.add(year(store));
  const day = { from: String(START), to: String(START + seconds(10) * SAMPLES) };
  const one = { ...day, thing: "dev-777", fields: "cpu" };
  await time(store, "one series, 5-minute averages", { ...one, window: "5m" });
  await time(store, "  … avg, min, max, count, first, last", {
    ...one,
    window: "5m",
    aggregate: "avg,min,max,count,first,last",
  });
  await time(store, "  … p50, p95, p99", { ...one, window: "5m", aggregate: "p50,p95,p99" });
  await time(store, "  … rate, integral, twa", { ...one, window: "5m", aggregate: "rate,integral,twa" });
  await time(store, "  … raw", one);
  const all = { ...day, things: "*", measurement: "system" };
  await time(store, "one metric by device, average of all time", { ...all, fields: "cpu", window: "all" });
  await time(store, "4 metrics by device, average of all time", { ...all, window: "all" });
  await time(store, "one metric by device, hourly averages", { ...all, fields: "cpu", window: "1h" });
  await time(store, "one metric of all devices together, 5-minute averages", {
    ...all,
    fields: "cpu",
    window: "5m",
    group: "all",
  });
  await time(store, "the 5 devices with the highest average, 5-minute averages", {
    ...all,
    fields: "cpu",
    window: "5m",
    top: "5",
  });
  await time(store, "one metric by device, p95 of all time", {
    ...all,
    fields: "cpu",
    window: "all",
    aggregate: "p95",
  });
  const long = { thing: "meter", from: String(START), to: String(START + days(365)) };
  await time(store, "one year of minutes, 1,000 points for a chart", { ...long, points: "1000" });
  await time(store, "  … one month of it", { ...long, to: String(START + days(30)), points: "1000" });
  await time(store, "  … daily averages", { ...long, window: "1d" });
  await time(store, "  … daily averages in Berlin", { ...long, window: "1d", tz: "Europe/Berlin" });
  await time(store, "  … hourly averages, gaps on a line", { ...long, window: "1h", fill: "linear" });
  await time(store, "  … daily consumption (integral)", { ...long, window: "1d", aggregate: "integral" });
  await time(store, "  … arithmetic over hours", { ...long, window: "1h", expr: "watts / 1000" });
} finally {
  store.close();
}
