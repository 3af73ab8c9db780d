/** What a client has to send and has not finished sending: it outlives connections, and follows section 4.3 to the letter. */
import type { AcknowledgeKind, PacketWriter } from "../src/wire/mqtt/mod.ts";
import type { SentMessage } from "./broker-ledger.ts";
import { short } from "./broker-witness.ts";

/** `released`: it has the PUBREC and waits for the PUBCOMP. */
interface Outgoing {
  readonly message: SentMessage;
  readonly payload: Uint8Array;
  packetId: number;
  state: "waiting" | "sent" | "released";
}

export class OutgoingMessages {
  readonly #packet: (write: (writer: PacketWriter) => void) => void;
  readonly #safe: (message: SentMessage) => void;
  #list: Outgoing[] = [];
  /** How many the broker takes at once; 0 where there is no connection. */
  #maximum = 0;

  /** `safe`: told of a message when the broker has acknowledged it. */
  constructor(packet: (write: (writer: PacketWriter) => void) => void, safe: (message: SentMessage) => void) {
    this.#packet = packet;
    this.#safe = safe;
  }

  get size(): number {
    return this.#list.length;
  }

  describe(): string {
    return this.#list.map(({ state, message }) => `${short(message.text)} ${state}`).join(", ");
  }

  send(message: SentMessage, payload: Uint8Array): void {
    const outgoing: Outgoing = { message, payload, packetId: 0, state: "waiting" };
    if (message.qos === 0) {
      this.#publish(outgoing, false);
      return;
    }
    this.#list.push(outgoing);
    this.#pump();
  }

  /** What was under way is sent again, in the order in which it was [MQTT-4.4.0-1]; then what waits. */
  connected(maximum: number): void {
    this.#maximum = maximum;
    for (const outgoing of this.#list) {
      if (outgoing.state === "sent") this.#publish(outgoing, true);
      else if (outgoing.state === "released") this.#release(outgoing);
    }
    this.#pump();
  }

  disconnected(): void {
    this.#maximum = 0;
  }

  /** There is no session any more in which it could be finished. */
  giveUp(): void {
    this.#list = this.#list.filter(({ state }) => state === "waiting");
  }

  /** False where nothing waits for this. */
  acknowledged(kind: AcknowledgeKind, packetId: number, reasonCode: number): boolean {
    const at = this.#list.findIndex((outgoing) => outgoing.packetId === packetId && outgoing.state !== "waiting");
    const outgoing = this.#list[at];
    if (outgoing === undefined || (kind === "puback") !== (outgoing.message.qos === 1)) return false;
    if (kind === "pubcomp" && outgoing.state !== "released") return false;
    if (kind !== "pubcomp" && reasonCode < 0x80) this.#safe(outgoing.message);
    if (kind === "pubrec" && reasonCode < 0x80) {
      outgoing.state = "released";
      this.#release(outgoing);
      return true;
    }
    this.#list.splice(at, 1);
    this.#pump();
    return true;
  }

  #pump(): void {
    let inFlight = this.#list.filter(({ state }) => state !== "waiting").length;
    for (const outgoing of this.#list) {
      if (outgoing.state !== "waiting") continue;
      if (inFlight++ >= this.#maximum) return;
      outgoing.packetId = this.#freeId();
      outgoing.state = "sent";
      this.#publish(outgoing, false);
    }
  }

  /** The lowest: an identifier comes back into use as soon as it may. */
  #freeId(): number {
    const used = new Set(this.#list.map(({ packetId }) => packetId));
    let id = 1;
    while (used.has(id)) id++;
    return id;
  }

  #publish({ message, payload, packetId }: Outgoing, dup: boolean): void {
    const { topic, qos, retain, expires } = message;
    const properties = expires && !retain ? { messageExpirySeconds: 2 } : null;
    this.#packet((writer) => writer.publish({ topic, payload, qos, retain, dup, packetId, properties }));
  }

  #release({ packetId }: Outgoing): void {
    this.#packet((writer) => writer.acknowledge("pubrel", packetId));
  }
}
