/**
 * A broker between hostile clients and good ones. The hostile send what `hostile-packets.ts` makes up, in pieces, and stall
 * and vanish; the good publish and subscribe beside them. Whatever the hostile do, the good are served, nothing fails inside,
 * and nothing of the hostile remains.
 */
import { queryObjects } from "node:v8";
import { hex, listing } from "../../sim/listing.ts";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { SimRandom } from "../../sim/world.ts";
import type { BrokerConnection, Peer, Transport } from "../../src/broker/mod.ts";
import { Connection } from "../../src/broker/connection.ts";
import { Session } from "../../src/broker/session.ts";
import { REASON } from "../../src/wire/mqtt/mod.ts";
import type { ConnectPacket, ProtocolVersion } from "../../src/wire/mqtt/mod.ts";
import { HOSTILE_TOPICS, hostilePacket } from "./hostile-packets.ts";

/** What happens, as it can be written down and played again. */
export type Step =
  | { readonly type: "bytes"; readonly from: number; readonly hex: string }
  | { readonly type: "open" | "cut" | "stall" | "unstall"; readonly from: number }
  | { readonly type: "time"; readonly ms: number };

const CONNECTIONS = 4;
/** Hostile sessions end this soon, so that a story can wait for it. */
const SESSION_EXPIRY_SECONDS = 5;
const KEEP_ALIVE_SECONDS = 30;
const ROUTES_CACHED_MAX = 16;
/** `HOLD_MS` of `broker/pacing.ts`, and a turn. */
const PACED_MS = 60;
/** Longer than keep-alive, CONNECT timeout, stalled output, session expiry and will delay. */
const UNTIL_ALL_IS_OVER = 120_000;

/** The steps of a seed. */
export function storyOf(seed: number): readonly Step[] {
  const random = new SimRandom(seed);
  const steps: Step[] = [];
  const versions = new Map<number, ProtocolVersion>();
  const length = 10 + random.below(80);
  while (steps.length < length) {
    const from = random.below(CONNECTIONS);
    const version = versions.get(from);
    if (version === undefined || random.chance(0.15)) {
      const chosen = random.pick<ProtocolVersion>([4, 5]);
      versions.set(from, chosen);
      steps.push({ type: "open", from });
      bytesSteps(steps, from, hostilePacket(random, chosen, random.chance(0.97)), random);
    } else if (random.chance(0.08)) steps.push({ type: random.pick(["cut", "cut", "stall", "unstall"]), from });
    else if (random.chance(0.09)) steps.push({ type: "time", ms: random.pick([1, 100, 1_500, 7_000, 40_000]) });
    else bytesSteps(steps, from, hostilePacket(random, version, random.chance(0.02)), random);
  }
  return steps;
}

function bytesSteps(steps: Step[], from: number, bytes: Uint8Array, random: SimRandom): void {
  const cut = random.chance(0.15) ? random.below(bytes.length) : 0;
  if (cut > 0) steps.push({ type: "bytes", from, hex: hex(bytes.subarray(0, cut)) });
  steps.push({ type: "bytes", from, hex: hex(bytes.subarray(cut)) });
}

/** A connection that says what it is told to, and takes whatever comes. */
class HostileTransport implements Transport {
  readonly remoteAddress = "192.0.2.66";
  open = true;
  readonly #world: BrokerWorld;
  readonly #connection: BrokerConnection;
  #stalled = false;
  #waiting: Uint8Array | null = null;

  constructor(world: BrokerWorld) {
    this.#world = world;
    this.#connection = world.broker.accept(this, { remoteAddress: this.remoteAddress, certificateId: null });
  }

  receive(bytes: Uint8Array): void {
    if (this.open) this.#connection.receive(bytes);
    bytes.fill(0xee); // as the network uses its buffer again
  }

  write(bytes: Uint8Array): void {
    if (this.#waiting !== null || !this.open) throw new Error("written out of turn");
    this.#waiting = bytes;
    this.#world.clock.defer(() => this.#take());
  }

  end(): void {
    this.cut();
  }

  destroy(): void {
    this.cut();
  }

  pause(): void {}
  resume(): void {}

  cut(): void {
    if (!this.open) return;
    this.open = false;
    this.#waiting = null;
    this.#world.clock.defer(() => this.#connection.closed());
  }

  stall(stalled: boolean): void {
    this.#stalled = stalled;
    this.#take();
  }

  #take(): void {
    const bytes = this.#waiting;
    if (bytes === null || this.#stalled || !this.open) return;
    this.#waiting = null;
    bytes.fill(0xee); // and the broker its own
    this.#connection.written(bytes);
  }
}

/** The good ones, and what they have seen. */
class GoodParty {
  readonly publisher: SimClient;
  readonly subscribers: readonly SimClient[];
  #published = 0;

  private constructor(publisher: SimClient, subscribers: readonly SimClient[]) {
    this.publisher = publisher;
    this.subscribers = subscribers;
  }

  static async in(world: BrokerWorld): Promise<GoodParty> {
    const client = async (version: ProtocolVersion, clientId: string): Promise<SimClient> => {
      const one = world.client({ version, certificateId: "good" }).connect({ clientId, keepAliveSeconds: 0 });
      await world.run();
      return one;
    };
    const publisher = await client(5, "good-publisher");
    const subscribers = [await client(4, "good-old"), await client(5, "good-new")];
    for (const subscriber of subscribers) subscriber.subscribe("good/#");
    await world.run();
    return new GoodParty(publisher, subscribers);
  }

  get all(): readonly SimClient[] {
    return [this.publisher, ...this.subscribers];
  }

  publish(): void {
    const number = this.#published++;
    this.publisher.publish("good/news", `${number}`, { qos: 1, packetId: 1 + (number % 65_535) });
    for (const one of this.all) if (one.open) one.send((w) => w.pingreq());
  }

  /** What is wrong, or null. */
  fault(): string | null {
    for (const one of this.all) if (!one.open) return "a good client was cut off";
    const acknowledged = this.publisher.received.filter(({ type }) => type === "puback").length;
    if (acknowledged !== this.#published)
      return `${acknowledged} of ${this.#published} good messages were acknowledged`;
    const expected = Array.from({ length: this.#published }, (_, i) => `${i}`).join(" ");
    for (const { version, publishes } of this.subscribers) {
      const got = publishes.map(({ payload }) => payload).join(" ");
      if (got !== expected) return `a good subscriber of version ${version} got ${got} and not ${expected}`;
    }
    return null;
  }
}

/** Plays the steps; null where all is well, else what is wrong. `leaks`: also looks through the whole memory, which takes time. */
export async function play(steps: readonly Step[], { leaks = false } = {}): Promise<string | null> {
  const before = leaks ? alive() : null;
  const world = await hostileWorld();
  const good = await GoodParty.in(world);
  const connections = new Map<number, HostileTransport>();
  for (const step of steps) {
    act(world, connections, step);
    good.publish();
    await world.run(step.type === "time" ? step.ms : 0);
    const fault = inside(world) ?? (await faultOfLate(world, good));
    if (fault !== null) return fault;
  }
  const fault = (await theEnd(world, good, connections)) ?? good.fault();
  connections.clear();
  return fault ?? (before === null ? null : leftInMemory(before, alive(), good.all.length));
}

/** Who sends much is held for a moment, once, where a subscriber does not take what it is sent: longer than that is a fault. */
async function faultOfLate(world: BrokerWorld, good: GoodParty): Promise<string | null> {
  if (good.fault() === null) return null;
  await world.run(PACED_MS);
  return inside(world) ?? good.fault();
}

type Alive = Readonly<Record<"sessions" | "connections", number>>;

/** In the whole process's memory, whoever holds them. */
function alive(): Alive {
  return {
    sessions: queryObjects(Session, { format: "count" }),
    connections: queryObjects(Connection, { format: "count" }),
  };
}

function leftInMemory(before: Alive, after: Alive, clients: number): string | null {
  for (const kind of ["sessions", "connections"] as const) {
    const left = after[kind] - before[kind] - clients;
    if (left > 0) return `${left} ${kind} are held by something when the hostile are gone`;
  }
  return null;
}

function hostileWorld(): Promise<BrokerWorld> {
  const world = new BrokerWorld({
    limits: {
      keepAliveSecondsMax: KEEP_ALIVE_SECONDS,
      sessionExpirySecondsMax: SESSION_EXPIRY_SECONDS,
      stalledOutputMax: 20_000,
      inflightMax: 8,
      queuedMessagesMax: 40,
      retainedMessagesMax: 20,
      outputBytesMax: 64 * 1024,
      recentBytesMax: 2_048,
      routesCachedMax: ROUTES_CACHED_MAX,
    },
  });
  world.admit = (peer: Peer, { clientId }: ConnectPacket) => {
    const good = peer.certificateId === "good";
    if (clientId.startsWith("good") !== good) {
      return { admitted: false, reasonCode: REASON.notAuthorized, reason: "somebody else's name" };
    }
    const policy = world.policy(good ? "good" : "hostile");
    if (!good && policy.revision === 1) policy.change({ publish: mayPublish });
    return { admitted: true, thing: null, authorizer: policy };
  };
  return world.broker.restore().then(() => world);
}

/** Not what the good publish, nor what a wildcard would not find when all is to be cleared away. */
function mayPublish(topic: string): boolean {
  return !topic.startsWith("good/") && (!topic.startsWith("$") || HOSTILE_TOPICS.includes(topic));
}

function act(world: BrokerWorld, connections: Map<number, HostileTransport>, step: Step): void {
  if (step.type === "time") return;
  const connection = connections.get(step.from);
  switch (step.type) {
    case "open":
      connection?.cut();
      connections.set(step.from, new HostileTransport(world));
      return;
    case "bytes":
      connection?.receive(listing(step.hex));
      return;
    case "cut":
      connection?.cut();
      return;
    case "stall":
    case "unstall":
      connection?.stall(step.type === "stall");
  }
}

/** What the broker itself says to have gone wrong. */
function inside(world: BrokerWorld): string | null {
  const line = world.logger.lines.find(({ level }) => level === "error");
  world.logger.lines.length = 0;
  return line === undefined ? null : `the log says: ${line.message} ${JSON.stringify(line.fields)}`;
}

/** Time ends what is silent; the rest leaves. Then nothing of the hostile may be there any more. */
async function theEnd(
  world: BrokerWorld,
  good: GoodParty,
  connections: ReadonlyMap<number, HostileTransport>,
): Promise<string | null> {
  const stuck = await waitForSilence(world, good);
  if (stuck !== null) return stuck;
  for (const connection of connections.values()) connection.cut();
  const silent = await waitForSilence(world, good);
  if (silent !== null) return silent;
  await removeRetained(world);
  return inside(world) ?? leftovers(world, good.all.length);
}

/** Also drives out of the cache of routes what remembers who once subscribed. */
async function removeRetained(world: BrokerWorld): Promise<void> {
  const sweeper = world.client({ version: 5, certificateId: "good" }).connect({ clientId: "good-sweeper" });
  await world.run();
  for (const filter of ["#", "$x/#", "$SYS/#"]) sweeper.subscribe(filter, { qos: 0 });
  await world.run(1_000);
  for (const filter of ["#", "$x/#", "$SYS/#"]) sweeper.unsubscribe(filter);
  for (let i = 0; i < ROUTES_CACHED_MAX * 12; i++) sweeper.publish(`elsewhere/${i}`, "");
  for (const { topic } of sweeper.publishes) sweeper.publish(topic, "", { retain: true });
  await world.run();
  sweeper.disconnect();
  await world.run(5_000);
}

async function waitForSilence(world: BrokerWorld, good: GoodParty): Promise<string | null> {
  for (let waited = 0; waited < UNTIL_ALL_IS_OVER; waited += 10_000) {
    good.publish();
    await world.run(10_000);
  }
  const fault = inside(world) ?? good.fault();
  if (fault !== null) return fault;
  // 3.1.1 lets a client be silent for ever that asked for no keep-alive.
  const alive = [...world.broker.connections()].filter(({ clientId }) => !clientId.startsWith("good"));
  const stuck = alive.filter(({ protocolVersion, keepAliveSeconds }) => protocolVersion === 5 || keepAliveSeconds > 0);
  const asked = alive.filter(({ keepAliveSeconds }) => keepAliveSeconds * 1500 > UNTIL_ALL_IS_OVER);
  return stuck.length > asked.length ? `${stuck.length} hostile connections are stuck` : null;
}

function leftovers(world: BrokerWorld, clients: number): string | null {
  const expected = {
    tidewire_mqtt_connections: clients,
    tidewire_mqtt_sessions: clients,
    tidewire_mqtt_queued_messages: 0,
    tidewire_mqtt_retained_messages: 0,
    tidewire_mqtt_output_bytes: 0,
    tidewire_mqtt_acknowledgements_waiting: 0,
  };
  for (const [name, value] of Object.entries(expected)) {
    const is = world.metrics.value(name);
    if (is !== value) return `${name} is ${is} and not ${value} when the hostile are gone`;
  }
  const sessions = world.state.sessions.size;
  return sessions > 0 ? `${sessions} sessions are kept on disk that nobody wants` : null;
}

/** Fewer and fewer steps, and shorter ones, for as long as the story still ends badly. */
export async function shrink(
  steps: readonly Step[],
  run: (steps: readonly Step[]) => Promise<string | null> = play,
): Promise<readonly Step[]> {
  let best = steps;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length;) {
      const fewer = best.toSpliced(at, size);
      if ((await run(fewer)) === null) at += size;
      else best = fewer;
    }
  }
  for (const [i, step] of best.entries()) {
    if (step.type !== "bytes") continue;
    for (let bytes = step.hex.split(" "), at = bytes.length - 1; at >= 0; at--) {
      const fewer = bytes.toSpliced(at, 1);
      const shorter = best.with(i, { ...step, hex: fewer.join(" ") });
      if ((await run(shorter)) === null) continue;
      bytes = fewer;
      best = shorter;
    }
  }
  return best;
}

export function printed(steps: readonly Step[]): string {
  return steps
    .map((step) => {
      if (step.type === "time") return `       ${step.ms} ms pass`;
      return step.type === "bytes" ? `  ${step.from}    ${step.hex}` : `  ${step.from}    (${step.type})`;
    })
    .join("\n");
}
