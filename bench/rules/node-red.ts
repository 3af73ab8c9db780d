/**
 * The same filter and forward in Node-RED: MQTT in → filter on a field of the JSON → MQTT out. Node-RED comes from npm, into a folder of its own
 * beside nothing of ours, without running anybody's install scripts. Both are measured in turns, with the same publishers.
 * Ours is broker, log and rule on the server's core. Node-RED has that core for itself: its broker, Mosquitto, has the generator's.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "../free-port.ts";
import { startMosquitto, startOurs } from "../broker/targets.ts";
import { CLIENT_CORE, SERVER_CORE, cpuSeconds, outputOf, start, stop, tell, withFolder } from "../processes.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import { IN, LIMIT, OUT } from "./forward-load.ts";
import type { Forwarded } from "./forward-load.ts";

const VERSION = "5.0.7";
const SECONDS = 10;
const READY_MS = 60_000;

interface Result {
  readonly rate: number;
  /** Seconds of processor time per million readings, without what Node-RED's broker costs. */
  readonly cpuPerMillion: number;
}

export async function nodeRed(runs: number): Promise<Row[]> {
  const program = await installed();
  const [ours, theirs]: [Result[], Result[]] = [[], []];
  for (let run = 0; run < runs; run++) {
    ours.push(await measureOurs());
    tell(`tidewire: ${JSON.stringify(ours.at(-1))}`);
    theirs.push(await measureNodeRed(program));
    tell(`node-red: ${JSON.stringify(theirs.at(-1))}`);
  }
  const rate = median(theirs.map((result) => result.rate));
  const cost = median(theirs.map((result) => result.cpuPerMillion));
  return [
    {
      claim: "MQTT in → filter on JSON → MQTT out",
      unit: "msg/s",
      must: null,
      runs: ours.map((result) => result.rate),
      peer: `Node-RED ${VERSION} ${figure(rate)}`,
    },
    {
      claim: "… compared with Node-RED",
      unit: "×",
      must: { atLeast: 10 },
      runs: ours.map((result) => result.rate / rate),
      peer: "ours keeps every message on disk, Node-RED none",
    },
    {
      claim: "… cost",
      unit: "s of processor time per million messages",
      must: null,
      runs: ours.map((result) => result.cpuPerMillion),
      peer: `Node-RED ${figure(cost)} without its broker, ours with it`,
    },
  ];
}

function measureOurs(): Promise<Result> {
  return withFolder(async (folder) => {
    const { platform, address, process: child } = await startOurs(folder);
    try {
      const sql = `SELECT * FROM '${IN}/+' WHERE temperature > ${LIMIT}`;
      await platform.api("POST", "/rules/bench_forward", { sql, actions: [{ republish: { topic: OUT, qos: 0 } }] });
      return await underLoad(child, address.port);
    } finally {
      await stop(child);
    }
  });
}

function measureNodeRed(program: string): Promise<Result> {
  return withFolder(async (folder) => {
    const broker = await startMosquitto(folder, CLIENT_CORE);
    try {
      const child = await startNodeRed(program, folder, broker.address.port);
      try {
        return await underLoad(child, broker.address.port);
      } finally {
        await stop(child);
      }
    } finally {
      await stop(broker.process);
    }
  });
}

async function underLoad(child: ChildProcess, port: number): Promise<Result> {
  const before = cpuSeconds(child.pid!);
  const script = join(import.meta.dirname, "forward-load.ts");
  const load = start([process.execPath, script, "127.0.0.1", String(port), String(SECONDS)], { core: CLIENT_CORE });
  const { rate, inAll } = JSON.parse(await outputOf(load)) as Forwarded;
  return { rate, cpuPerMillion: ((cpuSeconds(child.pid!) - before) * 1e6) / inAll };
}

/** Into a folder that later runs find again; whole, or not at all. */
async function installed(): Promise<string> {
  const folder = join(tmpdir(), `tidewire-bench-node-red-${VERSION}`);
  if (!existsSync(folder)) {
    const partly = `${folder}.${process.pid}`;
    await mkdir(partly);
    await writeFile(join(partly, "package.json"), JSON.stringify({ private: true }));
    tell(`installing Node-RED ${VERSION} …`);
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await outputOf(start(["npm", "install", ...flags, `node-red@${VERSION}`], { cwd: partly }));
    await rename(partly, folder).catch(() => rm(partly, { recursive: true })); // somebody else was faster
  }
  return join(folder, "node_modules/node-red/red.js");
}

/** Its own nodes alone, no editor; the fastest that it offers for this: no JavaScript of a user's. */
function flows(port: number): object[] {
  const broker = { broker: "broker", z: "tab" };
  return [
    { id: "tab", type: "tab", label: "bench" },
    {
      id: "broker",
      type: "mqtt-broker",
      broker: "127.0.0.1",
      port: String(port),
      protocolVersion: "4",
      cleansession: true,
    },
    { id: "in", type: "mqtt in", ...broker, topic: `${IN}/+`, qos: "0", datatype: "json", wires: [["filter"]] },
    {
      id: "filter",
      type: "switch",
      z: "tab",
      property: "payload.temperature",
      propertyType: "msg",
      rules: [{ t: "gt", v: String(LIMIT), vt: "num" }],
      outputs: 1,
      wires: [["out"]],
    },
    { id: "out", type: "mqtt out", ...broker, topic: OUT, qos: "0", retain: "false", wires: [] },
  ];
}

async function startNodeRed(program: string, folder: string, brokerPort: number): Promise<ChildProcess> {
  const user = join(folder, "node-red");
  await mkdir(user);
  await writeFile(join(user, "flows.json"), JSON.stringify(flows(brokerPort)));
  const settings = {
    flowFile: "flows.json",
    uiHost: "127.0.0.1",
    uiPort: await freePort(),
    httpAdminRoot: false,
    httpNodeRoot: false,
    disableEditor: true,
    credentialSecret: false,
    telemetry: { enabled: false },
    logging: { console: { level: "info" } },
  };
  const path = join(user, "settings.js");
  await writeFile(path, `module.exports = ${JSON.stringify(settings)};\n`);
  const child = start([process.execPath, program, "--userDir", user, "--settings", path], {
    core: SERVER_CORE,
    cwd: user,
  });
  await connected(child);
  return child;
}

function connected(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    const fail = (): void => reject(new Error(`Node-RED did not connect to its broker:\n${said.join("\n")}`));
    const late = setTimeout(fail, READY_MS);
    child.once("close", fail);
    createInterface(child.stdout!).on("line", (line) => {
      if (said.length < 100) said.push(line);
      if (!line.includes("Connected to broker")) return;
      clearTimeout(late);
      child.removeListener("close", fail);
      resolve();
    });
  });
}
