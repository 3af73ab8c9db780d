/** Reads along on every connection and tells the witness what leaves the broker, in the moment in which it does. */
import { LIMITS } from "../src/base/mod.ts";
import { PacketError, PacketReader } from "../src/wire/mqtt/mod.ts";
import type { AcknowledgeKind, PacketHandler, SubscribePacket, Will } from "../src/wire/mqtt/mod.ts";
import type { BrokerWitness } from "./broker-witness.ts";
import { textOf } from "./broker-witness.ts";
import type { SimLink, Tap } from "./network.ts";
import { NO_PACKETS } from "./wiretap.ts";

/** A packet that passes the broker's door, either way. */
export type Passing = "connack" | "suback" | "unsuback" | "publish" | AcknowledgeKind;

const utf8 = new TextDecoder();

export class BrokerTap implements Tap {
  /** Told of each packet from the broker after it has left. */
  onPassing: (kind: Passing, link: SimLink) => void = () => {};
  readonly #witness: BrokerWitness;
  readonly #wires = new WeakMap<SimLink, Wire>();
  /** By client id: whose CONNECT came last. */
  readonly #latest = new Map<string, Wire>();

  constructor(witness: BrokerWitness) {
    this.#witness = witness;
  }

  opened(link: SimLink): void {
    this.#wires.set(link, new Wire(this.#witness, this.#latest, (kind) => this.onPassing(kind, link)));
  }

  toServer(link: SimLink, chunk: Uint8Array): void {
    this.#reading(link, "sends", () => this.#wires.get(link)?.fromClient.push(chunk));
  }

  toClient(link: SimLink, bytes: Uint8Array): void {
    this.#reading(link, "is sent", () => this.#wires.get(link)?.fromBroker?.push(bytes.slice()));
  }

  /** The broker has been told that the connection is gone, and has had its say. */
  lost(link: SimLink): void {
    this.#wires.get(link)?.lost();
  }

  #reading(link: SimLink, what: string, read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#witness.wrong(`${link.name} ${what} what is not MQTT: ${error.detail}`);
    }
  }
}

/** One connection. */
class Wire {
  readonly fromClient: PacketReader;
  fromBroker: PacketReader | null = null;
  readonly #witness: BrokerWitness;
  readonly #latest: Map<string, Wire>;
  readonly #passing: (kind: Passing) => void;
  #clientId = "";
  #kept = false;
  #will: Will | null = null;
  #welcome = false;
  readonly #published = new Map<number, string>();
  readonly #subscribes = new Map<number, SubscribePacket>();
  readonly #unsubscribes = new Map<number, readonly string[]>();

  constructor(witness: BrokerWitness, latest: Map<string, Wire>, passing: (kind: Passing) => void) {
    this.#witness = witness;
    this.#latest = latest;
    this.#passing = passing;
    this.fromClient = new PacketReader(this.#clientsPackets(), { role: "server", limits: LIMITS.mqtt });
  }

  lost(): void {
    if (this.#welcome && this.#will !== null && this.#will.delaySeconds === 0)
      this.#witness.willIsDue(textOf(this.#will.payload, this.#will.topic));
    this.#will = null;
  }

  /** What it says of the session is a promise: the client has not begun another one on another connection meanwhile. */
  get #promises(): boolean {
    return this.#kept && this.#latest.get(this.#clientId) === this;
  }

  #clientsPackets(): PacketHandler {
    return {
      ...NO_PACKETS,
      connect: ({ version, clientId, sessionExpirySeconds, will }) => {
        this.#clientId = clientId;
        this.#latest.set(clientId, this);
        this.#kept = sessionExpirySeconds > 0;
        this.#will = will;
        this.fromBroker = new PacketReader(this.#brokersPackets(), { role: "client", version, limits: LIMITS.mqtt });
      },
      publish: (view) => {
        if (view.qos === 0) return;
        const topic = utf8.decode(view.buffer.subarray(view.topicStart, view.topicEnd));
        this.#published.set(view.packetId, textOf(view.buffer.subarray(view.payloadStart, view.payloadEnd), topic));
      },
      subscribe: (packet) => this.#subscribes.set(packet.packetId, packet),
      unsubscribe: ({ packetId, filters }) => this.#unsubscribes.set(packetId, filters),
      disconnect: () => {
        if (this.#will !== null) this.#witness.withdraw(this.#clientId, textOf(this.#will.payload, this.#will.topic));
        this.#will = null;
      },
    };
  }

  #brokersPackets(): PacketHandler {
    return {
      ...NO_PACKETS,
      connack: ({ reasonCode }) => {
        if (reasonCode !== 0) return;
        this.#welcome = true;
        if (this.#promises) this.#witness.welcome(this.#clientId);
        this.#passing("connack");
      },
      acknowledge: (kind, packetId, reasonCode) => {
        this.#acknowledge(kind, packetId, reasonCode);
        this.#passing(kind);
      },
      publish: () => this.#passing("publish"),
      suback: ({ packetId, reasonCodes }) => {
        const { requests = [] } = this.#subscribes.get(packetId) ?? {};
        requests.forEach(({ filter }, i) => {
          const granted = reasonCodes[i] ?? 0x80;
          if (granted < 0x80 && this.#promises) this.#witness.grant(this.#clientId, filter, granted);
        });
        this.#passing("suback");
      },
      unsuback: ({ packetId }) => {
        for (const filter of this.#unsubscribes.get(packetId) ?? [])
          if (this.#promises) this.#witness.end(this.#clientId, filter);
        this.#passing("unsuback");
      },
    };
  }

  #acknowledge(kind: AcknowledgeKind, packetId: number, reasonCode: number): void {
    if (kind !== "puback" && kind !== "pubrec") return;
    const text = this.#published.get(packetId);
    if (text === undefined)
      this.#witness.wrong(`${this.#clientId} got a ${kind} for ${packetId}, which it did not send`);
    else if (reasonCode >= 0x80) this.#witness.acknowledgeRefusal(text, reasonCode);
    else this.#witness.acknowledge(text);
  }
}
