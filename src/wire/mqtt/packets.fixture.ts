/** Packets as values that can be compared: what a reader delivers, and how to write it again. For tests only. */
import type { MessageProperties, QoS } from "../../base/mod.ts";
import { LIMITS } from "../../base/mod.ts";
import { connectPacket } from "./connect-packet.ts";
import { propertiesOf, subscriptionIdentifiersOf, topicOf } from "./publish-view.ts";
import { PacketReader } from "./reader.ts";
import type {
  AcknowledgeKind,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  PacketHandler,
  ProtocolVersion,
  Role,
  SubackPacket,
  SubscribePacket,
  UnsubscribePacket,
} from "./types.ts";
import { PacketWriter } from "./writer.ts";

export interface PublishValue {
  readonly type: "publish";
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
  readonly topicAlias: number;
  readonly properties: MessageProperties | null;
  readonly subscriptionIdentifiers: readonly number[];
}

export type PacketValue =
  | { readonly type: "connect"; readonly packet: ConnectPacket }
  | { readonly type: "connack"; readonly packet: ConnackPacket }
  | PublishValue
  | {
      readonly type: "acknowledge";
      readonly kind: AcknowledgeKind;
      readonly packetId: number;
      readonly reasonCode: number;
      readonly reasonString?: string;
    }
  | { readonly type: "subscribe"; readonly packet: SubscribePacket }
  | { readonly type: "suback"; readonly packet: SubackPacket }
  | { readonly type: "unsubscribe"; readonly packet: UnsubscribePacket }
  | { readonly type: "unsuback"; readonly packet: SubackPacket }
  | { readonly type: "pingreq" }
  | { readonly type: "pingresp" }
  | { readonly type: "disconnect"; readonly packet: DisconnectPacket }
  | { readonly type: "auth"; readonly packet: AuthPacket };

/** A handler that copies everything it is given into `values`. */
export function recording(values: PacketValue[]): PacketHandler {
  return {
    connect: (packet) => values.push({ type: "connect", packet }),
    connack: (packet) => values.push({ type: "connack", packet }),
    publish: (view) =>
      values.push({
        type: "publish",
        topic: view.topicAlias !== 0 && view.topicStart === view.topicEnd ? "" : topicOf(view, LIMITS.mqtt),
        payload: view.buffer.slice(view.payloadStart, view.payloadEnd),
        qos: view.qos,
        retain: view.retain,
        dup: view.dup,
        packetId: view.packetId,
        topicAlias: view.topicAlias,
        properties: propertiesOf(view),
        subscriptionIdentifiers: subscriptionIdentifiersOf(view),
      }),
    acknowledge: (kind, packetId, reasonCode, reasonString) =>
      values.push({
        type: "acknowledge",
        kind,
        packetId,
        reasonCode,
        ...(reasonString === undefined ? {} : { reasonString }),
      }),
    subscribe: (packet) => values.push({ type: "subscribe", packet }),
    suback: (packet) => values.push({ type: "suback", packet }),
    unsubscribe: (packet) => values.push({ type: "unsubscribe", packet }),
    unsuback: (packet) => values.push({ type: "unsuback", packet }),
    pingreq: () => values.push({ type: "pingreq" }),
    pingresp: () => values.push({ type: "pingresp" }),
    disconnect: (packet) => values.push({ type: "disconnect", packet }),
    auth: (packet) => values.push({ type: "auth", packet }),
  };
}

/** Writes what `recording` has recorded. */
export function writePacket(writer: PacketWriter, value: PacketValue): void {
  switch (value.type) {
    case "connect":
      writer.connect(value.packet);
      return;
    case "connack":
      writer.connack(value.packet);
      return;
    case "publish":
      writer.publish(value);
      return;
    case "acknowledge":
      writer.acknowledge(value.kind, value.packetId, value.reasonCode, value.reasonString);
      return;
    case "subscribe":
      writer.subscribe(value.packet);
      return;
    case "suback":
      writer.suback(value.packet);
      return;
    case "unsubscribe":
      writer.unsubscribe(value.packet);
      return;
    case "unsuback":
      writer.unsuback(value.packet);
      return;
    case "pingreq":
      writer.pingreq();
      return;
    case "pingresp":
      writer.pingresp();
      return;
    case "disconnect":
      writer.disconnect(value.packet);
      return;
    case "auth":
      writer.auth(value.packet);
  }
}

export function packetBytes(version: ProtocolVersion, ...values: readonly PacketValue[]): Uint8Array {
  const writer = new PacketWriter(version);
  for (const value of values) writePacket(writer, value);
  return writer.take();
}

/** A reader at one end, and what it has delivered. */
export interface ReaderUnderTest {
  readonly reader: PacketReader;
  readonly values: PacketValue[];
}

/** A reader that has seen nothing yet. */
export function newReader(role: Role, version: ProtocolVersion): ReaderUnderTest {
  const values: PacketValue[] = [];
  return { reader: new PacketReader(recording(values), { role, version, limits: LIMITS.mqtt }), values };
}

/** A reader behind the handshake: a server's has got a CONNECT, a client's a CONNACK. */
export function openReader(role: Role, version: ProtocolVersion): ReaderUnderTest {
  const opened = newReader(role, version);
  const first: PacketValue =
    role === "server"
      ? { type: "connect", packet: connectPacket({ version, clientId: "c" }) }
      : { type: "connack", packet: { sessionPresent: false, reasonCode: 0 } };
  opened.reader.push(packetBytes(version, first));
  opened.values.length = 0;
  return opened;
}
