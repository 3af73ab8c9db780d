/**
 * A model broker behind a simulated network, for the uplink: it speaks MQTT 5 through our codec, stores before it
 * acknowledges, and what the network does to it is under the test's command.
 */
import { LIMITS, STAMP_OUTBOX, STAMP_SEQUENCE } from "../src/base/mod.ts";
import type { BrokerConnection, Transport } from "../src/broker/mod.ts";
import type { OpenUplinkSocket } from "../src/queue/mod.ts";
import type { ConnackPacket, ConnectPacket, PacketHandler } from "../src/wire/mqtt/mod.ts";
import { PacketReader, PacketWriter, REASON, propertiesOf, topicOf } from "../src/wire/mqtt/mod.ts";
import { NO_PACKETS } from "./wiretap.ts";
import { SimNetwork } from "./network.ts";
import type { NetworkWeather } from "./network.ts";
import type { SimClock, SimRandom } from "./world.ts";

export interface SimArrival {
  readonly connection: number;
  readonly outbox: string;
  readonly sequence: number;
  readonly topic: string;
  readonly payload: string;
  /** When it arrived, by the monotonic clock. */
  readonly at: number;
}

export interface SimBrokerBehaviour {
  /** CONNACK; null: none comes. */
  connack: (packet: ConnectPacket) => (Partial<ConnackPacket> & { readonly reasonCode: number }) | null;
  /** Reason code of PUBACK, null: none comes. `stored` below 0x80. */
  puback: (arrival: SimArrival) => number | null;
  /** How long a PUBACK takes: the sync of the log. */
  pubackDelay: () => number;
}

export class SimBroker {
  readonly behaviour: SimBrokerBehaviour = {
    connack: () => ({ reasonCode: 0 }),
    puback: () => 0,
    pubackDelay: () => 0,
  };
  /** Everything that arrived, doubles and refused ones too. */
  readonly arrivals: SimArrival[] = [];
  /** What was stored, each once, in the order in which it came. */
  readonly stored: SimArrival[] = [];
  readonly #seen = new Set<string>();
  readonly connects: ConnectPacket[] = [];
  readonly disconnects: number[] = [];
  attempts = 0;
  pings = 0;
  answersPings = true;
  mostUnacknowledged = 0;
  readonly #clock: SimClock;
  readonly #network: SimNetwork;
  readonly #connections = new Map<number, { readonly transport: Transport; readonly connection: BrokerConnection }>();

  constructor(clock: SimClock, random: SimRandom) {
    this.#clock = clock;
    this.#network = new SimNetwork(clock, random);
    this.#network.listener = (transport, { number }) => this.#accept(transport, number);
  }

  /** What an agent is given to connect with. */
  readonly open: OpenUplinkSocket = (events) => {
    this.attempts++;
    return this.#network.dial("agent", events);
  };

  /** `refusing` lets connections that stand be; `silent` swallows what is sent on them, for good. */
  set mode(weather: NetworkWeather) {
    this.#network.weather = weather;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Every connection breaks; bytes on the way are lost. */
  cut(): void {
    for (const link of this.#network.links) if (!link.isOpening) link.break();
    this.#connections.clear();
  }

  /** `but`: the number of a connection that stays. */
  kick(reasonCode: number, but = -1): void {
    for (const [number, { transport }] of this.#connections) {
      if (number === but) continue;
      const writer = new PacketWriter(5);
      writer.disconnect({ reasonCode });
      transport.write(writer.take());
      transport.end();
      this.#connections.delete(number);
    }
  }

  /** Sends raw bytes to whoever is connected. */
  inject(bytes: Uint8Array): void {
    for (const { transport } of this.#connections.values()) transport.write(bytes.slice());
  }

  #accept(transport: Transport, number: number): BrokerConnection {
    const writer = new PacketWriter(5);
    const send = (write: () => void): void => {
      if (!this.#connections.has(number)) return;
      write();
      transport.write(writer.take());
    };
    const reader = new PacketReader(this.#handler(transport, number, writer, send), {
      role: "server",
      limits: LIMITS.mqtt,
    });
    const connection: BrokerConnection = {
      receive: (chunk) => {
        if (this.#connections.has(number)) reader.push(chunk);
      },
      written: (bytes) => writer.giveBack(bytes),
      closed: () => this.#connections.delete(number),
    };
    this.#connections.set(number, { transport, connection });
    return connection;
  }

  #handler(
    transport: Transport,
    number: number,
    writer: PacketWriter,
    send: (write: () => void) => void,
  ): PacketHandler {
    let unacknowledged = 0;
    return {
      ...NO_PACKETS,
      connect: (packet) => {
        this.connects.push(packet);
        const connack = this.behaviour.connack(packet);
        if (connack !== null && connack.reasonCode < 0x80) this.kick(REASON.sessionTakenOver, number);
        if (connack !== null) send(() => writer.connack({ sessionPresent: false, ...connack }));
      },
      publish: (view) => {
        const stamps = new Map(propertiesOf(view)?.userProperties ?? []);
        const arrival: SimArrival = {
          connection: number,
          outbox: stamps.get(STAMP_OUTBOX) ?? "",
          sequence: Number(stamps.get(STAMP_SEQUENCE)),
          topic: topicOf(view, LIMITS.mqtt),
          payload: new TextDecoder().decode(view.buffer.slice(view.payloadStart, view.payloadEnd)),
          at: this.#clock.monotonic(),
        };
        const { packetId } = view;
        const reasonCode = this.#take(arrival);
        this.mostUnacknowledged = Math.max(this.mostUnacknowledged, ++unacknowledged);
        if (reasonCode === null) return;
        this.#clock.after(this.behaviour.pubackDelay(), () => {
          unacknowledged--;
          send(() => writer.acknowledge("puback", packetId, reasonCode));
        });
      },
      pingreq: () => {
        this.pings++;
        if (this.answersPings) send(() => writer.pingresp());
      },
      disconnect: ({ reasonCode }) => {
        this.disconnects.push(reasonCode);
        this.#connections.delete(number);
        transport.end();
      },
    };
  }

  #take(arrival: SimArrival): number | null {
    this.arrivals.push(arrival);
    const reasonCode = this.behaviour.puback(arrival);
    if (reasonCode !== null && reasonCode >= 0x80) return reasonCode;
    const key = `${arrival.outbox}/${arrival.sequence}`;
    if (!this.#seen.has(key)) {
      this.#seen.add(key);
      this.stored.push(arrival);
    }
    return reasonCode;
  }
}
