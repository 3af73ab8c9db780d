/** A PUBLISH that we keep or made ourselves, seen the same way as one that was just received. */
import { copyBytes } from "../base/mod.ts";
import type { MessageProperties, QoS } from "../base/mod.ts";
import { FilledView, PacketWriter } from "../wire/mqtt/mod.ts";

export { FilledView as FrameView };

/** A copy that nobody shares; `slice` of a Node Buffer would still point into the received chunk. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  copyBytes(copy, 0, bytes, start, end);
  return copy;
}

const scratch = { writer: null as PacketWriter | null };

/** What `frameOf` needs of a message. */
export interface Publishable {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | null;
}

/** Encodes a message as an MQTT 5.0 PUBLISH of its own, so that one delivery path serves packets and messages. */
export function frameOf(message: Publishable): FilledView {
  const writer = (scratch.writer ??= new PacketWriter(5));
  const { topic, payload, qos, retain, properties } = message;
  writer.publish({ topic, payload, qos, retain, dup: false, packetId: qos === 0 ? 0 : 1, properties });
  const bytes = writer.take();
  const view = ownFrame(copyOf(bytes, 0, bytes.length));
  writer.giveBack(bytes);
  return view;
}

/** Looks at the bytes of one MQTT 5.0 PUBLISH that we encoded. */
export function ownFrame(bytes: Uint8Array): FilledView {
  const view = new FilledView();
  const first = bytes[0]!;
  view.lookAt(bytes);
  view.end = bytes.length;
  view.qos = ((first >> 1) & 3) as QoS;
  view.retain = (first & 1) !== 0;
  let at = afterVariableInteger(bytes, 1);
  view.topicStart = at + 2;
  view.topicEnd = view.topicStart + bytes[at]! * 256 + bytes[at + 1]!;
  at = view.topicEnd;
  if (view.qos !== 0) {
    view.packetId = bytes[at]! * 256 + bytes[at + 1]!;
    at += 2;
  }
  view.propertiesStart = afterVariableInteger(bytes, at);
  view.propertiesEnd = view.propertiesStart + variableInteger(bytes, at);
  view.payloadStart = view.propertiesEnd;
  view.payloadEnd = bytes.length;
  return view;
}

function variableInteger(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = 0, factor = 1; i < 4; i++, factor *= 128) {
    value += (bytes[at + i]! & 0x7f) * factor;
    if (bytes[at + i]! < 0x80) break;
  }
  return value;
}

function afterVariableInteger(bytes: Uint8Array, at: number): number {
  while (bytes[at]! >= 0x80) at++;
  return at + 1;
}
