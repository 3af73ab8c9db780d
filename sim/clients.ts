/** The clients of the simulated platform beside its agents. */
import type { SubscribePacket } from "../src/wire/mqtt/mod.ts";
import { SimPeer } from "./mqtt-peer.ts";
import type { SimNetwork } from "./network.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";
import { nameOf } from "./witness.ts";

export interface ClientPorts {
  readonly network: SimNetwork;
  readonly witness: Witness;
  readonly trace: Trace;
}

const LASTING = { cleanStart: false, sessionExpirySeconds: 86_400, keepAliveSeconds: 20 };

/** Wants every reading, keeps a session, and comes back to it. */
export class SimSubscriber {
  /** Doubles included. */
  readonly received: string[] = [];
  readonly got = new Set<string>();
  /** The log's end when it first knew that it was subscribed; null until then. */
  since: number | null = null;
  /** What had been published by then. */
  earlier: ReadonlySet<string> = new Set();
  /** It takes messages and acknowledges none. */
  mute = false;
  readonly peer: SimPeer;

  constructor({ network, witness, trace }: ClientPorts) {
    const { random } = network;
    const receiveMaximum = random.pick([1, 3, 10, 1000]);
    this.peer = new SimPeer({
      network,
      name: "subscriber",
      connect: () => ({ clientId: "subscriber", ...LASTING, receiveMaximum }),
      onConnack: ({ sessionPresent }) => {
        trace.add("subscriber", sessionPresent ? "is back" : "is new");
        if (this.since === null) this.#subscribe();
        else if (!sessionPresent) witness.wrong("the subscriber's session is lost");
      },
      onSuback: () => {
        if (this.since !== null) return;
        this.since = witness.next;
        this.earlier = new Set(witness.appended);
      },
      onPublish: (view) => {
        const text = nameOf(view.buffer.subarray(view.payloadStart, view.payloadEnd));
        trace.add("deliver", `${text}${view.dup ? " again" : ""}`);
        this.received.push(text);
        this.got.add(text);
        const { packetId, qos } = view;
        if (qos === 0 || this.mute) return;
        const acknowledge = (): void => this.peer.send((writer) => writer.acknowledge("puback", packetId));
        if (random.chance(0.9)) acknowledge();
        else this.peer.later(random.below(100), acknowledge);
      },
    });
  }

  #subscribe(): void {
    this.peer.send((writer) => writer.subscribe(subscription("telemetry/#")));
  }
}

/** Keeps one retained message up to date: the next value only when the last one is acknowledged. */
export class SimPanel {
  /** The newest value that was sent. */
  sent = 0;
  /** The newest that was acknowledged. */
  confirmed = 0;
  stopped = false;
  readonly topic = "state/panel";
  readonly peer: SimPeer;

  constructor({ network }: ClientPorts) {
    const { random } = network;
    this.peer = new SimPeer({
      network,
      name: "panel",
      connect: () => ({ clientId: "panel", cleanStart: true, keepAliveSeconds: 20 }),
      onConnack: () => this.#send(),
      onPuback: (_packetId, reasonCode) => {
        if (reasonCode < 0x80) this.confirmed = this.sent;
        this.peer.later(reasonCode < 0x80 ? random.below(2_000) : 1_000, () => this.#send());
      },
    });
  }

  get isIdle(): boolean {
    return this.stopped && this.confirmed === this.sent;
  }

  #send(): void {
    if (this.isIdle) return;
    if (this.confirmed === this.sent) this.sent++;
    this.peer.send((writer) =>
      writer.publish({
        topic: this.topic,
        payload: new TextEncoder().encode(`panel ${this.sent}`),
        qos: 1,
        retain: true,
        dup: false,
        packetId: 1,
        properties: null,
      }),
    );
  }
}

/**
 * Always somebody new: makes a session with a subscription, leaves when it is told that it has it, comes back, and expects
 * to find both. There is nearly always one on the way when the power goes.
 */
export class SimNewcomer {
  stopped = false;
  /** Sessions that were found again, with their subscription. */
  found = 0;
  readonly peer: SimPeer;
  #number = 1;
  /** The platform has said that session and subscription are kept. */
  #promised = false;
  #tries = 0;

  constructor({ network, witness, trace }: ClientPorts) {
    this.peer = new SimPeer({
      network,
      name: "newcomer",
      connect: () => ({ clientId: `newcomer-${this.#number}`, ...LASTING }),
      onConnack: ({ sessionPresent }) => {
        if (this.#promised && !sessionPresent) witness.wrong(`the session of newcomer ${this.#number} is lost`);
        if (this.#promised) this.#say();
        else if (!this.stopped) this.peer.send((writer) => writer.subscribe(subscription(this.#topic)));
      },
      onSuback: () => {
        this.#promised = true;
        if (network.random.chance(0.5)) this.peer.die("told");
        else this.#say();
      },
      onPublish: () => {
        trace.add("newcomer", `${this.#number} is at home`);
        this.found++;
        this.#number++;
        this.#promised = false;
        this.peer.die("told");
      },
    });
  }

  /** At rest only with a promise that was kept. */
  get isIdle(): boolean {
    return this.stopped && !this.#promised;
  }

  get #topic(): string {
    return `newcomers/${this.#number}`;
  }

  /** Through the subscription to itself: where that is lost, nothing ever comes. */
  #say(): void {
    const payload = new TextEncoder().encode(`newcomer ${this.#number} try ${++this.#tries}`);
    const message = { topic: this.#topic, payload, qos: 1, retain: false, dup: false, packetId: this.#tries } as const;
    this.peer.send((writer) => writer.publish({ ...message, properties: null }));
    this.peer.later(3_000, () => {
      if (this.#promised) this.#say();
    });
  }
}

/** Reads what is retained, as a dashboard that was just opened does. */
export class SimVisitor {
  readonly retained = new Map<string, string>();
  subscribed = false;

  constructor({ network }: ClientPorts) {
    const peer: SimPeer = new SimPeer({
      network,
      name: "visitor",
      connect: () => ({ clientId: "visitor", cleanStart: true, keepAliveSeconds: 20 }),
      onConnack: () => peer.send((writer) => writer.subscribe(subscription("state/#"))),
      onSuback: () => (this.subscribed = true),
      onPublish: (view) => {
        const topic = new TextDecoder().decode(view.buffer.subarray(view.topicStart, view.topicEnd));
        this.retained.set(topic, nameOf(view.buffer.subarray(view.payloadStart, view.payloadEnd)));
        const { packetId } = view;
        peer.send((writer) => writer.acknowledge("puback", packetId));
      },
    });
  }
}

/** Somebody else with an agent's identity: a copied disk, or a second start of the same service. */
export function impersonate(clientId: string, { network }: ClientPorts): void {
  const peer: SimPeer = new SimPeer({
    network,
    name: `second ${clientId}`,
    connect: () => ({ clientId, cleanStart: true, keepAliveSeconds: 20 }),
    onConnack: () => network.clock.after(network.random.below(3_000), () => peer.leave()),
  });
}

function subscription(filter: string): SubscribePacket {
  const request = { filter, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  return { packetId: 1, requests: [request], subscriptionIdentifier: 0 };
}
