/**
 * Fan-in: many publishers, one subscriber. The real platform with all its processes and its default rules, and Mosquitto,
 * in the same run and in turns, so that both meet the same machine. Server on one core, generator on the other.
 */
import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { CLIENT_CORE, SERVER_CORE, cpuSeconds, firstLine, outputOf, ownCpuSeconds } from "./processes.ts";
import { pause, start, startPlatform, stop, tell, waitedSeconds, withFolder } from "./processes.ts";
import { figure, median } from "./report.ts";
import type { Row } from "./report.ts";

export interface FanInOptions {
  readonly runs: number;
  readonly seconds: number;
  readonly publishers: number;
  readonly payload: number;
  /** Unacknowledged messages per publisher at QoS 1; messages per write at QoS 0. */
  readonly window: number;
  /** Also the broker and a bare journal without the rest of the platform: what the platform costs. */
  readonly brokerAlone: boolean;
  readonly qos: readonly (0 | 1 | 2)[];
}

interface Target {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

interface Result {
  readonly received: number;
  readonly acknowledged: number;
  readonly sent: number;
  /** Messages, the warm-up's included. */
  readonly receivedInAll: number;
  readonly generatorCpu: number;
  /** Percent of the time that others had the generator's core. */
  readonly generatorWaited: number;
  /** Seconds of processor time: all processes of the target, and its first one alone. */
  readonly serverSeconds: number;
  readonly mainSeconds: number;
  /** Percent of the time that the first process waited for the core: for strangers, or for the target's other processes. */
  readonly serverWaited: number;
}

type Generated = Omit<Result, "serverSeconds" | "mainSeconds" | "serverWaited">;

/** Of the time, for the generator's or the server's core: beyond, a run is disturbed. */
const WAITED_PERCENT_MAX = 15;
const ATTEMPTS_MAX = 3;
const MUST = { 0: 300_000, 1: 150_000, 2: null } as const;
const KIND = { 0: "QoS 0", 1: "QoS 1, durable", 2: "QoS 2, durable, sessions kept" } as const;

export async function fanIn(options: FanInOptions): Promise<Row[]> {
  return withFolder(async (folder) => {
    const targets = [await startOurs(folder), await startMosquitto(folder)];
    if (options.brokerAlone) targets.push(await startBrokerAlone(folder));
    const rows: Row[] = [];
    for (const qos of options.qos) rows.push(...(await compare(targets, qos, options)));
    for (const target of targets) await stop(target.process);
    return rows;
  });
}

async function compare(targets: readonly Target[], qos: 0 | 1 | 2, options: FanInOptions): Promise<Row[]> {
  const results = new Map<Target, Result[]>(targets.map((target) => [target, []]));
  for (let run = 0; run < options.runs; run++) {
    for (const target of targets) {
      results.get(target)!.push(await undisturbed(target, qos, options));
    }
  }
  const [ours, ...others] = targets;
  const perSecond = ({ receivedInAll, serverSeconds }: Result): number => receivedInAll / serverSeconds;
  const cost = others.map((other) => `${other.name} ${figure(median(results.get(other)!.map(perSecond)))}`);
  const beside = others.map((other) => `${other.name} ${figure(median(results.get(other)!.map(throughput)))}`);
  const must = MUST[qos];
  const waits = results.get(ours!)!.map((result) => Math.max(result.generatorWaited, result.serverWaited));
  const lost = median(results.get(ours!)!.map(({ sent, received }) => Math.max(0, 1 - received / sent))) * 100;
  return [
    {
      claim: `fan-in ${KIND[qos]}, ${options.publishers} publishers → 1 subscriber, ${options.payload} bytes`,
      unit: "msg/s",
      must: must === null ? null : { atLeast: must },
      runs: results.get(ours!)!.map(throughput),
      peer: `${beside.join(", ")}; not delivered ${lost.toFixed(1)} %; waited for a core ${median(waits)} % of the time`,
    },
    {
      claim: `… the same per second of processor time, all processes`,
      unit: "msg",
      must: null,
      runs: results.get(ours!)!.map(perSecond),
      peer: cost.join(", "),
    },
  ];
}

/** Repeats a run, a few times at most, while others use the cores; how fast it was does not matter. */
async function undisturbed(target: Target, qos: 0 | 1 | 2, options: FanInOptions): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const result = await measure(target, qos, options);
    const disturbed = Math.max(result.generatorWaited, result.serverWaited) > WAITED_PERCENT_MAX;
    const again = disturbed && attempt < ATTEMPTS_MAX;
    tell(`${target.name} QoS ${qos}: ${JSON.stringify(result)}${again ? "; disturbed, again" : ""}`);
    if (!again) return result;
  }
}

/** What went all the way: at QoS 1 received by the subscriber and acknowledged to the publisher, whichever is less. */
function throughput({ received, acknowledged }: Result): number {
  return acknowledged === 0 ? received : Math.min(received, acknowledged);
}

async function startOurs(folder: string): Promise<Target> {
  const listen = `mqtt://127.0.0.1:${await freePort()}?auth=none`;
  const data = join(folder, "platform");
  const { child, listen: urls } = await startPlatform(data, { core: SERVER_CORE, flags: ["--listen", listen] });
  return { name: "tidewire", port: Number(new URL(urls[0]!).port), process: child };
}

async function startBrokerAlone(folder: string): Promise<Target> {
  const script = join(import.meta.dirname, "fan-in-server.ts");
  const child = start([process.execPath, script, folder], { core: SERVER_CORE });
  return { name: "our broker alone", port: Number(await firstLine(child)), process: child };
}

/** Mosquitto with its limits lifted, so that it is measured and not its defaults; in memory, as it cannot be durable. */
async function startMosquitto(folder: string): Promise<Target> {
  const port = await freePort();
  const lines = [
    "allow_anonymous true",
    `listener ${port} 127.0.0.1`,
    "max_inflight_messages 0",
    "max_queued_messages 0",
    "persistence false",
    "set_tcp_nodelay true",
    "log_dest none",
    "",
  ];
  const path = join(folder, "mosquitto.conf");
  await writeFile(path, lines.join("\n"));
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
  const child = start(["mosquitto", "-c", path], { core: SERVER_CORE, stdout: "ignore", env });
  await pause(500);
  return { name: "Mosquitto (in memory)", port, process: child };
}

async function measure(target: Target, qos: number, options: FanInOptions): Promise<Result> {
  const { publishers, seconds, window, payload } = options;
  const script = join(import.meta.dirname, "fan-in-generator.ts");
  const own = ["127.0.0.1", target.port, qos, publishers, seconds, window, payload].map(String);
  const pid = target.process.pid!;
  const [all, main] = [cpuSeconds(pid), ownCpuSeconds(pid)];
  const waited = waitedSeconds(pid);
  const startedAt = performance.now();
  const output = await outputOf(start([process.execPath, script, ...own], { core: CLIENT_CORE }));
  const serverSeconds = cpuSeconds(pid) - all;
  const mainSeconds = ownCpuSeconds(pid) - main;
  const serverWaited = Math.round(((waitedSeconds(pid) - waited) * 100_000) / (performance.now() - startedAt));
  return { ...(JSON.parse(output) as Generated), serverSeconds, mainSeconds, serverWaited };
}
