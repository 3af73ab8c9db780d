/** One connection to a broker: CONNECT, subscriptions, messages both ways, and how it ends. Nothing is tried again here. */
import { LIMITS, mib, seconds } from "../../base/mod.ts";
import type { Cancel, MessageProperties, QoS, Scheduler } from "../../base/mod.ts";
import {
  PacketError,
  PacketReader,
  PacketWriter,
  REASON,
  connectPacket,
  propertiesOf,
  topicOf,
} from "../../wire/mqtt/mod.ts";
import type {
  AcknowledgeKind,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  ProtocolVersion,
  PublishView,
  ReaderLimits,
  SubackPacket,
  SubscribeRequest,
} from "../../wire/mqtt/mod.ts";
import type { BrokerAddress, BrokerCredentials } from "./broker-address.ts";
import { openChannel } from "./channel.ts";
import type { Channel, ChannelEnd } from "./channel.ts";
import { MqttFailure } from "./endings.ts";
import type { ConnectionEnd } from "./endings.ts";

export interface MqttConnectionOptions {
  readonly address: BrokerAddress;
  readonly credentials: BrokerCredentials;
  readonly connect: Partial<ConnectPacket> & { readonly version: ProtocolVersion; readonly clientId: string };
  readonly scheduler: Scheduler;
  /** Each message of a chunk; its bytes may be kept. */
  readonly received: (message: Received) => void;
  /**
   * After the messages of a chunk. While it takes its time nothing more is read, and what came is not acknowledged: whoever
   * reads slowly is sent no more, and whoever ends meanwhile is sent it again.
   */
  readonly settled: () => Promise<void> | null;
  /** Once, however it ends; of one that never was open, `open` tells. */
  readonly ended: (end: ConnectionEnd) => void;
}

export interface Received {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly properties: MessageProperties | null;
}

export interface Outgoing {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | null;
}

type Taken = (code: number, said: string | null) => void;

/** Of one packet that a broker sends; a subscriber asks for no more [MQTT-3.1.2-24]. */
const PACKET_BYTES_MAX = mib(64);
const PACKET_ID_MAX = 65_535;
/** Messages of QoS 1 and 2 on their way to the broker at once, if it takes so many. */
const WINDOW = 1_000;
/** Bytes that may wait for the socket before whoever publishes has to. */
const UNWRITTEN_MAX = mib(1);
const READER_LIMITS: ReaderLimits = {
  connectBytesMax: PACKET_BYTES_MAX,
  packetBytesMax: PACKET_BYTES_MAX,
  topicBytesMax: 65_535,
  topicLevelsMax: 65_536,
  userPropertiesMax: 10_000,
  filtersPerSubscribeMax: PACKET_ID_MAX,
  clientIdBytesMax: 65_535,
};

export class MqttConnection {
  readonly #o: MqttConnectionOptions;
  readonly #connect: ConnectPacket;
  readonly #channel: Channel;
  readonly #reader: PacketReader;
  readonly #writer: PacketWriter;
  #state: "opening" | "greeting" | "online" | "ended" = "opening";
  #goodbye: ConnectionEnd | null = null;
  #cancelTimer: Cancel;
  #cancelPing: Cancel | null = null;
  #connack: ConnackPacket | null = null;
  #unwritten = 0;
  #settling = false;
  #flushPlanned = false;
  /** What waits for an acknowledgement, by packet identifier: `#window` of them at most, and SUBSCRIBEs. */
  readonly #publishing = new Map<number, Taken>();
  readonly #subscribing = new Map<number, (suback: SubackPacket) => void>();
  #nextId = 0;
  /** Of messages of QoS 2 that were handed over and not released; a broker has so many identifiers. */
  readonly #unreleased = new Set<number>();
  #rooms: (() => void)[] = [];
  #pongs: (() => void)[] = [];
  #heard = true;
  readonly #online = Promise.withResolvers<void>();
  /** Rejects with `MqttFailure` when the connection ends: raced against what waits for an answer. */
  readonly #failed = Promise.withResolvers<never>();

  private constructor(options: MqttConnectionOptions) {
    this.#o = options;
    const { version } = options.connect;
    const five = version === 5 ? { maximumPacketSize: PACKET_BYTES_MAX } : {};
    this.#connect = connectPacket({ ...five, ...options.connect });
    this.#failed.promise.catch(() => {}); // not everybody waits for something
    this.#writer = new PacketWriter(version);
    this.#reader = new PacketReader(
      {
        connack: (packet) => this.#greeted(packet),
        publish: (view) => this.#received(view),
        acknowledge: (kind, id, code, said) => this.#acknowledged(kind, id, code, said ?? null),
        suback: (packet) => this.#answered(packet),
        unsuback: () => {},
        pingresp: () => this.#ponged(),
        disconnect: (packet) => this.#dismissed(packet),
        auth: () => this.#fault("it asks for an authentication that was not offered"),
        connect: () => {},
        subscribe: () => {},
        unsubscribe: () => {},
        pingreq: () => {},
      },
      { role: "client", version, limits: READER_LIMITS },
    );
    this.#channel = openChannel(options.address, options.credentials, {
      opened: () => this.#opened(),
      received: (bytes) => this.#push(bytes),
      closed: (end) => this.#closed(end),
    });
    this.#cancelTimer = this.#timeout("opening");
  }

  /** Resolves when CONNACK has let us in. Throws `MqttFailure`. */
  static async open(options: MqttConnectionOptions): Promise<MqttConnection> {
    const connection = new MqttConnection(options);
    await Promise.race([connection.#online.promise, connection.#failed.promise]);
    return connection;
  }

  get version(): ProtocolVersion {
    return this.#connect.version;
  }

  /** The broker still had this client's session: what it was subscribed to, and messages that came meanwhile. */
  get sessionPresent(): boolean {
    return this.#connack?.sessionPresent === true;
  }

  /** Of a message that the broker would not take at all: why; null: it may be sent. */
  objectionTo({ topic, payload, qos, retain }: Outgoing): number | null {
    const { maximumPacketSize, maximumQos, retainAvailable } = this.#connack!;
    if (maximumQos !== undefined && qos > maximumQos) return REASON.qosNotSupported;
    if (retain && retainAvailable === false) return REASON.retainNotSupported;
    const size = payload.length + topic.length + 10;
    return maximumPacketSize !== undefined && size > maximumPacketSize ? REASON.packetTooLarge : null;
  }

  /**
   * Resolves when there is room for one more; `taken` is called when the broker has acknowledged it, with QoS 0 at once:
   * only a `roundTrip` tells that the broker has read it. Throws `MqttFailure` where the connection has ended, and `PacketError` where it cannot be said in MQTT.
   */
  async publish(message: Outgoing, taken: Taken): Promise<void> {
    while (this.#isFull(message.qos)) await this.#room();
    if (this.#state !== "online") await this.#failed.promise;
    const packetId = message.qos === 0 ? 0 : this.#freeId();
    this.#writer.publish({ ...message, packetId, dup: false });
    if (packetId === 0) taken(REASON.success, null);
    else this.#publishing.set(packetId, taken);
    this.#flushSoon();
  }

  #isFull(qos: QoS): boolean {
    if (this.#state !== "online") return false;
    const window = Math.min(this.#connack?.receiveMaximum ?? PACKET_ID_MAX, WINDOW); // [MQTT-3.3.4-7]
    return this.#unwritten + this.#writer.length >= UNWRITTEN_MAX || (qos > 0 && this.#publishing.size >= window);
  }

  async #room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#rooms.push(resolve);
    await Promise.race([promise, this.#failed.promise]);
  }

  #moreRoom(): void {
    const waiting = this.#rooms;
    this.#rooms = [];
    for (const resolve of waiting) resolve();
  }

  /** The reason codes, one for each request. Throws `MqttFailure`. */
  async subscribe(requests: readonly SubscribeRequest[]): Promise<readonly number[]> {
    const packetId = this.#freeId();
    const { promise, resolve } = Promise.withResolvers<SubackPacket>();
    this.#subscribing.set(packetId, resolve);
    this.#writer.subscribe({ packetId, requests, subscriptionIdentifier: 0 });
    this.#flush();
    const { reasonCodes } = await Promise.race([promise, this.#failed.promise]);
    return reasonCodes;
  }

  /** Resolves when the broker has read all that was sent before. Throws `MqttFailure`. */
  async roundTrip(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pongs.push(resolve);
    this.#writer.pingreq();
    this.#flush();
    await Promise.race([promise, this.#failed.promise]);
  }

  /** Says goodbye. `sessionExpirySeconds`: how long the broker shall keep the session from now on, where that is another. */
  leave(sessionExpirySeconds?: number): void {
    if (this.#state === "ended") return;
    if (this.#state === "online") {
      const expiry = this.version === 5 ? sessionExpirySeconds : undefined;
      this.#writer.disconnect({
        reasonCode: REASON.normalDisconnection,
        sessionExpirySeconds: expiry ?? null,
        reasonString: null,
      });
      this.#flush();
    }
    this.#finish({ kind: "left" });
    this.#channel.end();
  }

  #freeId(): number {
    do this.#nextId = (this.#nextId % PACKET_ID_MAX) + 1;
    while (this.#publishing.has(this.#nextId) || this.#subscribing.has(this.#nextId));
    return this.#nextId;
  }

  // ── what comes ───────────────────────────────────────────────────────────────────────────────

  #opened(): void {
    if (this.#state !== "opening") return;
    this.#state = "greeting";
    this.#cancelTimer();
    this.#cancelTimer = this.#timeout("greeting");
    this.#writer.connect(this.#connect);
    this.#flush();
  }

  #push(bytes: Uint8Array): void {
    if (this.#state === "ended") return;
    this.#heard = true;
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      return this.#fault(error.detail);
    }
    this.#settle();
  }

  /** Acknowledgements go out when what they are for is where it shall be. */
  #settle(): void {
    if (this.#settling || this.#goodbye !== null) return;
    const busy = this.#o.settled();
    if (busy === null) return this.#flush();
    this.#settling = true;
    this.#channel.pause();
    void this.#resumeAfter(busy);
  }

  async #resumeAfter(busy: Promise<void>): Promise<void> {
    await busy;
    this.#settling = false;
    this.#heard = true;
    this.#flush();
    if (this.#goodbye === null) this.#channel.resume();
  }

  #greeted(packet: ConnackPacket): void {
    this.#cancelTimer();
    const { reasonCode, reasonString } = packet;
    if (reasonCode !== REASON.success) {
      this.#finish({ kind: "not-let-in", version: this.version, code: reasonCode, said: reasonString ?? null });
      this.#channel.end();
      return;
    }
    this.#connack = packet;
    this.#state = "online";
    this.#keepAlive(packet.serverKeepAliveSeconds ?? this.#connect.keepAliveSeconds);
    this.#online.resolve();
  }

  #received(view: PublishView): void {
    const { qos, packetId, retain, dup, buffer, payloadStart, payloadEnd } = view;
    const isNew = qos !== 2 || !this.#unreleased.has(packetId);
    if (isNew) {
      const topic = topicOf(view, READER_LIMITS);
      const payload = buffer.slice(payloadStart, payloadEnd);
      this.#o.received({ topic, payload, qos, retain, dup, properties: propertiesOf(view) });
    }
    if (qos === 2) this.#unreleased.add(packetId);
    if (qos !== 0) this.#writer.acknowledge(qos === 1 ? "puback" : "pubrec", packetId);
  }

  #acknowledged(kind: AcknowledgeKind, packetId: number, code: number, said: string | null): void {
    if (kind === "pubrel") {
      this.#unreleased.delete(packetId);
      this.#writer.acknowledge("pubcomp", packetId);
      return;
    }
    if (kind === "pubrec" && code < REASON.unspecifiedError) {
      this.#writer.acknowledge("pubrel", packetId);
      return;
    }
    const taken = this.#publishing.get(packetId);
    if (!this.#publishing.delete(packetId)) return;
    taken?.(code, said);
    this.#moreRoom();
  }

  #answered(suback: SubackPacket): void {
    this.#subscribing.get(suback.packetId)?.(suback);
    this.#subscribing.delete(suback.packetId);
  }

  #ponged(): void {
    this.#pongs.shift()?.();
  }

  #dismissed({ reasonCode, reasonString }: DisconnectPacket): void {
    this.#finish({ kind: "dismissed", code: reasonCode, said: reasonString });
    this.#channel.end();
  }

  #fault(detail: string): void {
    this.#finish({ kind: "fault", detail });
    this.#channel.destroy();
  }

  // ── what goes ────────────────────────────────────────────────────────────────────────────────

  /** What one turn publishes leaves together. */
  #flushSoon(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    this.#o.scheduler.defer(() => {
      this.#flushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#settling || this.#goodbye !== null) return; // acknowledgements wait
    while (this.#writer.length > 0) {
      const bytes = this.#writer.takeBlock();
      this.#unwritten += bytes.length;
      this.#channel.write(bytes, () => {
        this.#unwritten -= bytes.length;
        this.#writer.giveBack(bytes);
        if (this.#unwritten < UNWRITTEN_MAX / 2) this.#moreRoom();
      });
    }
  }

  #keepAlive(keepAliveSeconds: number): void {
    if (keepAliveSeconds === 0) return;
    let asked = false;
    this.#cancelPing = this.#o.scheduler.every(seconds(keepAliveSeconds) / 2, () => {
      // Whoever lets nothing be read cannot be told.
      if (asked && !this.#heard && !this.#settling) {
        this.#finish({ kind: "timeout", of: "ping" });
        this.#channel.destroy();
        return;
      }
      asked = true;
      this.#heard = false;
      const ping = new PacketWriter(this.version);
      ping.pingreq();
      this.#pongs.push(() => {});
      this.#channel.write(ping.take(), () => {});
    });
  }

  #timeout(of: "opening" | "greeting"): Cancel {
    return this.#o.scheduler.after(LIMITS.mqtt.connectTimeout, () => {
      this.#finish({ kind: "timeout", of });
      this.#channel.destroy();
    });
  }

  #closed(end: ChannelEnd): void {
    const phase = this.#state === "ended" ? "online" : this.#state;
    this.#finish(end.kind === "closed" ? { ...end, phase } : end);
  }

  /** The first end is the true one. */
  #finish(end: ConnectionEnd): void {
    if (this.#goodbye !== null) return;
    const wasOpen = this.#state === "online";
    this.#goodbye = end;
    this.#state = "ended";
    this.#cancelTimer();
    this.#cancelPing?.();
    this.#reader.stop();
    this.#failed.reject(new MqttFailure(end));
    if (wasOpen) this.#o.ended(end);
  }
}
