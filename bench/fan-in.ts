/**
 * Fan-in: many publishers, one subscriber, against our broker and any other in the same run, interleaved, so that both meet
 * the same machine. Server and generator are pinned to different cores.
 *
 *     node bench/fan-in.ts [--runs 5] [--seconds 5] [--publishers 100] [--payload 100] [--window 64] [--peer host:port]
 *                          [--mosquitto] [--server "command that prints its port"]
 *
 * Reports messages per second received by the subscriber and acknowledged to the publishers: median of the runs.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    publishers: { type: "string", default: "100" },
    payload: { type: "string", default: "100" },
    window: { type: "string", default: "64" },
    peer: { type: "string", multiple: true, default: [] },
    mosquitto: { type: "boolean", default: false },
    server: { type: "string" },
  },
});

const SERVER_CORE = "0";
const GENERATOR_CORE = "1";
/** The kernel counts a process's time in hundredths of a second. */
const TICKS_PER_SECOND = 100;

interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Null where somebody else started it. */
  readonly process: ChildProcess | null;
}

interface Result {
  readonly received: number;
  readonly acknowledged: number;
  readonly sent: number;
  readonly generatorCpu: number;
  /** Percent of one core; null where the process is not ours. */
  readonly serverCpu: number | null;
}

function pinned(core: string, command: readonly string[], output: "pipe" | "ignore"): ChildProcess {
  return spawn("taskset", ["-c", core, ...command], { stdio: ["ignore", output, "inherit"] });
}

async function startOurs(folder: string): Promise<Target> {
  const command = values.server?.split(" ") ?? [
    process.execPath,
    join(import.meta.dirname, "fan-in-server.ts"),
    folder,
  ];
  const child = pinned(SERVER_CORE, command, "pipe");
  const [line] = (await once(createInterface(child.stdout!), "line")) as [string];
  return { name: "tidewire", host: "127.0.0.1", port: Number(line), process: child };
}

/** Mosquitto with limits lifted, so that it is measured and not its defaults. */
async function startMosquitto(folder: string): Promise<Target> {
  const port = await freePort();
  const lines = [
    "allow_anonymous true",
    `listener ${port} 127.0.0.1`,
    "max_inflight_messages 0",
    "max_queued_messages 0",
  ];
  const path = join(folder, "mosquitto.conf");
  await writeFile(path, [...lines, "persistence false", "set_tcp_nodelay true", "log_dest none", ""].join("\n"));
  const child = pinned(SERVER_CORE, ["mosquitto", "-c", path], "ignore");
  await new Promise((resolve) => {
    setTimeout(resolve, 500);
  });
  return { name: "mosquitto", host: "127.0.0.1", port, process: child };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function cpuTicks(target: Target): Promise<number | null> {
  if (target.process?.pid === undefined) return null;
  const stat = await readFile(`/proc/${target.process.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function measure(target: Target, qos: number): Promise<Result> {
  const { publishers, seconds, window, payload } = values;
  const script = join(import.meta.dirname, "fan-in-generator.ts");
  const own = [target.host, `${target.port}`, `${qos}`, publishers, seconds, window, payload];
  const from = await cpuTicks(target);
  const startedAt = performance.now();
  const child = pinned(GENERATOR_CORE, [process.execPath, script, ...own], "pipe");
  let output = "";
  child.stdout!.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const [code] = (await once(child, "exit")) as [number];
  if (code !== 0) throw new Error(`the generator failed against ${target.name}`);
  const to = await cpuTicks(target);
  const span = (performance.now() - startedAt) / 1000;
  const serverCpu = from === null || to === null ? null : Math.round(((to - from) / TICKS_PER_SECOND / span) * 100);
  return { ...(JSON.parse(output) as Omit<Result, "serverCpu">), serverCpu };
}

function median(results: readonly Result[], key: "received" | "acknowledged" | "sent"): number {
  return results.map((r) => r[key]).toSorted((a, b) => a - b)[results.length >> 1]!;
}

function report(name: string, qos: number, results: readonly Result[]): void {
  const [received, acknowledged, sent] = [
    median(results, "received"),
    median(results, "acknowledged"),
    median(results, "sent"),
  ];
  const spread = results.map((r) => r.received).toSorted((a, b) => a - b);
  const lost = sent === 0 ? 0 : Math.max(0, 1 - received / sent);
  const line = { server: name, qos, received, acknowledged, notDelivered: `${(lost * 100).toFixed(1)} %`, spread };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const folder = await mkdtemp(join(tmpdir(), "tidewire-fan-in-"));
const targets: Target[] = [await startOurs(folder)];
if (values.mosquitto) targets.push(await startMosquitto(folder));
for (const peer of values.peer) {
  const [host = "127.0.0.1", port = "1883"] = peer.split(":");
  targets.push({ name: peer, host, port: Number(port), process: null });
}
for (const qos of [0, 1]) {
  const results = new Map<Target, Result[]>(targets.map((target) => [target, []]));
  for (let run = 0; run < Number(values.runs); run++) {
    for (const target of targets) {
      const result = await measure(target, qos);
      process.stderr.write(`${target.name} QoS ${qos}: ${JSON.stringify(result)}\n`);
      results.get(target)!.push(result);
    }
  }
  for (const [target, list] of results) report(target.name, qos, list);
}
for (const target of targets) target.process?.kill();
await rm(folder, { recursive: true });
