/**
 * Overload: publishers that send as fast as the sockets take it, far beyond what one core serves, beside a small client whose
 * round trips are watched. `node bench/overload.ts [--seconds 300] [--publishers 100] [--qos 0] [--flag …]`. Compares accepted
 * work and memory during the overload with those at the start, and how soon all is as before.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort } from "./free-port.ts";
import {
  CLIENT_CORE,
  SERVER_CORE,
  memoryOf,
  outputOf,
  pause,
  start,
  startPlatform,
  tell,
  withFolder,
} from "./processes.ts";
import type { Platform } from "./processes.ts";
import { prober } from "./overload-prober.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "300" },
    publishers: { type: "string", default: "100" },
    qos: { type: "string", default: "0" },
    payload: { type: "string", default: "100" },
    flag: { type: "string", multiple: true, default: [] },
  },
});
const seconds = Number(values.seconds);
const SAMPLE_MS = 2_000;
/** Peak work and memory are those of this first part of the overload. */
const START_PART = 0.2;

interface Sample {
  readonly atMs: number;
  readonly received: number;
  readonly rss: number;
  readonly slowestMs: number;
}

async function metric(platform: Platform, name: string): Promise<number> {
  const response = await fetch(`${platform.http}/metrics`, {
    headers: { authorization: `Bearer ${platform.adminToken}` },
  });
  const text = await response.text();
  const lines = text.split("\n").filter((line) => line.startsWith(name) && !line.startsWith("#"));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

async function sampled(platform: Platform, takeSlowest: () => number, startedAt: number): Promise<Sample> {
  const received = await metric(platform, "tidewire_mqtt_messages_received_total");
  const { rss } = memoryOf(platform.pid);
  return { atMs: performance.now() - startedAt, received, rss, slowestMs: takeSlowest() };
}

function perSecond(samples: readonly Sample[], from: number, to: number): number[] {
  const rates: number[] = [];
  for (let i = 1; i < samples.length; i++) {
    const [before, now] = [samples[i - 1]!, samples[i]!];
    if (now.atMs < from || now.atMs > to) continue;
    rates.push(((now.received - before.received) * 1000) / (now.atMs - before.atMs));
  }
  return rates;
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;

await withFolder(async (folder) => {
  const listen = ["--listen", `mqtt://127.0.0.1:${await freePort()}?auth=none`, ...values.flag];
  const platform = await startPlatform(join(folder, "platform"), { core: SERVER_CORE, flags: listen });
  const port = new URL(platform.listen[0]!).port;
  const probe = await prober(Number(port));
  await pause(5_000);
  const calm = probe.takeSlowest();
  const idle = memoryOf(platform.pid).rss;
  const startedAt = performance.now();
  const script = join(import.meta.dirname, "fan-in-generator.ts");
  const own = ["127.0.0.1", port, values.qos, values.publishers, String(seconds), "64", values.payload];
  const load = { running: true };
  const loaded = outputOf(start([process.execPath, script, ...own], { core: CLIENT_CORE })).finally(() => {
    load.running = false;
  });
  const samples: Sample[] = [];
  while (load.running) {
    await pause(SAMPLE_MS);
    const sample = await sampled(platform, probe.takeSlowest, startedAt);
    samples.push(sample);
    const rate = perSecond(samples, sample.atMs, Infinity)[0] ?? 0;
    tell(
      `${(sample.atMs / 1000).toFixed(0)} s: ${rate.toFixed(0)} msg/s, ${sample.rss.toFixed(0)} MiB, slowest ${sample.slowestMs.toFixed(0)} ms`,
    );
  }
  await loaded;
  const endedAt = performance.now() - startedAt;
  let backAfter = Infinity;
  for (let waited = 0; waited < 30 && backAfter === Infinity; waited++) {
    probe.takeSlowest();
    await pause(1_000);
    if (probe.takeSlowest() <= Math.max(20, 2 * calm)) backAfter = waited + 1;
  }
  const split = endedAt * START_PART;
  const peak = Math.max(...perSecond(samples, 0, split));
  const sustained = median(perSecond(samples, split, endedAt));
  const atStart = Math.max(...samples.filter(({ atMs }) => atMs <= split).map(({ rss }) => rss));
  const atMost = Math.max(...samples.map(({ rss }) => rss));
  const result = {
    peakPerSecond: Math.round(peak),
    sustainedPerSecond: Math.round(sustained),
    accepted: Number((sustained / peak).toFixed(2)),
    idleMiB: Math.round(idle),
    startMiB: Math.round(atStart),
    mostMiB: Math.round(atMost),
    memory: Number((atMost / atStart).toFixed(2)),
    calmSlowestMs: Math.round(calm),
    slowestMs: Math.round(median(samples.map(({ slowestMs }) => slowestMs))),
    backToNormalAfterSeconds: backAfter,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  probe.close();
  await platform.stop();
});
process.exit(0);
