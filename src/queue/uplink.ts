/**
 * The agent's connection to the platform: MQTT 5, one client, QoS 1 publishes out of the outbox, nothing else yet.
 *
 * Clean Start is true and the session ends with the connection: the outbox is the session. It knows what is unacknowledged,
 * survives the broker's loss of state, and is not bound to old packet identifiers; the stamp (outbox, sequence) makes what
 * is sent again recognisable. A session in the broker would add state that can disagree.
 */
import type { Cancel, Clock, EpochMs, Limits, Logger, Metrics, Millis, Random, Scheduler } from "../base/mod.ts";
import { LIMITS, STAMP_OUTBOX, STAMP_SEQUENCE, reasonOf } from "../base/mod.ts";
import type { ConnackPacket, PacketHandler, PublishView } from "../wire/mqtt/mod.ts";
import { PacketError, PacketReader, PacketWriter, REASON, connectPacket } from "../wire/mqtt/mod.ts";
import type { Parcel } from "./courier.ts";
import { Courier } from "./courier.ts";
import type { CloseCause, Loss, LossText } from "./losses.ts";
import { describeLoss } from "./losses.ts";
import type { Outbox } from "./outbox.ts";
import type { UplinkEffect, UplinkInput, UplinkState } from "./uplink-machine.ts";
import { deadlineOf, step } from "./uplink-machine.ts";

/** One attempt to reach the broker, and the connection if it succeeds. */
export interface UplinkSocket {
  /** The socket owns the bytes until it calls `written` with them. */
  write(bytes: Uint8Array): void;
  /** Sends what was written, then closes; soon, whatever the other side does. */
  end(): void;
  /** Closes at once, whatever state it is in. */
  destroy(): void;
}

/** What the socket tells. After `end` or `destroy` only `closed` is listened to. */
export interface UplinkEvents {
  /** The secure channel stands, and the server has proved who it is. */
  opened(): void;
  received(chunk: Uint8Array): void;
  written(bytes: Uint8Array): void;
  /** Exactly once, also where it was never opened. */
  closed(cause: CloseCause): void;
}

/** Starts one attempt; never calls back before it has returned. */
export type OpenUplinkSocket = (events: UplinkEvents) => UplinkSocket;

export interface UplinkOptions {
  readonly open: OpenUplinkSocket;
  readonly outbox: Outbox;
  /** The thing's name: least-privilege policies allow no other. */
  readonly clientId: string;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits?: Limits["edge"];
}

export interface UplinkStatus {
  readonly state: UplinkState["name"];
  /** Null where it is not online. */
  readonly connectedSince: EpochMs | null;
  /** Failed attempts in a row. */
  readonly failures: number;
  readonly lastLoss: (LossText & { readonly at: EpochMs }) | null;
  readonly inflight: number;
  /** Acknowledged by the platform since the start of this process. */
  readonly delivered: number;
}

/** How many failures for one and the same reason go by between two lines in the log. */
const REPEATS_BETWEEN_LINES = 20;

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #limits: Limits["edge"];
  readonly #courier: Courier;
  readonly #counters: { readonly connects: { value: number }; readonly losses: { value: number } };
  #state: UplinkState = { name: "stopped" };
  #channel: Channel | null = null;
  #connectedSince: EpochMs | null = null;
  #packetBytesMax = Infinity;
  #lastLoss: (LossText & { readonly at: EpochMs }) | null = null;
  #sameLosses = 0;
  #timer: { readonly at: Millis; readonly cancel: Cancel } | null = null;
  #pumpSoon = false;
  #unlisten: Cancel = () => {};
  #stopped: (() => void)[] = [];
  /** Settles when the goodbye of a connection that was left is on its way and the socket is closed. */
  #left: Promise<void> = Promise.resolve();

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#limits = options.limits ?? LIMITS.edge;
    const { outbox, logger, metrics } = options;
    this.#courier = new Courier({ outbox, limits: this.#limits, logger, metrics });
    this.#counters = {
      connects: metrics.counter({ name: "tidewire_uplink_connects_total", help: "Connections that were accepted." }),
      losses: metrics.counter({
        name: "tidewire_uplink_losses_total",
        help: "Attempts that failed and connections that broke.",
      }),
    };
    metrics.observe({ name: "tidewire_uplink_online", help: "1 while the platform is reached." }, () =>
      this.#state.name === "online" ? 1 : 0,
    );
  }

  start(): void {
    this.#unlisten = this.#options.outbox.onReadable(() => this.#pumpLater());
    this.#input({ type: "start" });
  }

  /** Waits a moment for acknowledgements on the way, then says goodbye. What is left stays in the outbox. */
  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#state.name === "stopped") resolve();
    else this.#stopped.push(resolve);
    this.#input({ type: "stop", inflight: this.#courier.inflight });
    await promise;
    await this.#left;
  }

  status(): UplinkStatus {
    return {
      state: this.#state.name,
      connectedSince: this.#connectedSince,
      failures: "attempt" in this.#state && this.#state.name !== "online" ? this.#state.attempt : 0,
      lastLoss: this.#lastLoss,
      inflight: this.#courier.inflight,
      delivered: this.#courier.delivered,
    };
  }

  #input(input: UplinkInput): void {
    const { state, effects } = step(this.#state, input, {
      now: this.#options.clock.monotonic(),
      jitter: this.#options.random.next(),
      limits: this.#limits,
    });
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    this.#schedule();
  }

  #perform(effect: UplinkEffect): void {
    switch (effect.type) {
      case "open":
        this.#channel = this.#open();
        return;
      case "greet":
        this.#greet();
        return;
      case "serve":
        this.#counters.connects.value++;
        this.#connectedSince = this.#options.clock.now();
        this.#pumpLater();
        return;
      case "ping":
        this.#channel?.send((writer) => writer.pingreq());
        return;
      case "farewell":
        if (this.#channel !== null) this.#left = this.#channel.leave(effect.reasonCode);
        this.#channel = null;
        return;
      case "drop":
        this.#channel?.drop();
        this.#channel = null;
        return;
      case "lost":
        this.#lost(effect.loss, effect.attempt, effect.delay);
        return;
      case "stopped":
        this.#rest();
        return;
    }
  }

  #open(): Channel {
    const channel: Channel = new Channel(this.#options.open, {
      opened: () => this.#input({ type: "opened" }),
      packets: {
        connack: (packet) => this.#connack(packet),
        puback: (packetId, reasonCode) => this.#puback(packetId, reasonCode),
        pong: () => this.#input({ type: "pong" }),
        disconnect: (reasonCode) => this.#input({ type: "dismissed", reasonCode }),
      },
      fault: (reasonCode, detail) => this.#input({ type: "fault", reasonCode, detail }),
      closed: (cause) => {
        this.#channel = null;
        this.#input({ type: "closed", cause });
      },
    });
    return channel;
  }

  #greet(): void {
    const { clientId } = this.#options;
    const keepAliveSeconds = Math.round(this.#limits.keepAlive / 1000);
    this.#channel?.send((writer) =>
      // Receive Maximum and Maximum Packet Size: we subscribe to nothing, so little may come.
      writer.connect(
        connectPacket({
          version: 5,
          clientId,
          cleanStart: true,
          sessionExpirySeconds: 0,
          keepAliveSeconds,
          receiveMaximum: 16,
          maximumPacketSize: LIMITS.mqtt.packetBytesMax,
        }),
      ),
    );
  }

  #connack(packet: ConnackPacket): void {
    if (this.#state.name !== "greeting") {
      this.#input({ type: "fault", reasonCode: REASON.protocolError, detail: "CONNACK at the wrong time" });
    } else if (packet.reasonCode >= 0x80) {
      this.#input({ type: "refused", reasonCode: packet.reasonCode });
    } else if (packet.sessionPresent) {
      // We asked for a clean start and have no session to go on with [MQTT-3.2.2-4].
      this.#input({ type: "fault", reasonCode: REASON.protocolError, detail: "a session where none was asked for" });
    } else if (packet.maximumQos === 0) {
      this.#input({ type: "refused", reasonCode: REASON.qosNotSupported }); // [MQTT-3.2.2-11]
    } else {
      this.#packetBytesMax = packet.maximumPacketSize ?? Infinity;
      this.#courier.begin(packet.receiveMaximum ?? 65_535);
      const keepAlive = packet.serverKeepAliveSeconds; // [MQTT-3.2.2-21]
      this.#input({
        type: "accepted",
        keepAlive: keepAlive === undefined ? this.#limits.keepAlive : keepAlive * 1000,
      });
      this.#tellOnline();
    }
  }

  #puback(packetId: number, reasonCode: number): void {
    this.#courier.acknowledged(packetId, reasonCode, this.#options.clock.monotonic(), this.#options.random.next());
    if (this.#courier.inflight === 0) this.#input({ type: "settled" });
    this.#pumpLater();
  }

  /** Once per turn: what a turn acknowledged and saved leaves in one write. */
  #pumpLater(): void {
    if (this.#pumpSoon || this.#state.name !== "online") return;
    this.#pumpSoon = true;
    this.#options.scheduler.defer(() => {
      this.#pumpSoon = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#state.name !== "online" || this.#channel === null) return;
    const parcels = this.#takeParcels();
    if (parcels.length > 0) {
      const sent = this.#channel.send((writer) => {
        for (const parcel of parcels) this.#publish(writer, parcel);
      });
      if (sent) this.#input({ type: "sent" });
      if (this.#courier.inflight < parcels.length) this.#pumpLater(); // some were not sendable: there is room for others
    }
    this.#schedule();
  }

  /** A disk that cannot be read must not end the agent: it goes on recording, and tries again with the next reading. */
  #takeParcels(): readonly Parcel[] {
    try {
      return this.#courier.next(this.#options.clock.monotonic());
    } catch (error) {
      this.#options.logger.error("the outbox cannot be read", {
        reason: reasonOf(error),
        fix: "Check the disk; restart the agent to have a damaged outbox moved aside.",
      });
      return [];
    }
  }

  #publish(writer: PacketWriter, parcel: Parcel): void {
    const before = writer.length;
    const { reading, packetId } = parcel;
    writer.publish({
      topic: reading.topic,
      payload: reading.payload,
      qos: 1,
      retain: false,
      dup: false,
      packetId,
      properties: {
        userProperties: [
          [STAMP_OUTBOX, this.#options.outbox.id],
          [STAMP_SEQUENCE, String(reading.sequence)],
        ],
      },
    });
    if (writer.length - before <= this.#packetBytesMax) return;
    writer.rewind(before); // [MQTT-3.2.2-15]
    this.#courier.unsendable(parcel);
  }

  #lost(loss: Loss, attempt: number, delay: Millis): void {
    this.#counters.losses.value++;
    this.#connectedSince = null;
    this.#courier.end(loss.kind === "dismissed" ? loss.reasonCode : null);
    const text = describeLoss(loss);
    const same = this.#lastLoss?.reason === text.reason && attempt > 1;
    this.#sameLosses = same ? this.#sameLosses + 1 : 0;
    this.#lastLoss = { ...text, at: this.#options.clock.now() };
    const fields = { ...text, failures: attempt, retryInMs: Math.round(delay) };
    if (this.#sameLosses % REPEATS_BETWEEN_LINES === 0) {
      this.#options.logger.warn("the platform is not reached; recording goes on", fields);
    } else this.#options.logger.debug("the platform is not reached", fields);
  }

  #tellOnline(): void {
    this.#options.logger.info("connected to the platform", {
      waiting: this.#options.outbox.statistics().waiting,
      failuresBefore: this.#state.name === "online" ? this.#state.attempt : 0,
    });
  }

  #rest(): void {
    this.#unlisten();
    this.#connectedSince = null;
    this.#courier.end(null);
    for (const resolve of this.#stopped.splice(0)) resolve();
  }

  /** One timer for whatever comes first. One that is set too early does no harm: it looks and is set again. */
  #schedule(): void {
    const machine = deadlineOf(this.#state, this.#courier.unacknowledgedSince, this.#limits);
    const resumes = this.#state.name === "online" ? this.#courier.resumesAt : null;
    const at = Math.min(machine ?? Infinity, resumes ?? Infinity);
    if (this.#timer !== null && this.#timer.at <= at && at !== Infinity) return;
    this.#timer?.cancel();
    this.#timer = null;
    if (at === Infinity) return;
    // At least 1 ms: a deadline that had passed and changed nothing must not become a busy loop.
    const delay = Math.max(1, at - this.#options.clock.monotonic());
    this.#timer = { at, cancel: this.#options.scheduler.after(delay, () => this.#wake()) };
  }

  #wake(): void {
    this.#timer = null;
    this.#input({ type: "time", unacknowledgedSince: this.#courier.unacknowledgedSince });
    this.#pumpLater();
  }
}

interface ChannelListener {
  opened(): void;
  readonly packets: {
    connack(packet: ConnackPacket): void;
    puback(packetId: number, reasonCode: number): void;
    pong(): void;
    disconnect(reasonCode: number): void;
  };
  fault(reasonCode: number, detail: string): void;
  closed(cause: CloseCause): void;
}

/** One socket with its codec. Once left or dropped it tells nothing more, so an old connection cannot disturb a new one. */
class Channel {
  readonly #socket: UplinkSocket;
  readonly #writer = new PacketWriter(5);
  readonly #reader: PacketReader;
  readonly #closed = Promise.withResolvers<void>();
  #listener: ChannelListener | null;

  constructor(open: OpenUplinkSocket, listener: ChannelListener) {
    this.#listener = listener;
    this.#reader = new PacketReader(handlerOf(listener.packets), { role: "client", version: 5, limits: LIMITS.mqtt });
    this.#socket = open({
      opened: () => this.#listener?.opened(),
      received: (chunk) => this.#received(chunk),
      written: (bytes) => this.#writer.giveBack(bytes),
      closed: (cause) => {
        const told = this.#listener;
        this.#listener = null;
        this.#closed.resolve();
        told?.closed(cause);
      },
    });
  }

  /** False where there was nothing to send. */
  send(write: (writer: PacketWriter) => void): boolean {
    write(this.#writer);
    if (this.#writer.length === 0) return false;
    this.#socket.write(this.#writer.take());
    return true;
  }

  /** Resolves once the socket is closed. */
  leave(reasonCode: number): Promise<void> {
    this.#silence();
    this.send((writer) => writer.disconnect({ reasonCode }));
    this.#socket.end();
    return this.#closed.promise;
  }

  drop(): void {
    this.#silence();
    this.#socket.destroy();
  }

  #silence(): void {
    this.#listener = null;
    this.#reader.stop();
  }

  #received(chunk: Uint8Array): void {
    if (this.#listener === null) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#listener?.fault(error.reasonCode, error.detail);
    }
  }
}

/** The reader lets through only what a server may send; of that, what nobody asked for is ignored. */
function handlerOf(packets: ChannelListener["packets"]): PacketHandler {
  const unexpected = (what: string) => (): never => {
    throw new PacketError(REASON.protocolError, `${what} without having been asked for`);
  };
  return {
    connack: (packet) => packets.connack(packet),
    acknowledge: (kind, packetId, reasonCode) => {
      if (kind === "puback") packets.puback(packetId, reasonCode);
      else unexpected(kind.toUpperCase())();
    },
    pingresp: () => packets.pong(),
    disconnect: (packet) => packets.disconnect(packet.reasonCode),
    publish: (view: PublishView) => {
      if (view.qos > 0) unexpected("PUBLISH")();
    },
    suback: unexpected("SUBACK"),
    unsuback: unexpected("UNSUBACK"),
    auth: unexpected("AUTH"),
    connect: unexpected("CONNECT"),
    subscribe: unexpected("SUBSCRIBE"),
    unsubscribe: unexpected("UNSUBSCRIBE"),
    pingreq: unexpected("PINGREQ"),
  };
}
