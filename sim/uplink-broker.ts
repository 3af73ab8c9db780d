/**
 * A model broker behind a simulated network, for the uplink: it speaks MQTT 5 through our codec, stores before it
 * acknowledges, and what the network does to it is under the test's command.
 */
import type { Cancel } from "../src/base/mod.ts";
import { LIMITS, STAMP_OUTBOX, STAMP_SEQUENCE } from "../src/base/mod.ts";
import type { CloseCause, OpenUplinkSocket, UplinkEvents } from "../src/queue/mod.ts";
import type { ConnackPacket, ConnectPacket, PacketHandler } from "../src/wire/mqtt/mod.ts";
import { PacketReader, PacketWriter, propertiesOf, topicOf } from "../src/wire/mqtt/mod.ts";
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

export type NetworkMode =
  | "open"
  /** Connections are refused; those that stand are not touched. */
  | "refusing"
  /** Whatever is sent vanishes, for good on that connection; nobody is told. */
  | "stalled";

export interface SimBrokerBehaviour {
  /** CONNACK; null: none comes. */
  connack: (packet: ConnectPacket) => (Partial<ConnackPacket> & { readonly reasonCode: number }) | null;
  /** Reason code of PUBACK, null: none comes. `stored` below 0x80. */
  puback: (arrival: SimArrival) => number | null;
  /** How long a PUBACK takes: the sync of the log. */
  pubackDelay: () => number;
}

export class SimBroker {
  mode: NetworkMode = "open";
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
  readonly #random: SimRandom;
  readonly #links = new Set<SimLink>();

  constructor(clock: SimClock, random: SimRandom) {
    this.#clock = clock;
    this.#random = random;
  }

  /** What an agent is given to connect with. */
  readonly open: OpenUplinkSocket = (events) => {
    const link = new SimLink(
      this.#clock,
      this.#random,
      events,
      () => this.mode,
      () => this.#links.delete(link),
    );
    const connection = ++this.attempts;
    this.#clock.after(1 + this.#random.below(50), () => {
      if (this.mode === "refusing") link.fail({ kind: "refused", detail: "ECONNREFUSED" });
      else if (this.mode === "open") this.#accept(link, connection);
    });
    return link.client;
  };

  get connections(): number {
    return this.#links.size;
  }

  /** Every connection breaks; bytes on the way are lost. */
  cut(): void {
    for (const link of this.#links) link.fail({ kind: "reset", detail: "ECONNRESET" });
  }

  kick(reasonCode: number): void {
    for (const link of this.#links) {
      const writer = new PacketWriter(5);
      writer.disconnect({ reasonCode });
      link.toClient(writer.take());
      link.endFromServer();
    }
  }

  /** Sends raw bytes to whoever is connected. */
  inject(bytes: Uint8Array): void {
    for (const link of this.#links) link.toClient(bytes);
  }

  #accept(link: SimLink, connection: number): void {
    if (!link.open()) return;
    this.#links.add(link);
    const writer = new PacketWriter(5);
    const send = (write: () => void): void => {
      write();
      link.toClient(writer.take());
    };
    const nothing = (): void => {};
    let unacknowledged = 0;
    const handler: PacketHandler = {
      connect: (packet) => {
        this.connects.push(packet);
        const connack = this.behaviour.connack(packet);
        if (connack !== null) send(() => writer.connack({ sessionPresent: false, ...connack }));
      },
      publish: (view) => {
        const stamps = new Map(propertiesOf(view)?.userProperties ?? []);
        const arrival: SimArrival = {
          connection,
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
        link.endFromServer();
      },
      connack: nothing,
      acknowledge: nothing,
      subscribe: nothing,
      suback: nothing,
      unsubscribe: nothing,
      unsuback: nothing,
      pingresp: nothing,
      auth: nothing,
    };
    const reader = new PacketReader(handler, { role: "server", limits: LIMITS.mqtt });
    link.serverReceives = (chunk) => reader.push(chunk);
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

/** One connection: two ordered streams of bytes with latency, cut into chunks of any size. */
class SimLink {
  serverReceives: (chunk: Uint8Array) => void = () => {};
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #events: UplinkEvents;
  readonly #mode: () => NetworkMode;
  readonly #gone: () => void;
  #state: "opening" | "open" | "closed" = "opening";
  #dead = false;
  readonly #arrives = { client: 0, server: 0 };
  readonly #inFlight = new Set<Cancel>();

  constructor(clock: SimClock, random: SimRandom, events: UplinkEvents, mode: () => NetworkMode, gone: () => void) {
    this.#clock = clock;
    this.#random = random;
    this.#events = events;
    this.#mode = mode;
    this.#gone = gone;
  }

  readonly client = {
    write: (bytes: Uint8Array): void => {
      const copy = bytes.slice();
      this.#clock.after(0, () => this.#events.written(bytes));
      this.#stream("server", copy, (chunk) => this.serverReceives(chunk));
    },
    end: (): void => {
      // What was written still arrives; then the server sees the end.
      this.#later("server", () => {
        if (this.#close()) this.#events.closed({ kind: "ended", detail: "left" });
      });
    },
    destroy: (): void => {
      this.#close();
    },
  };

  open(): boolean {
    if (this.#state !== "opening") return false;
    this.#state = "open";
    this.#events.opened();
    return true;
  }

  toClient(bytes: Uint8Array): void {
    this.#stream("client", bytes.slice(), (chunk) => this.#events.received(chunk));
  }

  endFromServer(): void {
    this.#later("client", () => {
      if (this.#close()) this.#events.closed({ kind: "ended", detail: "end of stream" });
    });
  }

  fail(cause: CloseCause): void {
    if (this.#close()) this.#clock.after(0, () => this.#events.closed(cause));
  }

  #close(): boolean {
    if (this.#state === "closed") return false;
    this.#state = "closed";
    for (const cancel of this.#inFlight) cancel();
    this.#inFlight.clear();
    this.#gone();
    return true;
  }

  #stream(to: "client" | "server", bytes: Uint8Array, deliver: (chunk: Uint8Array) => void): void {
    if (this.#state !== "open") return;
    // A connection that swallowed bytes never carries any again, as when a NAT has forgotten it: TCP leaves no holes.
    if (this.#mode() === "stalled") this.#dead = true;
    if (this.#dead) return;
    const split = this.#random.chance(0.2) ? this.#random.below(bytes.length) : 0;
    for (const chunk of split === 0 ? [bytes] : [bytes.slice(0, split), bytes.slice(split)]) {
      this.#later(to, () => deliver(chunk));
    }
  }

  /** In the order in which it was sent. */
  #later(to: "client" | "server", task: () => void): void {
    const at = Math.max(this.#arrives[to], this.#clock.monotonic() + 1 + this.#random.below(40));
    this.#arrives[to] = at;
    const cancel = this.#clock.after(at - this.#clock.monotonic(), () => {
      this.#inFlight.delete(cancel);
      if (this.#state === "open") task();
    });
    this.#inFlight.add(cancel);
  }
}
