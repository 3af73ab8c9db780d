/** The first whole system: edge agents → network → broker → log → store, on one simulated clock, from one seed. */
import { LIMITS, reasonOf } from "../src/base/mod.ts";
import type { Limits, LogFields, Logger } from "../src/base/mod.ts";
import { SimBrokerDatabase } from "./broker-database.ts";
import { SimNewcomer, SimPanel, SimSubscriber, SimVisitor, impersonate } from "./clients.ts";
import { SimDisk } from "./disk.ts";
import type { DiskFault } from "./disk.ts";
import { ROOMY, SimEdgeAgent } from "./edge-agent.ts";
import type { Farewell } from "./network.ts";
import { SimNetwork } from "./network.ts";
import { PlatformProcess } from "./platform-process.ts";
import { SimReceiver } from "./receiver.ts";
import { SimRulesDatabase } from "./rules-database.ts";
import { SimTelemetryDatabase } from "./telemetry-database.ts";
import { Trace } from "./trace.ts";
import { Wiretap } from "./wiretap.ts";
import { Witness } from "./witness.ts";
import { SimClock, SimRandom, drain } from "./world.ts";

/** Simulated time after the last fault within which everything must have arrived. */
export const DRAIN_TIME_MAX = 300_000;

export class PlatformWorld {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly witness: Witness;
  readonly network: SimNetwork;
  readonly disk: SimDisk;
  readonly telemetryDatabase: SimTelemetryDatabase;
  readonly rulesDatabase = new SimRulesDatabase();
  readonly receiver: SimReceiver;
  readonly agents: readonly SimEdgeAgent[];
  readonly subscriber: SimSubscriber;
  readonly panel: SimPanel;
  readonly newcomer: SimNewcomer;
  platform: PlatformProcess;
  /** Longest time that an operation of the platform's disk takes, in milliseconds. */
  diskDelay = { write: 2, sync: 12 };
  /** The platform's disk has space for nothing. */
  diskFull: "no" | "seen coming" | "all of a sudden" = "no";
  /** Strikes at the operation with this number, once. */
  diskFault: { readonly at: number; readonly fault: DiskFault } | null = null;
  readonly #logger: Logger;
  readonly #brokerDatabase: SimBrokerDatabase;
  readonly #limits: Limits;
  #numbers = 0;
  #producing = true;

  constructor(seed: number, print: ((line: string) => void) | null = null) {
    this.random = new SimRandom(seed);
    const { clock, random } = this;
    this.trace = new Trace(clock, print);
    this.witness = new Witness(this.trace);
    this.#logger = traceLogger(this.trace);
    this.network = new SimNetwork(clock, random);
    this.network.tap = new Wiretap(this.witness);
    this.#limits = limitsFrom(random);
    this.disk = new SimDisk({
      random,
      fault: (operation, _name, count) => this.#diskFaultAt(operation, count),
      freeBytes: () => (this.diskFull === "seen coming" ? 0 : 2 ** 40),
    });
    this.#brokerDatabase = new SimBrokerDatabase(random);
    this.telemetryDatabase = new SimTelemetryDatabase(random);
    this.telemetryDatabase.onRows = (rows, offset) => this.witness.store(rows, offset);
    this.receiver = new SimReceiver(this);
    this.platform = this.#startPlatform();
    const ports = { network: this.network, witness: this.witness, trace: this.trace };
    this.subscriber = new SimSubscriber(ports);
    this.panel = new SimPanel(ports);
    this.newcomer = new SimNewcomer(ports);
    this.agents = Array.from({ length: 1 + random.below(3) }, (_, i) => this.#makeAgent(`agent-${i + 1}`));
  }

  // ── time ──

  /** Everything that happens within `span`, one event after the other; ends early where something is wrong. */
  async run(span: number): Promise<void> {
    const end = this.clock.monotonic() + span;
    await drain();
    while (this.witness.violation === null && this.clock.step(end)) {
      await drain();
      if (this.disk.dead && this.platform.life.alive) this.platformDies("told", "its disk's fault");
    }
  }

  /** No more readings, no more faults: true once everything is where it belongs, within `DRAIN_TIME_MAX`. */
  async settle(): Promise<boolean> {
    this.#producing = false;
    this.panel.stopped = this.newcomer.stopped = true;
    for (let waited = 0; waited < DRAIN_TIME_MAX && this.witness.violation === null; waited += 1_000) {
      await this.run(1_000);
      if (this.isSettled) return true;
    }
    return false;
  }

  get isSettled(): boolean {
    const { platform, agents, panel, newcomer, telemetryDatabase, witness, subscriber, receiver } = this;
    return (
      platform.isSettled &&
      agents.every((agent) => agent.isDrained) &&
      panel.isIdle &&
      newcomer.isIdle &&
      telemetryDatabase.offset === platform.durable &&
      subscriber.since !== null &&
      [...witness.log].every(
        ([offset, { text, topic }]) =>
          !topic.startsWith("telemetry/") ||
          (receiver.got.has(text) && (offset < subscriber.since! || subscriber.got.has(text))),
      )
    );
  }

  describe(): string {
    const { platform, agents, panel, telemetryDatabase, subscriber, witness } = this;
    return [
      `platform ${platform.isReady ? "ready" : "not ready"}, log ${platform.logState}`,
      `log ${witness.next}, durable ${witness.durable}, stored ${telemetryDatabase.offset}`,
      ...agents.map((agent) => agent.describe()),
      `panel at ${panel.sent}, confirmed ${panel.confirmed}`,
      this.newcomer.isIdle ? "newcomer at home" : `newcomer ${this.newcomer.found + 1} waits for its own message`,
      `subscriber since ${subscriber.since}, has ${subscriber.got.size}`,
      `receiver has ${this.receiver.got.size}`,
    ].join("; ");
  }

  // ── what can happen ──

  /** `silent`: the machine lost its power, and nobody closed its connections. */
  platformDies(farewell: Farewell, why: string): void {
    if (!this.platform.life.alive) return;
    this.trace.add("platform", `dies: ${why}`);
    this.platform.end();
    for (const link of this.network.links) link.serverDies(farewell);
    if (!this.disk.dead) this.disk.kill();
    this.clock.after(300 + this.random.below(6_000), () => {
      if (!this.platform.life.alive) this.platform = this.#startPlatform();
    });
  }

  powerCut(): void {
    if (!this.platform.life.alive) return;
    this.disk.powerCut();
    this.#brokerDatabase.powerCut();
    this.platformDies(this.random.pick(["told", "silent"] as const), "power cut");
  }

  impersonate(agent: SimEdgeAgent): void {
    impersonate(agent.name, { network: this.network, witness: this.witness, trace: this.trace });
  }

  /** The store's file is lost; what is in it comes from the log again. */
  loseTelemetry(): void {
    this.platform.killStore();
    this.telemetryDatabase.wipe();
    this.witness.stored.clear();
  }

  /** What a dashboard that was just opened sees as retained. */
  async visit(): Promise<ReadonlyMap<string, string>> {
    const visitor = new SimVisitor({ network: this.network, witness: this.witness, trace: this.trace });
    for (let i = 0; i < 30 && !visitor.subscribed; i++) await this.run(1_000);
    await this.run(1_000);
    return visitor.retained;
  }

  #startPlatform(): PlatformProcess {
    this.disk.restart();
    this.trace.add("platform", "starts");
    const { clock, random, network, trace, witness, telemetryDatabase, rulesDatabase, receiver } = this;
    const process: PlatformProcess = new PlatformProcess(
      {
        clock,
        random,
        network,
        trace,
        witness,
        telemetryDatabase,
        rulesDatabase,
        receiver,
        logger: this.#logger,
        brokerDatabase: this.#brokerDatabase,
        limits: this.#limits,
        diskDelay: () => this.diskDelay,
        gaveUp: (reason) => {
          if (process === this.platform) this.platformDies("told", reason);
        },
      },
      this.disk.folder(),
    );
    return process;
  }

  #makeAgent(name: string): SimEdgeAgent {
    const { clock, random, network, trace, witness } = this;
    const small = random.chance(0.15);
    const limits = small ? { ...ROOMY, messages: 20 + random.below(60) } : ROOMY;
    const number = (): number => ++this.#numbers;
    const agent = new SimEdgeAgent(name, {
      clock,
      random,
      network,
      logger: this.#logger,
      trace,
      witness,
      limits,
      number,
    });
    agent.start();
    const meanPeriod = random.pick([200, 500, 1_500]);
    const produce = (): void => {
      if (!this.#producing) return;
      for (let burst = random.chance(0.05) ? random.below(30) : 1; burst > 0; burst--) agent.put();
      clock.after(1 + random.below(2 * meanPeriod), produce);
    };
    clock.after(random.below(meanPeriod), produce);
    return agent;
  }

  #diskFaultAt(operation: string, count: number): DiskFault | null {
    if (operation === "close") return null;
    const planned = this.diskFault;
    if (planned !== null && count >= planned.at) {
      this.diskFault = null;
      this.trace.add("disk", `${planned.fault} at ${operation}`);
      if (planned.fault === "power-cut") this.#brokerDatabase.powerCut();
      return planned.fault;
    }
    const writes = operation === "write" || operation === "create";
    return writes && this.diskFull === "all of a sudden" ? "ENOSPC" : null;
  }
}

/** Small segments, batches and memories, so that a minute meets every corner; the others as they are. */
function limitsFrom(random: SimRandom): Limits {
  const groupBytesMax = 1_200 + random.below(4_000);
  const log = {
    ...LIMITS.log,
    batchBytesMax: 600 + random.below(1_000),
    groupBytesMax,
    recordBytesMax: 600,
    segmentBytesMax: groupBytesMax + 2_000 + random.below(20_000),
    pendingBytesMax: random.pick([4_000, 100_000]),
    recentBytesMax: random.below(4_000),
    diskFreeBytesMin: 1_000_000,
  };
  const mqtt = {
    ...LIMITS.mqtt,
    recentBytesMax: random.pick([0, 1_000, LIMITS.mqtt.recentBytesMax]),
    inflightMax: random.pick([10, LIMITS.mqtt.inflightMax]),
    routesCachedMax: 32, // also: a table of 32,768 for each short life would cost more than all the rest
    deliveriesInflightMax: random.pick([5, LIMITS.mqtt.deliveriesInflightMax]),
  };
  return { ...LIMITS, log, mqtt };
}

/** Warnings and errors are a part of what happened. */
function traceLogger(trace: Trace): Logger {
  const say = (message: string, fields: LogFields = {}): void => {
    const reason = fields["reason"] ?? fields["error"] ?? fields["detail"];
    trace.add("says", reason === undefined ? message : `${message} (${reasonOf(reason)})`);
  };
  const logger: Logger = { debug: () => {}, info: () => {}, warn: say, error: say, child: () => logger };
  return logger;
}
