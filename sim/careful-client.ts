/**
 * A client that does QoS 1 and 2 as MQTT 5.0 section 4.3 asks of it, and keeps its state over connections and crashes of
 * the broker: what it publishes it sends again until it is acknowledged, what it receives twice at QoS 2 it takes once.
 */
import type { QoS } from "../src/base/mod.ts";
import type { ConnectPacket } from "../src/wire/mqtt/mod.ts";
import type { BrokerWorld } from "./broker.ts";
import type { Received, ReceivedPublish, SimClient } from "./mqtt-client.ts";

interface Publication {
  readonly packetId: number;
  readonly topic: string;
  readonly payload: string;
  readonly qos: 1 | 2;
  state: "published" | "released";
}

export class CarefulClient {
  readonly clientId: string;
  /** What the application got, in order. */
  readonly got: { readonly payload: string; readonly qos: QoS; readonly topic: string }[] = [];
  /** What it published and was acknowledged: PUBACK, PUBREC. */
  readonly acknowledged = new Set<string>();
  /** Not answered to the end, in order. */
  readonly publications: Publication[] = [];
  connection: SimClient | null = null;
  /** Of the next connections. */
  receiveMaximum: number;
  /** Milliseconds that it takes for an acknowledgement. */
  answersAfter = 0;
  /** Packets that a specification forbids, and that came all the same. */
  readonly wrong: string[] = [];
  readonly #world: BrokerWorld;
  /** Identifiers of QoS 2 messages that it has and that were not released. */
  readonly #held = new Set<number>();
  /** Sent by the broker on this connection and not acknowledged to the end. */
  readonly #open = new Set<number>();
  #nextId = 0;

  constructor(world: BrokerWorld, clientId: string, receiveMaximum = 65_535) {
    this.#world = world;
    this.clientId = clientId;
    this.receiveMaximum = receiveMaximum;
  }

  async connect(options: Partial<ConnectPacket> = {}): Promise<SimClient> {
    const connection = this.#world.client();
    this.connection = connection;
    this.#open.clear();
    connection.listener = (packet) => {
      if (this.connection === connection) this.#arrived(connection, packet);
    };
    connection.connect({
      clientId: this.clientId,
      cleanStart: false,
      sessionExpirySeconds: 86_400,
      receiveMaximum: this.receiveMaximum,
      keepAliveSeconds: 3_600,
      ...options,
    });
    await this.#world.run();
    return connection;
  }

  cut(): void {
    this.connection?.cut();
    this.connection = null;
  }

  /** The broker is gone, and everything on its way with it. */
  lost(): void {
    this.connection = null;
  }

  publish(topic: string, payload: string, qos: 1 | 2): void {
    const taken = new Set(this.publications.map(({ packetId }) => packetId));
    do this.#nextId = (this.#nextId % 20) + 1;
    while (taken.has(this.#nextId) && taken.size < 20); // identifiers come again soon, so that mistakes show
    if (taken.has(this.#nextId)) return;
    const publication: Publication = { packetId: this.#nextId, topic, payload, qos, state: "published" };
    this.publications.push(publication);
    if (this.connection?.open === true) this.#send(publication, false);
  }

  #send({ topic, payload, qos, packetId }: Publication, dup: boolean): void {
    this.connection!.publish(topic, payload, { qos, packetId, dup });
  }

  #arrived(connection: SimClient, packet: Received): void {
    if (packet.type === "connack") this.#greeted(packet.sessionPresent);
    else if (packet.type === "publish") this.#published(connection, packet);
    else if (packet.type === "pubrel") {
      const { packetId } = packet;
      this.#held.delete(packetId);
      this.#answer(connection, "pubcomp", packetId);
    } else if (packet.type === "puback" || packet.type === "pubrec" || packet.type === "pubcomp") {
      this.#answered(connection, packet.type, packet.packetId, packet.reasonCode);
    }
  }

  /** Everything that was not acknowledged is sent again, in order [MQTT-4.4.0-1]. */
  #greeted(sessionPresent: boolean): void {
    if (!sessionPresent) {
      this.#held.clear();
      for (const publication of this.publications) publication.state = "published";
    }
    for (const publication of this.publications) {
      if (publication.state === "released") this.connection!.acknowledge("pubrel", publication.packetId);
      else this.#send(publication, true);
    }
  }

  #published(connection: SimClient, packet: ReceivedPublish): void {
    const { packetId, qos, payload, topic } = packet;
    if (qos !== 0) {
      this.#open.add(packetId);
      if (this.#open.size > this.receiveMaximum) this.wrong.push(`more than ${this.receiveMaximum} in flight`);
    }
    if (qos < 2 || !this.#held.has(packetId)) this.got.push({ payload, qos, topic });
    else if (!packet.dup) this.wrong.push(`identifier ${packetId} was used again before its PUBREL`);
    if (qos === 2) this.#held.add(packetId);
    if (qos > 0) this.#answer(connection, qos === 1 ? "puback" : "pubrec", packetId);
  }

  #answer(connection: SimClient, kind: "puback" | "pubrec" | "pubcomp", packetId: number): void {
    this.#world.clock.after(this.answersAfter, () => {
      if (this.connection !== connection || !connection.open) return;
      if (kind !== "pubrec") this.#open.delete(packetId);
      connection.acknowledge(kind, packetId);
    });
  }

  #answered(connection: SimClient, kind: "puback" | "pubrec" | "pubcomp", packetId: number, reason: number): void {
    const at = this.publications.findIndex((publication) => publication.packetId === packetId);
    const publication = this.publications[at];
    if (publication === undefined) {
      this.wrong.push(`${kind} for identifier ${packetId}, which is not in use`);
      return;
    }
    if (reason < 0x80) this.acknowledged.add(publication.payload);
    if (kind !== "pubrec" || reason >= 0x80) this.publications.splice(at, 1);
    else {
      publication.state = "released";
      connection.acknowledge("pubrel", packetId);
    }
  }
}
