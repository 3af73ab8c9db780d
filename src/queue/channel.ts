/** One connection to the broker: a socket, which is a port, and the codec. */
import { LIMITS } from "../base/mod.ts";
import type { ConnackPacket, PacketHandler, PublishView } from "../wire/mqtt/mod.ts";
import { PacketError, PacketReader, PacketWriter, REASON } from "../wire/mqtt/mod.ts";
import type { CloseCause } from "./losses.ts";

/** One attempt to reach the broker, and the connection if it succeeds. */
export interface UplinkSocket {
  /** The socket owns the bytes until it calls `written` with them. */
  write(bytes: Uint8Array): void;
  /** Sends what was written, then closes; soon, whatever the other side does. */
  end(): void;
  /** Closes at once, whatever state it is in. */
  destroy(): void;
  /** Told once the broker has let this connection in. */
  accepted?(): void;
}

/** What the socket tells. After `end` or `destroy` only `closed` is listened to. */
export interface UplinkEvents {
  /** The secure channel stands, and the server has proved who it is. */
  opened(): void;
  received(chunk: Uint8Array): void;
  written(bytes: Uint8Array): void;
  /** Exactly once, also where it was never opened. */
  closed(cause: CloseCause): void;
}

/** Starts one attempt; never calls back before it has returned. */
export type OpenUplinkSocket = (events: UplinkEvents) => UplinkSocket;

export interface ChannelListener {
  opened(): void;
  readonly packets: {
    connack(packet: ConnackPacket): void;
    puback(packetId: number, reasonCode: number): void;
    pong(): void;
    disconnect(reasonCode: number): void;
  };
  fault(reasonCode: number, detail: string): void;
  closed(cause: CloseCause): void;
}

/** One socket with its codec. Once left, retired or dropped it tells nothing more, so an old connection cannot disturb a new one. */
export class Channel {
  readonly #socket: UplinkSocket;
  readonly #writer = new PacketWriter(5);
  readonly #reader: PacketReader;
  readonly #closed = Promise.withResolvers<void>();
  #listener: ChannelListener | null;

  constructor(open: OpenUplinkSocket, listener: ChannelListener) {
    this.#listener = listener;
    this.#reader = new PacketReader(handlerOf(listener.packets), { role: "client", version: 5, limits: LIMITS.mqtt });
    this.#socket = open({
      opened: () => this.#listener?.opened(),
      received: (chunk) => this.#received(chunk),
      written: (bytes) => this.#writer.giveBack(bytes),
      closed: (cause) => {
        const told = this.#listener;
        this.#listener = null;
        this.#closed.resolve();
        told?.closed(cause);
      },
    });
  }

  /** False where there was nothing to send. */
  send(write: (writer: PacketWriter) => void): boolean {
    write(this.#writer);
    if (this.#writer.length === 0) return false;
    this.#socket.write(this.#writer.take());
    return true;
  }

  /** Resolves once the socket is closed. */
  leave(reasonCode: number): Promise<void> {
    this.#silence();
    this.send((writer) => writer.disconnect({ reasonCode }));
    this.#socket.end();
    return this.#closed.promise;
  }

  /** Another has taken its place: nothing needs to be said over it any more. */
  retire(): void {
    this.#silence();
    this.#socket.end();
  }

  accepted(): void {
    this.#socket.accepted?.();
  }

  drop(): void {
    this.#silence();
    this.#socket.destroy();
  }

  #silence(): void {
    this.#listener = null;
    this.#reader.stop();
  }

  #received(chunk: Uint8Array): void {
    if (this.#listener === null) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#listener?.fault(error.reasonCode, error.detail);
    }
  }
}

/** The reader lets through only what a server may send; of that, what nobody asked for is ignored. */
function handlerOf(packets: ChannelListener["packets"]): PacketHandler {
  const unexpected = (what: string) => (): never => {
    throw new PacketError(REASON.protocolError, `${what} without having been asked for`);
  };
  return {
    connack: (packet) => packets.connack(packet),
    acknowledge: (kind, packetId, reasonCode) => {
      if (kind === "puback") packets.puback(packetId, reasonCode);
      else unexpected(kind.toUpperCase())();
    },
    pingresp: () => packets.pong(),
    disconnect: (packet) => packets.disconnect(packet.reasonCode),
    publish: (view: PublishView) => {
      if (view.qos > 0) unexpected("PUBLISH")();
    },
    suback: unexpected("SUBACK"),
    unsuback: unexpected("UNSUBACK"),
    auth: unexpected("AUTH"),
    connect: unexpected("CONNECT"),
    subscribe: unexpected("SUBSCRIBE"),
    unsubscribe: unexpected("UNSUBSCRIBE"),
    pingreq: unexpected("PINGREQ"),
  };
}
