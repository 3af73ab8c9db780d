/** What a simulated MQTT client is, and what it needs of its world. */
import type { UplinkEvents, UplinkSocket } from "../src/queue/mod.ts";
import type { ProtocolVersion } from "../src/wire/mqtt/mod.ts";
import type { Delivery, SentMessage, SessionLedger } from "./broker-ledger.ts";
import type { SimLink } from "./network.ts";
import type { Trace } from "./trace.ts";
import type { SimClock, SimRandom } from "./world.ts";

export interface ClientTraits {
  readonly clientId: string;
  readonly version: ProtocolVersion;
  /** 0: its session ends with each connection. */
  readonly sessionExpirySeconds: number;
  readonly receiveMaximum: number;
  /** Longest time that it takes for an acknowledgement, in milliseconds; 0: none. */
  readonly slowness: number;
  /** Null: it leaves no will. */
  readonly willDelaySeconds: number | null;
}

/** Where it lives: on a simulated network, or on a real one (`test/scenarios/support/kill-ledger.ts`). */
export interface ClientNetwork {
  readonly clock: Pick<SimClock, "monotonic" | "after" | "every">;
  readonly random: Pick<SimRandom, "below" | "chance">;
  /** Longest time until it dials again, in milliseconds. */
  readonly redialMax: number;
  dial(name: string, events: UplinkEvents): UplinkSocket;
  linksOf(name: string): readonly Pick<SimLink, "clientDies" | "break">[];
}

/** Whom it tells what it does, what it is told, and what is wrong. */
export interface ClientWitness {
  tick: number;
  readonly retainedConfirmed: ReadonlyMap<string, number>;
  readonly ledgers: ReadonlyMap<string, SessionLedger>;
  wrong(what: string): void;
  publish(message: SentMessage): void;
  /** The broker has acknowledged it. */
  safe(message: SentMessage): void;
  begin(clientId: string, kept: boolean): SessionLedger;
  /** Returns what names the message. */
  deliver(
    clientId: string,
    payload: Uint8Array,
    topic: string,
    how: Omit<Delivery, "message" | "appended">,
    dup: boolean,
  ): string;
}

export interface ClientPorts {
  readonly network: ClientNetwork;
  readonly witness: ClientWitness;
  readonly trace: Pick<Trace, "add">;
}
