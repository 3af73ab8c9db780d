/** One network connection: bytes in, packets to the functions that serve them, output gathered and sent once a turn. */
import { PacketError, PacketWriter, REASON } from "../wire/mqtt/mod.ts";
import type { ProtocolVersion, PublishView } from "../wire/mqtt/mod.ts";
import { reasonOf } from "../base/mod.ts";
import type { EpochMs, LogFields, Millis, QoS } from "../base/mod.ts";
import type { Authentication } from "./authentication.ts";
import { referenceOf, refuseConnect } from "./refuse-connect.ts";
import type { Core } from "./core.ts";
import { pump } from "./pump.ts";
import { endsNever } from "./expiries.ts";
import type { Expiry } from "./expiries.ts";
import type { ThingScope } from "./fairness.ts";
import { HOLD_BIT } from "./hold-reasons.ts";
import type { HoldReason } from "./hold-reasons.ts";
import { Intake } from "./intake.ts";
import type { IdentifierSet } from "./identifier-set.ts";
import { detach } from "./lifecycle.ts";
import { explain, refuseInWords } from "./answers.ts";
import type { OutgoingAliases } from "./outgoing-aliases.ts";
import type { Authorizer, Peer, Publisher, Transport } from "./ports.ts";
import type { DisconnectCause } from "./presence.ts";
import { mayPublish } from "./reserved-topics.ts";
import { forwardAliased, plain, writePublish } from "./publish-writing.ts";
import type { SendAgain, SendAs } from "./publish-writing.ts";
import type { Meter, Rate } from "./rates.ts";
import { kindOfFault } from "./refusals.ts";
import type { RefusalKind } from "./refusals.ts";
import type { Route } from "./routes.ts";
import type { Session, StandingWill } from "./session.ts";

/** `greeting`: before CONNECT is answered. `authenticating`: AUTH goes back and forth. `closing`: nothing is read any more, the last output is on its way. */
export type ConnectionState = "greeting" | "authenticating" | "connected" | "closing" | "closed";
/** A client that has much to take, and has had for less than this, is worth waiting for. */
const PATIENCE_MS = 1000;
/** Who has taken nothing for this long does not read at all. */
const PROGRESS_MS = 100;

const PIECE_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);
/** Publish verdicts kept per connection; most devices use one topic or a few. */
const VERDICTS_KEPT = 16;
const NOBODY: Authorizer = { revision: 0, publish: () => false, subscribe: () => false, receive: () => false };

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
  /** Who it is: the certificate's id, or what the admission said. */
  principal: string | null;
  /** When that ends; null: nobody knows of an end. */
  expiry: Expiry | null = null;
  /** The authorizer's revision that allowed all subscriptions when they were last looked at. */
  subscriptionsAllowedAt = -1;
  /** Null where CONNECT named no authentication method. */
  authentication: Authentication | null = null;
  publisher: Publisher = { clientId: "", thing: null };
  /** Published unless the client says good-bye. */
  will: StandingWill | null = null;
  connectedAt: EpochMs = 0;
  sessionIdentifier = "";
  /** Ours, where the client brought none. */
  assignedClientId: string | null = null;
  keepAliveSeconds = 0;
  cleanStart = true;
  /** It goes on with a session of an earlier connection. */
  resumed = false;
  /** Most deliveries in flight to this client. */
  window = 0;
  /** The client's; `Infinity` where it set none that matters. */
  maximumPacketSize = Infinity;
  /** Topic aliases that we give; null where the client takes none [MQTT-3.1.2-27]. */
  outgoingAliases: OutgoingAliases | null = null;
  /** Reasons in words are wanted beside PUBLISH, CONNACK and DISCONNECT [MQTT-3.1.2-29]. */
  wantsReasons = false;
  lastReceived: Millis;
  /** Wall clock at the start of the present chunk. */
  receivedAt: EpochMs = 0;
  /** What counts against our Receive Maximum: QoS 1 publishes that wait for the disk, and `exchanges`. */
  unacknowledged = 0;
  /** QoS 2 publishes of this connection that have no PUBCOMP yet; MQTT 5.0 only. */
  exchanges: IdentifierSet | null = null;
  /** PUBRECs and PUBCOMPs that wait for the disk. */
  answering = 0;
  /** Topic bytes by alias, of this connection alone [MQTT-3.3.2-7]; null until the first. */
  aliases: (Uint8Array | undefined)[] | null = null;
  /** What it has received, against its rates; null before CONNECT. */
  meter: Meter | null = null;
  filterRate: Rate | null = null;
  /** Null where it stands for no thing. */
  scope: ThingScope | null = null;
  readonly intake: Intake;
  #writer: PacketWriter | null = null;
  /** `block[from, to)` is to be sent, which others send, too; the writer is empty then. */
  #shared: Uint8Array | null = null;
  #sharedFrom = 0;
  #sharedTo = 0;
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
  #allowedRetained: Map<Route, number> | null = null;
  #allowedRoute: Route | null = null;
  #allowedRevision = -1;

  constructor(core: Core, transport: Transport, peer: Peer) {
    this.core = core;
    this.transport = transport;
    this.peer = peer;
    this.principal = peer.certificateId;
    this.acceptedAt = core.now();
    this.lastReceived = this.acceptedAt;
    this.intake = new Intake(this);
  }

  // ── the transport's side ─────────────────────────────────────────────────────────────────────

  /** Takes bytes that arrived: `chunk[0, end)`. */
  receive(chunk: Uint8Array, end: number = chunk.length): void {
    if (this.isOver) return;
    this.lastReceived = this.core.now();
    this.receivedAt = this.core.clock.now();
    this.core.meters.bytesReceived.value += end;
    this.intake.take(chunk, end);
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
    if (this.outputBytes > this.core.crowdedBytes / 2) return; // else publishers would be held again after some messages
    this.#crowdedSince = null;
    this.core.pacing.release();
  }

  /** The transport is gone. */
  closed(reason?: string): void {
    if (this.state === "closed") return;
    this.intake.takeRest();
    detach(this, "CONNECTION_LOST", true);
    if (this.state !== "closing") this.core.logger.debug("a connection was lost", { ...this.describe(), reason });
    this.#retire();
  }

  /** Serving a packet threw: the peer's fault, or ours. */
  failed(error: unknown): void {
    if (this.isOver) return;
    if (error instanceof PacketError) {
      if (error.limit !== null) this.core.reached.count(error.limit);
      const kind = kindOfFault(error);
      if (this.state === "connected") this.refuse(kind, error.reasonCode, "CLIENT_ERROR", error.detail);
      else {
        this.version = this.intake.version;
        refuseConnect(this, error.reasonCode, kind, error.detail);
      }
      return;
    }
    this.core.logger.error("serving a packet failed", { ...this.describe(), error: reasonOf(error) });
    const detail = "the platform failed; its log says why";
    if (this.state === "connected") this.refuse("internal", REASON.unspecifiedError, "SERVER_ERROR", detail);
    else refuseConnect(this, REASON.unspecifiedError, "internal", detail);
  }

  /** The client is in: packets of all kinds may come from now on. */
  enters(authorizer: Authorizer): void {
    this.state = "connected";
    this.authorizer = authorizer;
    if (this.authentication !== null) this.intake.open();
  }

  /** The client has other rights from now on. */
  becomes(authorizer: Authorizer): void {
    this.authorizer = authorizer;
    this.subscriptionsAllowedAt = -1;
    this.#allowed = this.#allowedRetained = null;
    this.#allowedRoute = null;
  }

  // ── output ───────────────────────────────────────────────────────────────────────────────────

  /** Where to write packets for the client; they leave at the end of this turn. */
  out(): PacketWriter {
    if (!this.#dirty) this.#markDirty();
    if (this.#shared !== null) this.#copyShared();
    return (this.#writer ??= this.#newWriter());
  }

  /**
   * HOT. Whole packets in a block that others may send, too, and that nobody writes to there any more, leave at the end of this
   * turn without being copied. False where they are to be written to `out`: something else stands before them.
   */
  share(block: Uint8Array, from: number, to: number): boolean {
    if (this.#shared === block && this.#sharedTo === from) {
      this.#sharedTo = to;
      return true;
    }
    if (this.#shared !== null || (this.#writer !== null && this.#writer.length > 0)) return false;
    if (!this.#dirty) this.#markDirty();
    this.#shared = block;
    this.#sharedFrom = from;
    this.#sharedTo = to;
    return true;
  }

  /** As something is to follow, or they cannot leave now and would hold memory of which others have the most. */
  #copyShared(): void {
    (this.#writer ??= this.#newWriter()).append(this.#takeShared(), 0, 0);
  }

  #takeShared(): Uint8Array {
    const taken = this.#shared!.subarray(this.#sharedFrom, this.#sharedTo);
    this.#shared = null;
    this.#sharedFrom = this.#sharedTo = 0;
    return taken;
  }

  #newWriter(): PacketWriter {
    return new PacketWriter(this.version, { pool: this.core.buffers });
  }

  #markDirty(): void {
    this.#dirty = true;
    this.core.markDirty(this);
  }

  /** Bytes on their way to the client, as far as this process can see. */
  get outputBytes(): number {
    const gathered = this.#writer === null ? 0 : this.#writer.length;
    return gathered + this.#sharedTo - this.#sharedFrom + this.#inTransportBytes;
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
    const reads = this.#inTransportBytes === 0 || now - this.#outputSince < PROGRESS_MS;
    if (reads && now - this.#crowdedSince < PATIENCE_MS) this.core.pacing.wanted = true;
  }

  /** Hands what has gathered to the transport, unless that is still busy or session state has to be saved first. */
  flush(): void {
    this.#dirty = false;
    this.#countOutput(this.outputBytes);
    if (this.outputBytes >= this.core.outputBytesMax && !this.isHeld("output")) {
      this.core.countFullOutput();
      this.holdRead("output");
    }
    if (this.#inTransportBytes > 0 || this.#heldOutput > 0 || this.state === "closed") {
      if (this.#shared !== null) this.#copyShared();
      return;
    }
    const writer = this.#writer;
    if (this.#shared !== null) this.#write(this.#takeShared());
    else if (writer !== null && writer.length > 0) this.#write(writer.takeBlock());
    if (this.state === "closing" && (writer === null || writer.length === 0)) this.#finish();
  }

  #write(bytes: Uint8Array): void {
    this.#outgoing = bytes;
    this.#inTransportBytes = bytes.length;
    this.#writePiece();
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
    if (this.#heldOutput === 0 && !this.#dirty && this.state !== "closed") this.#markDirty();
  }

  /**
   * Writes a message for the client; false where it is larger than the client takes [MQTT-3.1.2-24], [MQTT-3.1.2-25].
   * A repeated message, or one whose expiry has to be counted down, is encoded anew.
   */
  send(view: PublishView, topic: string, as: SendAs, again: SendAgain | null = null): boolean {
    const out = this.out();
    const before = out.length;
    let alias = this.outgoingAliases === null ? 0 : this.outgoingAliases.find(view);
    writePublish(out, view, topic, as, again, alias);
    if (alias < 0 && out.length - before > this.maximumPacketSize) {
      out.rewind(before); // the alias itself may be what is too much
      alias = 0;
      writePublish(out, view, topic, as, again, alias);
    }
    if (out.length - before > this.maximumPacketSize) {
      out.rewind(before);
      return false;
    }
    if (alias < 0) this.outgoingAliases!.told(view);
    this.countSent(view.payloadEnd - view.payloadStart);
    return true;
  }

  /** HOT: `send` for a live message to a client that takes packets of any size. */
  forward(view: PublishView, qos: QoS, retain: boolean, packetId: number): void {
    plain.qos = qos;
    plain.retain = retain;
    plain.packetId = packetId;
    const out = this.out();
    if (this.outgoingAliases === null) out.forward(view, plain);
    else forwardAliased(out, view, this.outgoingAliases);
    this.countSent(view.payloadEnd - view.payloadStart);
  }

  countSent(payloadBytes: number, messages = 1): void {
    this.core.meters.sent.value += messages;
    this.core.meters.payloadSent.value += payloadBytes;
  }

  /** A publish of this client is on disk, or refused. */
  acknowledge(packetId: number, reasonCode: number): void {
    this.unacknowledged--;
    if (this.isOver) return;
    this.core.meters.acknowledged.value++;
    if (reasonCode === REASON.success || !this.wantsReasons) this.out().acknowledge("puback", packetId, reasonCode);
    else refuseInWords(this, "puback", packetId, reasonCode);
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

  /** How long the transport has had something that it did not take; 0 where it has nothing. */
  stalledFor(now: Millis): Millis {
    return this.#inTransportBytes === 0 ? 0 : now - this.#outputSince;
  }

  /** It is not read from, for whatever reason. */
  get isReadHeld(): boolean {
    return this.#holds !== 0;
  }

  // ── rights ───────────────────────────────────────────────────────────────────────────────────

  mayPublish(route: Route, retain: boolean): boolean {
    const { authorizer } = this;
    const { revision } = authorizer;
    if (!retain && this.#allowedRoute === route && this.#allowedRevision === revision) return true;
    const allowed = retain ? (this.#allowedRetained ??= new Map()) : (this.#allowed ??= new Map());
    if (allowed.get(route) !== revision) {
      if (!mayPublish(this.core, authorizer, route.topic, retain)) return false;
      if (allowed.size >= VERDICTS_KEPT) allowed.clear();
      allowed.set(route, revision);
    }
    if (retain) return true;
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

  /** As `refuse`, without calling it a refusal. Told or not, the client is gone [MQTT-4.13.2-1]. */
  disconnect(code: number | null, cause: DisconnectCause, detail: string): void {
    if (this.isOver) return;
    const told = this.state === "connected" && this.version === 5 && code !== null; // [MQTT-3.14.0-1]
    detach(this, cause, true);
    if (told) {
      const elsewhere = code === REASON.useAnotherServer ? referenceOf(this.core) : {};
      this.core.meters.controlSent.value++;
      // [MQTT-3.14.0-1]; with its reason in words, unless that makes it larger than the client takes [MQTT-3.14.2-3].
      explain(this, detail, (out, reason) => out.disconnect({ reasonCode: code, ...elsewhere, ...reason }));
    }
    this.end(); // [MQTT-4.13.1-1], [MQTT-3.14.4-2]
  }

  /** Sends what there is, then closes; nothing is written any more [MQTT-3.14.4-1]. */
  end(): void {
    if (this.isOver) return;
    this.intake.stop();
    this.state = "closing";
    if (!this.#dirty) this.#markDirty();
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
    this.intake.stop();
    this.state = "closed";
    this.#countOutput(0);
    this.core.greetings.delete(this);
    this.core.connections.delete(this);
    this.core.backlog.forget(this);
    this.core.retained.forget(this);
    endsNever(this);
    this.#writer = null;
    this.#shared = null;
    this.#sharedFrom = this.#sharedTo = 0;
    this.#inTransportBytes = 0;
    this.#outgoing = NOTHING;
    this.#allowed = this.#allowedRetained = null;
    this.#allowedRoute = null;
    this.aliases = null;
    this.outgoingAliases = null;
    this.exchanges = null;
  }

  describe(): LogFields {
    return {
      clientId: this.publisher.clientId,
      thing: this.publisher.thing,
      certificateId: this.peer.certificateId,
      remoteAddress: this.peer.remoteAddress,
    };
  }
}
