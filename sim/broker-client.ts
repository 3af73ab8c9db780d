/**
 * An MQTT client, 3.1.1 or 5.0, that keeps its part of the session through everything: what it has not finished sending,
 * identifiers of QoS 2 that it has received, its subscriptions. It follows the specification to the letter, and tells the
 * witness where the broker does not.
 */
import { LIMITS } from "../src/base/mod.ts";
import type { QoS } from "../src/base/mod.ts";
import type { UplinkSocket } from "../src/queue/mod.ts";
import {
  PacketError,
  PacketReader,
  PacketWriter,
  connectPacket,
  subscriptionIdentifiersOf,
} from "../src/wire/mqtt/mod.ts";
import type {
  AcknowledgeKind,
  ConnackPacket,
  PacketHandler,
  PublishView,
  SubackPacket,
  SubscribeRequest,
  Will,
} from "../src/wire/mqtt/mod.ts";
import type { ClientPorts, ClientTraits } from "./broker-client-ports.ts";
import type { Interval, SentMessage, SessionLedger } from "./broker-ledger.ts";
import { OutgoingMessages } from "./broker-outgoing.ts";
import { clearing, short } from "./broker-witness.ts";
import type { Farewell } from "./network.ts";
import { NO_PACKETS } from "./wiretap.ts";

interface Wanted {
  readonly request: SubscribeRequest;
  readonly identifier: number;
  /** Null: its SUBACK has arrived. */
  pending: Interval | null;
}

const KEEP_ALIVE_SECONDS = 20;
/** What was heard may have been said this long before. */
const LATENCY_MAX = 2_000;
const PING_PERIOD = 5_000;
const SILENCE_MAX = 15_000;
/** Identifiers of SUBSCRIBE and UNSUBSCRIBE, out of the way of those of messages. */
const FIRST_REQUEST_ID = 50_000;
/** In 3.1.1 nobody says how many may be under way. */
const IN_FLIGHT_MAX = 20;

const encoder = new TextEncoder();
const utf8 = new TextDecoder();

export class SimBrokerClient {
  readonly traits: ClientTraits;
  /** It takes messages and acknowledges none. */
  mute = false;
  onDelivery: (topic: string, text: string, retain: boolean) => void = () => {};
  readonly #ports: ClientPorts;
  // ── what outlives its connections ──
  readonly #outgoing = new OutgoingMessages(
    (write) => this.#packet(write),
    (message) => this.#ports.witness.safe(message),
  );
  /** Identifiers of QoS 2 messages that it has and the broker has not released, with what they mean. */
  readonly #received = new Map<number, string>();
  readonly #wanted = new Map<string, Wanted>();
  readonly #unwanted = new Set<string>();
  #number = 0;
  #wills = 0;
  /** A CONNACK has come for the session that it believes in. */
  #hasSession = false;
  /** When the broker may have lost sight of it, at the earliest. */
  #lostAt = 0;
  #retired = false;
  #cleanNext: boolean;
  // ── one connection ──
  /** Its session outlives this connection. */
  #keptNow = false;
  #attempt = 0;
  #socket: UplinkSocket | null = null;
  #writer = new PacketWriter(5);
  #connected = false;
  #leftUntil: number | null = null;
  #lastHeard = 0;
  /** Identifiers of deliveries that it has not finished, on this connection. */
  readonly #open = new Set<number>();
  #acknowledgements: (() => void)[] = [];
  #requests = new Map<number, (codes: readonly number[]) => void>();
  #requestId = FIRST_REQUEST_ID;

  constructor(traits: ClientTraits, ports: ClientPorts) {
    this.traits = traits;
    this.#ports = ports;
    const { clock, random } = ports.network;
    this.#cleanNext = traits.version === 5 && random.chance(0.5);
    clock.every(PING_PERIOD, () => this.#ping());
    clock.after(random.below(500), () => this.#dial());
  }

  get kept(): boolean {
    return !this.#retired && this.traits.sessionExpirySeconds > 0;
  }

  /** Messages that it has not finished sending. */
  get unfinished(): number {
    return this.#outgoing.size;
  }

  /** It is there and waits for nothing. */
  get isIdle(): boolean {
    const pending = [...this.#wanted.values()].some((wanted) => wanted.pending !== null);
    return this.#connected && this.#outgoing.size === 0 && !pending && this.#unwanted.size === 0;
  }

  describe(): string {
    const { clientId, version } = this.traits;
    const pending = [...this.#wanted].filter(([, wanted]) => wanted.pending !== null).map(([filter]) => filter);
    return `${clientId} (${version}) ${this.#connected ? "connected" : "away"}, sends [${this.#outgoing.describe()}], waits for [${pending.join(", ")}]`;
  }

  // ── what its application does ──

  publish(topic: string, qos: QoS, options: { retain?: boolean; expires?: boolean; padding?: number } = {}): void {
    const { retain = false, expires = false, padding = 0 } = options;
    const { clientId } = this.traits;
    const number = ++this.#number;
    const text = `${clientId}-${number}${".".repeat(padding)}`;
    this.#send({ text, topic, publisher: clientId, number, qos, retain, expires }, encoder.encode(text));
  }

  /** Removes what is retained. */
  clear(topic: string): void {
    const { clientId } = this.traits;
    const text = clearing(topic);
    const message = { text, topic, publisher: clientId, number: 0, qos: 1, retain: true, expires: true } as const;
    this.#send(message, new Uint8Array(0));
  }

  subscribe(asked: SubscribeRequest, identified: number): void {
    const plain = this.traits.version === 4; // which knows of no options, and has no identifiers
    const request = plain ? { ...asked, noLocal: false, retainAsPublished: false, retainHandling: 0 as const } : asked;
    const identifier = plain ? 0 : identified;
    const before = this.#wanted.get(request.filter);
    if (!this.#connected || (before !== undefined && before.pending !== null) || this.#unwanted.has(request.filter))
      return;
    this.#wanted.set(request.filter, { request, identifier, pending: null });
    this.#requestSubscription(request.filter);
  }

  unsubscribe(filter: string): void {
    const wanted = this.#wanted.get(filter);
    if (!this.#connected || wanted === undefined || wanted.pending !== null) return;
    this.#wanted.delete(filter);
    this.#unwanted.add(filter);
    this.#requestEnd(filter);
  }

  get filters(): readonly string[] {
    return [...this.#wanted.keys()];
  }

  /** Says good-bye, and is away for a while. */
  leave(span: number): void {
    const { clock } = this.#ports.network;
    this.#leftUntil = clock.monotonic() + span;
    if (this.#connected) {
      this.#packet((writer) => writer.disconnect({ reasonCode: 0 }));
      this.#socket?.end();
      this.#ended();
    } else this.die("told");
  }

  /** Its process dies and is started again; its disk keeps what it has to keep. */
  die(farewell: Farewell): void {
    for (const link of this.#ports.network.linksOf(this.traits.clientId)) {
      // A CONNECT with Clean Start that comes late, out of a stalled network, ends the session of a later one: not ours to mend.
      if (this.#connected) link.clientDies(farewell);
      else link.break();
    }
    this.#ended();
  }

  /** Gives its session up with its next connection. */
  startAnew(): void {
    this.#cleanNext = true;
    this.die("told");
  }

  /** From its next connection on it wants nothing, and keeps no session. */
  retire(): void {
    this.#retired = true;
    this.#wanted.clear();
    this.die("told");
  }

  /** Comes back soon, and stays. */
  comeBack(): void {
    if (this.#leftUntil === null) return;
    this.#leftUntil = null;
    this.#dial();
  }

  // ── connection ──

  #dial(): void {
    const { network } = this.#ports;
    if (this.#socket !== null) return;
    if (this.#leftUntil !== null && this.#leftUntil > network.clock.monotonic()) {
      network.clock.after(this.#leftUntil - network.clock.monotonic(), () => this.#dial());
      return;
    }
    this.#leftUntil = null;
    const own = ++this.#attempt;
    const current = (task: () => void): void => {
      if (own === this.#attempt) task();
    };
    const { version, clientId } = this.traits;
    this.#writer = new PacketWriter(version);
    const reader = new PacketReader(this.#handler(), { role: "client", version, limits: LIMITS.mqtt });
    this.#lastHeard = network.clock.monotonic();
    this.#socket = network.dial(clientId, {
      opened: () => current(() => this.#connect()),
      received: (chunk) =>
        current(() => {
          this.#lastHeard = network.clock.monotonic();
          try {
            reader.push(chunk);
          } catch (error) {
            if (!(error instanceof PacketError)) throw error;
            this.#ports.witness.wrong(`${clientId} cannot read what it was sent: ${error.detail}`);
          }
        }),
      written: (bytes) => current(() => this.#writer.giveBack(bytes)),
      closed: () => current(() => this.#ended()),
    });
  }

  #connect(): void {
    const { version, clientId, sessionExpirySeconds, receiveMaximum } = this.traits;
    // Until it is answered: the broker may have begun a session of which this client has not heard.
    this.#cleanNext ||= !this.kept || this.#isExpired();
    const clean = this.#cleanNext;
    if (clean) this.#giveUpSession();
    this.#keptNow = this.kept && !(version === 4 && clean);
    this.#ports.trace.add("connect", `${clientId} (${version})${clean ? " clean" : ""}`);
    const packet = {
      version,
      clientId,
      cleanStart: clean,
      keepAliveSeconds: KEEP_ALIVE_SECONDS,
      will: this.#makeWill(),
      ...(version === 5 ? { sessionExpirySeconds: this.kept ? sessionExpirySeconds : 0, receiveMaximum } : {}),
      ...(version === 4 ? { sessionExpirySeconds: clean ? 0 : 0xffff_ffff } : {}),
    };
    this.#packet((writer) => writer.connect(connectPacket(packet)));
  }

  /** The broker may have ended it: it must not be taken for the one of which this client still knows. */
  #isExpired(): boolean {
    if (!this.#hasSession || this.traits.version === 4) return false;
    return this.#ports.network.clock.monotonic() - this.#lostAt >= this.traits.sessionExpirySeconds * 1000;
  }

  #giveUpSession(): void {
    this.#hasSession = false;
    this.#received.clear();
    this.#outgoing.giveUp();
    this.#unwanted.clear();
    this.#ports.witness.ledgers.get(this.traits.clientId)?.abandon();
  }

  #makeWill(): Will | null {
    const { clientId, willDelaySeconds, version } = this.traits;
    if (willDelaySeconds === null) return null;
    const text = `${clientId}-will-${++this.#wills}`;
    const topic = `w/${clientId}`;
    const message: SentMessage = { text, topic, publisher: clientId, number: 0, qos: 1, retain: false, expires: false };
    this.#ports.witness.publish(message);
    const delaySeconds = version === 5 ? willDelaySeconds : 0;
    return { topic, payload: encoder.encode(text), qos: 1, retain: false, delaySeconds, properties: null };
  }

  #ended(): void {
    if (this.#connected) this.#lostAt = this.#lastHeard - LATENCY_MAX;
    this.#attempt++;
    this.#socket = null;
    this.#connected = false;
    this.#outgoing.disconnected();
    this.#open.clear();
    this.#acknowledgements = [];
    this.#requests.clear();
    const { clock, random, redialMax } = this.#ports.network;
    clock.after(50 + random.below(redialMax), () => this.#dial());
  }

  #ping(): void {
    if (this.#socket === null) return;
    if (this.#ports.network.clock.monotonic() - this.#lastHeard > SILENCE_MAX) this.die("told");
    else if (this.#connected) this.#packet((writer) => writer.pingreq());
  }

  #packet(write: (writer: PacketWriter) => void): void {
    if (this.#socket === null) return;
    write(this.#writer);
    this.#socket.write(this.#writer.take());
  }

  #handler(): PacketHandler {
    return {
      ...NO_PACKETS,
      connack: (packet) => this.#connack(packet),
      publish: (view) => this.#arrived(view),
      acknowledge: (kind, packetId, reasonCode) => this.#acknowledged(kind, packetId, reasonCode),
      suback: (packet) => this.#answered(packet),
      unsuback: (packet) => this.#answered(packet),
      disconnect: ({ reasonCode, reasonString }) =>
        this.#ports.trace.add("sent off", `${this.traits.clientId} ${reasonCode} ${reasonString ?? ""}`),
    };
  }

  #connack({ reasonCode, sessionPresent, receiveMaximum }: ConnackPacket): void {
    const { clientId } = this.traits;
    const { witness, trace } = this.#ports;
    trace.add("connack", `${clientId} ${reasonCode}${sessionPresent ? " present" : ""}`);
    if (reasonCode !== 0) return;
    this.#connected = true;
    if (sessionPresent && this.#cleanNext) witness.wrong(`${clientId} is told of a session that it did not want`);
    const known = sessionPresent && this.#hasSession;
    if (!known) this.#sessionIsNew();
    this.#hasSession = this.#keptNow;
    this.#cleanNext = false;
    this.#outgoing.connected(this.traits.version === 5 ? (receiveMaximum ?? 65_535) : IN_FLIGHT_MAX);
    for (const [filter, wanted] of this.#wanted)
      if (!known || wanted.pending !== null) this.#requestSubscription(filter);
    for (const filter of this.#unwanted) this.#requestEnd(filter);
  }

  #sessionIsNew(): void {
    const { clientId } = this.traits;
    const { witness } = this.#ports;
    // 3.1.1 has no expiry: it is kept for as long as the server keeps any.
    if (this.#hasSession && !this.#isExpired()) witness.wrong(`the session of ${clientId} is lost`);
    this.#giveUpSession();
    witness.begin(clientId, this.#keptNow);
  }

  // ── sending ──

  #send(message: SentMessage, payload: Uint8Array): void {
    if (message.qos === 0 && !this.#connected) return;
    this.#ports.witness.publish(message);
    this.#outgoing.send(message, payload);
  }

  #acknowledged(kind: AcknowledgeKind, packetId: number, reasonCode: number): void {
    if (kind === "pubrel") {
      this.#received.delete(packetId);
      this.#later(() => {
        this.#open.delete(packetId);
        this.#acknowledgePacket("pubcomp", packetId);
      });
      return;
    }
    if (!this.#outgoing.acknowledged(kind, packetId, reasonCode))
      this.#ports.witness.wrong(`${this.traits.clientId} got a ${kind} for ${packetId}, which does not wait for one`);
  }

  #acknowledgePacket(kind: AcknowledgeKind, packetId: number): void {
    this.#packet((writer) => writer.acknowledge(kind, packetId));
  }

  // ── receiving ──

  #arrived(view: PublishView): void {
    const { qos, retain, dup, packetId } = view;
    const { clientId, receiveMaximum } = this.traits;
    const { witness } = this.#ports;
    const topic = utf8.decode(view.buffer.subarray(view.topicStart, view.topicEnd));
    const payload = view.buffer.subarray(view.payloadStart, view.payloadEnd);
    const identifiers = subscriptionIdentifiersOf(view);
    const deliver = (): string => {
      this.onDelivery(topic, utf8.decode(payload), retain);
      return witness.deliver(clientId, payload, topic, { qos, retain, identifiers }, dup);
    };
    if (qos === 0) {
      deliver();
      return;
    }
    if (this.#open.has(packetId)) witness.wrong(`${clientId} got identifier ${packetId} again, which is in use`);
    this.#open.add(packetId);
    if (this.traits.version === 5 && this.#open.size > receiveMaximum)
      witness.wrong(`${clientId} got ${this.#open.size} messages at once; its Receive Maximum is ${receiveMaximum}`);
    if (qos === 1) {
      deliver();
      this.#later(() => {
        this.#open.delete(packetId);
        this.#acknowledgePacket("puback", packetId);
      });
      return;
    }
    const before = this.#received.get(packetId);
    if (before === undefined) this.#received.set(packetId, deliver());
    else if (before !== utf8.decode(payload))
      witness.wrong(`${clientId} got identifier ${packetId} for another message than ${short(before)}`);
    this.#later(() => this.#acknowledgePacket("pubrec", packetId));
  }

  /** In the order in which it was asked [MQTT-4.6.0-2]; promptly or slowly. */
  #later(acknowledge: () => void): void {
    if (this.mute) return;
    const { clock, random } = this.#ports.network;
    const { slowness } = this.traits;
    if (this.#acknowledgements.length === 0 && (slowness === 0 || random.chance(0.5))) {
      acknowledge();
      return;
    }
    this.#acknowledgements.push(acknowledge);
    if (this.#acknowledgements.length > 1) return;
    const own = this.#attempt;
    clock.after(random.below(slowness + 1), () => {
      if (own !== this.#attempt) return;
      for (const waiting of this.#acknowledgements.splice(0)) waiting();
    });
  }

  // ── subscriptions ──

  #requestSubscription(filter: string): void {
    const wanted = this.#wanted.get(filter)!;
    const { request, identifier } = wanted;
    const { witness } = this.#ports;
    const ledger: SessionLedger = witness.ledgers.get(this.traits.clientId)!;
    const asked = ledger.subscribe(request, identifier, ++witness.tick, witness.retainedConfirmed);
    wanted.pending = asked;
    this.#ports.trace.add("subscribe", `${this.traits.clientId} ${filter} ${request.qos}`);
    const packetId = this.#request(([granted = 0x80]) => {
      this.#ports.trace.add("suback", `${this.traits.clientId} ${filter} ${granted}`);
      if (granted >= 0x80) witness.wrong(`${this.traits.clientId} may not subscribe to ${filter}: ${granted}`);
      else ledger.granted(asked, granted as QoS, ++witness.tick);
      wanted.pending = null;
    });
    this.#packet((writer) => writer.subscribe({ packetId, requests: [request], subscriptionIdentifier: identifier }));
  }

  #requestEnd(filter: string): void {
    const { witness } = this.#ports;
    const ledger = witness.ledgers.get(this.traits.clientId)!;
    ledger.unsubscribing(filter);
    this.#ports.trace.add("leaves", `${this.traits.clientId} ${filter}`);
    const packetId = this.#request(() => {
      ledger.unsubscribed(filter, ++witness.tick);
      this.#unwanted.delete(filter);
    });
    this.#packet((writer) => writer.unsubscribe({ packetId, filters: [filter] }));
  }

  #request(answered: (codes: readonly number[]) => void): number {
    const packetId = this.#requestId++;
    if (this.#requestId > 65_535) this.#requestId = FIRST_REQUEST_ID;
    this.#requests.set(packetId, answered);
    return packetId;
  }

  #answered({ packetId, reasonCodes }: SubackPacket): void {
    const answered = this.#requests.get(packetId);
    this.#requests.delete(packetId);
    if (answered === undefined)
      this.#ports.witness.wrong(`${this.traits.clientId} got an answer that it did not ask for`);
    else answered(reasonCodes);
  }
}
