/** One network connection: bytes in, packets to the functions that serve them, output gathered and sent once a turn. */
import { PacketError, PacketReader, PacketWriter, REASON, propertiesOf } from "../wire/mqtt/mod.ts";
import type { ProtocolVersion, PublishView } from "../wire/mqtt/mod.ts";
import { reasonOf } from "../base/mod.ts";
import type { EpochMs, LogFields, Millis, QoS } from "../base/mod.ts";
import { refuseConnect } from "./connect.ts";
import type { Core } from "./core.ts";
import { pump } from "./delivery.ts";
import { Inbound } from "./inbound.ts";
import { detach } from "./lifecycle.ts";
import type { Authorizer, Peer, Publisher, Transport } from "./ports.ts";
import type { ConnectionInfo, DisconnectCause } from "./presence.ts";
import type { RefusalKind } from "./refusals.ts";
import type { Route } from "./routes.ts";
import type { Session, StandingWill } from "./session.ts";

/** `greeting`: before CONNECT. `closing`: nothing is read any more, the last output is on its way. */
export type ConnectionState = "greeting" | "connected" | "closing" | "closed";
/** Why reading is paused: the disk is behind, too much is unacknowledged, the client does not take its output, `Pacing`. */
export type HoldReason = "journal" | "acknowledgements" | "output" | "pace";
const HOLD_BIT = { journal: 1, acknowledgements: 2, output: 4, pace: 8 } as const;
/** A client that has much to take, and has had for less than this, is worth waiting for. */
const PATIENCE_MS = 1000;

const PIECE_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** Publish verdicts kept per connection; most devices use one topic or a few. */
const VERDICTS_KEPT = 16;
const NOBODY: Authorizer = { revision: 0, publish: () => false, subscribe: () => false, receive: () => false };

/** How `PacketWriter.forward` is told what to change; one object for all, because nothing keeps it. */
const plain = { qos: 0 as QoS, retain: false, packetId: 0 };

/** How a message is to be sent to one client. */
export interface SendAs {
  readonly qos: QoS;
  readonly retain: boolean;
  /** 0 where QoS is 0. */
  readonly packetId: number;
  readonly identifiers: readonly number[] | null;
}

/** What makes a message that waited, or that was sent before, differ from a live one. */
export interface SendAgain {
  readonly dup: boolean;
  /** Null where the message does not expire. */
  readonly expirySeconds: number | null;
}

export class Connection {
  readonly core: Core;
  readonly transport: Transport;
  readonly peer: Peer;
  readonly acceptedAt: Millis;
  state: ConnectionState = "greeting";
  version: ProtocolVersion = 4;
  /** There from CONNECT on. */
  session: Session | null = null;
  authorizer: Authorizer = NOBODY;
  publisher: Publisher = { clientId: "", thing: null };
  /** Published unless the client says good-bye. */
  will: StandingWill | null = null;
  connectedAt: EpochMs = 0;
  sessionIdentifier = "";
  keepAliveSeconds = 0;
  cleanStart = true;
  /** Most deliveries in flight to this client. */
  window = 0;
  /** The client's; `Infinity` where it set none that matters. */
  maximumPacketSize = Infinity;
  lastReceived: Millis;
  /** Wall clock at the start of the present chunk. */
  receivedAt: EpochMs = 0;
  /** QoS 1 publishes that wait for the disk. */
  unacknowledged = 0;
  /** Topic bytes by alias, of this connection alone [MQTT-3.3.2-7]; null until the first. */
  aliases: (Uint8Array | undefined)[] | null = null;
  readonly #reader: PacketReader;
  #writer: PacketWriter | null = null;
  #dirty = false;
  /** Savings of session state that the output waits for. */
  #heldOutput = 0;
  /** What was taken from the writer and the transport has not written yet. */
  #inTransportBytes = 0;
  #outgoing: Uint8Array = NOTHING;
  /** When the transport was last given something. */
  #outputSince: Millis = 0;
  /** Since when more waits than it takes at once; null while it keeps up. */
  #crowdedSince: Millis | null = null;
  /** This connection's part of `Core.outputBytes`. */
  #outputCounted = 0;
  #holds = 0;
  #allowed: Map<Route, number> | null = null;
  #allowedRoute: Route | null = null;
  #allowedRevision = -1;

  constructor(core: Core, transport: Transport, peer: Peer) {
    this.core = core;
    this.transport = transport;
    this.peer = peer;
    this.acceptedAt = core.now();
    this.lastReceived = this.acceptedAt;
    this.#reader = new PacketReader(new Inbound(this), { role: "server", limits: core.limits });
  }

  // ── the transport's side ─────────────────────────────────────────────────────────────────────

  /** Takes bytes that arrived. */
  receive(chunk: Uint8Array): void {
    if (this.isOver) return;
    this.lastReceived = this.core.now();
    this.receivedAt = this.core.clock.now();
    this.core.meters.bytesReceived.value += chunk.length;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The transport has sent what it was last given, and gives it back. */
  written(bytes: Uint8Array): void {
    if (this.#inTransportBytes === 0) return;
    this.core.meters.bytesSent.value += bytes.length;
    this.#inTransportBytes -= bytes.length;
    if (this.#inTransportBytes > 0) {
      this.#writePiece();
      return;
    }
    this.#outgoing = NOTHING;
    this.core.buffers.giveBack(bytes);
    if (this.state === "closed") return;
    this.flush();
    if (this.state !== "connected") return;
    const session = this.session!;
    if (session.owes) pump(this.core, session);
    if (this.outputBytes > this.core.crowdedBytes) return;
    this.releaseRead("output");
    if (this.#crowdedSince === null || session.outbox.waiting > 0) return;
    this.#crowdedSince = null;
    this.core.pacing.release();
  }

  /** The transport is gone. */
  closed(reason?: string): void {
    if (this.state === "closed") return;
    detach(this, "CONNECTION_LOST", true);
    if (this.state !== "closing") this.core.logger.debug("a connection was lost", { ...this.describe(), reason });
    this.#retire();
  }

  #failed(error: unknown): void {
    if (this.isOver) return;
    if (error instanceof PacketError) {
      const kind = error.reasonCode === REASON.topicNameInvalid ? "publish-topic" : "malformed-packet";
      if (this.state === "connected") this.refuse(kind, error.reasonCode, "CLIENT_ERROR", error.detail);
      else {
        this.version = this.#reader.version;
        refuseConnect(this, error.reasonCode, kind, error.detail);
      }
      return;
    }
    this.core.logger.error("serving a packet failed", { ...this.describe(), error: reasonOf(error) });
    this.refuse("internal", REASON.unspecifiedError, "SERVER_ERROR", "the platform failed; its log says why");
  }

  // ── output ───────────────────────────────────────────────────────────────────────────────────

  /** Where to write packets for the client; they leave at the end of this turn. */
  out(): PacketWriter {
    if (!this.#dirty) {
      this.#dirty = true;
      this.core.markDirty(this);
    }
    return (this.#writer ??= new PacketWriter(this.version, { pool: this.core.buffers }));
  }

  /** Bytes on their way to the client, as far as this process can see. */
  get outputBytes(): number {
    return (this.#writer === null ? 0 : this.#writer.length) + this.#inTransportBytes;
  }

  /** Whether one more message may be written; asks publishers for patience where much is waiting already. */
  get hasRoom(): boolean {
    const { outputBytes, core } = this;
    if (outputBytes > core.crowdedBytes) this.askPatience();
    return outputBytes < core.outputBytesMax;
  }

  /** Much waits for this client: publishers are held back until it has caught up, unless that takes it too long. */
  askPatience(): void {
    const now = this.core.now();
    if (this.#crowdedSince === null) this.#crowdedSince = now;
    if (now - this.#crowdedSince < PATIENCE_MS) this.core.pacing.wanted = true;
  }

  /** Hands what has gathered to the transport, unless that is still busy or session state has to be saved first. */
  flush(): void {
    this.#dirty = false;
    this.#countOutput(this.outputBytes);
    if (this.outputBytes >= this.core.outputBytesMax) this.holdRead("output");
    if (this.#inTransportBytes > 0 || this.#heldOutput > 0 || this.state === "closed") return;
    const writer = this.#writer;
    if (writer !== null && writer.length > 0) {
      this.#outgoing = writer.takeBlock();
      this.#inTransportBytes = this.#outgoing.length;
      this.#writePiece();
    }
    if (this.state === "closing" && (writer === null || writer.length === 0)) this.#finish();
  }

  /** A large packet is given to the transport in pieces, because each that is written shows that the client takes something. */
  #writePiece(): void {
    const bytes = this.#outgoing;
    const from = bytes.length - this.#inTransportBytes;
    this.#outputSince = this.core.now();
    const whole = from === 0 && bytes.length <= PIECE_BYTES;
    this.transport.write(whole ? bytes : bytes.subarray(from, from + PIECE_BYTES));
  }

  #countOutput(bytes: number): void {
    this.core.outputBytes += bytes - this.#outputCounted;
    this.#outputCounted = bytes;
  }

  holdOutput(): void {
    this.#heldOutput++;
  }

  releaseOutput(): void {
    this.#heldOutput--;
    if (this.#heldOutput === 0 && !this.#dirty && this.state !== "closed") {
      this.#dirty = true;
      this.core.markDirty(this);
    }
  }

  /**
   * Writes a message for the client; false where it is larger than the client takes [MQTT-3.1.2-24], [MQTT-3.1.2-25].
   * A repeated message, or one whose expiry has to be counted down, is encoded anew.
   */
  send(view: PublishView, topic: string, as: SendAs, again: SendAgain | null = null): boolean {
    const out = this.out();
    const before = out.length;
    if (again === null) forward(out, view, as);
    else publishAgain(out, view, topic, as, again);
    if (out.length - before > this.maximumPacketSize) {
      out.rewind(before);
      return false;
    }
    this.core.meters.sent.value++;
    return true;
  }

  /** HOT: `send` for a live message to a client that takes packets of any size. */
  forward(view: PublishView, qos: QoS, retain: boolean, packetId: number): void {
    plain.qos = qos;
    plain.retain = retain;
    plain.packetId = packetId;
    this.out().forward(view, plain);
    this.core.meters.sent.value++;
  }

  /** A publish of this client is on disk, or refused. */
  acknowledge(packetId: number, reasonCode: number): void {
    this.unacknowledged--;
    if (this.isOver) return;
    this.core.meters.acknowledged.value++;
    this.out().acknowledge("puback", packetId, reasonCode);
    if (this.#holds !== 0 && this.unacknowledged < this.core.limits.inflightMax / 2) {
      this.releaseRead("acknowledgements");
    }
  }

  // ── back-pressure ────────────────────────────────────────────────────────────────────────────

  holdRead(reason: HoldReason): void {
    if (this.#holds === 0 && !this.isOver) this.transport.pause();
    this.#holds |= HOLD_BIT[reason];
  }

  isHeld(reason: HoldReason): boolean {
    return (this.#holds & HOLD_BIT[reason]) !== 0;
  }

  releaseRead(reason: HoldReason): void {
    if ((this.#holds & HOLD_BIT[reason]) === 0) return;
    this.#holds &= ~HOLD_BIT[reason];
    if (this.#holds !== 0 || this.isOver) return;
    this.lastReceived = this.core.now(); // it could not be heard meanwhile
    this.transport.resume();
  }

  /** Looks at what time does to the connection. */
  check(now: Millis): void {
    const { limits } = this.core;
    if (this.state === "greeting" && now - this.acceptedAt >= limits.connectTimeout) {
      const after = `no CONNECT within ${limits.connectTimeout / 1000} s`;
      this.refuse("connect-timeout", null, "CLIENT_ERROR", after);
    } else if (this.#inTransportBytes > 0 && now - this.#outputSince >= limits.stalledOutputMax) {
      this.refuse("output-stalled", null, "CONNECTION_LOST", "the client takes no data; check its network");
      this.destroy();
    } else if (this.state === "connected" && this.#silent(now)) {
      const detail = `nothing received for one and a half times the keep-alive of ${this.keepAliveSeconds} s`;
      this.refuse("keep-alive", REASON.keepAliveTimeout, "MQTT_KEEP_ALIVE_TIMEOUT", detail); // [MQTT-3.1.2-22]
    }
  }

  #silent(now: Millis): boolean {
    // Who is not read from cannot be heard; one that is held for its output, and takes none of it, is found by that.
    if (this.keepAliveSeconds === 0 || this.#holds !== 0) return false;
    return now - this.lastReceived >= this.keepAliveSeconds * 1500;
  }

  // ── rights ───────────────────────────────────────────────────────────────────────────────────

  mayPublish(route: Route, retain: boolean): boolean {
    const { authorizer } = this;
    if (retain) return authorizer.publish(route.topic, true);
    const { revision } = authorizer;
    if (this.#allowedRoute === route && this.#allowedRevision === revision) return true;
    const allowed = (this.#allowed ??= new Map());
    if (allowed.get(route) !== revision) {
      if (!authorizer.publish(route.topic, false)) return false;
      if (allowed.size >= VERDICTS_KEPT) allowed.clear();
      allowed.set(route, revision);
    }
    this.#allowedRoute = route;
    this.#allowedRevision = revision;
    return true;
  }

  // ── the end ──────────────────────────────────────────────────────────────────────────────────

  /** Nothing more is taken from this client. */
  get isOver(): boolean {
    return this.state === "closing" || this.state === "closed";
  }

  /** Ends the connection for a reason that the client is told (MQTT 5.0) and the log keeps. `code` null: not told. */
  refuse(kind: RefusalKind, code: number | null, cause: DisconnectCause, detail: string, fields: LogFields = {}): void {
    if (this.isOver) return;
    this.core.refusals.refuse(kind, `connection ended: ${detail}`, { ...this.describe(), ...fields });
    this.disconnect(code, cause, detail);
  }

  /** As `refuse`, without calling it a refusal. */
  disconnect(code: number | null, cause: DisconnectCause, detail: string): void {
    if (this.isOver) return;
    const told = this.state === "connected" && this.version === 5 && code !== null;
    detach(this, cause, true);
    if (told) this.#sayGoodbye(code, detail);
    this.end(); // [MQTT-4.13.1-1], [MQTT-3.14.4-2]
  }

  /** With its reason in words, unless that makes it larger than the client takes [MQTT-3.14.2-3]. */
  #sayGoodbye(reasonCode: number, reasonString: string): void {
    const out = this.out();
    const before = out.length;
    out.disconnect({ reasonCode, reasonString });
    if (out.length - before <= this.maximumPacketSize) return;
    out.rewind(before);
    out.disconnect({ reasonCode });
  }

  /** Sends what there is, then closes; nothing is written any more [MQTT-3.14.4-1]. */
  end(): void {
    if (this.isOver) return;
    this.#reader.stop();
    this.state = "closing";
    if (!this.#dirty) {
      this.#dirty = true;
      this.core.markDirty(this);
    }
  }

  /** Closes at once, whatever has not been sent. */
  destroy(): void {
    if (this.state === "closed") return;
    detach(this, "CONNECTION_LOST", true);
    this.#retire();
    this.transport.destroy();
  }

  #finish(): void {
    this.#retire();
    this.transport.end();
  }

  #retire(): void {
    this.#reader.stop();
    this.state = "closed";
    this.#countOutput(0);
    this.core.connections.delete(this);
    this.core.backlog.forget(this);
    this.#writer = null;
    this.#inTransportBytes = 0;
    this.#outgoing = NOTHING;
    this.#allowed = null;
    this.#allowedRoute = null;
    this.aliases = null;
  }

  describe(): LogFields {
    return {
      clientId: this.publisher.clientId,
      thing: this.publisher.thing,
      certificateId: this.peer.certificateId,
      remoteAddress: this.peer.remoteAddress,
    };
  }

  get info(): ConnectionInfo {
    return {
      clientId: this.publisher.clientId,
      thing: this.publisher.thing,
      certificateId: this.peer.certificateId,
      remoteAddress: this.peer.remoteAddress,
      connectedAt: this.connectedAt,
      protocolVersion: this.version,
      keepAliveSeconds: this.keepAliveSeconds,
      cleanStart: this.cleanStart,
      subscriptions: this.session?.subscriptions.size ?? 0,
      owed: this.session?.outbox.size ?? 0,
    };
  }
}

function forward(out: PacketWriter, view: PublishView, as: SendAs): void {
  const { qos, retain, packetId, identifiers } = as;
  if (identifiers === null) out.forward(view, { qos, retain, packetId });
  else out.forward(view, { qos, retain, packetId, subscriptionIdentifiers: identifiers });
}

function publishAgain(out: PacketWriter, view: PublishView, topic: string, as: SendAs, again: SendAgain): void {
  const { qos, retain, packetId, identifiers } = as;
  const { dup, expirySeconds } = again;
  const received = propertiesOf(view);
  const properties = expirySeconds === null ? received : { ...received, messageExpirySeconds: expirySeconds }; // [MQTT-3.3.2-6]
  const payload = view.buffer.subarray(view.payloadStart, view.payloadEnd);
  const named = identifiers === null ? {} : { subscriptionIdentifiers: identifiers };
  out.publish({ topic, payload, qos, retain, dup, packetId, properties, ...named });
}
