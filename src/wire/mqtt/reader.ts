/** Bytes as they come from the network, in chunks of any size, to packets. */
import { copyBytes, wordsOf } from "../../base/mod.ts";
import type { QoS } from "../../base/mod.ts";
import { Cursor } from "./cursor.ts";
import {
  decodeAcknowledge,
  decodeAuth,
  decodeDisconnect,
  decodeSuback,
  decodeSubscribe,
  decodeUnsubscribe,
} from "./decode.ts";
import { decodeConnack, decodeConnect, decodeProtocol } from "./decode-connect.ts";
import { PacketError, malformed, protocolError } from "./fault.ts";
import { PACKET, firstByteError, firstByteTable } from "./first-byte.ts";
import type { FirstByteTable, Stage } from "./first-byte.ts";
import { ID, PLACE, checkProperties, hasProperty, u16Property } from "./properties.ts";
import type { BufferPool } from "./output.ts";
import { FilledView } from "./publish-view.ts";
import { REASON } from "./reason.ts";
import type { AcknowledgeKind, PacketHandler, ProtocolVersion, ReaderLimits, ReaderOptions, Role } from "./types.ts";

/** What a split packet is given at first; it grows with what really arrives, so an announced length reserves nothing. */
const PARTIAL_BYTES_MIN = 256;
/** Type byte and at most four length bytes (section 2.1.4). */
const HEADER_BYTES_MAX = 5;
/** Held at least: some chunks of a transport, which arrive before it is really paused. */
const HELD_BYTES_MIN = 128 * 1024;
/** Answers of `#header` where it has no body position to give. */
const INCOMPLETE = 0;

export class PacketReader {
  readonly #handler: PacketHandler;
  readonly #role: Role;
  readonly #limits: ReaderLimits;
  readonly #view = new FilledView();
  #version: ProtocolVersion;
  #stage: Stage = "closed";
  #firstBytes: FirstByteTable;
  #bytesMax: number;
  #stopped = false;
  #paused = false;
  /** Neither stopped nor paused. */
  #going = true;
  /** What came while paused, and of that what is being gone through. */
  #held: Uint8Array | null = null;
  #resumed: Uint8Array | null = null;
  readonly #pool: BufferPool | null;
  #busy = false;
  #failure: PacketError | null = null;
  /** Remaining Length that `#header` has just read. */
  #remaining = 0;
  #partial: Uint8Array | null = null;
  #partialLength = 0;

  constructor(handler: PacketHandler, options: ReaderOptions) {
    this.#handler = handler;
    this.#role = options.role;
    this.#limits = options.limits;
    this.#version = options.version ?? 4;
    this.#pool = options.pool ?? null;
    this.#firstBytes = firstByteTable(this.#role, this.#role === "server" ? 5 : this.#version, "closed");
    this.#bytesMax = this.#role === "server" ? this.#limits.connectBytesMax : this.#limits.packetBytesMax;
    this.#view.version = this.#version;
  }

  /** On the server's side set by CONNECT, also by one that is refused, so that its CONNACK has the right form. 4 until then. */
  get version(): ProtocolVersion {
    return this.#version;
  }

  /** Bytes kept of a packet that has not arrived whole. */
  get partialBytes(): number {
    return this.#partial === null ? 0 : this.#partial.length;
  }

  /** The same, and of those that came while paused. */
  get keptBytes(): number {
    return (this.#partial === null ? 0 : this.#partial.length) + (this.#held === null ? 0 : this.#held.length);
  }

  /**
   * Hands every whole packet of `chunk[0, end)` to the handler, in order, and keeps a begun one. Throws `PacketError` where the peer
   * breaks the protocol or a limit, after the packets before it were delivered; and whatever a handler throws. After a throw
   * the reader takes no more: it throws the same `PacketError` again, or ignores the input where a handler had failed.
   */
  push(chunk: Uint8Array, end: number = chunk.length): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#stopped) return;
    if (this.#busy) throw new Error("a handler called push of its own reader");
    this.#busy = true;
    try {
      // A Buffer becomes a plain array: its `slice` shares memory, and one kind of array keeps all that follows fast.
      const bytes =
        chunk.constructor === Uint8Array ? chunk : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const at = this.#partialLength > 0 && !this.#paused ? this.#completePartial(bytes, end) : 0;
      this.#wholePackets(bytes, at, end);
    } catch (error) {
      if (error instanceof PacketError && !this.#stopped) this.#failure = error;
      this.stop();
      throw error;
    } finally {
      this.#busy = false;
      this.#view.lookAt(NOTHING, NO_WORDS); // else an idle connection would hold its last chunk in memory
    }
  }

  /**
   * Delivers nothing more until `resume`: the packet at hand takes its time. What comes meanwhile is kept, a packet's worth
   * at most, because whoever pauses the reader pauses the transport too.
   */
  pause(): void {
    this.#paused = true;
    this.#going = false;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Goes on with what was kept; throws what `push` throws. */
  resume(): void {
    const held = this.#held;
    this.#paused = false;
    this.#going = !this.#stopped;
    this.#held = null;
    if (held === null) return;
    this.#resumed = held;
    this.push(held);
    this.#resumed = null;
    if (this.#held !== null) return; // paused again within it
    this.#pool?.giveBack(held);
  }

  /** The broker has answered a CONNECT with an authentication method: packets of all kinds may come. */
  open(): void {
    this.#stage = "open";
    this.#firstBytes = firstByteTable(this.#role, this.#version, "open");
    this.#bytesMax = this.#limits.packetBytesMax;
  }

  /** Delivers nothing more, neither of this chunk nor of later ones: the connection is being closed. */
  stop(): void {
    this.#stopped = true;
    this.#paused = false;
    this.#going = false;
    this.#held = null;
    this.#partial = null;
    this.#partialLength = 0;
  }

  #wholePackets(bytes: Uint8Array, at: number, end: number): void {
    while (at < end && this.#going) {
      const bodyAt = this.#header(bytes, at, end);
      const packetEnd = bodyAt + this.#remaining;
      if (bodyAt === INCOMPLETE || packetEnd > end) {
        this.#keep(bytes, at, end);
        return;
      }
      this.#packet(bytes, at, bodyAt, packetEnd);
      at = packetEnd;
    }
    if (this.#paused && at < end) this.#hold(bytes, at, end);
  }

  /**
   * Reads the fixed header at `at`; returns the position of the body, or INCOMPLETE. Refuses by type and size here, before
   * any of the body is kept.
   */
  #header(bytes: Uint8Array, at: number, end: number): number {
    const first = bytes[at]!;
    const fault = this.#firstBytes[first]!;
    if (fault !== 0) throw firstByteError(first, fault, this.#role, this.#stage);
    let bodyAt = at + 1;
    if (bodyAt >= end) return INCOMPLETE;
    let byte = bytes[bodyAt++]!;
    let remaining = byte & 0x7f;
    if (byte >= 0x80) {
      let shift = 7;
      do {
        if (shift > 21) throw malformed("the remaining length is longer than 4 bytes"); // section 2.1.4
        if (bodyAt >= end) return INCOMPLETE;
        byte = bytes[bodyAt++]!;
        remaining |= (byte & 0x7f) << shift;
        shift += 7;
      } while (byte >= 0x80);
      // [MQTT-1.5.5-1]; 3.1.1 has no such rule, and clients that always send four bytes exist.
      if (byte === 0 && this.#stage !== "closed" && this.#version === 5) throw overlong();
    }
    if (bodyAt - at + remaining > this.#bytesMax) {
      const size = bodyAt - at + remaining;
      throw new PacketError(
        REASON.packetTooLarge,
        `a packet of ${size} bytes; at most ${this.#bytesMax} are taken here`,
        this.#stage === "open" ? "packetBytesMax" : "connectBytesMax",
      );
    }
    this.#remaining = remaining;
    return bodyAt;
  }

  #packet(bytes: Uint8Array, start: number, bodyAt: number, end: number): void {
    const first = bytes[start]!;
    switch (first >> 4) {
      case PACKET.publish:
        this.#publish(bytes, start, bodyAt, end, first);
        return;
      case PACKET.puback:
        this.#acknowledge("puback", bytes, bodyAt, end);
        return;
      case PACKET.pubrec:
        this.#acknowledge("pubrec", bytes, bodyAt, end);
        return;
      case PACKET.pubrel:
        this.#acknowledge("pubrel", bytes, bodyAt, end);
        return;
      case PACKET.pubcomp:
        this.#acknowledge("pubcomp", bytes, bodyAt, end);
        return;
      case PACKET.connect:
        this.#connect(bytes, start, bodyAt, end);
        return;
      default:
        this.#rare(first >> 4, new Cursor(bytes, bodyAt, end));
    }
  }

  /** HOT: no allocation. Checks all but the topic's text, which the broker looks up by its bytes. */
  #publish(bytes: Uint8Array, start: number, bodyAt: number, end: number, first: number): void {
    const view = this.#view;
    const topicStart = bodyAt + 2;
    if (topicStart > end) throw cutPublish("topic");
    const topicEnd = topicStart + ((bytes[bodyAt]! << 8) | bytes[bodyAt + 1]!);
    const qos = (first >> 1) & 3;
    let at = topicEnd; // where QoS 0 has no packet identifier [MQTT-2.2.1-2]
    let packetId = 0;
    if (qos !== 0) {
      at += 2;
      if (at > end) throw cutPublish("packet identifier");
      packetId = (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]!;
      if (packetId === 0) throw protocolError("the packet identifier is 0"); // [MQTT-2.2.1-3]
    }
    if (at > end) throw cutPublish("topic");
    view.topicAlias = 0;
    view.propertiesStart = at;
    view.propertiesEnd = at;
    if (this.#version === 5) at = this.#publishProperties(bytes, at, end);
    // [MQTT-4.7.3-1]; section 3.3.2.1: only a topic alias stands for an empty topic
    if (topicStart === topicEnd && view.topicAlias === 0) throw protocolError("neither a topic nor a topic alias");
    if (view.buffer !== bytes) view.lookAt(bytes, wordsOfLatest(bytes));
    view.start = start;
    view.end = end;
    view.dup = (first & 8) !== 0;
    view.qos = qos as QoS;
    view.retain = (first & 1) !== 0;
    view.packetId = packetId;
    view.topicStart = topicStart;
    view.topicEnd = topicEnd;
    view.payloadStart = at;
    view.payloadEnd = end;
    this.#handler.publish(view);
  }

  /** Returns where the payload starts. */
  #publishProperties(bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) throw cutPublish("property length");
    let length = bytes[at++]!;
    if (length === 0) {
      this.#view.propertiesStart = at;
      this.#view.propertiesEnd = at;
      return at;
    }
    if (length >= 0x80) {
      const cursor = new Cursor(bytes, at - 1, end);
      length = cursor.varint("property length");
      at = cursor.at;
    }
    const propertiesEnd = at + length;
    if (propertiesEnd > end) throw cutPublish("properties");
    const seen = checkProperties(bytes, at, propertiesEnd, PLACE.publish, this.#limits.userPropertiesMax);
    if (this.#role === "server" && hasProperty(seen, ID.subscriptionIdentifier)) {
      throw protocolError("a client's PUBLISH carries a subscription identifier"); // [MQTT-3.3.4-6]
    }
    if (hasProperty(seen, ID.topicAlias)) {
      this.#view.topicAlias = u16Property(bytes, at, propertiesEnd, ID.topicAlias);
    }
    this.#view.propertiesStart = at;
    this.#view.propertiesEnd = propertiesEnd;
    return propertiesEnd;
  }

  #acknowledge(kind: AcknowledgeKind, bytes: Uint8Array, at: number, end: number): void {
    const packetId = end - at === 2 ? (bytes[at]! << 8) | bytes[at + 1]! : 0;
    if (packetId !== 0) {
      this.#handler.acknowledge(kind, packetId, REASON.success);
      return;
    }
    const packet = decodeAcknowledge(new Cursor(bytes, at, end), kind, this.#version, this.#limits);
    this.#handler.acknowledge(kind, packet.packetId, packet.reasonCode, packet.reasonString);
  }

  #connect(bytes: Uint8Array, start: number, bodyAt: number, end: number): void {
    const cursor = new Cursor(bytes, bodyAt, end);
    const version = decodeProtocol(cursor);
    this.#setVersion(version);
    if (version === 5 && bytes[bodyAt - 1] === 0 && bodyAt - start > 2) throw overlong();
    const packet = decodeConnect(cursor, version, this.#limits);
    if (packet.authenticationMethod === null) this.open();
    else {
      this.#stage = "authenticating";
      this.#firstBytes = firstByteTable(this.#role, version, "authenticating");
    }
    this.#handler.connect(packet);
  }

  #setVersion(version: ProtocolVersion): void {
    this.#version = version;
    this.#view.version = version;
  }

  #rare(type: number, cursor: Cursor): void {
    const handler = this.#handler;
    const version = this.#version;
    const limits = this.#limits;
    switch (type) {
      case PACKET.connack: {
        const packet = decodeConnack(cursor, version, limits);
        this.open();
        handler.connack(packet);
        return;
      }
      case PACKET.subscribe:
        handler.subscribe(decodeSubscribe(cursor, version, limits));
        return;
      case PACKET.suback:
        handler.suback(decodeSuback(cursor, "suback", version, limits));
        return;
      case PACKET.unsubscribe:
        handler.unsubscribe(decodeUnsubscribe(cursor, version, limits));
        return;
      case PACKET.unsuback:
        handler.unsuback(decodeSuback(cursor, "unsuback", version, limits));
        return;
      case PACKET.pingreq:
        cursor.done("PINGREQ");
        handler.pingreq();
        return;
      case PACKET.pingresp:
        cursor.done("PINGRESP");
        handler.pingresp();
        return;
      case PACKET.disconnect:
        handler.disconnect(decodeDisconnect(cursor, this.#role, version, limits));
        return;
      default: // `#firstBytes` lets nothing else pass
        handler.auth(decodeAuth(cursor, limits));
    }
  }

  #hold(bytes: Uint8Array, at: number, end: number): void {
    if (bytes === this.#resumed) {
      this.#held = bytes.subarray(at, end); // it is ours: with a share of some packets a turn, copies would cost more than they
      return;
    }
    const before = this.#held ?? NOTHING;
    const length = before.length + end - at;
    if (length > this.#limits.packetBytesMax + HELD_BYTES_MIN) {
      throw new PacketError(REASON.quotaExceeded, "too much was sent before an answer");
    }
    const held = this.#bufferFor(length);
    copyBytes(held, copyBytes(held, 0, before, 0, before.length), bytes, at, end);
    this.#held = held;
    this.#pool?.giveBack(before);
  }

  /** Lent, but not a large one for little: twenty thousand that wait with some kilobytes each are not to take a gigabyte. */
  #bufferFor(length: number): Uint8Array {
    const pool = this.#pool;
    const fits = pool !== null && length <= pool.bufferBytes;
    if (!fits || (length > pool.smallBytes && length <= pool.bufferBytes / 4)) return new Uint8Array(length);
    return pool.lendFor(length).subarray(0, length);
  }

  #keep(bytes: Uint8Array, at: number, end: number): void {
    this.#append(bytes, at, end, end - at);
  }

  /** Appends to the begun packet, of which `wanted` bytes are known to come. */
  #append(bytes: Uint8Array, from: number, to: number, wanted: number): void {
    const length = this.#partialLength + to - from;
    if (this.#partial === null || this.#partial.length < length) {
      const doubled = Math.max(PARTIAL_BYTES_MIN, 2 * length);
      const grown = new Uint8Array(Math.max(length, Math.min(doubled, Math.max(wanted, HEADER_BYTES_MAX))));
      if (this.#partial !== null) copyBytes(grown, 0, this.#partial, 0, this.#partialLength);
      this.#partial = grown;
    }
    copyBytes(this.#partial, this.#partialLength, bytes, from, to);
    this.#partialLength = length;
  }

  /** Goes on with the begun packet; returns how much of the chunk it took. */
  #completePartial(bytes: Uint8Array, end: number): number {
    let at = 0;
    let bodyAt = this.#header(this.#partial!, 0, this.#partialLength);
    while (bodyAt === INCOMPLETE) {
      if (at === end) return at;
      this.#append(bytes, at, at + 1, HEADER_BYTES_MAX);
      at++;
      bodyAt = this.#header(this.#partial!, 0, this.#partialLength);
    }
    const total = bodyAt + this.#remaining;
    const taken = Math.min(total - this.#partialLength, end - at);
    this.#append(bytes, at, at + taken, total);
    if (this.#partialLength === total) {
      const packet = this.#partial!;
      this.#partial = null;
      this.#partialLength = 0;
      this.#packet(packet, 0, bodyAt, total);
    }
    return at + taken;
  }
}

const NOTHING = new Uint8Array(0);
const NO_WORDS = wordsOf(NOTHING);

/** Most sockets are read into one and the same buffer. */
let latest: Uint8Array = NOTHING;
let latestWords = NO_WORDS;

function wordsOfLatest(bytes: Uint8Array): DataView {
  if (bytes !== latest) {
    latest = bytes;
    latestWords = wordsOf(bytes);
  }
  return latestWords;
}

function cutPublish(field: string): PacketError {
  return malformed(`PUBLISH ends within its ${field}`);
}

function overlong(): PacketError {
  return malformed("the remaining length is encoded in more bytes than it needs");
}
