/** Messages per second through each broker, the brokers in turns, so that all meet the same machine. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CLIENT_CORE, cpuSeconds, outputOf, start, stop, tell, waitedSeconds, withFolder } from "../processes.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import type { Address, Load, LoadRequest } from "./load.ts";
import {
  addDevices,
  secureAddress,
  startAedes,
  startBrokerAlone,
  startMosquitto,
  startNats,
  startOurs,
} from "./targets.ts";
import type { OurTarget, Target, TargetName } from "./targets.ts";

export interface ThroughputOptions {
  /** Also our broker without the rest of the platform. */
  readonly brokerAlone: boolean;
  readonly runs: number;
  readonly seconds: number;
}

interface Scenario {
  readonly shape: Pick<LoadRequest, "topology" | "qos" | "publishers" | "subscribers">;
  readonly claim: string;
  /** At least so much. */
  readonly must: { readonly rate: number } | null;
  /** At least so many times the peer. */
  readonly times: Partial<Record<TargetName, number>>;
  /** Publishers are devices over TLS with a certificate and the default policy; only Tidewire takes part. */
  readonly devices?: boolean;
  /** Who cannot do it. */
  readonly without?: readonly TargetName[];
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "fan-in-0": {
    claim: "fan-in 100 → 1, QoS 0",
    shape: { topology: "fan-in", qos: 0, publishers: 100, subscribers: 1 },
    must: { rate: 300_000 },
    times: { mosquitto: 5, nats: 1.5 },
  },
  "fan-in-1": {
    claim: "fan-in 100 → 1, QoS 1, durable",
    shape: { topology: "fan-in", qos: 1, publishers: 100, subscribers: 1 },
    must: { rate: 150_000 },
    times: { mosquitto: 5, nats: 10 },
  },
  "fan-in-2": {
    claim: "fan-in 100 → 1, QoS 2, durable, sessions kept",
    shape: { topology: "fan-in", qos: 2, publishers: 100, subscribers: 1 },
    must: null,
    times: {},
    without: ["nats"],
  },
  "fan-out": {
    claim: "fan-out 1 → 100, QoS 0",
    shape: { topology: "fan-out", qos: 0, publishers: 1, subscribers: 100 },
    must: null,
    times: { mosquitto: 5, nats: 1.5 },
  },
  pairs: {
    claim: "pairs 50 ↔ 50, QoS 1",
    shape: { topology: "pairs", qos: 1, publishers: 50, subscribers: 50 },
    must: null,
    times: { mosquitto: 5 },
  },
  mtls: {
    claim: "fan-in 100 → 1, QoS 1, durable, mTLS and policies",
    shape: { topology: "fan-in", qos: 1, publishers: 100, subscribers: 1 },
    must: { rate: 100_000 },
    times: {},
    devices: true,
  },
};

export const THROUGHPUT_NAMES = Object.keys(SCENARIOS);

interface Result extends Load {
  /** Seconds of processor time per million messages, all processes of the broker. */
  readonly cpuPerMillion: number;
  /** Percent of the time that the broker's first process waited for its core. */
  readonly serverWaited: number;
}

/** A broker that ended under the load, or sent its clients away. */
const DIED: Result = {
  received: 0,
  acknowledged: 0,
  sent: 0,
  receivedInAll: 0,
  generatorCpu: 0,
  generatorWaited: 0,
  cpuPerMillion: Infinity,
  serverWaited: 0,
};

const WINDOW = 64;
const PAYLOAD_BYTES = 100;

export function throughput(name: string, options: ThroughputOptions): Promise<Row[]> {
  return compare(SCENARIOS[name]!, options);
}

const STARTS: Readonly<Record<TargetName, (folder: string) => Promise<Target>>> = {
  tidewire: startOurs,
  "broker alone": startBrokerAlone,
  mosquitto: (folder) => startMosquitto(folder),
  nats: startNats,
  aedes: startAedes,
};

async function compare(scenario: Scenario, { runs, seconds, brokerAlone }: ThroughputOptions): Promise<Row[]> {
  const all: readonly TargetName[] = [
    "tidewire",
    ...(brokerAlone ? ["broker alone" as const] : []),
    "mosquitto",
    "nats",
    "aedes",
  ];
  const { devices = false, without = [] } = scenario;
  const taking = devices ? (["tidewire"] as const) : all.filter((name) => !without.includes(name));
  const results = new Map<TargetName, Result[]>(taking.map((name) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const name of taking) {
      const result = await measure(name, scenario, seconds);
      tell(`${scenario.claim}, ${name}: ${JSON.stringify(result)}`);
      results.get(name)!.push(result);
    }
  }
  return rowsOf(scenario, results);
}

function rowsOf(scenario: Scenario, results: ReadonlyMap<TargetName, readonly Result[]>): Row[] {
  const own = results.get("tidewire")!;
  const peers = [...results].filter(([name]) => name !== "tidewire");
  const rateOf = (list: readonly Result[]): number => median(list.map(wentThrough));
  const beside = peers.map(([name, list]) => `${name} ${figure(rateOf(list))}`);
  const cost = peers.map(([name, list]) => `${name} ${figure(median(list.map((r) => r.cpuPerMillion)))}`);
  const waited = median(own.map((result) => Math.max(result.serverWaited, result.generatorWaited)));
  const rows: Row[] = [
    {
      claim: scenario.claim,
      unit: "msg/s",
      must: scenario.must === null ? null : { atLeast: scenario.must.rate },
      runs: own.map(wentThrough),
      peer: [...beside, `waited for a core ${waited} %`].join(", "),
    },
  ];
  for (const [name, list] of peers) {
    const times = scenario.times[name];
    if (times === undefined) continue;
    const runs = own.map((result) => wentThrough(result) / rateOf(list));
    rows.push({ claim: `… compared with ${name}`, unit: "×", must: { atLeast: times }, runs });
  }
  const unit = "s of processor time per million messages";
  rows.push({ claim: "… cost", unit, must: null, runs: own.map((r) => r.cpuPerMillion), peer: cost.join(", ") });
  return rows;
}

/** What went all the way: at QoS 1 received by the subscriber and acknowledged to the publisher, whichever is less. */
function wentThrough({ received, acknowledged }: Load): number {
  return acknowledged === 0 ? received : Math.min(received, acknowledged);
}

/** Each measurement has a broker of its own, started for it: nobody pays for what an earlier load left behind. */
async function measure(name: TargetName, scenario: Scenario, seconds: number): Promise<Result> {
  return withFolder(async (folder) => {
    const target = await STARTS[name](folder);
    const request = { ...scenario.shape, seconds, window: WINDOW, payload: PAYLOAD_BYTES };
    const publishAt = scenario.devices === true ? await devicesOf(target, scenario) : target.address;
    try {
      return await underLoad(target, folder, { ...request, publishAt, subscribeAt: target.address });
    } catch (error) {
      tell(`${name} did not survive ${scenario.claim}: ${String(error)}`);
      return DIED;
    } finally {
      await stop(target.process);
    }
  });
}

async function devicesOf(target: Target, { shape }: Scenario): Promise<Address> {
  const { platform } = target as OurTarget;
  return secureAddress(platform, await addDevices(platform, shape.publishers));
}

async function underLoad(target: Target, folder: string, request: LoadRequest): Promise<Result> {
  const script = join(import.meta.dirname, target.protocol === "mqtt" ? "mqtt-load.ts" : "nats-load.ts");
  const pid = target.process.pid!;
  const [cpu, waited, startedAt] = [cpuSeconds(pid), waitedSeconds(pid), performance.now()];
  const path = join(folder, "load.json"); // with a hundred certificates too long for a command line
  await writeFile(path, JSON.stringify(request));
  const generator = start([process.execPath, script, path], { core: CLIENT_CORE });
  const load = JSON.parse(await outputOf(generator)) as Load;
  return {
    ...load,
    cpuPerMillion: ((cpuSeconds(pid) - cpu) * 1e6) / load.receivedInAll,
    serverWaited: Math.round(((waitedSeconds(pid) - waited) * 100_000) / (performance.now() - startedAt)),
  };
}

/** What our platform takes at QoS 1, durable, fan-in: messages per second. */
export async function capacity(seconds: number): Promise<number> {
  return wentThrough(await measure("tidewire", SCENARIOS["fan-in-1"]!, seconds));
}
