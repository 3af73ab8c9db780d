/** A broker for tests: real TLS, our codec in the server's role, and whatever answers the test wants. */
import { EventEmitter, once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer as createTcpServer, connect as connectTcp } from "node:net";
import type { TLSSocket } from "node:tls";
import { createServer } from "node:tls";
import { LIMITS, STAMP_OUTBOX, STAMP_SEQUENCE } from "../base/mod.ts";
import type { ConnackPacket, ConnectPacket, PacketHandler } from "../wire/mqtt/mod.ts";
import { PacketReader, PacketWriter, propertiesOf, topicOf } from "../wire/mqtt/mod.ts";
import type { Issued } from "./certificates.fixture.ts";

export interface Arrival {
  readonly connection: number;
  readonly topic: string;
  readonly outbox: string;
  readonly sequence: number;
  readonly payload: Record<string, unknown>;
  readonly qos: number;
}

export interface FakeBrokerBehaviour {
  /** Fields of CONNACK; null: none is sent. */
  connack: (packet: ConnectPacket) => (Partial<ConnackPacket> & { readonly reasonCode: number }) | null;
  /** Reason code of PUBACK; null: none is sent. */
  puback: (arrival: Arrival) => number | null;
  /** PUBACKs leave once per turn in this order; the test may shuffle. */
  order: (packetIds: number[]) => number[];
}

export interface FakeBrokerOptions {
  readonly ca: string;
  readonly issued: Issued;
  readonly port?: number;
}

export class FakeBroker {
  readonly behaviour: FakeBrokerBehaviour = {
    connack: () => ({ reasonCode: 0 }),
    puback: () => 0,
    order: (packetIds) => packetIds,
  };
  /** Every publish, doubles too. */
  readonly arrivals: Arrival[] = [];
  readonly connects: ConnectPacket[] = [];
  readonly disconnects: number[] = [];
  pings = 0;
  mostInflight = 0;
  readonly #server;
  readonly #events = new EventEmitter().setMaxListeners(100);
  readonly #connections = new Set<{ readonly socket: TLSSocket; readonly writer: PacketWriter }>();
  readonly #sockets = new Set<Socket>();
  #count = 0;

  private constructor({ ca, issued }: FakeBrokerOptions) {
    this.#server = createServer(
      { key: issued.privateKey, cert: issued.certificate, ca, requestCert: true, rejectUnauthorized: true },
      (socket) => this.#accept(socket),
    );
    this.#server.on("tlsClientError", () => this.#events.emit("change"));
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
  }

  static async start(options: FakeBrokerOptions): Promise<FakeBroker> {
    const broker = new FakeBroker(options);
    broker.#server.listen(options.port ?? 0, "127.0.0.1");
    await once(broker.#server, "listening");
    return broker;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `mqtts://127.0.0.1:${this.port}`;
  }

  /** Resolves once `holds` does; looked at after everything that happens here. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.#events, "change");
  }

  /** (sequence → arrivals) without doubles, ascending. */
  sequences(): number[] {
    return [...new Set(this.arrivals.map(({ sequence }) => sequence))].sort((a, b) => a - b);
  }

  /** DISCONNECT to all. */
  kick(reasonCode: number): void {
    for (const { socket, writer } of this.#connections) {
      writer.disconnect({ reasonCode });
      socket.end(writer.take());
    }
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cutAll();
    await closed;
  }

  #accept(socket: TLSSocket): void {
    const connection = { socket, writer: new PacketWriter(5) };
    const id = ++this.#count;
    this.#connections.add(connection);
    const reader = new PacketReader(this.#handler(connection, id), { role: "server", limits: LIMITS.mqtt });
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk);
      this.#events.emit("change");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#connections.delete(connection);
      this.#events.emit("change");
    });
  }

  #handler({ socket, writer }: { socket: TLSSocket; writer: PacketWriter }, connection: number): PacketHandler {
    let acknowledge: { packetId: number; reasonCode: number }[] = [];
    const send = (): void => {
      if (writer.length > 0) socket.write(writer.take());
    };
    const answer = (): void => {
      const byId = new Map(acknowledge.map(({ packetId, reasonCode }) => [packetId, reasonCode]));
      acknowledge = [];
      for (const id of this.behaviour.order([...byId.keys()])) writer.acknowledge("puback", id, byId.get(id));
      send();
    };
    const nothing = (): void => {};
    return {
      connect: (packet) => {
        this.connects.push(packet);
        const connack = this.behaviour.connack(packet);
        if (connack === null) return;
        writer.connack({ sessionPresent: false, ...connack });
        send();
      },
      publish: (view) => {
        const stamps = new Map(propertiesOf(view)?.userProperties ?? []);
        const payload = new TextDecoder().decode(view.buffer.slice(view.payloadStart, view.payloadEnd));
        const arrival: Arrival = {
          connection,
          topic: topicOf(view, LIMITS.mqtt),
          outbox: stamps.get(STAMP_OUTBOX) ?? "",
          sequence: Number(stamps.get(STAMP_SEQUENCE)),
          payload: JSON.parse(payload) as Record<string, unknown>,
          qos: view.qos,
        };
        this.arrivals.push(arrival);
        const reasonCode = this.behaviour.puback(arrival);
        if (reasonCode === null) return;
        acknowledge.push({ packetId: view.packetId, reasonCode });
        this.mostInflight = Math.max(this.mostInflight, acknowledge.length);
        if (acknowledge.length === 1) setImmediate(answer);
      },
      pingreq: () => {
        this.pings++;
        writer.pingresp();
        send();
      },
      disconnect: ({ reasonCode }) => {
        this.disconnects.push(reasonCode);
        socket.end();
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
  }
}

/** A TCP proxy that can be cut (connections die, new ones are refused) or stalled (bytes vanish, connections stay). */
export class TestProxy {
  mode: "open" | "cut" | "stalled" = "open";
  readonly #server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(target: () => number) {
    this.#server = createTcpServer((near) => {
      if (this.mode === "cut") {
        near.destroy();
        return;
      }
      const far = connectTcp(target(), "127.0.0.1");
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      const end = (): void => {
        near.destroy();
        far.destroy();
        this.#pairs.delete(pair);
      };
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on("data", (chunk: Buffer) => {
          if (this.mode !== "stalled") to.write(chunk);
        });
        from.on("close", end);
        from.on("error", end);
      }
    });
  }

  /** `target` is asked per connection, so that a broker may come back on another port. */
  static async start(target: () => number): Promise<TestProxy> {
    const proxy = new TestProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  set(mode: "open" | "cut" | "stalled"): void {
    this.mode = mode;
    // What was swallowed is missing in the stream: such a connection can only die.
    if (mode !== "stalled") for (const [near] of this.#pairs) near.destroy();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const [near] of this.#pairs) near.destroy();
    await closed;
  }
}
