/** PUBLISH → webhook request at 1,000 msg/s, open loop: a plain client, and a device over TLS with its own certificate. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { CLIENT_CORE, ROOT, SERVER_CORE, firstLine, outputOf, pause, start, startPlatform } from "./processes.ts";
import { tell, withFolder } from "./processes.ts";
import type { Seen } from "./latency-receiver.ts";
import type { Platform } from "./processes.ts";
import { figure, median, quantile } from "./report.ts";
import type { Row } from "./report.ts";

export interface LatencyOptions {
  readonly runs: number;
  readonly seconds: number;
  readonly rate: number;
  /** Messages a second at QoS 1 that no rule wants, over the plain listener, beside those that are measured. */
  readonly background?: number;
}

interface Result {
  /** How late the publisher was with what it sent, which counts as latency; milliseconds. */
  readonly lateP99: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** The first second of a run warms up compilers and connections. */
const WARM_UP_SECONDS = 2;
const LOAD_CLIENTS = 5;
const THING = "bench-device";
const TOPIC = `telemetry/${THING}/latency`;

export async function latency(options: LatencyOptions): Promise<Row[]> {
  return withFolder(async (folder) => {
    const listen = `mqtt://127.0.0.1:${await freePort()}?auth=none`;
    const data = join(folder, "platform");
    const platform = await startPlatform(data, { core: SERVER_CORE, flags: ["--listen", listen] });
    const device = join(folder, THING);
    const add = ["things", "add", THING, "--out", device, "--data", data];
    await outputOf(start([process.execPath, join(ROOT, "bin/tidewire.mjs"), ...add]));
    const plain: Result[] = [];
    const secure: Result[] = [];
    for (let run = 0; run < options.runs; run++) {
      plain.push(await measure(platform, platform.listen[0]!, [], options));
      secure.push(await measure(platform, platform.mqtts, [device], options));
    }
    await platform.stop();
    return [rowOf("plain listener", plain, options), rowOf("device over TLS", secure, options)];
  });
}

function rowOf(over: string, results: readonly Result[], { rate, background }: LatencyOptions): Row {
  const of = (key: keyof Result): string => figure(median(results.map((result) => result[key])));
  const beside = background === undefined ? "" : `, ${figure(background)} msg/s in the background`;
  return {
    claim: `PUBLISH → webhook request, p99 at ${figure(rate)} msg/s QoS 1, ${over}${beside}`,
    unit: "ms",
    must: { below: 10 },
    runs: results.map(({ p99 }) => p99),
    peer: `p50 ${of("p50")}, p99.9 ${of("p999")}, max ${of("max")}; open loop, sent late by p99 ${of("lateP99")}`,
  };
}

async function measure(
  platform: Platform,
  url: string,
  device: readonly string[],
  { seconds, rate, background }: LatencyOptions,
): Promise<Result> {
  const receiver = start([process.execPath, join(import.meta.dirname, "latency-receiver.ts")], { core: CLIENT_CORE });
  const port = Number(await firstLine(receiver));
  const sql = `SELECT t, sent, n FROM 'telemetry/+/latency'`;
  await platform.api("POST", "/rules/bench", { sql, actions: [{ webhook: { url: `http://127.0.0.1:${port}/` } }] });
  const script = join(import.meta.dirname, "latency-publisher.ts");
  const own = [url, TOPIC, String(rate), String(seconds + WARM_UP_SECONDS), "1", ...device];
  const load = background === undefined ? null : startLoad(platform, background, seconds + WARM_UP_SECONDS + 2);
  await outputOf(start([process.execPath, script, ...own], { core: CLIENT_CORE }));
  await load;
  await pause(500);
  const latencies = await seen(receiver);
  await platform.api("DELETE", "/rules/bench");
  const expected = rate * (seconds + WARM_UP_SECONDS);
  const distinct = new Set(latencies.map(([n]) => n)).size;
  if (distinct !== expected) throw new Error(`of ${expected} messages ${distinct} reached the webhook`);
  const warm = latencies.filter(([n]) => n >= rate * WARM_UP_SECONDS);
  const sorted = Float64Array.from(warm, ([, ms]) => ms).toSorted();
  const late = Float64Array.from(warm, ([, , ms]) => ms).toSorted();
  const result = {
    lateP99: quantile(late, 0.99),
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    p999: quantile(sorted, 0.999),
    max: sorted.at(-1)!,
  };
  tell(`latency ${device.length > 0 ? "TLS" : "plain"}: ${JSON.stringify(result)}`);
  return result;
}

/** Of several clients, each with its own rhythm. Resolves when all is acknowledged. */
export async function startLoad(platform: Platform, rate: number, seconds: number): Promise<number> {
  const script = join(import.meta.dirname, "background-publisher.ts");
  const args = [platform.listen[0]!, "load/bench", String(rate / LOAD_CLIENTS), String(seconds)];
  const done = Array.from({ length: LOAD_CLIENTS }, (_, n) =>
    outputOf(start([process.execPath, script, ...args, `load-${n}`], { core: CLIENT_CORE })),
  );
  const sent = (await Promise.all(done)).map((text) => (JSON.parse(text) as { sent: number }).sent);
  return sent.reduce((sum, count) => sum + count, 0);
}

async function seen(receiver: ChildProcess): Promise<Seen[]> {
  let output = "";
  receiver.stdout!.on("data", (bytes: Buffer) => (output += bytes.toString()));
  receiver.kill("SIGTERM");
  await once(receiver, "close");
  return JSON.parse(output) as Seen[];
}
