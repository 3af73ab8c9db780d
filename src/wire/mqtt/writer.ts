/** Packets to bytes. What one turn of the event loop produces for a connection gathers here and leaves in one write. */
import { copyWords, encodeUtf8Into, utf8Length } from "../../base/mod.ts";
import type { MessageProperties, QoS } from "../../base/mod.ts";
import { VARINT_MAX } from "./cursor.ts";
import {
  encodeAcknowledgeReason,
  encodeAuth,
  encodeConnack,
  encodeConnect,
  encodeDisconnect,
  encodeMessageProperties,
  encodeSuback,
  encodeSubscribe,
  encodeSubscriptionIdentifiers,
  encodeUnsuback,
  encodeUnsubscribe,
} from "./encode.ts";
import type { DisconnectFields } from "./encode.ts";
import { protocolError } from "./fault.ts";
import { PACKET } from "./first-byte.ts";
import { BufferPool, Output, tooLong, varintBytes, writeVarint } from "./output.ts";
import { ID, propertyEnd } from "./properties.ts";
import { REASON } from "./reason.ts";
import type {
  AcknowledgeKind,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  ProtocolVersion,
  PublishView,
  SubackPacket,
  SubscribePacket,
  UnsubscribePacket,
} from "./types.ts";

/** A PUBLISH to be sent. */
export interface PublishFields {
  /** Text, or its UTF-8 bytes where the caller has them. Empty only with a topic alias. */
  readonly topic: string | Uint8Array;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 1 to 65535; not used where QoS is 0. */
  readonly packetId: number;
  readonly properties: MessageProperties | null;
  readonly subscriptionIdentifiers?: readonly number[];
  /** MQTT 5.0; 0 or absent sends none. */
  readonly topicAlias?: number;
}

/** What changes when a received PUBLISH goes on to another connection. One object may be reused for all of them. */
export interface ForwardFields {
  readonly qos: QoS;
  readonly retain: boolean;
  /** Not used where QoS is 0. */
  readonly packetId: number;
  readonly subscriptionIdentifiers?: readonly number[];
  /** The topic's bytes; needed where the packet came with an empty topic and an alias. */
  readonly topic?: Uint8Array;
}

const KINDS = { puback: PACKET.puback, pubrec: PACKET.pubrec, pubrel: PACKET.pubrel, pubcomp: PACKET.pubcomp } as const;

/** What a packet without a message rarely exceeds; one that does makes its block larger. */
const SMALL_PACKET_BYTES = 256;

/** Where one connection's packets gather. Methods throw `PacketError` where a packet cannot be said in MQTT; nothing of it stays. */
export class PacketWriter {
  version: ProtocolVersion;
  readonly #out: Output;

  /** Give all connections one `pool`; without it the writer has a small one of its own, of `initialBytes` buffers. */
  constructor(version: ProtocolVersion, options: { readonly initialBytes?: number; readonly pool?: BufferPool } = {}) {
    this.version = version;
    this.#out = new Output(
      options.pool ??
        new BufferPool({
          keepMax: 2,
          ...(options.initialBytes === undefined ? {} : { bufferBytes: options.initialBytes }),
        }),
    );
  }

  /** Bytes gathered since the last `take`. */
  get length(): number {
    return this.#out.closedBytes + this.#out.length;
  }

  /** The bytes so far, and a new start. They are the caller's until given back, and must not be touched after that. */
  take(): Uint8Array {
    return this.#out.take();
  }

  /** As `take`, but no more than lies in one buffer: ask again while there is `length`. Nothing is copied. */
  takeBlock(): Uint8Array {
    return this.#out.takeBlock();
  }

  /** The block that the latest packet lies in, up to `length` where nothing is left of earlier ones. */
  get openBlock(): Uint8Array {
    return this.#out.buffer;
  }

  /** The transport has written them: their buffer may be used again. */
  giveBack(bytes: Uint8Array): void {
    this.#out.giveBack(bytes);
  }

  /** Drops what was written after `length` was this, e.g. a packet above the peer's Maximum Packet Size [MQTT-3.1.2-24]. */
  rewind(length: number): void {
    const inBlock = length - this.#out.closedBytes; // a packet begins and ends in one block
    if (inBlock >= 0 && inBlock < this.#out.length) this.#out.length = inBlock;
  }

  connect(packet: ConnectPacket): void {
    this.version = packet.version;
    this.#packet(PACKET.connect << 4, (out) => encodeConnect(out, packet));
  }

  /** `reasonCode` is of MQTT 5.0, and is mapped for 3.1.1. */
  connack(packet: ConnackPacket): void {
    this.#packet(PACKET.connack << 4, (out) => encodeConnack(out, packet, this.version));
  }

  subscribe(packet: SubscribePacket): void {
    this.#packet((PACKET.subscribe << 4) | 2, (out) => encodeSubscribe(out, packet, this.version));
  }

  suback(packet: SubackPacket): void {
    this.#packet(PACKET.suback << 4, (out) => encodeSuback(out, packet, this.version));
  }

  unsubscribe(packet: UnsubscribePacket): void {
    this.#packet((PACKET.unsubscribe << 4) | 2, (out) => encodeUnsubscribe(out, packet, this.version));
  }

  unsuback(packet: SubackPacket): void {
    this.#packet(PACKET.unsuback << 4, (out) => encodeUnsuback(out, packet, this.version));
  }

  pingreq(): void {
    this.#out.begin(2);
    this.#out.u16(PACKET.pingreq << 12);
  }

  pingresp(): void {
    this.#out.begin(2);
    this.#out.u16(PACKET.pingresp << 12);
  }

  /** In 3.1.1 the bare packet; there only a client sends one, so a server just closes. */
  disconnect(packet: DisconnectFields): void {
    this.#packet(PACKET.disconnect << 4, (out) => encodeDisconnect(out, packet, this.version));
  }

  auth(packet: AuthPacket): void {
    this.#packet(PACKET.auth << 4, (out) => encodeAuth(out, packet));
  }

  /** HOT where it succeeds. `reasonCode` and `reasonString` travel in MQTT 5.0 only. */
  acknowledge(kind: AcknowledgeKind, packetId: number, reasonCode = 0, reasonString?: string): void {
    const first = (KINDS[kind] << 4) | (kind === "pubrel" ? 2 : 0);
    if (this.version === 5 && (reasonCode !== REASON.success || reasonString !== undefined)) {
      this.#packet(first, (out) => {
        out.u16(packetId);
        encodeAcknowledgeReason(out, reasonCode, reasonString);
      });
      return;
    }
    const out = this.#out;
    out.begin(4);
    const { buffer, length } = out;
    buffer[length] = first;
    buffer[length + 1] = 2;
    buffer[length + 2] = packetId >> 8;
    buffer[length + 3] = packetId;
    out.length = length + 4;
  }

  publish(packet: PublishFields): void {
    const { topic, payload, qos } = packet;
    const out = this.#out;
    const topicBytes = typeof topic === "string" ? utf8Length(topic) : topic.length;
    if (topicBytes > 0xffff) throw tooLong("the topic");
    if (qos !== 0 && packet.packetId === 0) throw protocolError("the packet identifier is 0"); // [MQTT-2.2.1-3]
    const known = 2 + topicBytes + (qos === 0 ? 0 : 2) + payload.length;
    // One byte is left for the length, and more is made when it is known: without properties that is now.
    const extra = varintBytes(Math.min(known + (this.version === 5 ? 1 : 0), VARINT_MAX)) - 1;
    out.begin(2 + extra + known);
    const before = out.length;
    try {
      out.buffer[out.length] = firstByte(packet.dup && qos !== 0, qos, packet.retain); // [MQTT-4.3.1-1]
      out.length += 2 + extra;
      const body = out.length;
      out.u16(topicBytes);
      if (typeof topic === "string") out.length = encodeUtf8Into(topic, out.buffer, out.length);
      else out.raw(topic, 0, topicBytes);
      if (qos !== 0) out.u16(packet.packetId);
      if (this.version === 5) this.#publishProperties(packet);
      out.raw(payload, 0, payload.length);
      closeHeader(out, body, extra);
    } catch (error) {
      out.length = before;
      throw error;
    }
  }

  #publishProperties(packet: PublishFields): void {
    const out = this.#out;
    const from = out.openLength();
    encodeMessageProperties(out, packet.properties);
    if (packet.topicAlias !== undefined && packet.topicAlias !== 0) {
      out.u8(ID.topicAlias);
      out.u16(packet.topicAlias);
    }
    encodeSubscriptionIdentifiers(out, packet.subscriptionIdentifiers);
    out.closeLength(from);
  }

  /**
   * HOT: writes a received PUBLISH for another connection. DUP is not passed on [MQTT-3.3.1-3], [MQTT-4.3.2-2], nor are the topic alias and
   * the subscription identifiers that it came with; other properties are, unaltered [MQTT-3.3.2-4], [MQTT-3.3.2-15],
   * [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-20], where this connection speaks MQTT 5.0.
   */
  forward(view: PublishView, to: ForwardFields): void {
    if (view.topicStart === view.topicEnd || to.subscriptionIdentifiers !== undefined) this.#reencode(view, to);
    else if (this.version === 5 && view.propertiesStart !== view.propertiesEnd && !allTravel(view))
      this.#reencode(view, to);
    else this.#copy(view, to);
  }

  /** HOT: as `forward`, of a packet encoded for this version before; its identifier stands at `packetIdAt`, 0 where it has none. */
  append(bytes: Uint8Array, packetIdAt: number, packetId: number): void {
    const out = this.#out;
    out.begin(bytes.length);
    const { buffer, length } = out;
    buffer.set(bytes, length);
    if (packetIdAt !== 0) {
      buffer[length + packetIdAt] = packetId >> 8;
      buffer[length + packetIdAt + 1] = packetId;
    }
    out.length = length + bytes.length;
  }

  /**
   * As `forward`, for an MQTT 5.0 connection, with a topic alias (section 3.3.2.3.4): `named` sends the topic along and sets
   * the alias, else the alias stands for it. HOT for clients that take aliases.
   */
  forwardAliased(view: PublishView, to: ForwardFields, alias: number, named: boolean): void {
    const { buffer: source, topicStart, topicEnd } = view;
    const out = this.#out;
    const before = out.length;
    try {
      out.u8(firstByte(false, to.qos, to.retain));
      const body = out.openLength();
      if (named) out.raw(source, topicStart - 2, topicEnd);
      else out.u16(0);
      if (to.qos !== 0) out.u16(to.packetId);
      this.#forwardProperties(view, to.subscriptionIdentifiers, alias);
      out.raw(source, view.payloadStart, view.payloadEnd);
      out.closeLength(body);
    } catch (error) {
      out.length = before;
      throw error;
    }
  }

  /** All that goes along is copied from where it lies. */
  #copy(view: PublishView, to: ForwardFields): void {
    const { topicStart, topicEnd, payloadEnd } = view;
    const out = this.#out;
    const five = this.version === 5;
    const acknowledged = to.qos === 0 ? 0 : 2;
    const propertyBytes = five ? view.propertiesEnd - view.propertiesStart : 0;
    const propertyLength = five ? varintBytes(propertyBytes) : 0;
    // Properties, where they go along, and payload lie side by side.
    const restStart = view.payloadStart - propertyBytes;
    const remaining = topicEnd - topicStart + 2 + acknowledged + propertyLength + payloadEnd - restStart;
    if (remaining > VARINT_MAX) throw tooLong("a packet");
    out.begin(remaining + 5);
    const { buffer: target, words } = out;
    let at = out.length;
    target[at++] = firstByte(false, to.qos, to.retain);
    at = writeVarint(target, at, remaining);
    const idAt = at + 2 + topicEnd - topicStart;
    if (view.version === this.version && (view.qos === 0) === (to.qos === 0)) {
      // The body is the same but for the packet identifier: one copy.
      at = copyWords(words, at, view.words, topicStart - 2, payloadEnd);
    } else {
      at = copyWords(words, at, view.words, topicStart - 2, topicEnd) + acknowledged;
      if (five) at = writeVarint(target, at, propertyBytes);
      at = copyWords(words, at, view.words, restStart, payloadEnd);
    }
    if (acknowledged !== 0) {
      target[idAt] = to.packetId >> 8;
      target[idAt + 1] = to.packetId;
    }
    out.length = at;
  }

  #reencode(view: PublishView, to: ForwardFields): void {
    const { buffer: source, topicStart, topicEnd } = view;
    const out = this.#out;
    out.begin(view.end - view.start);
    const before = out.length;
    try {
      out.u8(firstByte(false, to.qos, to.retain));
      const body = out.openLength();
      if (topicStart !== topicEnd) out.raw(source, topicStart - 2, topicEnd);
      else if (to.topic !== undefined && to.topic.length > 0) out.binary(to.topic);
      else throw protocolError("a topic alias is forwarded without the topic that it stands for");
      if (to.qos !== 0) out.u16(to.packetId);
      if (this.version === 5) this.#forwardProperties(view, to.subscriptionIdentifiers, 0);
      out.raw(source, view.payloadStart, view.payloadEnd);
      out.closeLength(body);
    } catch (error) {
      out.length = before;
      throw error;
    }
  }

  #forwardProperties(view: PublishView, identifiers: readonly number[] | undefined, alias: number): void {
    const out = this.#out;
    const from = out.openLength();
    if (alias !== 0) {
      out.u8(ID.topicAlias);
      out.u16(alias);
    }
    const { buffer, propertiesEnd } = view;
    for (let at = view.propertiesStart; at < propertiesEnd;) {
      const next = propertyEnd(buffer, at);
      if (travels(buffer[at]!)) out.raw(buffer, at, next);
      at = next;
    }
    encodeSubscriptionIdentifiers(out, identifiers); // [MQTT-3.3.4-3]
    out.closeLength(from);
  }

  /** A packet that is not hot: fixed header, then what `body` writes. */
  #packet(first: number, body: (out: Output) => void): void {
    const out = this.#out;
    out.begin(SMALL_PACKET_BYTES);
    const before = out.length;
    try {
      out.u8(first);
      const from = out.openLength();
      body(out);
      out.closeLength(from);
    } catch (error) {
      out.length = before;
      throw error;
    }
  }
}

/** Whether the property at hand belongs to the message, and not to the connection that it came by. */
function travels(id: number): boolean {
  return id !== ID.topicAlias && id !== ID.subscriptionIdentifier;
}

function allTravel(view: PublishView): boolean {
  const { buffer, propertiesEnd } = view;
  for (let at = view.propertiesStart; at < propertiesEnd; at = propertyEnd(buffer, at)) {
    if (!travels(buffer[at]!)) return false;
  }
  return true;
}

function firstByte(dup: boolean, qos: QoS, retain: boolean): number {
  return (PACKET.publish << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
}

/** Fills in the length of a body for which `1 + extra` bytes were left; moves the body where that was too little. */
function closeHeader(out: Output, body: number, extra: number): void {
  const remaining = out.length - body;
  if (remaining > VARINT_MAX) throw tooLong("a packet");
  const more = varintBytes(remaining) - 1 - extra;
  if (more > 0) {
    out.need(more);
    out.buffer.copyWithin(body + more, body, out.length);
    out.length += more;
  }
  writeVarint(out.buffer, body - 1 - extra, remaining);
}
