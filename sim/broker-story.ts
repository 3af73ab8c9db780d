/** One seed's life story of the simulated broker: faults while messages flow, then rest, then the reckoning. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { MUTATIONS } from "./broker-mutations.ts";
import { BrokerSystem } from "./broker-system.ts";
import type { SystemOptions } from "./broker-system.ts";
import type { SimLink } from "./network.ts";
import { SimRandom } from "./world.ts";

interface Fault {
  /** How often it strikes, relative to the others. */
  readonly weight: number;
  /** Returns what ends it, or nothing where it ends by itself. */
  readonly strike: (system: BrokerSystem, random: SimRandom) => void | (() => void);
}

const PACKETS = ["connack", "suback", "unsuback", "publish", "puback", "pubrec", "pubrel", "pubcomp"] as const;

const FAULTS: Readonly<Record<string, Fault>> = {
  "broker killed": { weight: 2, strike: (system) => system.brokerDies("told", "killed") },
  "broker's power": { weight: 3, strike: (system) => system.powerCut() },
  "power behind a packet": { weight: 8, strike: (system, random) => system.ambush(random.pick(PACKETS), "power") },
  "kill behind a packet": { weight: 3, strike: (system, random) => system.ambush(random.pick(PACKETS), "kill") },
  "cut behind a packet": { weight: 5, strike: (system, random) => system.ambush(random.pick(PACKETS), "connection") },
  "disk fault": {
    weight: 5,
    strike: (system, random) => {
      const fault = random.pick(["power-cut", "power-cut", "power-cut", "kill", "EIO", "torn", "ENOSPC"] as const);
      system.diskFault = { at: system.disk.count + random.below(40), fault };
    },
  },
  "disk nearly full": { weight: 1, strike: (system) => diskFull(system, "seen coming") },
  "disk full": { weight: 1, strike: (system) => diskFull(system, "all of a sudden") },
  "disk slow": {
    weight: 2,
    strike: (system) => {
      system.diskDelay = { write: 50, sync: 800 };
      return () => (system.diskDelay = { write: 2, sync: 12 });
    },
  },
  "state file fails": {
    weight: 1,
    strike: (system) => {
      system.databaseFails = true;
      return () => (system.databaseFails = false);
    },
  },
  "connections cut": { weight: 2, strike: ({ network }) => network.links.forEach((link) => link.break()) },
  "connection cut": { weight: 4, strike: (system, random) => some(system, random).forEach((link) => link.break()) },
  "connection silent": {
    weight: 2,
    strike: (system, random) =>
      some(system, random).forEach((link) =>
        link.fallSilent(random.pick(["to the server", "to the client", "both"] as const)),
      ),
  },
  "connection stalls": {
    weight: 3,
    strike: (system, random) => {
      const links = some(system, random);
      links.forEach((link) => link.stall());
      return () => links.forEach((link) => link.unstall());
    },
  },
  "network refuses": { weight: 1, strike: ({ network }) => weather(network, "refusing") },
  "network silent": { weight: 1, strike: ({ network }) => weather(network, "silent") },
  "network slow": {
    weight: 2,
    strike: ({ network }) => {
      network.latencyMax = 1_000;
      return () => (network.latencyMax = 40);
    },
  },
  "client mute": {
    weight: 1,
    strike: ({ clients }, random) => {
      const client = random.pick(clients);
      client.mute = true;
      return () => {
        client.mute = false;
        client.die("told"); // what it left unacknowledged comes again
      };
    },
  },
};

function some({ network }: BrokerSystem, random: SimRandom): readonly SimLink[] {
  return network.links.filter(() => random.chance(0.4));
}

function weather(network: BrokerSystem["network"], now: "refusing" | "silent"): () => void {
  network.weather = now;
  network.links.forEach((link) => link.break());
  return () => (network.weather = "open");
}

function diskFull(system: BrokerSystem, how: "seen coming" | "all of a sudden"): () => void {
  system.diskFull = how;
  return () => (system.diskFull = "no");
}

export interface BrokerStory {
  readonly seed: number;
  readonly hash: string;
  readonly events: number;
  readonly faults: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly delivered: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly dropped: number;
  readonly lostToPowerCuts: number;
  readonly recoveries: number;
  /** Simulated milliseconds from the last fault until everything had arrived. */
  readonly drainTime: number;
  /** What went wrong; null where nothing did. */
  readonly violation: string | null;
}

/** The same seed always tells the same story. */
export async function playBrokerSeed(seed: number, options: SystemOptions = {}): Promise<BrokerStory> {
  const system = new BrokerSystem(seed, options);
  const faults = await live(system, new SimRandom(seed + 0x5eed));
  const restAt = system.clock.monotonic();
  const settled = await system.settle();
  const drainTime = system.clock.monotonic() - restAt;
  const { witness, trace } = system;
  if (settled) await reckon(system);
  else if (witness.violation === null) witness.wrong(`stuck: ${system.describe()}`);
  const { hash, events } = trace;
  return {
    seed,
    hash,
    events,
    faults,
    ...witness.counts,
    dropped: witness.dropped(),
    drainTime,
    violation: witness.violation,
  };
}

/** Faults, one after the other and several at once; returns how many, all of them ended. */
async function live(system: BrokerSystem, random: SimRandom): Promise<number> {
  // Each seed has its own few kinds, so that one that hides the others does not hide them always.
  const kinds = Object.entries(FAULTS).filter(() => random.chance(0.35));
  const lot = kinds.flatMap(([name, fault]) => Array.from({ length: fault.weight }, () => ({ name, ...fault })));
  const endings = new Set<() => void>();
  let count = 0;
  await system.run(300 + random.below(1_000));
  for (let turn = 3 + random.below(8); turn > 0 && system.witness.violation === null; turn--) {
    if (lot.length > 0) {
      const { name, strike } = random.pick(lot);
      system.trace.add("FAULT", name);
      count++;
      const ending = strike(system, random);
      if (typeof ending === "function") {
        const once = (): void => {
          if (endings.delete(once)) ending();
        };
        endings.add(once);
        system.clock.after(random.below(random.chance(0.1) ? 20_000 : 2_000), once);
      }
    }
    await system.run(random.chance(0.3) ? random.below(100) : random.below(2_000));
  }
  system.diskFault = null;
  for (const ending of endings) ending();
  system.trace.add("FAULT", "no more");
  return count;
}

async function reckon(system: BrokerSystem): Promise<void> {
  const { witness } = system;
  const retained = await system.visit();
  for (const [topic, text] of witness.retained())
    if (retained.get(topic) !== text)
      witness.wrong(`${topic} is retained as ${retained.get(topic)}, and was last ${text}`);
  for (const [topic, text] of retained)
    if (!witness.retained().has(topic)) witness.wrong(`${topic} is retained as ${text}, and was cleared`);
  const held = await system.empty();
  if (held.length > 0) witness.wrong(`everybody has left, and the broker still holds: ${held.join(", ")}`);
}

export interface BrokerOrder {
  readonly brokerSeeds: readonly number[];
  /** Which of `MUTATIONS`; the seeds end with the first that notices. */
  readonly mutation?: string;
}

// As a worker it plays the seeds that it is given and posts each story.
if (!isMainThread && isOrder(workerData)) {
  const { brokerSeeds, mutation } = workerData;
  for (const seed of brokerSeeds) {
    const sabotage = mutation === undefined ? {} : MUTATIONS[mutation]!.sabotage();
    const story = await playBrokerSeed(seed, { sabotage });
    parentPort?.postMessage(story);
    if (mutation !== undefined && story.violation !== null) break;
  }
}

function isOrder(data: unknown): data is BrokerOrder {
  return typeof data === "object" && data !== null && "brokerSeeds" in data;
}
