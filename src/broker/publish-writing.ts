/** How one PUBLISH is written for one client. */
import { propertiesOf } from "../wire/mqtt/mod.ts";
import type { PacketWriter, PublishView } from "../wire/mqtt/mod.ts";
import type { QoS } from "../base/mod.ts";
import type { OutgoingAliases } from "./outgoing-aliases.ts";

/** How `PacketWriter.forward` is told what to change; one object for all, because nothing keeps it. */
export const plain = { qos: 0 as QoS, retain: false, packetId: 0 };

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

/** `alias`: as `OutgoingAliases.find` gives it. */
export function writePublish(
  out: PacketWriter,
  view: PublishView,
  topic: string,
  as: SendAs,
  again: SendAgain | null,
  alias: number,
): void {
  const { qos, retain, packetId, identifiers } = as;
  const named = identifiers === null ? {} : { subscriptionIdentifiers: identifiers };
  if (again === null) {
    const to = { qos, retain, packetId, ...named };
    if (alias === 0) out.forward(view, to);
    else out.forwardAliased(view, to, Math.abs(alias), alias < 0);
    return;
  }
  const { dup, expirySeconds } = again;
  const received = propertiesOf(view);
  const properties = expirySeconds === null ? received : { ...received, messageExpirySeconds: expirySeconds }; // [MQTT-3.3.2-6]
  const payload = view.buffer.subarray(view.payloadStart, view.payloadEnd);
  const text = alias > 0 ? "" : topic;
  out.publish({ topic: text, payload, qos, retain, dup, packetId, properties, topicAlias: Math.abs(alias), ...named });
}

/** HOT for clients that take aliases: `plain` says how. */
export function forwardAliased(out: PacketWriter, view: PublishView, aliases: OutgoingAliases): void {
  const alias = aliases.find(view);
  if (alias === 0) {
    out.forward(view, plain);
    return;
  }
  out.forwardAliased(view, plain, Math.abs(alias), alias < 0);
  if (alias < 0) aliases.told(view);
}
