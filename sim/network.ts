/**
 * A network between clients and one listener: latency, chunks of any size, connections that break, stall, fall silent on
 * one end, or are slow. A connection loses no byte in the middle and never reorders, as TCP does not.
 */
import type { Cancel } from "../src/base/mod.ts";
import type { BrokerConnection, Transport } from "../src/broker/mod.ts";
import type { CloseCause, UplinkEvents, UplinkSocket } from "../src/queue/mod.ts";
import type { SimClock, SimRandom } from "./world.ts";

/** `silent`: nobody answers, as behind a firewall that drops. */
export type NetworkWeather = "open" | "refusing" | "silent";
/** `told`: the other end learns of it at once; `silent`: it has to find out (a half-open connection). */
export type Farewell = "told" | "silent";

export interface Tap {
  opened(link: SimLink): void;
  /** Bytes that arrive at the server. */
  toServer(link: SimLink, chunk: Uint8Array): void;
  /** Bytes that the server lets go of. */
  toClient(link: SimLink, bytes: Uint8Array): void;
}

/** How long an end waits for what it has sent to arrive. */
const LINGER_MS = 1_000;

/** What a kernel takes for a peer that does not answer. */
const SOCKET_BUFFER_BYTES = 3_000;

export class SimNetwork {
  weather: NetworkWeather = "open";
  /** Longest latency of one way, in milliseconds. */
  latencyMax = 40;
  readonly redialMax = 1_500;
  /** Null: nothing listens. */
  listener: ((transport: Transport, link: SimLink) => BrokerConnection) | null = null;
  tap: Tap | null = null;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly #links = new Set<SimLink>();
  #dialled = 0;

  constructor(clock: SimClock, random: SimRandom) {
    this.clock = clock;
    this.random = random;
  }

  /** Starts one attempt to connect. */
  dial(name: string, events: UplinkEvents): UplinkSocket {
    const link = new SimLink(this, name, ++this.#dialled, events, () => this.#links.delete(link));
    this.#links.add(link);
    this.clock.after(1 + this.random.below(this.latencyMax), () => {
      if (this.weather === "silent" || !link.isOpening) return;
      if (this.weather === "refusing" || this.listener === null)
        link.break({ kind: "refused", detail: "ECONNREFUSED" });
      else link.establish(this.listener);
    });
    return link.client;
  }

  get links(): readonly SimLink[] {
    return [...this.#links];
  }

  /** Those of one client. */
  linksOf(name: string): readonly SimLink[] {
    return this.links.filter((link) => link.name === name);
  }
}

/** One connection, or the attempt to make one. */
export class SimLink {
  readonly name: string;
  readonly number: number;
  readonly #network: SimNetwork;
  readonly #events: UplinkEvents;
  readonly #gone: () => void;
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  #server: BrokerConnection | null = null;
  #clientHere = true;
  #serverHere = false;
  #opened = false;

  constructor(network: SimNetwork, name: string, number: number, events: UplinkEvents, gone: () => void) {
    this.#network = network;
    this.name = name;
    this.number = number;
    this.#events = events;
    this.#gone = gone;
    this.#toServer = new Pipe(network);
    this.#toClient = new Pipe(network);
  }

  get isOpening(): boolean {
    return !this.#opened && this.#clientHere;
  }

  readonly client: UplinkSocket = {
    write: (bytes) => {
      const taken = (): void => this.#ifClient(() => this.#events.written(spoilt(bytes)));
      this.#toServer.send(bytes.slice(), taken, (chunk) => {
        if (!this.#serverHere) return;
        this.#network.tap?.toServer(this, chunk);
        this.#server?.receive(chunk);
      });
    },
    end: () => {
      if (!this.#clientHere) return;
      this.#clientHere = false;
      let waits = true;
      const told = (): void => {
        if (waits) this.#events.closed({ kind: "ended", detail: "left" });
        waits = false;
      };
      this.#network.clock.after(LINGER_MS, told);
      this.#toServer.last(() => {
        this.#loseServer("ended");
        told();
      });
    },
    destroy: () => this.clientDies("told"),
  };

  establish(listener: NonNullable<SimNetwork["listener"]>): void {
    this.#opened = true;
    this.#serverHere = true;
    this.#network.tap?.opened(this);
    const transport: Transport = {
      remoteAddress: "192.0.2.7",
      write: (bytes) => {
        this.#network.tap?.toClient(this, bytes);
        const given = bytes.slice();
        const taken = (): void => {
          if (!this.#serverHere) return;
          if (Buffer.compare(bytes, given) !== 0) throw new Error("the broker has changed what is being sent");
          this.#server?.written(bytes);
        };
        this.#toClient.send(given, taken, (chunk) => this.#ifClient(() => this.#events.received(chunk)));
      },
      end: () => {
        this.#serverHere = false;
        this.#toClient.last(() => this.#loseClient({ kind: "ended", detail: "end of stream" }));
      },
      destroy: () => this.serverDies("told"),
      pause: () => this.#toServer.pause(),
      resume: () => this.#toServer.resume(),
    };
    this.#server = listener(transport, this);
    this.#ifClient(() => this.#events.opened());
  }

  /** Both ends learn that it is broken; what was on its way is lost. */
  break(cause: CloseCause = { kind: "reset", detail: "ECONNRESET" }): void {
    this.#toServer.close();
    this.#toClient.close();
    this.#network.clock.after(0, () => this.#loseClient(cause));
    this.#network.clock.after(this.#latency(), () => this.#loseServer("reset"));
  }

  /** The client's process is gone. What it had sent may still arrive. */
  clientDies(farewell: Farewell): void {
    if (!this.#clientHere) return;
    this.#clientHere = false;
    this.#toClient.close();
    if (!this.#serverHere) this.#forget();
    else if (farewell === "silent") this.#toServer.swallow();
    else if (this.#network.random.chance(0.5)) this.#toServer.last(() => this.#loseServer("reset"));
    else {
      this.#toServer.close();
      this.#network.clock.after(this.#latency(), () => this.#loseServer("reset"));
    }
  }

  /** The server's process is gone, or its machine. */
  serverDies(farewell: Farewell): void {
    if (!this.#serverHere) return;
    this.#serverHere = false;
    this.#toServer.swallow();
    // What was on the wire may still arrive, also when the machine behind it is dark.
    const arrives = this.#network.random.chance(0.5);
    if (farewell === "silent") this.#toClient.swallow(arrives);
    else {
      const lost = (): void => this.#loseClient({ kind: "reset", detail: "ECONNRESET" });
      if (arrives) this.#toClient.last(lost);
      else {
        this.#toClient.close();
        this.#network.clock.after(this.#latency(), lost);
      }
    }
    if (!this.#clientHere) this.#forget();
  }

  /** Nothing passes for the moment; it all arrives later. */
  stall(): void {
    this.#toServer.stall();
    this.#toClient.stall();
  }

  unstall(): void {
    this.#toServer.unstall();
    this.#toClient.unstall();
  }

  /** From now on bytes vanish, one way or both, and nobody is told: as when a NAT has forgotten the connection. */
  fallSilent(ways: "to the server" | "to the client" | "both"): void {
    if (ways !== "to the client") this.#toServer.swallow();
    if (ways !== "to the server") this.#toClient.swallow();
  }

  #ifClient(task: () => void): void {
    if (this.#clientHere) task();
  }

  #loseClient(cause: CloseCause): void {
    if (this.#clientHere) {
      this.#clientHere = false;
      this.#events.closed(cause);
    }
    if (!this.#serverHere) this.#forget();
  }

  #loseServer(reason: string): void {
    if (this.#serverHere) {
      this.#serverHere = false;
      this.#server?.closed(reason);
    }
    if (!this.#clientHere) this.#forget();
  }

  #forget(): void {
    this.#toServer.close();
    this.#toClient.close();
    this.#gone();
  }

  #latency(): number {
    return 1 + this.#network.random.below(this.#network.latencyMax);
  }
}

interface Parcel {
  readonly at: number;
  readonly bytes: number;
  readonly arrive: () => void;
}

/** One direction. */
class Pipe {
  readonly #network: SimNetwork;
  #state: "flowing" | "swallowing" | "closed" = "flowing";
  #stalled = false;
  #paused = false;
  #queue: Parcel[] = [];
  #queuedBytes = 0;
  #lastAt = 0;
  #timer: Cancel | null = null;
  /** Told once there is room again. */
  #waiting: (() => void)[] = [];

  constructor(network: SimNetwork) {
    this.#network = network;
  }

  send(bytes: Uint8Array, taken: () => void, arrive: (chunk: Uint8Array) => void): void {
    if (this.#state === "closed") return;
    const { random } = this.#network;
    // A connection that swallowed bytes never carries any again: TCP leaves no holes.
    if (this.#network.weather === "silent") this.swallow(true);
    const split = random.chance(0.2) ? random.below(bytes.length) : 0;
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes <= SOCKET_BUFFER_BYTES) this.#network.clock.defer(taken);
    else this.#waiting.push(taken);
    if (this.#state === "swallowing") return;
    for (const chunk of split === 0 ? [bytes] : [bytes.slice(0, split), bytes.slice(split)]) {
      this.#put(chunk.length, () => arrive(chunk));
    }
  }

  /** After everything that was sent. */
  last(task: () => void): void {
    if (this.#state === "flowing") this.#put(0, task);
  }

  /** What follows never arrives; nor does what is on its way, unless that is to be spared. */
  swallow(sparing = false): void {
    if (this.#state === "flowing") this.#state = "swallowing";
    if (!sparing) this.#queue = [];
  }

  close(): void {
    this.#state = "closed";
    this.#queue = [];
    this.#waiting = [];
  }

  stall(): void {
    this.#stalled = true;
  }
  unstall(): void {
    this.#stalled = false;
    this.#plan();
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#plan();
  }

  #put(bytes: number, arrive: () => void): void {
    const { clock, random, latencyMax } = this.#network;
    this.#lastAt = Math.max(this.#lastAt, clock.monotonic() + 1 + random.below(latencyMax));
    this.#queue.push({ at: this.#lastAt, bytes, arrive });
    this.#plan();
  }

  #plan(): void {
    const first = this.#queue[0];
    if (first === undefined || this.#timer !== null || this.#stalled || this.#paused) return;
    const { clock } = this.#network;
    this.#timer = clock.after(first.at - clock.monotonic(), () => {
      this.#timer = null;
      this.#deliver();
    });
  }

  #deliver(): void {
    if (this.#stalled || this.#paused) return;
    const parcel = this.#queue.shift();
    if (parcel === undefined) return;
    this.#queuedBytes -= parcel.bytes;
    parcel.arrive();
    if (this.#queuedBytes <= SOCKET_BUFFER_BYTES) for (const taken of this.#waiting.splice(0)) taken();
    this.#plan();
  }
}

/** A buffer that is given back may be used again: whoever kept a view of it reads nonsense. */
function spoilt(bytes: Uint8Array): Uint8Array {
  return bytes.fill(0xff);
}
