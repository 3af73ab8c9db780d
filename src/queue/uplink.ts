/**
 * The agent's connection to the platform: MQTT 5, one client, QoS 1 publishes out of the outbox, nothing else yet.
 *
 * Clean Start is true and the session ends with the connection: the outbox is the session. It knows what is unacknowledged,
 * survives the broker's loss of state, and is not bound to old packet identifiers; the stamp (outbox, sequence) makes what
 * is sent again recognisable. A session in the broker would add state that can disagree.
 */
import type { Cancel, Clock, EpochMs, Limits, Logger, Metrics, Millis, Random, Scheduler } from "../base/mod.ts";
import { LIMITS, STAMP_OUTBOX, STAMP_SEQUENCE, reasonOf } from "../base/mod.ts";
import type { ConnackPacket, PacketWriter } from "../wire/mqtt/mod.ts";
import { REASON, connectPacket } from "../wire/mqtt/mod.ts";
import { Channel } from "./channel.ts";
import type { OpenUplinkSocket } from "./channel.ts";
import type { Parcel } from "./courier.ts";
import { Courier } from "./courier.ts";
import type { Loss, LossText } from "./losses.ts";
import { describeLoss } from "./losses.ts";
import type { Outbox } from "./outbox.ts";
import type { UplinkEffect, UplinkInput, UplinkState } from "./uplink-machine.ts";
import { deadlineOf, step } from "./uplink-machine.ts";

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

/**
 * A second connection that is to take the place of the one that is online. That one serves on until this one's secure channel
 * stands; then what is on the way is awaited, and only then this one sends its CONNECT, with which the broker sends the
 * first one away. So nothing is lost or sent twice, and the broker never finds the client away.
 */
interface Successor {
  readonly channel: Channel;
  phase: "opening" | "settling" | "greeting";
  /** Of the phase. */
  cancel: Cancel;
  /** What has become of the first one meanwhile; it counts only where this one comes to nothing. */
  firstEnded: UplinkInput | null;
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
  #successor: Successor | null = null;
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

  /** Comes back with the credentials of now; where it is online, by a second connection and without a gap. */
  replace(): void {
    const { name } = this.#state;
    if (name === "opening" || name === "greeting") {
      this.#channel?.drop();
      this.#channel = null;
      const cause = { kind: "ended", detail: "given up for an attempt with new credentials" } as const;
      return this.#input({ type: "closed", cause });
    }
    if (name !== "online" || this.#successor !== null) return;
    const { scheduler } = this.#options;
    const cancel = scheduler.after(this.#limits.connectTimeout, () =>
      this.#succeedNot("the TLS handshake took too long"),
    );
    this.#successor = { channel: this.#connect(), phase: "opening", cancel, firstEnded: null };
  }

  /** Waits a moment for acknowledgements on the way, then says goodbye. What is left stays in the outbox. */
  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#state.name === "stopped") resolve();
    else this.#stopped.push(resolve);
    this.#abandonSuccessor();
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
        this.#channel = this.#connect();
        return;
      case "greet":
        this.#greet(this.#channel);
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

  #connect(): Channel {
    const channel: Channel = new Channel(this.#options.open, {
      opened: () => this.#opened(channel),
      packets: {
        connack: (packet) => this.#connack(channel, packet),
        puback: (packetId, reasonCode) => this.#puback(packetId, reasonCode),
        pong: () => this.#input({ type: "pong" }),
        disconnect: (reasonCode) => this.#ended(channel, { type: "dismissed", reasonCode }),
      },
      fault: (reasonCode, detail) => this.#ended(channel, { type: "fault", reasonCode, detail }),
      closed: (cause) => {
        if (this.#channel === channel) this.#channel = null;
        this.#ended(channel, { type: "closed", cause });
      },
    });
    return channel;
  }

  #opened(channel: Channel): void {
    const successor = this.#successor;
    if (successor?.channel !== channel) return this.#input({ type: "opened" });
    this.#enter(successor, "settling", this.#limits.drainTimeout, () => this.#greetAsSuccessor(successor));
    if (this.#courier.inflight === 0) this.#greetAsSuccessor(successor);
  }

  /** The connection is of no use any more. */
  #ended(channel: Channel, input: Extract<UplinkInput, { type: "dismissed" | "fault" | "closed" }>): void {
    const successor = this.#successor;
    if (successor?.channel === channel) this.#succeedNot(reasonOfEnd(input));
    else if (successor?.phase === "greeting") successor.firstEnded ??= input;
    else this.#input(input);
  }

  #greet(channel: Channel | null): void {
    const { clientId } = this.#options;
    const keepAliveSeconds = Math.round(this.#limits.keepAlive / 1000);
    channel?.send((writer) =>
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

  #connack(channel: Channel, packet: ConnackPacket): void {
    const successor = this.#successor?.channel === channel ? this.#successor : null;
    const awaited = successor === null ? this.#state.name === "greeting" : successor.phase === "greeting";
    const objection = awaited
      ? objectionTo(packet)
      : ({ type: "fault", reasonCode: REASON.protocolError, detail: "CONNACK at the wrong time" } as const);
    if (objection !== null) {
      if (successor === null) this.#input(objection);
      else this.#succeedNot(`the broker answered 0x${objection.reasonCode.toString(16)}`);
      return;
    }
    if (successor !== null) this.#takePlace(successor);
    this.#packetBytesMax = packet.maximumPacketSize ?? Infinity;
    this.#courier.begin(packet.receiveMaximum ?? 65_535);
    const keepAlive = packet.serverKeepAliveSeconds; // [MQTT-3.2.2-21]
    this.#input({
      type: "accepted",
      keepAlive: keepAlive === undefined ? this.#limits.keepAlive : keepAlive * 1000,
    });
    channel.accepted();
    this.#tellOnline();
  }

  // ── a second connection in the place of the first ─────────────────────────────────────────────

  #enter(successor: Successor, phase: Successor["phase"], within: Millis, late: () => void): void {
    successor.cancel();
    successor.phase = phase;
    successor.cancel = this.#options.scheduler.after(within, late);
  }

  #greetAsSuccessor(successor: Successor): void {
    const late = (): void => this.#succeedNot("no CONNACK came");
    this.#enter(successor, "greeting", this.#limits.greetingTimeout, late);
    this.#greet(successor.channel);
  }

  #takePlace(successor: Successor): void {
    successor.cancel();
    this.#successor = null;
    this.#channel?.retire();
    this.#channel = successor.channel;
    this.#courier.end(null); // whatever was not acknowledged in time is sent again
  }

  /** The first one goes on, if it is still there. */
  #succeedNot(why: string): void {
    const ended = this.#successor?.firstEnded ?? null;
    this.#abandonSuccessor();
    this.#options.logger.warn("the second connection that was to replace the first came to nothing", { reason: why });
    if (ended !== null) this.#input(ended);
    else this.#pumpLater();
  }

  #abandonSuccessor(): void {
    this.#successor?.cancel();
    this.#successor?.channel.drop();
    this.#successor = null;
  }

  #puback(packetId: number, reasonCode: number): void {
    this.#courier.acknowledged(packetId, reasonCode, this.#options.clock.monotonic(), this.#options.random.next());
    if (this.#courier.inflight === 0) this.#input({ type: "settled" });
    if (this.#successor?.phase === "settling" && this.#courier.inflight === 0) this.#greetAsSuccessor(this.#successor);
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
    if (this.#successor !== null && this.#successor.phase !== "opening") return; // they leave by the next connection
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
    this.#abandonSuccessor();
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

/** What keeps us from going on with a broker that answers so; null: nothing. */
function objectionTo(packet: ConnackPacket): Extract<UplinkInput, { type: "fault" | "refused" }> | null {
  if (packet.reasonCode >= 0x80) return { type: "refused", reasonCode: packet.reasonCode };
  // We asked for a clean start and have no session to go on with [MQTT-3.2.2-4].
  if (packet.sessionPresent)
    return { type: "fault", reasonCode: REASON.protocolError, detail: "a session where none was asked for" };
  return packet.maximumQos === 0 ? { type: "refused", reasonCode: REASON.qosNotSupported } : null; // [MQTT-3.2.2-11]
}

function reasonOfEnd(input: Extract<UplinkInput, { type: "dismissed" | "fault" | "closed" }>): string {
  if (input.type === "closed") return input.cause.detail;
  return input.type === "fault" ? input.detail : `the broker ended it with 0x${input.reasonCode.toString(16)}`;
}
