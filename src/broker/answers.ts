/** Packets that may say in words why: as many words as the client wants and takes. */
import { REASON } from "../wire/mqtt/mod.ts";
import type { PacketWriter } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";

/** Why a publish was refused, for clients that want it in words. */
const REFUSED_BECAUSE: Readonly<Record<number, string>> = {
  [REASON.notAuthorized]: "not authorized to publish to this topic",
  [REASON.quotaExceeded]: "the platform's log is full",
};

/** Writes a packet, with or without a reason in words. */
type WriteReason = (out: PacketWriter, reason: { readonly reasonString?: string }) => void;

/**
 * Writes a packet with its reason in words if it then fits the client's Maximum Packet Size, else without. False where it
 * does not fit even so, and was not written [MQTT-3.1.2-24]. User properties are never added [MQTT-3.2.2-20],
 * [MQTT-3.14.2-4], [MQTT-3.15.2-3].
 */
export function explain(connection: Connection, reasonString: string | null, write: WriteReason): boolean {
  const out = connection.out();
  const before = out.length;
  write(out, reasonString === null ? {} : { reasonString });
  if (out.length - before <= connection.maximumPacketSize) return true;
  out.rewind(before);
  return reasonString === null ? false : explain(connection, null, write);
}

/** The answer to a request, with the reason in words where the client wants any [MQTT-3.1.2-29]. */
export function answer(connection: Connection, reasonString: string | null, write: WriteReason): void {
  if (explain(connection, connection.wantsReasons ? reasonString : null, write)) {
    connection.core.meters.controlSent.value++;
    return;
  }
  // The client waits for it, and there is no shorter way to say it.
  const detail = `an answer is larger than the client's Maximum Packet Size of ${connection.maximumPacketSize}`;
  connection.refuse("answer-too-large", REASON.packetTooLarge, "CLIENT_ERROR", detail);
}

/** Says why this one will be refused, where the client wants to know; each waits for its answer, whose number is bounded. */
export function explainRefusal(connection: Connection, packetId: number, reasonString: string): void {
  if (!connection.wantsReasons) return;
  const { explanations } = connection.core;
  const own = explanations.get(connection) ?? new Map<number, string>();
  explanations.set(connection, own.set(packetId, reasonString));
}

function explanationOf(connection: Connection, packetId: number): string | null {
  const own = connection.core.explanations.get(connection);
  const found = own?.get(packetId) ?? null;
  own?.delete(packetId);
  return found;
}

/** PUBACK or PUBREC with a refusal, for a client that wants reasons [MQTT-3.4.2-2], [MQTT-3.5.2-2]. */
export function refuseInWords(
  connection: Connection,
  kind: "puback" | "pubrec",
  packetId: number,
  reasonCode: number,
): void {
  explain(
    connection,
    explanationOf(connection, packetId) ?? REFUSED_BECAUSE[reasonCode] ?? null,
    (out, { reasonString }) => out.acknowledge(kind, packetId, reasonCode, reasonString),
  );
}
