/**
 * Overload: publishers that send as fast as the sockets take it, far beyond what one core serves, beside a small client whose
 * round trips are watched. Compares accepted work and memory during the overload with those at the start, and how soon all is
 * as before.
 */
import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { freePort } from "../free-port.ts";
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
} from "../processes.ts";
import type { Platform } from "../processes.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import type { LoadRequest } from "./load.ts";
import { prober } from "./overload-prober.ts";

const SAMPLE_MS = 2_000;
/** Memory at the beginning is that of this first part; the work that is compared with the peak comes after it. */
const START_PART = 0.2;
/** Peak is the most that was accepted on average in any stretch of this length: one lucky sample is not what it can do. */
const PEAK_MS = 10_000;

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

/** Messages per second between two samples. */
function rateBetween(from: Sample, to: Sample): number {
  return ((to.received - from.received) * 1000) / (to.atMs - from.atMs);
}

function peakOf(samples: readonly Sample[]): number {
  const stretches = samples.map((from) => {
    const to = samples.find(({ atMs }) => atMs >= from.atMs + PEAK_MS);
    return to === undefined ? 0 : rateBetween(from, to);
  });
  return Math.max(...stretches);
}

export async function overload(seconds: number, qos: 0 | 1): Promise<Row[]> {
  return withFolder(async (folder) => {
    const listen = ["--listen", `mqtt://127.0.0.1:${await freePort()}?auth=none`];
    const platform = await startPlatform(join(folder, "platform"), { core: SERVER_CORE, flags: listen });
    const probe = await prober(Number(new URL(platform.listen[0]!).port));
    await pause(5_000);
    const calm = probe.takeSlowest();
    const idle = memoryOf(platform.pid).rss;
    const samples = await underLoad(platform, folder, seconds, qos, () => probe.takeSlowest());
    const backAfter = await calmAgain(() => probe.takeSlowest(), Math.max(20, 2 * calm));
    probe.close();
    await platform.stop();
    return rowsOf(samples, { qos, seconds, idle, calm, backAfter });
  });
}

async function underLoad(
  platform: Platform,
  folder: string,
  seconds: number,
  qos: 0 | 1,
  takeSlowest: () => number,
): Promise<Sample[]> {
  const address = { host: "127.0.0.1", port: Number(new URL(platform.listen[0]!).port) };
  const shape = { topology: "fan-in", qos, publishers: 100, subscribers: 1, window: 64, payload: 100 } as const;
  const request: LoadRequest = { ...shape, seconds, publishAt: address, subscribeAt: address };
  const path = join(folder, "load.json");
  await writeFile(path, JSON.stringify(request));
  const script = join(import.meta.dirname, "mqtt-load.ts");
  const load = { running: true };
  const startedAt = performance.now();
  const loaded = outputOf(start([process.execPath, script, path], { core: CLIENT_CORE })).finally(() => {
    load.running = false;
  });
  const samples: Sample[] = [];
  for (;;) {
    await pause(SAMPLE_MS);
    if (!load.running) break; // part of it was without load
    const sample = await sampled(platform, takeSlowest, startedAt);
    samples.push(sample);
    const rate = samples.length < 2 ? 0 : rateBetween(samples.at(-2)!, sample);
    const at = `${(sample.atMs / 1000).toFixed(0)} s: ${rate.toFixed(0)} msg/s`;
    tell(`${at}, ${sample.rss.toFixed(0)} MiB, slowest ${sample.slowestMs.toFixed(0)} ms`);
  }
  await loaded;
  return samples;
}

/** Seconds until a round trip is as quick as before; 30 where it is not by then. */
async function calmAgain(takeSlowest: () => number, quickMs: number): Promise<number> {
  for (let waited = 1; waited <= 30; waited++) {
    takeSlowest();
    await pause(1_000);
    if (takeSlowest() <= quickMs) return waited;
  }
  return 30;
}

interface Around {
  readonly qos: 0 | 1;
  readonly seconds: number;
  /** MiB before the load. */
  readonly idle: number;
  /** Slowest round trip before the load, ms. */
  readonly calm: number;
  readonly backAfter: number;
}

function rowsOf(samples: readonly Sample[], { qos, seconds, idle, calm, backAfter }: Around): Row[] {
  const end = samples.at(-1)!.atMs;
  const split = end * START_PART;
  const peak = peakOf(samples);
  const sustained = rateBetween(
    samples.find(({ atMs }) => atMs >= split)!,
    samples.at(-1)!,
  );
  const atStart = Math.max(...samples.filter(({ atMs }) => atMs <= split).map(({ rss }) => rss));
  const atMost = Math.max(...samples.map(({ rss }) => rss));
  const slowest = median(samples.map(({ slowestMs }) => slowestMs));
  const of = `overload at QoS ${qos} for ${seconds} s`;
  return [
    {
      claim: `${of}: accepted work`,
      unit: "× peak",
      must: { atLeast: 0.9 },
      runs: [sustained / peak],
      peer: `${figure(sustained)} msg/s on average, ${figure(peak)} in the best 10 s`,
    },
    {
      claim: "… memory",
      unit: "× its beginning",
      must: { below: 1.2 },
      runs: [atMost / atStart],
      peer: `${figure(idle)} MiB idle, ${figure(atStart)} at the beginning, ${figure(atMost)} at most`,
    },
    {
      claim: "… back to normal after",
      unit: "s",
      must: { below: 10 },
      runs: [backAfter],
      peer: `a neighbour's slowest round trip: ${figure(calm)} ms before, ${figure(slowest)} ms during`,
    },
  ];
}
