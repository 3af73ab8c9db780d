/**
 * A broker with everything around it simulated: clients on transports that a test can stall and cut, a journal whose disk
 * syncs when told, a state store that survives the broker, and a gatekeeper that a test can change its mind about.
 */
import { LIMITS } from "../src/base/mod.ts";
import type { Cancel, Message, MessageProperties, MqttLimits, QoS, Scheduler } from "../src/base/mod.ts";
import { Broker } from "../src/broker/mod.ts";
import type {
  Admission,
  Authorizer,
  BrokerConnection,
  Journal,
  OutboxChunk,
  Peer,
  PresenceEvent,
  Progress,
  Publisher,
  SavedSession,
  SavedState,
  SavedSubscription,
  SavedRetained,
  SessionChange,
  StateStore,
  Transport,
} from "../src/broker/mod.ts";
import {
  PacketReader,
  PacketWriter,
  connectPacket,
  propertiesOf,
  subscriptionIdentifiersOf,
} from "../src/wire/mqtt/mod.ts";
import type {
  AcknowledgeKind,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  PacketHandler,
  ProtocolVersion,
  PublishView,
  SubackPacket,
  SubscribeRequest,
} from "../src/wire/mqtt/mod.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "./world.ts";

/** What a client received, in order. */
export type Received =
  | ({ readonly type: "connack" } & ConnackPacket)
  | ReceivedPublish
  | { readonly type: "puback"; readonly packetId: number; readonly reasonCode: number }
  | ({ readonly type: "suback" | "unsuback" } & SubackPacket)
  | { readonly type: "pingresp" }
  | ({ readonly type: "disconnect" } & DisconnectPacket);

export interface ReceivedPublish {
  readonly type: "publish";
  readonly topic: string;
  readonly payload: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
  readonly properties: MessageProperties | null;
  readonly identifiers: readonly number[];
}

const utf8 = new TextDecoder();
const encoder = new TextEncoder();

/** A journal in memory. What it accepts is durable at the end of the turn, or when told, or never. */
export class SimJournal implements Journal {
  readonly messages: (Message | null)[] = [];
  durable = 0;
  /** `held`: nothing becomes durable until `sync` is called. */
  mode: "automatic" | "held" = "automatic";
  /** Thrown by the next appends. */
  failure: Error | null = null;
  /** Calls of `read`, for tests that prove what did not need the disk. */
  reads = 0;
  readonly #clock: SimClock;
  readonly #listeners = new Set<(durable: number) => void>();
  #planned = false;

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  append(topic: string, view: PublishView, publisher: Publisher): number {
    const { qos, retain } = view;
    const payload = Uint8Array.from(view.buffer.subarray(view.payloadStart, view.payloadEnd));
    const properties = propertiesOf(view);
    return this.appendMessage({ topic, payload, qos, retain, ...publisher, receivedAt: this.#clock.now(), properties });
  }

  appendMessage(message: Message): number {
    if (this.failure !== null) throw this.failure;
    this.messages.push(message);
    if (this.mode === "automatic" && !this.#planned) {
      this.#planned = true;
      this.#clock.defer(() => this.sync());
    }
    return this.messages.length - 1;
  }

  sync(upTo = this.messages.length): void {
    this.#planned = false;
    this.durable = Math.max(this.durable, upTo);
    for (const listener of this.#listeners) listener(this.durable);
  }

  /** What a power cut leaves. */
  crash(): void {
    this.messages.length = this.durable;
    this.#listeners.clear();
    this.#planned = false;
  }

  onDurable(listener: (durable: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  read(offset: number): Promise<Message | null> {
    this.reads++;
    if (offset >= this.durable) return Promise.reject(new Error(`offset ${offset} is not durable`));
    return Promise.resolve(this.messages[offset] ?? null);
  }

  async *replay(from: number): AsyncIterable<{ offset: number; message: Message }> {
    for (let offset = from; offset < this.durable; offset++) {
      const message = this.messages[offset];
      if (message != null) yield { offset, message };
    }
  }
}

interface StoredSession {
  readonly session: SavedSession;
  readonly subscriptions: Map<string, SavedSubscription>;
  head: number;
  sentBefore: number;
  chunks: OutboxChunk[];
}

/** A state store in memory that outlives the broker. */
export class SimState implements StateStore {
  readonly sessions = new Map<string, StoredSession>();
  readonly retained = new Map<string, SavedRetained>();
  appliedOffset = 0;
  failure: Error | null = null;
  /** Calls wait for this, where a test wants to see what happens meanwhile. */
  gate: Promise<void> = Promise.resolve();

  load(): Promise<SavedState> {
    const sessions = [...this.sessions.values()].map(({ session, subscriptions }) =>
      Object.assign({}, session, { subscriptions: [...subscriptions.values()] }),
    );
    const outboxes = [...this.sessions].map(([clientId, { head, sentBefore, chunks }]) => ({
      clientId,
      head,
      sentBefore,
      chunks,
    }));
    return Promise.resolve({
      appliedOffset: this.appliedOffset,
      sessions,
      outboxes,
      retained: [...this.retained.values()],
    });
  }

  async saveSessions(changes: readonly SessionChange[], life = { alive: true }): Promise<void> {
    await this.gate;
    if (!life.alive) return;
    if (this.failure !== null) throw this.failure;
    for (const { clientId, reset, session, subscriptions } of changes) {
      if (reset) this.sessions.delete(clientId);
      if (session === null) continue;
      const before = this.sessions.get(clientId);
      const { head, sentBefore, chunks } = before ?? { head: 0, sentBefore: 0, chunks: [] };
      const stored = { session, subscriptions: before?.subscriptions ?? new Map(), head, sentBefore, chunks };
      for (const [filter, subscription] of subscriptions) {
        if (subscription === null) stored.subscriptions.delete(filter);
        else stored.subscriptions.set(filter, subscription);
      }
      this.sessions.set(clientId, stored);
    }
  }

  async saveProgress({ appliedOffset, outboxes, retained }: Progress, life = { alive: true }): Promise<void> {
    await this.gate;
    if (!life.alive) return;
    if (this.failure !== null) throw this.failure;
    this.appliedOffset = appliedOffset;
    for (const { clientId, head, sentBefore, chunks } of outboxes) {
      const stored = this.sessions.get(clientId);
      if (stored === undefined) continue;
      stored.head = head;
      stored.sentBefore = sentBefore;
      stored.chunks = [...stored.chunks.filter((c) => c.first + c.slots.length / 2 > head), ...chunks];
    }
    for (const message of retained) {
      if (message.frame === null) this.retained.delete(message.topic);
      else this.retained.set(message.topic, message);
    }
  }
}

/** A policy that a test can change: `revision` grows by itself. */
export class SimAuthorizer implements Authorizer {
  revision = 1;
  asked = 0;
  #publish: (topic: string, retain: boolean) => boolean = () => true;
  #subscribe: (filter: string) => boolean = () => true;
  #receive: (topic: string) => boolean = () => true;

  change(rules: {
    publish?: (topic: string, retain: boolean) => boolean;
    subscribe?: (filter: string) => boolean;
    receive?: (topic: string) => boolean;
  }): this {
    this.#publish = rules.publish ?? this.#publish;
    this.#subscribe = rules.subscribe ?? this.#subscribe;
    this.#receive = rules.receive ?? this.#receive;
    this.revision++;
    return this;
  }

  publish(topic: string, retain: boolean): boolean {
    this.asked++;
    return this.#publish(topic, retain);
  }
  subscribe(filter: string): boolean {
    return this.#subscribe(filter);
  }
  receive(topic: string): boolean {
    return this.#receive(topic);
  }
}

/** The far end of a simulated connection: speaks MQTT through the real codec. */
export class SimClient implements Transport {
  readonly remoteAddress = "192.0.2.7";
  readonly received: Received[] = [];
  readonly version: ProtocolVersion;
  /** Acknowledge QoS 1 publishes as they come. */
  acknowledges = true;
  /** `false`: the network takes nothing, `written` is not called. */
  #takes = true;
  #waiting: Uint8Array | null = null;
  state: "open" | "ended" | "destroyed" = "open";
  paused = false;
  bytesReceived = 0;
  readonly #connection: BrokerConnection;
  readonly #reader: PacketReader;
  readonly #writer: PacketWriter;
  readonly #world: BrokerWorld;

  constructor(world: BrokerWorld, version: ProtocolVersion, certificateId: string | null) {
    this.#world = world;
    this.version = version;
    this.#writer = new PacketWriter(version);
    this.#reader = new PacketReader(new Inbox(this), { role: "client", version, limits: LIMITS.mqtt });
    const peer: Peer = { remoteAddress: this.remoteAddress, certificateId };
    this.#connection = world.broker.accept(this, peer);
  }

  // ── the transport that the broker sees ──

  write(bytes: Uint8Array): void {
    if (this.#waiting !== null) throw new Error("write before the previous one was reported as written");
    if (this.state !== "open") throw new Error("write after end");
    this.#waiting = bytes;
    this.#world.clock.defer(() => this.#deliver());
  }

  end(): void {
    this.state = "ended";
    this.#world.clock.defer(() => this.#connection.closed());
  }

  destroy(): void {
    this.state = "destroyed";
    this.#waiting = null;
    this.#world.clock.defer(() => this.#connection.closed());
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  #deliver(): void {
    const bytes = this.#waiting;
    if (bytes === null || !this.#takes) return;
    this.#waiting = null;
    this.bytesReceived += bytes.length;
    this.#reader.push(bytes.slice());
    bytes.fill(0xff); // the broker may use it again: whoever kept a view of it reads nonsense
    this.#connection.written(bytes);
  }

  // ── what a test does with it ──

  get open(): boolean {
    return this.state === "open";
  }

  stall(): void {
    this.#takes = false;
  }

  unstall(): void {
    this.#takes = true;
    this.#deliver();
  }

  /** Cuts the network. */
  cut(): void {
    this.state = "destroyed";
    this.#waiting = null;
    this.#connection.closed("cut");
  }

  sendBytes(bytes: Uint8Array): void {
    this.#connection.receive(bytes);
  }

  send(write: (writer: PacketWriter) => void): this {
    write(this.#writer);
    const bytes = this.#writer.take();
    this.#connection.receive(bytes.slice());
    this.#writer.giveBack(bytes);
    return this;
  }

  connect(packet: Partial<ConnectPacket> & { clientId: string }): this {
    return this.send((w) => w.connect(connectPacket({ version: this.version, ...packet })));
  }

  subscribe(
    filter: string,
    options: Partial<SubscribeRequest> & { identifier?: number; packetId?: number } = {},
  ): this {
    const { identifier = 0, packetId = 1, ...rest } = options;
    const request = { filter, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0, ...rest } as const;
    return this.send((w) => w.subscribe({ packetId, requests: [request], subscriptionIdentifier: identifier }));
  }

  unsubscribe(filter: string): this {
    return this.send((w) => w.unsubscribe({ packetId: 2, filters: [filter] }));
  }

  publish(
    topic: string,
    payload: string,
    options: {
      qos?: QoS;
      retain?: boolean;
      packetId?: number;
      properties?: MessageProperties;
      topicAlias?: number;
    } = {},
  ): this {
    const { qos = 0, retain = false, packetId = 1, properties = null, topicAlias = 0 } = options;
    const bytes = encoder.encode(payload);
    return this.send((w) =>
      w.publish({ topic, payload: bytes, qos, retain, dup: false, packetId, properties, topicAlias }),
    );
  }

  disconnect(reasonCode = 0, sessionExpirySeconds: number | null = null): this {
    return this.send((w) => w.disconnect({ reasonCode, sessionExpirySeconds }));
  }

  get publishes(): ReceivedPublish[] {
    return this.received.filter((packet) => packet.type === "publish");
  }

  /** `topic=payload` of what came, and forgets it. */
  take(): string[] {
    const texts = this.publishes.map(({ topic, payload }) => `${topic}=${payload}`);
    this.received.length = 0;
    return texts;
  }

  last<T extends Received["type"]>(type: T): Extract<Received, { type: T }> | undefined {
    return this.received.findLast((packet): packet is Extract<Received, { type: T }> => packet.type === type);
  }

  puback(packetId: number): void {
    if (this.open) this.send((w) => w.acknowledge("puback", packetId));
  }

  /** Called with each PUBLISH from the broker. */
  arrived(publish: ReceivedPublish): void {
    this.received.push(publish);
    if (publish.qos === 1 && this.acknowledges) this.#world.clock.defer(() => this.puback(publish.packetId));
  }
}

/** Packets from the broker. */
class Inbox implements PacketHandler {
  readonly #client: SimClient;

  constructor(client: SimClient) {
    this.#client = client;
  }

  publish(view: PublishView): void {
    const { qos, retain, dup, packetId } = view;
    const topic = utf8.decode(view.buffer.subarray(view.topicStart, view.topicEnd));
    const payload = utf8.decode(view.buffer.subarray(view.payloadStart, view.payloadEnd));
    const properties = propertiesOf(view);
    const identifiers = subscriptionIdentifiersOf(view);
    this.#client.arrived({ type: "publish", topic, payload, qos, retain, dup, packetId, properties, identifiers });
  }
  connack(packet: ConnackPacket): void {
    this.#client.received.push({ type: "connack", ...packet });
  }
  acknowledge(_kind: AcknowledgeKind, packetId: number, reasonCode: number): void {
    this.#client.received.push({ type: "puback", packetId, reasonCode });
  }
  suback(packet: SubackPacket): void {
    this.#client.received.push({ type: "suback", ...packet });
  }
  unsuback(packet: SubackPacket): void {
    this.#client.received.push({ type: "unsuback", ...packet });
  }
  pingresp(): void {
    this.#client.received.push({ type: "pingresp" });
  }
  disconnect(packet: DisconnectPacket): void {
    this.#client.received.push({ type: "disconnect", ...packet });
  }

  // Packets that only a client sends.
  connect(): void {}
  subscribe(): void {}
  unsubscribe(): void {}
  pingreq(): void {}
  auth(): void {}
}

/** A broker and what it stands on. */
export class BrokerWorld {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly logger = new SimLogger();
  metrics = new SimMetrics();
  readonly journal = new SimJournal(this.clock);
  readonly state = new SimState();
  readonly limits: MqttLimits;
  readonly presence: PresenceEvent[] = [];
  /** Policies by client id; others may do everything. */
  readonly policies = new Map<string, SimAuthorizer>();
  admit: ((peer: Peer, connect: ConnectPacket) => Admission) | null = null;
  broker: Broker;
  /** Ports of a broker that crashed are dead. */
  #life = { alive: true };

  constructor(options: { limits?: Partial<MqttLimits>; seed?: number } = {}) {
    this.limits = { ...LIMITS.mqtt, ...options.limits };
    this.random = new SimRandom(options.seed ?? 1);
    this.broker = this.#start();
  }

  static async started(options: { limits?: Partial<MqttLimits>; seed?: number } = {}): Promise<BrokerWorld> {
    const world = new BrokerWorld(options);
    await world.broker.restore();
    return world;
  }

  policy(clientId: string): SimAuthorizer {
    let policy = this.policies.get(clientId);
    if (policy === undefined) this.policies.set(clientId, (policy = new SimAuthorizer()));
    return policy;
  }

  #start(): Broker {
    const { journal, clock, random, logger, metrics, limits } = this;
    const life = (this.#life = { alive: true });
    const scheduler = whileAlive(life, clock);
    const state = storeWhileAlive(life, this.state);
    const gatekeeper = {
      admit: (peer: Peer, connect: ConnectPacket): Admission =>
        this.admit === null
          ? { admitted: true, thing: `thing-${connect.clientId}`, authorizer: this.policy(connect.clientId) }
          : this.admit(peer, connect),
    };
    const broker = new Broker({ journal, gatekeeper, state, clock, scheduler, random, logger, metrics, limits });
    broker.onPresence((event) => this.presence.push(event));
    return broker;
  }

  /** The power goes: what was not synced or saved is gone; a new broker starts on what is left. */
  async crashAndRestart(): Promise<void> {
    this.#life.alive = false;
    this.journal.crash();
    this.metrics = new SimMetrics();
    this.broker = this.#start();
    await this.broker.restore();
  }

  client(options: { version?: ProtocolVersion; certificateId?: string | null } = {}): SimClient {
    return new SimClient(this, options.version ?? 5, options.certificateId ?? null);
  }

  /** A client that is connected when this resolves. */
  async connected(
    clientId: string,
    options: Partial<ConnectPacket> & { version?: ProtocolVersion } = {},
  ): Promise<SimClient> {
    const { version = 5, ...packet } = options;
    const client = this.client({ version }).connect({ clientId, ...packet });
    await this.run();
    return client;
  }

  /** Lets everything happen that needs no more than `span` milliseconds. */
  run(span = 0): Promise<void> {
    return this.clock.run(span);
  }
}

function whileAlive(life: { alive: boolean }, clock: SimClock): Scheduler {
  const guarded = (task: () => void) => (): void => {
    if (life.alive) task();
  };
  return {
    after: (delay, task) => clock.after(delay, guarded(task)),
    every: (period, task) => clock.every(period, guarded(task)),
    defer: (task) => clock.defer(guarded(task)),
  };
}

/** A process that died writes nothing more, whatever it had begun. */
function storeWhileAlive(life: { alive: boolean }, store: SimState): StateStore {
  const never = new Promise<never>(() => {});
  return {
    load: () => store.load(),
    saveSessions: (changes) => (life.alive ? store.saveSessions(changes, life) : never),
    saveProgress: (progress) => (life.alive ? store.saveProgress(progress, life) : never),
  };
}
