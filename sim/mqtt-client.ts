/** An MQTT client on a simulated network that a test can stall and cut; it speaks through the real codec. */
import { LIMITS } from "../src/base/mod.ts";
import { PROTOCOL_LIMITS } from "../src/broker/mod.ts";
import type { MessageProperties, QoS } from "../src/base/mod.ts";
import type { Broker, BrokerConnection, Peer, Transport } from "../src/broker/mod.ts";
import {
  PacketReader,
  PacketWriter,
  connectPacket,
  propertiesOf,
  subscriptionIdentifiersOf,
} from "../src/wire/mqtt/mod.ts";
import type {
  AcknowledgeKind,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  PacketHandler,
  ProtocolVersion,
  PublishView,
  SubackPacket,
  SubscribeRequest,
} from "../src/wire/mqtt/mod.ts";
import type { SimClock } from "./world.ts";

/** What a client received, in order. */
export type Received =
  | ({ readonly type: "connack" } & ConnackPacket)
  | ReceivedPublish
  | ReceivedAcknowledge<"puback">
  | ReceivedAcknowledge<"pubrec">
  | ReceivedAcknowledge<"pubrel">
  | ReceivedAcknowledge<"pubcomp">
  | ({ readonly type: "suback" } & SubackPacket)
  | ({ readonly type: "unsuback" } & SubackPacket)
  | { readonly type: "pingresp" }
  | ({ readonly type: "auth" } & AuthPacket)
  | ({ readonly type: "disconnect" } & DisconnectPacket);

interface ReceivedAcknowledge<K extends AcknowledgeKind> {
  readonly type: K;
  readonly packetId: number;
  readonly reasonCode: number;
  readonly reasonString?: string;
}

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
  /** The alias that it came with, 0 for none; `topic` is what the alias stands for. */
  readonly alias: number;
}

const utf8 = new TextDecoder();
const TAKES_ALL = { ...LIMITS.mqtt, ...PROTOCOL_LIMITS };
const encoder = new TextEncoder();

/** What a client needs of its world. */
interface World {
  readonly clock: SimClock;
  readonly broker: Broker;
}

/** The far end of a simulated connection: speaks MQTT through the real codec. */
export class SimClient implements Transport {
  readonly remoteAddress: string;
  readonly received: Received[] = [];
  readonly version: ProtocolVersion;
  /** Acknowledge publishes as they come, and answer PUBREC with PUBREL. */
  acknowledges = true;
  /** Told of each packet in place of that, for a test that plays the client itself. */
  listener: ((packet: Received) => void) | null = null;
  /** `false`: the network takes nothing, `written` is not called. */
  #takes = true;
  #waiting: Uint8Array | null = null;
  /** As it was when it was given. */
  #given: Uint8Array = new Uint8Array(0);
  state: "open" | "ended" | "destroyed" = "open";
  paused = false;
  bytesReceived = 0;
  readonly #connection: BrokerConnection;
  readonly #reader: PacketReader;
  readonly #writer: PacketWriter;
  readonly #world: World;

  constructor(world: World, version: ProtocolVersion, certificateId: string | null, remoteAddress = "192.0.2.7") {
    this.remoteAddress = remoteAddress;
    this.#world = world;
    this.version = version;
    this.#writer = new PacketWriter(version);
    this.#reader = new PacketReader(new Inbox(this), { role: "client", version, limits: TAKES_ALL });
    const peer: Peer = { remoteAddress: this.remoteAddress, certificateId };
    this.#connection = world.broker.accept(this, peer);
  }

  // ── the transport that the broker sees ──

  write(bytes: Uint8Array): void {
    if (this.#waiting !== null) throw new Error("write before the previous one was reported as written");
    if (this.state !== "open") throw new Error("write after end");
    this.#waiting = bytes;
    this.#given = bytes.slice();
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
    if (Buffer.compare(bytes, this.#given) !== 0) throw new Error("the broker has changed what is being sent");
    this.#reader.push(this.#given);
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
      dup?: boolean;
      packetId?: number;
      properties?: MessageProperties;
      topicAlias?: number;
    } = {},
  ): this {
    const { qos = 0, retain = false, dup = false, packetId = 1, properties = null, topicAlias = 0 } = options;
    const bytes = encoder.encode(payload);
    return this.send((w) => w.publish({ topic, payload: bytes, qos, retain, dup, packetId, properties, topicAlias }));
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
    this.acknowledge("puback", packetId);
  }

  acknowledge(kind: AcknowledgeKind, packetId: number, reasonCode = 0): void {
    if (this.open) this.send((w) => w.acknowledge(kind, packetId, reasonCode));
  }

  /** Called with each packet from the broker. */
  arrived(packet: Received): void {
    this.received.push(packet);
    if (this.listener !== null) this.listener(packet);
    else if (this.acknowledges) this.#answer(packet);
  }

  #answer(packet: Received): void {
    const answer = answerTo(packet);
    if (answer !== null) this.#world.clock.defer(() => this.acknowledge(answer.kind, answer.packetId));
  }
}

/** What a client answers that keeps nothing in mind. */
function answerTo(packet: Received): { readonly kind: AcknowledgeKind; readonly packetId: number } | null {
  if (packet.type === "publish" && packet.qos > 0) {
    return { kind: packet.qos === 1 ? "puback" : "pubrec", packetId: packet.packetId };
  }
  if (packet.type === "pubrec" && packet.reasonCode < 0x80) return { kind: "pubrel", packetId: packet.packetId };
  return packet.type === "pubrel" ? { kind: "pubcomp", packetId: packet.packetId } : null;
}

/** Packets from the broker. */
class Inbox implements PacketHandler {
  readonly #client: SimClient;
  readonly #aliases = new Map<number, string>();

  constructor(client: SimClient) {
    this.#client = client;
  }

  publish(view: PublishView): void {
    const { qos, retain, dup, packetId, topicAlias: alias } = view;
    const named = utf8.decode(view.buffer.subarray(view.topicStart, view.topicEnd));
    if (named !== "" && alias !== 0) this.#aliases.set(alias, named);
    const topic = named === "" ? this.#aliases.get(alias) : named;
    if (topic === undefined) throw new Error(`the broker used the topic alias ${alias} without giving it`);
    const payload = utf8.decode(view.buffer.subarray(view.payloadStart, view.payloadEnd));
    const properties = propertiesOf(view);
    const identifiers = subscriptionIdentifiersOf(view);
    const message = { type: "publish", topic, payload, qos, retain, dup, packetId, properties, identifiers } as const;
    this.#client.arrived({ ...message, alias });
  }
  connack(packet: ConnackPacket): void {
    this.#client.arrived({ type: "connack", ...packet });
  }
  acknowledge(kind: AcknowledgeKind, packetId: number, reasonCode: number, reasonString?: string): void {
    const words = reasonString === undefined ? {} : { reasonString };
    this.#client.arrived({ type: kind, packetId, reasonCode, ...words });
  }
  suback(packet: SubackPacket): void {
    this.#client.arrived({ type: "suback", ...packet });
  }
  unsuback(packet: SubackPacket): void {
    this.#client.arrived({ type: "unsuback", ...packet });
  }
  pingresp(): void {
    this.#client.arrived({ type: "pingresp" });
  }
  disconnect(packet: DisconnectPacket): void {
    this.#client.arrived({ type: "disconnect", ...packet });
  }

  auth(packet: AuthPacket): void {
    this.#client.arrived({ type: "auth", ...packet });
  }

  // Packets that only a client sends.
  connect(): void {}
  subscribe(): void {}
  unsubscribe(): void {}
  pingreq(): void {}
}
