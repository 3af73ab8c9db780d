/** Clients → network → broker → log and state file, on one simulated clock, from one seed. */
import { LIMITS, reasonOf } from "../src/base/mod.ts";
import type { Limits, LogFields, Logger, QoS } from "../src/base/mod.ts";
import type { SubscribeRequest } from "../src/wire/mqtt/mod.ts";
import { SimBrokerClient } from "./broker-client.ts";
import type { ClientTraits } from "./broker-client-ports.ts";
import { SimBrokerDatabase } from "./broker-database.ts";
import { SHARED_FILTERS } from "./broker-groups.ts";
import { BrokerProcess } from "./broker-process.ts";
import type { Sabotage } from "./broker-process.ts";
import { BrokerTap } from "./broker-tap.ts";
import type { Passing } from "./broker-tap.ts";
import { BrokerWitness } from "./broker-witness.ts";
import { SimDisk } from "./disk.ts";
import type { DiskFault } from "./disk.ts";
import { SimNetwork } from "./network.ts";
import type { Farewell, SimLink } from "./network.ts";
import { Trace } from "./trace.ts";
import { SimClock, SimRandom, drain } from "./world.ts";

/** Simulated time after the last fault within which everything must have arrived. */
export const DRAIN_TIME_MAX = 240_000;

/** A connection of which nobody told the broker that it is gone: by keep-alive, or because it takes no output. */
const GONE_AFTER_MAX = 2 * LIMITS.mqtt.stalledOutputMax;

const TOPICS = ["t/a", "t/b", "t/a/x", "u/a"];
const FILTERS = ["t/a", "t/+", "t/#", "+/a", "u/a", "#", "r/#", "w/+"];

export interface SystemOptions {
  readonly print?: ((line: string) => void) | null;
  readonly sabotage?: Sabotage;
}

export class BrokerSystem {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly witness: BrokerWitness;
  readonly network: SimNetwork;
  readonly disk: SimDisk;
  readonly clients: readonly SimBrokerClient[];
  process: BrokerProcess;
  /** Longest time that an operation of the broker's disk takes, in milliseconds. */
  diskDelay = { write: 2, sync: 12 };
  diskFull: "no" | "seen coming" | "all of a sudden" = "no";
  databaseFails = false;
  /** Strikes at the operation with this number, once. */
  diskFault: { readonly at: number; readonly fault: DiskFault } | null = null;
  /** Strikes as a packet of this kind leaves the broker, once. */
  #ambush: { readonly kind: Passing; readonly strike: (link: SimLink) => void } | null = null;
  readonly #tap: BrokerTap;
  readonly #logger: Logger;
  readonly #database: SimBrokerDatabase;
  readonly #limits: Limits;
  readonly #sabotage: Sabotage;
  readonly #lives: BrokerProcess[] = [];
  #acting = true;

  constructor(seed: number, { print = null, sabotage = {} }: SystemOptions = {}) {
    this.random = new SimRandom(seed);
    const { clock, random } = this;
    this.trace = new Trace(clock, print);
    this.witness = new BrokerWitness(this.trace);
    this.witness.dropped = () => this.#count("queue-full") + this.#count("share-unclaimed");
    this.#tap = new BrokerTap(this.witness);
    this.#tap.onPassing = (kind, link) => this.#passed(kind, link);
    this.#logger = traceLogger(this.trace);
    this.#sabotage = sabotage;
    this.network = new SimNetwork(clock, random);
    this.network.tap = this.#tap;
    this.#limits = limitsFrom(random);
    this.disk = new SimDisk({
      random,
      fault: (operation, _name, count) => this.#diskFaultAt(operation, count),
      freeBytes: () => (this.diskFull === "seen coming" ? 0 : 2 ** 40),
    });
    this.#database = new SimBrokerDatabase(random);
    this.#database.onSaved = (changes) => this.witness.save(changes);
    this.process = this.#start();
    this.clients = Array.from({ length: 3 + random.below(4) }, (_, i) => this.#makeClient(i));
  }

  // ── time ──

  /** Everything that happens within `span`, one event after the other; ends early where something is wrong. */
  async run(span: number): Promise<void> {
    const end = this.clock.monotonic() + span;
    await drain();
    while (this.witness.violation === null && this.clock.step(end)) {
      await drain();
      if (this.disk.dead && this.process.life.alive) this.brokerDies("told", "its disk's fault");
    }
  }

  /** No more messages, no more faults: true once everything is where it belongs, within `DRAIN_TIME_MAX`. */
  async settle(): Promise<boolean> {
    this.#acting = false;
    this.#ambush = null;
    for (let waited = 0; waited < DRAIN_TIME_MAX && this.witness.violation === null; waited += 500) {
      for (const client of this.clients) client.comeBack();
      await this.run(500);
      if (this.isSettled) return true;
    }
    return false;
  }

  get isSettled(): boolean {
    const { process, clients, witness } = this;
    return process.isSettled && clients.every((client) => client.isIdle) && witness.owed().length === 0;
  }

  describe(): string {
    const { process, clients, witness } = this;
    const busy = clients.filter((client) => !client.isIdle).map((client) => client.describe());
    return [
      `broker ${process.isReady ? "ready" : "not ready"}, log ${witness.next}, durable ${witness.durable}`,
      ...busy,
      `owed: ${witness.owed().join(", ")}`,
    ].join("; ");
  }

  // ── what can happen ──

  /** `silent`: the machine lost its power, and nobody closed its connections. */
  brokerDies(farewell: Farewell, why: string): void {
    if (!this.process.life.alive) return;
    this.trace.add("broker", `dies: ${why}`);
    this.process.end();
    this.witness.died();
    for (const link of this.network.links) link.serverDies(farewell);
    if (!this.disk.dead) this.disk.kill();
    this.clock.after(100 + this.random.below(3_000), () => {
      if (!this.process.life.alive) this.process = this.#start();
    });
  }

  powerCut(): void {
    if (!this.process.life.alive) return;
    this.disk.powerCut();
    this.#database.powerCut();
    this.brokerDies(this.random.pick(["told", "silent"] as const), "power cut");
  }

  /** The next packet of this kind is the last thing that the broker, or the connection, does. */
  ambush(kind: Passing, what: "power" | "kill" | "connection"): void {
    const strike = (link: SimLink): void => {
      if (what === "power") this.powerCut();
      else if (what === "kill") this.brokerDies("told", "killed");
      else link.break();
    };
    // Not at once: the packet is on its way, and what the broker has just done about it goes on for a moment.
    this.#ambush = { kind, strike: (link) => this.clock.after(this.random.below(4), () => strike(link)) };
  }

  /** What a client that was never here sees as retained. */
  async visit(): Promise<ReadonlyMap<string, string>> {
    const visitor = new SimBrokerClient({ ...TRANSIENT, clientId: "visitor" }, this);
    const seen = new Map<string, string>();
    visitor.onDelivery = (topic, text, retain) => void (retain && seen.set(topic, text));
    for (let i = 0; i < 40 && !visitor.isIdle; i++) await this.run(500);
    visitor.subscribe({ filter: "#", qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 }, 0);
    await this.run(3_000);
    visitor.leave(Infinity);
    return seen;
  }

  /** Everybody gives up their session and leaves; what the broker still holds then. */
  async empty(): Promise<readonly string[]> {
    for (const client of this.clients) client.retire();
    await this.run(3_000);
    for (const client of this.clients) client.leave(Infinity);
    for (let waited = 0; waited < GONE_AFTER_MAX && this.#held().length > 0; waited += 2_000) await this.run(2_000);
    return this.#held();
  }

  #held(): readonly string[] {
    const { metrics } = this.process;
    return ["connections", "sessions", "queued_messages", "output_bytes", "acknowledgements_waiting"]
      .map((name) => ({ name, value: metrics.value(`tidewire_mqtt_${name}`) }))
      .filter(({ value }) => value !== 0)
      .map(({ name, value }) => `${value} ${name}`);
  }

  #passed(kind: Passing, link: SimLink): void {
    if (this.#ambush?.kind !== kind) return;
    const { strike } = this.#ambush;
    this.#ambush = null;
    this.trace.add("FAULT", `behind the ${kind} to ${link.name}`);
    strike(link);
  }

  #count(reason: string): number {
    let sum = 0;
    for (const { metrics } of this.#lives) sum += metrics.valueOr(0, "tidewire_mqtt_dropped_total", { reason });
    return sum;
  }

  #start(): BrokerProcess {
    this.disk.restart();
    this.trace.add("broker", "starts");
    const { clock, random, network, trace, witness } = this;
    const process: BrokerProcess = new BrokerProcess(
      {
        clock,
        random,
        network,
        trace,
        witness,
        tap: this.#tap,
        logger: this.#logger,
        database: this.#database,
        limits: this.#limits,
        sabotage: this.#sabotage,
        diskDelay: () => this.diskDelay,
        databaseFails: () => this.databaseFails,
        gaveUp: (reason) => {
          if (process === this.process) this.brokerDies("told", reason);
        },
      },
      this.disk.folder(),
    );
    this.#lives.push(process);
    return process;
  }

  #makeClient(index: number): SimBrokerClient {
    const { random, clock } = this;
    const traits: ClientTraits = {
      clientId: `c${index}`,
      version: random.chance(0.3) ? 4 : 5,
      sessionExpirySeconds: index > 1 && random.chance(0.2) ? 0 : random.chance(0.15) ? 5 + random.below(10) : 3_600,
      receiveMaximum: random.pick([1, 2, 5, 100]),
      slowness: random.pick([0, 0, 30, 400]),
      willDelaySeconds: random.chance(0.4) ? random.pick([0, 0, 2]) : null,
    };
    const client = new SimBrokerClient(traits, this);
    const meanPeriod = random.pick([60, 200, 600]);
    const act = (): void => {
      if (!this.#acting) return;
      this.#act(client);
      clock.after(1 + random.below(2 * meanPeriod), act);
    };
    clock.after(random.below(500), act);
    return client;
  }

  /** One thing that an application does. */
  #act(client: SimBrokerClient): void {
    const { random } = this;
    const what = random.below(100);
    const mayShare = client.traits.version === 5 && client.traits.sessionExpirySeconds === 3_600;
    if (what < 3 && mayShare) {
      const [identifier, filter] = random.pick([...SHARED_FILTERS]);
      client.subscribe({ ...requestFrom(random), filter, qos: random.pick([1, 2]), noLocal: false }, identifier);
    } else if (what < 14 || client.filters.length === 0)
      client.subscribe(requestFrom(random), random.chance(0.3) ? 1 + random.below(3) : 0);
    else if (what < 18) client.unsubscribe(random.pick(client.filters));
    else if (what < 21) client.leave(random.below(6_000));
    else if (what < 23) client.die(random.pick(["told", "silent"] as const));
    else if (what < 24) client.startAnew();
    else if (what < 34) this.#retain(client);
    else {
      for (let burst = random.chance(0.1) ? random.below(15) : 1; burst > 0; burst--) {
        const padding = random.chance(0.1) ? random.below(300) : random.below(10);
        client.publish(random.pick(TOPICS), qosFrom(random), { expires: random.chance(0.1), padding });
      }
    }
  }

  #retain(client: SimBrokerClient): void {
    const { random } = this;
    const topic = `r/${client.traits.clientId}/${random.below(2)}`;
    if (random.chance(0.15)) client.clear(topic);
    else client.publish(topic, qosFrom(random), { retain: true, padding: random.below(20) });
  }

  #diskFaultAt(operation: string, count: number): DiskFault | null {
    if (operation === "close") return null;
    const planned = this.diskFault;
    if (planned !== null && count >= planned.at) {
      this.diskFault = null;
      this.trace.add("disk", `${planned.fault} at ${operation}`);
      if (planned.fault === "power-cut") this.#database.powerCut();
      return planned.fault;
    }
    const writes = operation === "write" || operation === "create";
    return writes && this.diskFull === "all of a sudden" ? "ENOSPC" : null;
  }
}

const TRANSIENT = {
  version: 5,
  sessionExpirySeconds: 0,
  receiveMaximum: 1_000,
  slowness: 0,
  willDelaySeconds: null,
} as const;

function qosFrom(random: SimRandom): QoS {
  return random.pick([0, 1, 1, 2, 2]);
}

function requestFrom(random: SimRandom): SubscribeRequest {
  return {
    filter: random.pick(FILTERS),
    qos: random.pick([0, 1, 1, 2, 2]),
    noLocal: random.chance(0.1),
    retainAsPublished: random.chance(0.1),
    retainHandling: random.pick([0, 0, 1, 2]),
  };
}

/** Small segments, batches, windows and memories, so that a few seconds meet every corner; the others as they are. */
function limitsFrom(random: SimRandom): Limits {
  const groupBytesMax = 2_700 + random.below(4_000);
  const log = {
    ...LIMITS.log,
    batchBytesMax: 2_200 + random.below(400),
    groupBytesMax,
    recordBytesMax: 2_100, // a note of everything that may be under way fits
    segmentBytesMax: groupBytesMax + 2_000 + random.below(20_000),
    pendingBytesMax: random.pick([6_000, 100_000, 100_000]),
    recentBytesMax: random.below(4_000),
    diskFreeBytesMin: 1_000_000,
  };
  const mqtt = {
    ...LIMITS.mqtt,
    recentBytesMax: random.pick([0, 1_000, 20_000]),
    inflightMax: random.pick([5, 50, 200]),
    routesCachedMax: 32, // also: a table of 32,768 for each short life would cost more than all the rest
    deliveriesInflightMax: random.pick([2, 10, 100]),
    queuedMessagesMax: queuedMessagesMaxFrom(random.below(100)),
    backlogBytesMax: random.pick([1_000, LIMITS.mqtt.backlogBytesMax]),
    stateSavePeriod: random.pick([100, 1_000]),
    willGraceAfterRestart: 1_500,
  };
  return { ...LIMITS, log, mqtt };
}

/** Some overflow; in others there is room for nearly all, and how far a client has come is noted after a few messages. */
function queuedMessagesMaxFrom(hundredth: number): number {
  if (hundredth < 15) return 20;
  return hundredth < 60 ? 80 : LIMITS.mqtt.queuedMessagesMax;
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
