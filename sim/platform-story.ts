/** One seed's life story of the simulated platform: faults while readings are made, then rest, then the reckoning. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { hours } from "../src/base/mod.ts";
import type { SimEdgeAgent } from "./edge-agent.ts";
import { PlatformWorld } from "./platform.ts";
import { SimRandom } from "./world.ts";

interface Fault {
  /** How often it strikes, relative to the others. */
  readonly weight: number;
  /** Returns what ends it, or nothing where it ends by itself. */
  readonly strike: (world: PlatformWorld, random: SimRandom) => void | (() => void);
}

const FAULTS: Readonly<Record<string, Fault>> = {
  "agent killed": { weight: 3, strike: (world, random) => anAgent(world, random).kill("told") },
  "agent's power": { weight: 2, strike: (world, random) => anAgent(world, random).kill("silent") },
  "agent's disk full": { weight: 1, strike: (world, random) => agentDisk(anAgent(world, random), "full") },
  "agent's disk fails": { weight: 1, strike: (world, random) => agentDisk(anAgent(world, random), "failed") },
  "agent's disk lost": { weight: 1, strike: (world, random) => anAgent(world, random).loseDisk() },
  "agent's clock jumps": {
    weight: 1,
    strike: (world, random) => anAgent(world, random).jump(within(random, hours(1))),
  },
  "same identity": { weight: 2, strike: (world, random) => world.impersonate(anAgent(world, random)) },
  "connections cut": { weight: 2, strike: ({ network }) => network.links.forEach((link) => link.break()) },
  "connection cut": {
    weight: 4,
    strike: ({ network }, random) => someLinks(network.links, random).forEach((link) => link.break()),
  },
  "connection silent": {
    weight: 4,
    strike: ({ network }, random) =>
      someLinks(network.links, random).forEach((link) =>
        link.fallSilent(random.pick(["to the server", "to the client", "both"] as const)),
      ),
  },
  "connection stalls": {
    weight: 3,
    strike: ({ network }, random) => {
      const links = someLinks(network.links, random);
      links.forEach((link) => link.stall());
      return () => links.forEach((link) => link.unstall());
    },
  },
  "network refuses": { weight: 1, strike: ({ network }) => weather(network, "refusing") },
  "network silent": { weight: 1, strike: ({ network }) => weather(network, "silent") },
  "network slow": {
    weight: 2,
    strike: ({ network }) => {
      network.latencyMax = 2_000;
      return () => (network.latencyMax = 40);
    },
  },
  "platform killed": { weight: 2, strike: (world) => world.platformDies("told", "killed") },
  "platform's power": { weight: 4, strike: (world) => world.powerCut() },
  "platform's disk fault": {
    weight: 5,
    strike: (world, random) => {
      const fault = random.pick(["power-cut", "power-cut", "power-cut", "kill", "EIO", "torn", "ENOSPC"] as const);
      world.diskFault = { at: world.disk.count + random.below(60), fault };
    },
  },
  "platform's disk nearly full": { weight: 1, strike: (world) => diskFull(world, "seen coming") },
  "platform's disk full": { weight: 1, strike: (world) => diskFull(world, "all of a sudden") },
  "platform's disk slow": {
    weight: 2,
    strike: (world) => {
      world.diskDelay = { write: 50, sync: 1_500 };
      return () => (world.diskDelay = { write: 2, sync: 12 });
    },
  },
  // Not further: a delivery that a rule has to try again waits by the wall clock, so it may come late by as much.
  "platform's clock jumps": { weight: 1, strike: ({ clock }, random) => clock.jump(within(random, hours(1))) },
  "store killed": { weight: 5, strike: (world) => world.platform.killStore() },
  "store's file lost": { weight: 1, strike: (world) => world.loseTelemetry() },
  "store's disk full": {
    weight: 1,
    strike: ({ telemetryDatabase }) => {
      telemetryDatabase.broken = true;
      return () => (telemetryDatabase.broken = false);
    },
  },
  "store slow": {
    weight: 2,
    strike: ({ telemetryDatabase }) => {
      telemetryDatabase.latencyMax = 3_000;
      return () => (telemetryDatabase.latencyMax = 20);
    },
  },
  "receiver slow": { weight: 2, strike: ({ receiver }) => receiverMode(receiver, "is slow") },
  "receiver fails": { weight: 2, strike: ({ receiver }) => receiverMode(receiver, "fails") },
  "receiver says nothing": { weight: 2, strike: ({ receiver }) => receiverMode(receiver, "hears and says nothing") },
  "rules' disk full": {
    weight: 1,
    strike: ({ rulesDatabase }) => {
      rulesDatabase.broken = true;
      return () => (rulesDatabase.broken = false);
    },
  },
  "subscriber dies": {
    weight: 2,
    strike: ({ subscriber }, random) => subscriber.peer.die(random.pick(["told", "silent"] as const)),
  },
  "subscriber mute": {
    weight: 1,
    strike: ({ subscriber }) => {
      subscriber.mute = true;
      return () => {
        subscriber.mute = false;
        subscriber.peer.die("told"); // what it left unacknowledged comes again
      };
    },
  },
};

function anAgent(world: PlatformWorld, random: SimRandom): SimEdgeAgent {
  return random.pick(world.agents);
}

function agentDisk(agent: SimEdgeAgent, fault: "full" | "failed"): () => void {
  agent.disk.fault = () => fault;
  return () => (agent.disk.fault = () => null);
}

function receiverMode(receiver: PlatformWorld["receiver"], mode: PlatformWorld["receiver"]["mode"]): () => void {
  receiver.mode = mode;
  return () => (receiver.mode = "answers");
}

/** Up to `span` in either direction. */
function within(random: SimRandom, span: number): number {
  return Math.floor((random.next() * 2 - 1) * span);
}

function someLinks(links: PlatformWorld["network"]["links"], random: SimRandom): PlatformWorld["network"]["links"] {
  return links.filter(() => random.chance(0.4));
}

function weather(network: PlatformWorld["network"], now: "refusing" | "silent"): () => void {
  network.weather = now;
  network.links.forEach((link) => link.break());
  return () => (network.weather = "open");
}

function diskFull(world: PlatformWorld, how: "seen coming" | "all of a sudden"): () => void {
  world.diskFull = how;
  return () => (world.diskFull = "no");
}

export interface Story {
  readonly seed: number;
  readonly hash: string;
  readonly events: number;
  readonly faults: number;
  readonly accepted: number;
  readonly dropped: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly lostToPowerCuts: number;
  readonly refusals: number;
  readonly recoveries: number;
  /** Simulated milliseconds from the last fault until everything had arrived. */
  readonly drainTime: number;
  /** What went wrong; null where nothing did. */
  readonly violation: string | null;
}

/** The same seed always tells the same story. */
export async function playPlatformSeed(seed: number, print: ((line: string) => void) | null = null): Promise<Story> {
  const world = new PlatformWorld(seed, print);
  const faults = await live(world, new SimRandom(seed + 0x5eed));
  const restAt = world.clock.monotonic();
  const settled = await world.settle();
  const drainTime = world.clock.monotonic() - restAt;
  const { witness, trace, telemetryDatabase } = world;
  if (settled) await reckon(world);
  else if (witness.violation === null) witness.wrong(`stuck: ${world.describe()}`);
  const { duplicates, lostToPowerCuts, refusals, recoveries } = witness.counts;
  return {
    seed,
    hash: trace.hash,
    events: trace.events,
    faults,
    accepted: witness.accepted.size,
    dropped: witness.givenUp.size,
    stored: telemetryDatabase.rows,
    duplicates,
    lostToPowerCuts,
    refusals,
    recoveries,
    drainTime,
    violation: witness.violation,
  };
}

/** Faults, one after the other and several at once; returns how many, all of them ended. */
async function live(world: PlatformWorld, random: SimRandom): Promise<number> {
  // Each seed has its own few kinds, so that one that hides the others does not hide them always.
  const kinds = Object.entries(FAULTS).filter(() => random.chance(0.4));
  const lot = kinds.flatMap(([name, fault]) => Array.from({ length: fault.weight }, () => ({ name, ...fault })));
  const endings = new Set<() => void>();
  let count = 0;
  await world.run(random.below(3_000));
  for (let turn = 4 + random.below(16); turn > 0 && world.witness.violation === null; turn--) {
    if (lot.length > 0) {
      const { name, strike } = random.pick(lot);
      world.trace.add("FAULT", name);
      count++;
      const ending = strike(world, random);
      if (typeof ending === "function") {
        const once = (): void => {
          if (endings.delete(once)) ending();
        };
        endings.add(once);
        world.clock.after(random.below(random.chance(0.2) ? 30_000 : 5_000), once);
      }
    }
    await world.run(random.chance(0.3) ? random.below(100) : random.below(4_000));
  }
  world.diskFault = null;
  for (const ending of endings) ending();
  world.trace.add("FAULT", "no more");
  return count;
}

async function reckon(world: PlatformWorld): Promise<void> {
  const { witness, subscriber, panel, receiver } = world;
  witness.checkEnd();
  for (const agent of world.agents) agent.checkPut();
  for (const { text, topic } of witness.log.values())
    if (topic.startsWith("telemetry/") && !receiver.got.has(text)) witness.wrong(`no rule was told of ${text}`);
  witness.checkReceived(subscriber.received, subscriber.since ?? 0, subscriber.earlier);
  const retained = (await world.visit()).get(panel.topic);
  const last = [...witness.log.values()].findLast(({ topic }) => topic === panel.topic)?.text;
  if (retained !== last) witness.wrong(`${panel.topic} is retained as ${retained}, and was last ${last}`);
  if (panel.confirmed > 0 && last !== `panel ${panel.confirmed}`)
    witness.wrong(`the log ends with ${last}, the panel with ${panel.confirmed}`);
}

// As a worker it plays the seeds that it is given and posts each story.
if (!isMainThread && isOrder(workerData)) {
  for (const seed of workerData.platformSeeds) parentPort?.postMessage(await playPlatformSeed(seed));
}

function isOrder(data: unknown): data is { readonly platformSeeds: readonly number[] } {
  return typeof data === "object" && data !== null && "platformSeeds" in data;
}
