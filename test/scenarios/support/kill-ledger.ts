/**
 * The platform is killed again and again under load at QoS 1 and 2; a ledger says what became of every message. Clients
 * are those of the simulation, on real TLS connections, and MQTT.js, which somebody else has written.
 */
import { readFileSync } from "node:fs";
import type { MqttClient } from "mqtt";
import { uplinkSockets } from "../../../src/adapters/net/uplink-socket.ts";
import type { QoS } from "../../../src/base/mod.ts";
import { SimBrokerClient } from "../../../sim/broker-client.ts";
import type { ClientNetwork, ClientWitness } from "../../../sim/broker-client-ports.ts";
import { SessionLedger } from "../../../sim/broker-ledger.ts";
import type { SentMessage } from "../../../sim/broker-ledger.ts";
import { SimRandom } from "../../../sim/world.ts";
import { addDevice, openDevice } from "./device.ts";
import type { Device } from "./device.ts";
import { PlatformProcess, until } from "./platform-process.ts";

export interface KillOptions {
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
  readonly qualities: readonly (1 | 2)[];
  readonly say?: (line: string) => void;
}

export interface KillReport {
  readonly kills: number;
  /** Of these: before the platform was ready. */
  readonly killedStarting: number;
  readonly published: number;
  /** PUBACK or PUBREC came. */
  readonly acknowledged: number;
  /** By all subscribers, repetitions included. */
  readonly received: number;
  /** Acknowledged, and missing at a subscriber. */
  readonly lost: number;
  /** More than once at QoS 2. */
  readonly duplicated: number;
  /** More than once at QoS 1, which may be. */
  readonly repeated: number;
  /** First deliveries behind a younger one of their publisher and quality of service. */
  readonly reordered: number;
  /** What clients saw that the specification forbids, and examples of the above. */
  readonly wrong: readonly string[];
}

/** What one subscriber has. */
class Receipts {
  readonly times = new Map<string, number>();
  readonly highest = new Map<string, number>();
}

class KillLedger implements ClientWitness {
  tick = 0;
  readonly retainedConfirmed = new Map<string, number>();
  readonly ledgers = new Map<string, SessionLedger>();
  readonly sent = new Map<string, SentMessage>();
  readonly acknowledged = new Set<string>();
  readonly receipts = new Map<string, Receipts>();
  readonly wrongs: string[] = [];
  received = 0;
  duplicated = 0;
  repeated = 0;
  reordered = 0;

  wrong(what: string): void {
    if (this.wrongs.length < 20) this.wrongs.push(what);
  }

  publish(message: SentMessage): void {
    this.sent.set(message.text, message);
  }

  safe({ text }: Pick<SentMessage, "text">): void {
    this.acknowledged.add(text);
  }

  begin(clientId: string, kept: boolean): SessionLedger {
    const ledger = new SessionLedger(clientId, kept);
    this.ledgers.set(clientId, ledger);
    return ledger;
  }

  deliver(clientId: string, payload: Uint8Array): string {
    const text = new TextDecoder().decode(payload);
    this.take(clientId, text);
    return text;
  }

  take(subscriber: string, text: string): void {
    this.received++;
    const message = this.sent.get(text);
    if (message === undefined) return this.wrong(`${subscriber} got ${text}, which nobody sent`);
    let receipts = this.receipts.get(subscriber);
    if (receipts === undefined) this.receipts.set(subscriber, (receipts = new Receipts()));
    const times = (receipts.times.get(text) ?? 0) + 1;
    receipts.times.set(text, times);
    if (times > 1) {
      if (message.qos === 1) this.repeated++;
      else this.#duplicate(subscriber, text);
      return;
    }
    const stream = `${message.publisher} ${message.qos}`;
    const highest = receipts.highest.get(stream) ?? 0;
    if (message.number < highest) {
      this.reordered++;
      this.wrong(`${subscriber} got ${text} behind ${highest}`);
    } else receipts.highest.set(stream, message.number);
  }

  #duplicate(subscriber: string, text: string): void {
    this.duplicated++;
    this.wrong(`${subscriber} got ${text} twice`);
  }

  /** Acknowledged, and not there. */
  missing(subscriber: string): readonly string[] {
    const { times } = this.receipts.get(subscriber) ?? new Receipts();
    return [...this.acknowledged].filter((text) => !times.has(text));
  }
}

/** Timers and connections of the simulated clients, on the real machine. */
class RealNetwork implements ClientNetwork {
  readonly redialMax = 100;
  readonly random: SimRandom;
  readonly #devices: ReadonlyMap<string, Device>;
  readonly #port: number;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #sockets = new Map<string, { destroy(): void }>();
  #closed = false;

  constructor(random: SimRandom, devices: readonly Device[], port: number) {
    this.random = random;
    this.#devices = new Map(devices.map((device) => [device.thing, device]));
    this.#port = port;
  }

  readonly clock = {
    monotonic: (): number => performance.now(),
    after: (delay: number, task: () => void): (() => void) => {
      if (this.#closed) return () => {};
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        task();
      }, delay);
      this.#timers.add(timer);
      return () => clearTimeout(timer);
    },
    every: (period: number, task: () => void): (() => void) => {
      const timer = setInterval(task, period);
      this.#timers.add(timer);
      return () => clearInterval(timer);
    },
  };

  dial(name: string, events: Parameters<ClientNetwork["dial"]>[1]): ReturnType<ClientNetwork["dial"]> {
    const folder = this.#devices.get(name)!.folder;
    const read = (file: string): string => readFileSync(`${folder}/${file}`, "utf8");
    const credentials = () => ({
      certificate: read("certificate.pem"),
      privateKey: read("private-key.pem"),
      ca: read("ca.pem"),
    });
    const socket = uplinkSockets({ host: "127.0.0.1", port: this.#port, credentials })(events);
    this.#sockets.set(name, socket);
    return socket;
  }

  linksOf(name: string): ReturnType<ClientNetwork["linksOf"]> {
    const destroy = (): void => this.#sockets.get(name)?.destroy();
    return [{ clientDies: destroy, break: destroy }];
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

const THINGS = ["pub-own", "sub-own", "pub-mqttjs", "sub-mqttjs"] as const;
const SUBSCRIBERS = ["sub-own", "sub-mqttjs"] as const;
/** Messages of one publisher that are under way. */
const UNFINISHED_MAX = 60;
const KEPT = { clean: false, properties: { sessionExpiryInterval: 86_400, receiveMaximum: 200 } } as const;
/** A life that the clients do not find their way back into is ended all the same. */
const LIFE_MS_MAX = 5_000;
/** A machine that is busy with other things is slow; one that does nothing for so long is not. */
const QUIET_MS_MAX = 60_000;

export async function runKills(options: KillOptions): Promise<KillReport> {
  const random = new SimRandom(options.seed);
  const ledger = new KillLedger();
  const load = await Load.start(options, random, ledger);
  let killedStarting = 0;
  try {
    for (let kill = 1; kill <= options.kills; kill++) {
      if (await load.liveAndDie(random)) killedStarting++;
      if (kill % 50 === 0) options.say?.(`${kill} kills, ${ledger.acknowledged.size} acknowledged`);
    }
    await load.settle();
    const missing = SUBSCRIBERS.flatMap((subscriber) =>
      ledger.missing(subscriber).map((text) => `${text} never reached ${subscriber}`),
    );
    for (const text of missing) ledger.wrong(text);
    return {
      kills: options.kills,
      killedStarting,
      published: ledger.sent.size,
      acknowledged: ledger.acknowledged.size,
      received: ledger.received,
      lost: missing.length,
      duplicated: ledger.duplicated,
      repeated: ledger.repeated,
      reordered: ledger.reordered,
      wrong: ledger.wrongs,
    };
  } finally {
    await load.close();
  }
}

/** Publishers and subscribers that notice nothing but the interruptions. */
class Load {
  readonly #options: KillOptions;
  readonly #ledger: KillLedger;
  readonly #network: RealNetwork;
  readonly #own: readonly SimBrokerClient[];
  readonly #mqttjs: readonly MqttClient[];
  readonly #ports: readonly string[];
  #platform: { readonly ready: Promise<PlatformProcess>; kill(): Promise<void> };
  #startMs = 3_000;
  #number = 0;
  #unfinished = 0;
  #publishing = true;

  private constructor(
    options: KillOptions,
    ledger: KillLedger,
    platform: PlatformProcess,
    devices: readonly Device[],
    random: SimRandom,
  ) {
    this.#options = options;
    this.#ledger = ledger;
    this.#platform = { ready: Promise.resolve(platform), kill: () => platform.kill() };
    this.#ports = platform.samePorts();
    this.#network = new RealNetwork(random, devices, platform.mqttsPort);
    const traits = {
      version: 5,
      sessionExpirySeconds: 86_400,
      receiveMaximum: 200,
      slowness: 0,
      willDelaySeconds: null,
    } as const;
    const ports = { network: this.#network, witness: ledger, trace: { add: () => {} } };
    this.#own = ["pub-own", "sub-own"].map((clientId) => new SimBrokerClient({ ...traits, clientId }, ports));
    this.#mqttjs = ["pub-mqttjs", "sub-mqttjs"].map((thing) => {
      const device = devices.find((candidate) => candidate.thing === thing)!;
      const client = openDevice(platform, device, { ...KEPT, reconnectPeriod: 60, connectTimeout: 3_000 });
      client.on("error", () => {}); // it comes back by itself
      return client;
    });
  }

  static async start(options: KillOptions, random: SimRandom, ledger: KillLedger): Promise<Load> {
    const { folder } = options;
    const platform = await PlatformProcess.start(folder);
    const devices: Device[] = [];
    for (const thing of THINGS) devices.push(await addDevice(platform, folder, thing));
    await allow(platform, devices);
    const load = new Load(options, ledger, platform, devices, random);
    await load.#subscribe();
    load.#publish();
    return load;
  }

  /** Runs for a while, or does not even get to that, and is killed; true where it had not been ready. */
  async liveAndDie(random: SimRandom): Promise<boolean> {
    const platform = this.#platform;
    const starting = random.chance(0.25);
    if (starting) {
      await Promise.race([platform.ready.catch(() => {}), after(random.below(this.#startMs))]);
    } else {
      await platform.ready;
      const enough = this.#ledger.acknowledged.size + 1 + random.below(600);
      const until = performance.now() + LIFE_MS_MAX;
      while (this.#ledger.acknowledged.size < enough && performance.now() < until) await after(1 + random.below(20));
    }
    await platform.kill();
    this.#begin();
    return starting;
  }

  /** No more messages, no more kills: until everything has arrived, or nothing more does. */
  async settle(): Promise<void> {
    await this.#platform.ready;
    this.#publishing = false;
    const done = (): boolean =>
      this.#own.every((client) => client.unfinished === 0) &&
      this.#unfinished === 0 &&
      SUBSCRIBERS.every((subscriber) => this.#ledger.missing(subscriber).length === 0);
    for (let received = -1, quietSince = performance.now(); !done();) {
      if (this.#ledger.received !== received) quietSince = performance.now();
      received = this.#ledger.received;
      if (performance.now() - quietSince < QUIET_MS_MAX) await after(100);
      else return this.#ledger.wrong(`nothing has arrived for ${QUIET_MS_MAX / 1000} s, and not everything is there`);
    }
  }

  async close(): Promise<void> {
    this.#publishing = false;
    for (const client of this.#mqttjs) client.end(true);
    this.#network.close();
    await this.#platform.kill();
  }

  #begin(): void {
    const startedAt = performance.now();
    this.#platform = PlatformProcess.begin(this.#options.folder, this.#ports);
    void this.#platform.ready.then(
      () => (this.#startMs = performance.now() - startedAt),
      () => {},
    );
  }

  async #subscribe(): Promise<void> {
    const own = this.#own[1]!;
    const [, theirs] = this.#mqttjs;
    const request = { filter: "kill/#", qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
    await until("our subscriber", async () => own.isIdle);
    own.subscribe(request, 0);
    theirs!.on("message", (_topic, payload) => this.#ledger.take("sub-mqttjs", payload.toString()));
    await theirs!.subscribeAsync("kill/#", { qos: 2 });
    await until("our subscription", async () => own.isIdle);
  }

  #publish(): void {
    if (!this.#publishing) return;
    const { random } = this.#network;
    const own = this.#own[0]!;
    for (let burst = random.below(20); burst > 0; burst--) {
      const qos = random.pick(this.#options.qualities);
      if (own.unfinished < UNFINISHED_MAX) own.publish(`kill/own/${qos}`, qos);
      if (this.#unfinished < UNFINISHED_MAX) this.#publishByMqttjs(random.pick(this.#options.qualities));
    }
    this.#network.clock.after(random.below(10), () => this.#publish());
  }

  #publishByMqttjs(qos: QoS): void {
    const number = ++this.#number;
    const publisher = "pub-mqttjs";
    const message = { text: `${publisher}-${number}`, topic: `kill/theirs/${qos}`, publisher, number, qos };
    this.#ledger.publish({ ...message, retain: false, expires: false });
    this.#unfinished++;
    this.#mqttjs[0]!.publish(message.topic, message.text, { qos }, (error) => {
      this.#unfinished--;
      if (error === undefined || error === null) this.#ledger.safe(message);
    });
  }
}

function after(delay: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delay));
}

async function allow(platform: PlatformProcess, devices: readonly Device[]): Promise<void> {
  const arn = "arn:aws:iot:local:000000000000";
  const policyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: ["iot:Publish", "iot:Receive"], Resource: `${arn}:topic/kill/*` },
      { Effect: "Allow", Action: "iot:Subscribe", Resource: `${arn}:topicfilter/kill/*` },
    ],
  });
  await platform.api("POST", "/policies/kill", { policyDocument });
  for (const { certificateId } of devices)
    await platform.api("PUT", "/target-policies/kill", { target: `${arn}:cert/${certificateId}` });
}
