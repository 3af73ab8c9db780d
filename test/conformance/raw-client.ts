/** A client that sends any bytes and shows what came back as it lay on the wire, for the tests of conformance. */
import { hex, listing } from "../../sim/listing.ts";
import { BrokerWorld } from "../../sim/broker.ts";
import type { BrokerConnection, Transport } from "../../src/broker/mod.ts";
import { PacketWriter, connectPacket } from "../../src/wire/mqtt/mod.ts";
import type { ConnectPacket, ProtocolVersion, SubscribeRequest, Will } from "../../src/wire/mqtt/mod.ts";

/** Both are always on, and every test that can be is run with both. */
export const VERSIONS = [
  { version: 4, name: "3.1.1" },
  { version: 5, name: "5.0" },
] as const;

/** A session that outlives its connection, in either version. */
export const KEPT = { cleanStart: false, sessionExpirySeconds: 600 } as const;

/** An application message as a test writes it. */
export interface Publication {
  readonly topic: string;
  readonly payload?: string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly packetId?: number;
}

const utf8 = new TextEncoder();

export class RawClient implements Transport {
  readonly remoteAddress = "192.0.2.9";
  readonly version: ProtocolVersion;
  /** Packets that came, in hex, in order. */
  readonly packets: string[] = [];
  state: "open" | "ended" | "destroyed" = "open";
  paused = false;
  readonly #world: BrokerWorld;
  readonly #writer: PacketWriter;
  readonly #connection: BrokerConnection;

  constructor(world: BrokerWorld, version: ProtocolVersion) {
    this.#world = world;
    this.version = version;
    this.#writer = new PacketWriter(version);
    this.#connection = world.broker.accept(this, { remoteAddress: this.remoteAddress, certificateId: null });
  }

  // ── the transport that the broker sees ──

  write(bytes: Uint8Array): void {
    if (this.state !== "open") throw new Error("write after end");
    this.packets.push(...packetsIn(bytes));
    this.#world.clock.defer(() => this.#connection.written(bytes));
  }

  end(): void {
    this.state = "ended";
    this.#world.clock.defer(() => this.#connection.closed());
  }

  destroy(): void {
    this.state = "destroyed";
    this.#world.clock.defer(() => this.#connection.closed());
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  // ── what a test does with it ──

  get open(): boolean {
    return this.state === "open";
  }

  /** Sends bytes as annotated listings; resolves once the broker has answered. */
  async send(...listings: readonly string[]): Promise<this> {
    for (const text of listings) this.#receive(listing(text));
    await this.#world.run();
    return this;
  }

  /** The network uses its buffer again: whoever kept a view of it reads nonsense. */
  #receive(bytes: Uint8Array): void {
    this.#connection.receive(bytes);
    bytes.fill(0xee);
  }

  /** Sends what a writer writes. */
  async say(write: (writer: PacketWriter) => void): Promise<this> {
    write(this.#writer);
    this.#receive(this.#writer.take().slice());
    await this.#world.run();
    return this;
  }

  connect(clientId: string, fields: Partial<ConnectPacket> = {}): Promise<this> {
    return this.say((w) => w.connect(connectPacket({ clientId, ...fields, version: this.version })));
  }

  subscribe(filter: string, options: Partial<SubscribeRequest> & { readonly packetId?: number } = {}): Promise<this> {
    const { packetId = 1, ...rest } = options;
    const request = { filter, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0, ...rest } as const;
    return this.say((w) => w.subscribe({ packetId, requests: [request], subscriptionIdentifier: 0 }));
  }

  publish({ topic, payload = "x", qos = 0, retain = false, dup = false, packetId = 1 }: Publication): Promise<this> {
    const fields = { topic, payload: utf8.encode(payload), qos, retain, dup, packetId, properties: null };
    return this.say((w) => w.publish(fields));
  }

  /** The network goes away without a word. */
  async cut(): Promise<void> {
    this.state = "destroyed";
    this.#connection.closed("cut");
    await this.#world.run();
  }

  /** What came since the last time. */
  take(): string[] {
    return this.packets.splice(0);
  }

  /** First bytes of what came since the last time, without their flags: 2 is CONNACK, 3 PUBLISH, e DISCONNECT. */
  takeTypes(): string {
    return this.take()
      .map((packet) => packet[0])
      .join("");
  }
}

function packetsIn(bytes: Uint8Array): readonly string[] {
  const packets: string[] = [];
  for (let at = 0; at < bytes.length;) {
    let end = at + 1;
    let remaining = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[end++]!;
      remaining |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    end += remaining;
    packets.push(hex(bytes.subarray(at, end)));
    at = end;
  }
  return packets;
}

/** Somebody who is connected; CONNACK is forgotten. */
export async function connected(
  world: BrokerWorld,
  version: ProtocolVersion,
  clientId: string,
  fields: Partial<ConnectPacket> = {},
): Promise<RawClient> {
  const client = await new RawClient(world, version).connect(clientId, fields);
  if (!client.open) throw new Error(`${clientId} was not let in: ${client.packets.join("; ")}`);
  client.packets.shift();
  return client;
}

export function world(options: ConstructorParameters<typeof BrokerWorld>[0] = {}): Promise<BrokerWorld> {
  return BrokerWorld.started(options);
}

export function will(fields: Partial<Will> = {}): Will {
  return {
    topic: "w",
    payload: utf8.encode("gone"),
    qos: 1,
    retain: false,
    delaySeconds: 0,
    properties: null,
    ...fields,
  };
}

/** A PUBLISH as the broker sends it, in hex. */
export function publishHex(
  version: ProtocolVersion,
  { topic, payload = "x", qos = 0, retain = false, dup = false, packetId = 1 }: Publication,
): string {
  const writer = new PacketWriter(version);
  writer.publish({ topic, payload: utf8.encode(payload), qos, retain, dup, packetId, properties: null });
  return hex(writer.take());
}
